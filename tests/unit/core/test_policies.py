"""What becomes of what nobody answers, and who is not asked at all."""

from msgspec.structs import replace

from tests.unit.core.test_permissions import ALICE, BOB, DeskCase
from txcrush.core.policies import RETRY_S, UNCOVERED_S
from txcrush.model.desk import Settlement, Unanswered, parse_unanswered
from txcrush.model.errors import StorageFailed
from txcrush.model.ids import SessionId
from txcrush.model.permissions import Verdict
from txcrush.testing.conversation import Conversation, now
from txcrush.testing.harness import Harness


class PolicyCase(DeskCase):
    def setUp(self) -> None:
        super().setUp()
        self.policies = self.desk.policies
        self.clock = self.harness.clock

    def set(self, text: str, session_id: SessionId | None = None) -> None:
        now(self.policies.set(session_id or self.talk.session_id, ALICE, unanswered=parse_unanswered(text)))


class Waiting(PolicyCase):
    def test_promise_43_without_a_policy_a_request_waits_for_ever(self) -> None:
        asked = self.ask()
        self.clock.advance(400 * 24 * 3600)
        self.assertFalse(asked.called)

    def test_promise_43_deny_denies_after_so_many_seconds_and_not_before(self) -> None:
        self.set("deny:30")
        asked = self.ask()
        self.clock.advance(29.5)
        self.assertFalse(asked.called)
        self.clock.advance(0.5)
        self.assertFalse(now(asked))
        self.assertEqual(self.heard(), ["c1 asked", "c1 request", "c1 denied"])
        self.assertEqual(self.outcomes()[-1], ("c1", "denied", "policy"))

    def test_promise_43_the_time_of_a_request_begins_when_it_is_put(self) -> None:
        self.set("deny:30")
        first, second = self.ask("c1"), self.ask("c2")
        self.clock.advance(30)
        self.assertEqual((first.called, second.called), (True, False))
        self.clock.advance(30)
        self.assertTrue(second.called)

    def test_an_answer_in_time_stops_the_clock(self) -> None:
        self.set("deny:30")
        asked = self.ask()
        self.answer(Verdict.ALLOW)
        self.clock.advance(100)
        self.assertTrue(now(asked))
        self.assertEqual(self.heard()[2:], ["c1 granted"])

    def test_a_cancel_stops_the_clock(self) -> None:
        self.set("deny:30")
        self.ask().cancel()
        self.clock.advance(100)
        self.assertEqual(self.heard()[2:], ["c1 denied"])

    def test_allow_grants_at_once_and_tells_of_it(self) -> None:
        self.set("allow")
        self.assertTrue(now(self.ask()))
        self.assertEqual(self.heard(), ["c1 asked", "c1 granted"])
        self.assertEqual(self.outcomes()[-1], ("c1", "granted", "policy"))

    def test_what_could_not_be_kept_is_tried_again_after_a_pause(self) -> None:
        asked = self.ask()
        self.set("allow")
        self.talk.store.fail_next(StorageFailed("disk full"))
        for _ in range(3):
            self.clock.advance(0)
        self.assertFalse(asked.called)
        self.clock.advance(RETRY_S)
        self.assertTrue(now(asked))

    def test_allow_with_seconds_leaves_time_for_an_answer(self) -> None:
        self.set("allow:5")
        asked = self.ask()
        self.assertEqual(len(self.ids()), 1)
        self.clock.advance(5)
        self.assertTrue(now(asked))

    def test_promise_43_allow_never_covers_what_is_guarded_and_that_does_not_wait_for_ever(self) -> None:
        self.set("allow")
        asked = self.ask(guarded=True)
        self.clock.advance(UNCOVERED_S - 1)
        self.assertFalse(asked.called)
        self.clock.advance(1)
        self.assertFalse(now(asked))

    def test_a_change_reaches_what_is_pending(self) -> None:
        asked = self.ask()
        self.clock.advance(100)
        self.set("deny:30")
        self.clock.advance(29)
        self.set("deny:30")  # says nothing new, so the time goes on
        self.clock.advance(1)
        self.assertFalse(now(asked))
        waiting = self.ask("c2")
        self.set("ask")
        self.clock.advance(100)
        self.assertFalse(waiting.called)
        self.set("allow")
        self.clock.advance(0)
        self.assertTrue(now(waiting))

    def test_a_policy_that_cannot_write_its_denial_tries_again(self) -> None:
        self.set("deny:30")
        asked = self.ask()
        self.talk.store.fail_next(StorageFailed("disk full"))
        self.clock.advance(30)
        self.assertFalse(asked.called)
        self.clock.advance(30)
        self.assertFalse(now(asked))

    def test_the_servers_policy_holds_where_a_session_has_none(self) -> None:
        harness = Harness(unanswered="deny:5")
        talk = Conversation(harness)
        policies = talk.workspace.permissions.policies
        self.assertEqual(str(policies.unanswered(talk.session_id)), "deny:5")
        now(policies.set(talk.session_id, ALICE, unanswered=Unanswered()))
        self.assertEqual(str(policies.unanswered(talk.session_id)), "ask")


