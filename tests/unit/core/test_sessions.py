"""Sessions: one writer, every change published, nothing lost between a read and a save."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.errors import SessionNotFound, StorageFailed
from txcrush.model.ids import SessionId
from txcrush.model.sessions import Session
from txcrush.testing.conversation import Conversation, now
from txcrush.testing.harness import CLIENT, Harness
from txcrush.testing.scripted_provider import Hang, Wait


class SessionsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.harness = Harness()
        self.provider = self.harness.provider
        self.talk = Conversation(self.harness)
        self.sessions = self.talk.workspace.sessions

    @property
    def session(self) -> Session:
        return self.sessions.get(self.talk.session_id)

    def stored(self) -> Session:
        """The session as the store has it."""
        return next(one for one in now(self.talk.store.sessions()) if one.id == self.talk.session_id)

    def told(self) -> list[tuple[str, str]]:
        """Change and title of every session event."""
        return [(change, one["title"]) for kind, change, one in self.talk.listener.events if kind == "session"]


class Reading(SessionsCase):
    def test_r_sess_01_a_session_is_busy_exactly_while_a_run_is_active(self) -> None:
        self.assertFalse(self.talk.is_busy)
        self.provider.add(Wait(), "a")
        self.talk.store.hold()
        self.talk.prompt("hi")
        self.assertFalse(self.talk.is_busy)
        self.talk.store.release()
        self.assertTrue(self.talk.is_busy)
        self.assertFalse(Conversation(self.harness).is_busy)
        self.provider.proceed()
        self.assertFalse(self.talk.is_busy)

    def test_r_sess_01_a_cancelled_run_is_busy_until_its_last_write(self) -> None:
        self.provider.add(Hang())
        self.talk.prompt("hi")
        self.talk.store.hold()
        self.talk.cancel()
        self.assertTrue(self.talk.is_busy)
        self.talk.store.release()
        self.assertFalse(self.talk.is_busy)

    def test_r_sess_01_an_unknown_session_is_not_busy(self) -> None:
        self.assertFalse(self.talk.workspace.runs.is_busy(SessionId("none")))

    def test_r_sess_02_who_looks_at_a_session_with_a_stream_is_counted(self) -> None:
        claims = self.talk.workspace.claims
        self.assertEqual(claims.attached(self.talk.session_id), 0)
        claims.attach(CLIENT)
        claims.look_at(CLIENT, self.talk.session_id)
        self.assertEqual(claims.attached(self.talk.session_id), 1)

    def test_r_sess_03_events_never_tell_who_is_busy_or_attached(self) -> None:
        self.provider.add(Wait(), "a")
        claims = self.talk.workspace.claims
        claims.attach(CLIENT)
        claims.look_at(CLIENT, self.talk.session_id)
        self.talk.prompt("hi")
        self.provider.proceed()
        events = self.talk.listener.of("session")
        self.assertEqual({(one["is_busy"], one["attached_clients"]) for one in events}, {(False, 0)})

    def test_sessions_are_listed_last_changed_first_without_children(self) -> None:
        self.harness.clock.advance(5)
        second = now(self.sessions.create("Second"))
        self.assertEqual([one.id for one in self.sessions.top_level()], [second.id, self.talk.session_id])
        self.harness.clock.advance(5)
        now(self.sessions.update(self.talk.session_id, title="First"))
        self.assertEqual([one.title for one in self.sessions.top_level()], ["First", "Second"])


class Changing(SessionsCase):
    def test_r_sess_04_every_change_but_a_message_count_is_told_of(self) -> None:
        now(self.sessions.update(self.talk.session_id, title="New"))
        self.sessions.counted(self.talk.session_id, 1)
        now(self.sessions.delete(self.talk.session_id))
        self.assertEqual(self.told(), [("updated", "New"), ("deleted", "New")])

    def test_a_turn_tells_of_its_title_and_its_cost(self) -> None:
        self.provider.add("a")
        self.talk.prompt("hi")
        self.assertEqual(self.told(), [("updated", "A Title"), ("updated", "A Title")])
        self.assertEqual(self.stored(), self.session)
        self.assertEqual((self.session.message_count, self.session.prompt_tokens), (2, 10))

    def test_events_carry_the_new_time(self) -> None:
        self.harness.clock.advance(7)
        now(self.sessions.update(self.talk.session_id, title="New"))
        self.assertEqual(self.talk.listener.of("session")[-1]["updated_at"], self.session.updated_at)
        self.assertEqual(self.session.updated_at, self.session.created_at + 7)

    def test_a_rename_during_a_turn_is_not_undone_by_its_end(self) -> None:
        self.provider.add(Wait(), "a")
        self.talk.prompt("hi")
        now(self.sessions.update(self.talk.session_id, title="Mine"))
        self.provider.proceed()
        self.assertEqual((self.stored().title, self.stored().message_count), ("Mine", 2))
        self.assertEqual(self.stored(), self.session)

    def test_a_session_that_could_not_be_stored_does_not_exist(self) -> None:
        self.talk.store.fail_next(StorageFailed("full"))
        self.failureResultOf(Deferred.fromCoroutine(self.sessions.create("Lost")), StorageFailed)
        self.assertEqual(len(self.sessions.top_level()), 1)

    def test_an_unknown_session_cannot_be_changed(self) -> None:
        unknown = SessionId("none")
        self.assertRaises(SessionNotFound, self.sessions.get, unknown)
        self.assertRaises(SessionNotFound, self.sessions.delete, unknown)
        self.failureResultOf(Deferred.fromCoroutine(self.sessions.update(unknown, title="x")), SessionNotFound)

    def test_p73_a_change_that_the_store_refuses_is_taken_back(self) -> None:
        self.talk.store.fail_next(StorageFailed("disk full"))
        refused = Deferred.fromCoroutine(self.sessions.update(self.talk.session_id, title="never"))
        self.failureResultOf(refused, StorageFailed)
        self.assertEqual(self.session, self.stored())

    def test_p73_a_session_whose_deletion_the_store_refuses_is_still_there(self) -> None:
        self.talk.store.fail_next(StorageFailed("disk full"))
        self.failureResultOf(self.sessions.delete(self.talk.session_id), StorageFailed)
        self.assertEqual(self.session, self.stored())

    def test_a_session_is_there_again_after_a_restart(self) -> None:
        self.provider.add("a")
        self.talk.prompt("hi")
        before = self.session
        now(self.talk.stop())
        later = self.talk.restarted(Harness(stores=self.harness.stores))
        self.assertEqual(later.workspace.sessions.get(self.talk.session_id), before)


class GivingUp(SessionsCase):
    def test_a_session_that_is_being_made_is_made_also_when_nobody_waits_any_more(self) -> None:
        self.talk.store.hold()
        creating = Deferred.fromCoroutine(self.sessions.create("B", session_id=SessionId("b")))
        creating.cancel()
        self.failureResultOf(creating, CancelledError)
        self.talk.store.release()
        self.assertEqual(self.sessions.get(SessionId("b")).title, "B")
        self.assertEqual(self.told()[-1], ("created", "B"))
