"""Claims: how long a client holds a workspace, and what it looks at."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.presence import Claims
from txcrush.model.errors import ClientNotAttached
from txcrush.model.ids import ClientId, SessionId

ME, YOU = ClientId("me"), ClientId("you")
SESSION = SessionId("s")


class ClaimsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.emptied = 0
        self.claims = self.made(10)

    def made(self, detach_grace_s: float) -> Claims:
        return Claims(self.clock, 30, detach_grace_s, self.empty)

    def empty(self) -> None:
        self.emptied += 1


class Holding(ClaimsCase):
    def test_a_claim_without_a_stream_goes_after_the_create_grace(self) -> None:
        self.claims.hold(ME)
        self.clock.advance(29)
        self.assertEqual(self.emptied, 0)
        self.clock.advance(1)
        self.assertEqual((self.emptied, self.claims.is_empty), (1, True))

    def test_what_is_kept_for_nobody_is_kept_for_the_grace_of_a_newcomer(self) -> None:
        self.claims.keep()
        self.assertFalse(self.claims.is_empty)
        self.claims.hold(ME)
        self.claims.release(ME)
        self.assertEqual((self.claims.clients(), self.claims.is_empty), ({}, False))
        emptied = self.emptied
        self.clock.advance(30)
        self.assertEqual((self.emptied, self.claims.is_empty), (emptied + 1, True))

    def test_a_client_that_has_come_meanwhile_stays(self) -> None:
        self.claims.keep()
        self.claims.attach(ME)
        self.clock.advance(30)
        self.assertEqual((self.emptied, self.claims.is_empty), (0, False))

    def test_nothing_is_kept_after_the_end(self) -> None:
        self.claims.keep()
        self.claims.stop()
        self.assertEqual((self.clock.getDelayedCalls(), self.claims.is_empty), ([], True))

    def test_a_claim_says_since_when(self) -> None:
        self.clock.advance(7)
        self.claims.hold(ME)
        self.clock.advance(7)
        self.claims.attach(ME)
        self.assertEqual(self.claims.clients()[ME].since, self.clock.seconds() - 7)

    def test_holding_again_begins_the_grace_anew(self) -> None:
        self.claims.hold(ME)
        self.clock.advance(29)
        self.claims.hold(ME)
        self.clock.advance(29)
        self.assertEqual(self.emptied, 0)

    def test_a_stream_keeps_the_claim_for_as_long_as_it_is_open(self) -> None:
        self.claims.hold(ME)
        self.claims.attach(ME)
        self.clock.advance(1000)
        self.assertFalse(self.claims.is_empty)

    def test_holding_with_a_stream_open_sets_no_timer(self) -> None:
        self.claims.attach(ME)
        self.claims.hold(ME)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_after_the_last_stream_the_detach_grace_runs(self) -> None:
        self.claims.attach(ME)
        self.claims.attach(ME)
        self.claims.detach(ME)
        self.clock.advance(100)
        self.assertEqual(self.emptied, 0)
        self.claims.detach(ME)
        self.clock.advance(9)
        self.claims.attach(ME)
        self.clock.advance(100)
        self.assertEqual(self.emptied, 0)

    def test_without_a_grace_the_claim_goes_with_the_stream(self) -> None:
        claims = self.made(0)
        claims.attach(ME)
        claims.detach(ME)
        self.assertTrue(claims.is_empty)

    def test_a_released_claim_goes_at_once_or_with_its_last_stream(self) -> None:
        self.claims.hold(ME)
        self.claims.release(ME)
        self.assertEqual(self.emptied, 1)
        self.claims.attach(ME)
        self.claims.release(ME)
        self.assertFalse(self.claims.is_empty)
        self.claims.detach(ME)
        self.assertEqual(self.emptied, 2)

    def test_a_released_claim_that_is_held_again_is_kept(self) -> None:
        self.claims.attach(ME)
        self.claims.release(ME)
        self.claims.hold(ME)
        self.claims.detach(ME)
        self.assertFalse(self.claims.is_empty)

    def test_only_the_last_claim_empties(self) -> None:
        self.claims.hold(ME)
        self.claims.hold(YOU)
        self.claims.release(ME)
        self.assertEqual(self.emptied, 0)
        self.claims.remove(YOU)
        self.assertEqual(self.emptied, 1)

    def test_unknown_clients_change_nothing(self) -> None:
        self.claims.release(ME)
        self.claims.detach(ME)
        self.claims.remove(ME)
        self.assertEqual(self.emptied, 0)

    def test_stopping_tells_nobody_and_leaves_no_timer(self) -> None:
        self.claims.hold(ME)
        self.claims.stop()
        self.clock.advance(100)
        self.assertEqual((self.emptied, self.claims.is_empty), (0, True))


class Looking(ClaimsCase):
    def test_r_sess_02_clients_with_a_stream_that_look_at_the_session_are_counted(self) -> None:
        for client in (ME, YOU):
            self.claims.attach(client)
            self.claims.look_at(client, SESSION)
        self.assertEqual(self.claims.attached(SESSION), 2)
        self.claims.look_at(YOU, SessionId("other"))
        self.assertEqual(self.claims.attached(SESSION), 1)

    def test_r_sess_02_a_claim_without_a_stream_does_not_count(self) -> None:
        self.claims.attach(ME)
        self.claims.look_at(ME, SESSION)
        self.claims.detach(ME)
        self.assertEqual((self.claims.attached(SESSION), self.claims.is_empty), (0, False))

    def test_r_sess_02_nobody_looks_at_no_session(self) -> None:
        self.claims.attach(ME)
        self.claims.look_at(ME, SessionId(""))
        self.assertEqual(self.claims.attached(SessionId("")), 0)

    def test_who_has_no_stream_looks_at_nothing(self) -> None:
        self.claims.hold(ME)
        self.assertRaises(ClientNotAttached, self.claims.look_at, ME, SESSION)
        self.assertRaises(ClientNotAttached, self.claims.look_at, YOU, SESSION)