class PerSession(PolicyCase):
    def test_promise_49_skip_is_of_one_session_told_to_all_and_in_the_book(self) -> None:
        now(self.policies.set(self.talk.session_id, BOB, skip=True))
        self.assertTrue(now(self.ask()))
        self.assertFalse(self.ask(session="other").called)
        (told,) = self.talk.listener.of("config_changed")
        self.assertEqual(
            told,
            {
                "workspace_id": self.talk.workspace.id,
                "session_id": self.talk.session_id,
                "skip": True,
                "unanswered": "ask",
            },
        )
        change = self.book()[0]
        self.assertEqual((change.outcome, change.client_id, change.via), (Settlement.CHANGED, "bob", "tcp"))
        self.assertEqual(change.subject, {"skip": True, "unanswered": "ask"})

    def test_a_guarded_ask_is_put_in_a_session_that_skips(self) -> None:
        now(self.policies.set(self.talk.session_id, BOB, skip=True))
        self.assertFalse(self.ask(guarded=True).called)

    def test_the_workspaces_switch_is_told_once(self) -> None:
        for on in (True, True, False):
            now(self.policies.switch(on, ALICE))
        workspace_id = self.talk.workspace.id
        self.assertEqual(
            self.talk.listener.of("config_changed"),
            [{"workspace_id": workspace_id, "skip": True}, {"workspace_id": workspace_id, "skip": False}],
        )
        self.assertEqual([one.subject for one in self.book()], [{"skip": True}, {"skip": False}])

    def test_the_creators_wish_stands_in_the_book(self) -> None:
        workspace = now(self.harness.open("/other", yolo=True))
        (entry,) = now(workspace.permissions.book.entries(None, "", 10))
        self.assertEqual((entry.subject, entry.client_id), ({"skip": True}, "11111111-1111-4111-8111-111111111111"))

    def test_a_child_session_follows_its_parent(self) -> None:
        child = SessionId("m1$$c1")
        session = replace(
            self.talk.workspace.sessions.get(self.talk.session_id), id=child, parent_session_id=self.talk.session_id
        )
        self.talk.workspace.sessions._sessions[child] = session
        self.set("deny:7")
        now(self.policies.set(self.talk.session_id, ALICE, skip=True))
        self.assertEqual((str(self.policies.unanswered(child)), self.policies.skips(child)), ("deny:7", True))

    def test_a_policy_outlives_the_server(self) -> None:
        self.set("deny:7")
        now(self.policies.set(self.talk.session_id, ALICE, skip=True))
        now(self.talk.stop())
        again = Conversation(Harness(stores=self.harness.stores), session_id=self.talk.session_id)
        policies = again.workspace.permissions.policies
        self.assertEqual(str(policies.unanswered(self.talk.session_id)), "deny:7")
        self.assertEqual((policies.skips(self.talk.session_id), policies.skip), (True, False))

    def test_a_store_that_refuses_changes_nothing(self) -> None:
        self.talk.store.fail_next(StorageFailed("disk full"))
        with self.assertRaises(StorageFailed):
            self.set("allow")
        self.talk.store.fail_next(StorageFailed("disk full"))
        with self.assertRaises(StorageFailed):
            now(self.policies.switch(True, ALICE))
        self.assertEqual((self.policies.skip, self.talk.listener.of("config_changed")), (False, []))
        self.assertFalse(self.ask().called)

    def test_a_deleted_session_takes_its_policy_along(self) -> None:
        self.set("deny:7")
        now(self.talk.delete())
        self.desk.forget(self.talk.session_id)
        self.assertEqual(now(self.talk.store.policies()), [])
        self.assertEqual(str(self.policies.unanswered(self.talk.session_id)), "ask")
