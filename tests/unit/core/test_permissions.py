"""The desk: who is asked, who answers, and what is written down of it."""

import random
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.events import BIG_EVENT
from txcrush.core.permissions import Desk
from txcrush.model.config import Permissions as AllowList
from txcrush.model.desk import Answerer, DeskEntry, Settlement, Settler
from txcrush.model.errors import StorageFailed
from txcrush.model.events import Event
from txcrush.model.ids import ClientId, PermissionId, SessionId
from txcrush.model.permissions import Ask, Verdict
from txcrush.testing.asking_tool import AskingTool
from txcrush.testing.conversation import Conversation, now
from txcrush.testing.harness import CLIENT, Harness, configuration
from txcrush.testing.scripted_provider import Call

ALICE = Answerer(Settler.CLIENT, ClientId("alice"), "unix")
BOB = Answerer(Settler.CLIENT, ClientId("bob"), "tcp")


class DeskCase(SynchronousTestCase):
    allowed: Sequence[str] = ()

    def setUp(self) -> None:
        config = replace(configuration(), permissions=AllowList(allowed_tools=tuple(self.allowed)))
        self.harness = Harness(config=config)
        self.talk = Conversation(self.harness)
        self.talk.workspace.claims.attach(CLIENT)
        self.desk: Desk = self.talk.workspace.permissions

    def ask(self, call: str = "c1", *, session: str = "", **changes: Any) -> "Deferred[bool]":
        """Ask as the `bash` tool would."""
        values: dict[str, Any] = {
            "session_id": SessionId(session) or self.talk.session_id,
            "tool_call_id": call,
            "tool_name": "bash",
            "action": "execute",
            "description": "Execute command: x",
            "path": "/project",
            "params": {"command": "x"},
        }
        asked = self.desk.ask(Ask(**{**values, **changes}))
        asked.addErrback(lambda failure: failure.trap(CancelledError) and None)
        return asked

    def ids(self) -> list[PermissionId]:
        return [request.id for request in self.desk.pending()]

    def answer(self, verdict: Verdict, permission_id: str = "", who: Answerer = ALICE) -> bool:
        """Answer the request, by default the oldest."""
        return now(self.desk.answer(PermissionId(permission_id) or self.ids()[0], verdict, who))

    def heard(self) -> list[str]:
        """The desk's events since the start, a word each."""
        words = []
        for kind, _, payload in self.talk.listener.events:
            if kind == "permission_request":
                words.append(f"{payload['tool_call_id']} request")
            if kind == "permission_notification":
                state = "granted" if payload["granted"] else "denied" if payload["denied"] else "asked"
                words.append(f"{payload['tool_call_id']} {state}")
        return words

    def book(self) -> list[DeskEntry]:
        """The audit trail, oldest first."""
        return now(self.desk.book.entries(None, "", 1000))[::-1]

    def outcomes(self) -> list[tuple[str, str, str]]:
        return [(one.tool_call_id, one.outcome.value, one.by) for one in self.book()]


class Asking(DeskCase):
    def test_r_perm_09_a_grant_lets_the_tool_go_on_and_nothing_stays_pending(self) -> None:
        asked = self.ask()
        self.assertEqual(len(self.ids()), 1)
        self.assertTrue(self.answer(Verdict.ALLOW))
        self.assertTrue(now(asked))
        self.assertEqual(self.ids(), [])

    def test_the_asked_notification_comes_before_the_request(self) -> None:
        self.ask()
        self.answer(Verdict.ALLOW)
        self.assertEqual(self.heard(), ["c1 asked", "c1 request", "c1 granted"])

    def test_r_perm_11_the_notification_goes_out_before_the_asker_wakes(self) -> None:
        heard: list[list[str]] = []
        self.ask().addCallback(lambda _: heard.append(self.heard()))
        self.answer(Verdict.ALLOW)
        self.assertEqual(heard, [["c1 asked", "c1 request", "c1 granted"]])

    def test_the_request_is_what_the_tool_said_under_an_id_of_the_servers(self) -> None:
        self.ask()
        (request,) = self.talk.listener.of("permission_request")
        self.assertEqual(
            list(request),
            ["id", "session_id", "tool_call_id", "tool_name", "description", "action", "params", "path"],
        )
        self.assertEqual((request["params"], request["path"]), ({"command": "x"}, "/project"))

    def test_the_path_that_is_shown_is_the_workspaces(self) -> None:
        for path, shown in ((".", "/project"), ("", ""), ("src", "/project/src"), ("/etc", "/etc")):
            asked = self.ask(path=path)
            self.assertEqual(self.desk.pending()[0].path, shown)
            asked.cancel()

    def test_nothing_is_visible_before_its_row_is_durable(self) -> None:
        self.talk.store.hold()
        asked = self.ask()
        self.assertEqual((self.heard(), self.ids()), ([], []))
        self.talk.store.release()
        self.assertEqual((self.heard(), len(self.ids())), (["c1 asked", "c1 request"], 1))
        self.talk.store.hold()
        answering = Deferred.fromCoroutine(self.desk.answer(self.ids()[0], Verdict.ALLOW, ALICE))
        self.assertEqual((self.heard()[2:], asked.called), ([], False))
        self.talk.store.release()
        self.assertEqual((self.heard()[2:], now(asked), now(answering)), (["c1 granted"], True, True))

    def test_a_long_request_is_encoded_in_a_thread_before_it_is_put(self) -> None:
        events, encoding = self.talk.workspace.events, Deferred[tuple[bytes, bytes]]()
        apart: list[Event] = []
        events.encode_apart = lambda event: apart.append(event) or encoding
        asked = self.ask(params={"old_content": "x" * BIG_EVENT, "new_content": ""})
        self.assertEqual((self.heard(), self.ids(), len(apart)), ([], [], 1))
        body = events.encode(apart[0])
        encoding.callback((body, events.frame(body)))
        self.assertEqual(self.heard(), ["c1 asked", "c1 request"])
        self.answer(Verdict.ALLOW)
        self.assertTrue(now(asked))

    def test_a_store_that_refuses_the_request_fails_the_tool_and_nobody_hears(self) -> None:
        self.talk.store.fail_next(StorageFailed("disk full"))
        failure = self.failureResultOf(self.desk.ask(_an_ask(self.talk.session_id)))
        failure.trap(StorageFailed)
        self.assertEqual((self.heard(), self.ids()), ([], []))

    def test_a_store_that_refuses_the_answer_leaves_the_request_pending(self) -> None:
        asked = self.ask()
        self.talk.store.fail_next(StorageFailed("disk full"))
        with self.assertRaises(StorageFailed):
            self.answer(Verdict.ALLOW_SESSION)
        self.assertEqual((len(self.ids()), asked.called), (1, False))
        self.assertTrue(self.answer(Verdict.DENY))
        self.assertFalse(now(asked))


class AllowLists(DeskCase):
    allowed = ("view", "bash:execute")

    def test_t_perm_01_r_perm_01_the_allow_list_names_a_tool_or_one_action_of_it(self) -> None:
        self.assertTrue(now(self.ask()))
        self.assertTrue(now(self.ask(tool_name="view", action="read")))
        self.assertEqual(self.heard(), [])
        for other in ({"action": "read"}, {"tool_name": "edit"}, {"tool_name": "edit", "action": ""}):
            asked = self.ask(**other)
            self.assertFalse(asked.called)
            self.answer(Verdict.DENY)
        self.assertEqual(self.outcomes()[:2], [("c1", "granted", "allow_list")] * 2)

    def test_a_guarded_ask_is_put_whatever_is_allowed(self) -> None:
        self.assertFalse(self.ask(guarded=True).called)


class Skipping(DeskCase):
    def test_t_perm_02_r_perm_02_skip_grants_at_once_and_can_be_toggled_meanwhile(self) -> None:
        first = self.ask("c1")
        now(self.desk.policies.switch(True, ALICE))
        self.assertFalse(first.called)
        self.assertTrue(now(self.ask("c2")))
        toggles = [Deferred.fromCoroutine(self.desk.policies.switch(on, BOB)) for on in (False, True, True, False)]
        self.assertTrue(all(toggle.called for toggle in toggles))
        self.assertFalse(self.desk.policies.skip)
        third = self.ask("c3")
        self.answer(Verdict.DENY)
        self.assertFalse(third.called)
        self.assertEqual(self.heard(), ["c1 asked", "c1 request", "c1 denied", "c3 asked", "c3 request"])

    def test_what_is_skipped_stands_in_the_book(self) -> None:
        now(self.desk.policies.switch(True, ALICE))
        self.ask()
        self.assertEqual(self.outcomes(), [("", "changed", "client"), ("c1", "granted", "skip")])

    def test_a_guarded_ask_is_put_whatever_is_skipped(self) -> None:
        now(self.desk.policies.switch(True, ALICE))
        self.desk.approve_call("c1", self.talk.session_id)
        self.assertFalse(self.ask(guarded=True).called)
        self.assertEqual(len(self.ids()), 1)

    def test_what_waits_in_line_passes_once_everything_is_skipped(self) -> None:
        self.ask("c1")
        second = self.ask("c2")
        now(self.desk.policies.switch(True, ALICE))
        self.answer(Verdict.ALLOW)
        self.assertTrue(now(second))


class Hooks(DeskCase):
    def test_t_perm_03_r_perm_03_a_hooks_approval_is_for_one_call_and_is_told(self) -> None:
        self.desk.approve_call("c1", self.talk.session_id)
        self.assertTrue(now(self.ask("c1")))
        self.assertEqual(self.heard(), ["c1 granted"])
        self.assertFalse(self.ask("c2").called)
        self.assertEqual(self.outcomes()[0], ("c1", "granted", "hook"))

    def test_an_approval_ends_with_its_call_and_is_of_one_session(self) -> None:
        self.desk.approve_call("c1", self.talk.session_id)
        self.assertFalse(self.ask("c1", session="other").called)
        self.desk.end_call("c1", self.talk.session_id)
        self.assertFalse(self.ask("c1").called)

    def test_a_call_without_an_id_is_never_approved(self) -> None:
        self.desk.approve_call("", self.talk.session_id)
        self.assertFalse(self.ask("").called)


class Grants(DeskCase):
    def test_t_perm_04_r_perm_04_a_session_grant_is_remembered_and_a_plain_one_is_not(self) -> None:
        self.ask("c1")
        self.answer(Verdict.ALLOW)
        self.ask("c2")
        self.answer(Verdict.ALLOW_SESSION)
        self.assertTrue(now(self.ask("c3")))
        self.assertEqual(self.heard()[-2:], ["c3 asked", "c3 granted"])
        others = ({"session": "other"}, {"tool_name": "edit"}, {"action": "read"}, {"path": "/elsewhere"})
        for number, other in enumerate(others):
            asked = self.ask(f"d{number}", **other)
            self.assertFalse(asked.called)
            asked.cancel()

    def test_keys_are_what_a_session_grant_remembers_and_all_of_them_are_needed(self) -> None:
        self.ask("c1", keys=("git status", "ls"))
        self.answer(Verdict.ALLOW_SESSION)
        self.assertTrue(now(self.ask("c2", keys=("ls",), path="/elsewhere")))
        self.assertFalse(self.ask("c3", keys=("ls", "rm")).called)

    def test_r_perm_15_grants_are_of_memory_and_go_with_the_server(self) -> None:
        self.ask("c1")
        self.answer(Verdict.ALLOW_SESSION)
        now(self.talk.stop())
        again = Conversation(Harness(stores=self.harness.stores), session_id=self.talk.session_id)
        asked = again.workspace.permissions.ask(_an_ask(self.talk.session_id))
        self.assertFalse(asked.called)

    def test_a_deleted_session_takes_its_grants_along(self) -> None:
        self.ask("c1")
        self.answer(Verdict.ALLOW_SESSION)
        self.desk.forget(self.talk.session_id)
        self.assertFalse(self.ask("c2").called)

    def test_what_is_guarded_is_granted_once_only(self) -> None:
        self.ask("c1", guarded=True)
        self.answer(Verdict.ALLOW_SESSION)
        self.assertFalse(self.ask("c2").called)
        self.assertEqual(self.outcomes()[0], ("c1", "granted", "client"))

    def test_promise_41_r_perm_14_the_grant_is_of_the_stored_request(self) -> None:
        """Nothing but the id comes in, and the session, the tool, the action and the path are the server's own."""
        self.ask("c1", path="/project/a")
        self.answer(Verdict.ALLOW_SESSION)
        self.assertTrue(now(self.ask("c2", path="/project/a")))
        self.assertFalse(self.ask("c3", path="/project/b").called)


class Resolving(DeskCase):
    def test_t_perm_05_r_perm_06_r_perm_07_the_first_answer_wins_and_is_told_once(self) -> None:
        asked = self.ask()
        (permission_id,) = self.ids()
        self.assertTrue(self.answer(Verdict.DENY, permission_id))
        for verdict in Verdict:
            self.assertFalse(self.answer(verdict, permission_id, BOB))
        self.assertFalse(now(asked))
        self.assertEqual(self.heard(), ["c1 asked", "c1 request", "c1 denied"])
        self.assertEqual(self.outcomes(), [("c1", "denied", "client")])

    def test_r_perm_08_an_unknown_id_is_safe(self) -> None:
        for permission_id in ("x", "00000000-0000-0000-0000-000000000000"):
            self.assertFalse(self.answer(Verdict.ALLOW, permission_id))
        self.assertEqual((self.heard(), self.book()), ([], []))

    def test_t_perm_06_promise_40_a_session_grant_that_lost_to_a_deny_leaves_no_record(self) -> None:
        self.ask("c1")
        (permission_id,) = self.ids()
        self.talk.store.hold()
        denying = Deferred.fromCoroutine(self.desk.answer(permission_id, Verdict.DENY, ALICE))
        losing = Deferred.fromCoroutine(self.desk.answer(permission_id, Verdict.ALLOW_SESSION, BOB))
        self.talk.store.release()
        self.assertEqual((now(denying), now(losing)), (True, False))
        self.assertFalse(self.ask("c2").called)

    def test_promise_39_of_50_racers_one_wins_each_loser_learns_the_outcome_1000_times(self) -> None:
        dice = random.Random(39)
        verdicts = list(Verdict)
        self.talk.workspace.events.unsubscribe(self.talk.listener)
        for number in range(1000):
            counting = Counting(self.talk)
            asked = self.ask(f"c{number}", session=f"s{number}")
            (permission_id,) = self.ids()
            racers = [dice.choice(verdicts) for _ in range(50)]
            results = [self.answer(verdict, permission_id) for verdict in racers]
            self.assertEqual(results, [True] + [False] * 49)
            outcome = now(self.desk.book.outcome_of(permission_id))
            self.assertEqual(outcome, OUTCOMES[racers[0]])
            self.assertEqual(now(asked), racers[0] is not Verdict.DENY)
            self.assertEqual(counting.settled(), 1)


OUTCOMES = {
    Verdict.ALLOW: Settlement.GRANTED,
    Verdict.ALLOW_SESSION: Settlement.GRANTED_FOR_SESSION,
    Verdict.DENY: Settlement.DENIED,
}


class Counting:
    """Counts the notifications from now on."""

    def __init__(self, talk: Conversation) -> None:
        self._talk = talk
        talk.listener.frames.clear()
        talk.workspace.events.subscribe(talk.listener)

    def settled(self) -> int:
        told = self._talk.listener.of("permission_notification")
        return sum(one["granted"] or one["denied"] for one in told)


class Lines(DeskCase):
    def test_r_perm_05_three_requests_of_a_session_are_asked_one_after_the_other(self) -> None:
        asked = [self.ask(f"c{number}") for number in (1, 2, 3)]
        verdicts = (Verdict.ALLOW, Verdict.DENY, Verdict.ALLOW)
        for number, verdict in enumerate(verdicts, 1):
            (request,) = self.desk.pending()
            self.assertEqual(request.tool_call_id, f"c{number}")
            self.answer(verdict)
        self.assertEqual([now(one) for one in asked], [True, False, True])

    def test_promise_42_requests_of_20_sessions_never_wait_for_each_other(self) -> None:
        asked = [self.ask("c", session=f"s{number}") for number in range(20)]
        self.assertEqual(len(self.ids()), 20)
        self.answer(Verdict.ALLOW, self.ids()[13])
        self.assertEqual([one.called for one in asked], [number == 13 for number in range(20)])
        asked[7].cancel()
        self.assertEqual(len(self.ids()), 18)

    def test_r_perm_13_who_stands_in_line_can_be_cancelled_and_is_never_put(self) -> None:
        self.ask("c1")
        second, third = self.ask("c2"), self.ask("c3")
        second.cancel()
        self.assertTrue(second.called)
        self.answer(Verdict.ALLOW)
        self.assertEqual(self.heard(), ["c1 asked", "c1 request", "c1 granted", "c3 asked", "c3 request"])
        self.answer(Verdict.ALLOW)
        self.assertTrue(now(third))

    def test_a_session_grant_lets_those_in_line_pass(self) -> None:
        self.ask("c1")
        second = self.ask("c2")
        self.answer(Verdict.ALLOW_SESSION)
        self.assertTrue(now(second))


class Cancelling(DeskCase):
    def test_r_perm_12_a_cancelled_request_is_gone_and_told_as_denied_once(self) -> None:
        asked = self.ask()
        (permission_id,) = self.ids()
        asked.cancel()
        self.assertEqual((self.ids(), self.answer(Verdict.ALLOW, permission_id)), ([], False))
        self.assertEqual(self.heard(), ["c1 asked", "c1 request", "c1 denied"])
        self.assertEqual(self.outcomes(), [("c1", "cancelled", "cancel")])

    def test_a_cancel_before_the_request_is_durable_takes_it_back_behind_it(self) -> None:
        self.talk.store.hold()
        asked = self.ask()
        asked.cancel()
        self.talk.store.release()
        self.assertEqual(self.heard(), ["c1 asked", "c1 request", "c1 denied"])
        self.assertEqual(self.ids(), [])

    def test_a_cancel_while_a_long_request_is_encoded_leaves_no_trace_of_it(self) -> None:
        encoding: Deferred[tuple[bytes, bytes]] = Deferred()
        self.talk.workspace.events.encode_apart = lambda event: encoding
        asked = self.ask(params={"old_content": "x" * BIG_EVENT})
        asked.cancel()
        self.assertEqual((now(asked), self.heard(), self.ids(), self.outcomes()), (None, [], [], []))

    def test_a_cancel_wins_over_an_answer_that_is_still_being_written(self) -> None:
        asked: Deferred[bool] = self.desk.ask(_an_ask(self.talk.session_id))
        self.talk.store.hold()
        answering = Deferred.fromCoroutine(self.desk.answer(self.ids()[0], Verdict.ALLOW, ALICE))
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.talk.store.release()
        self.assertTrue(now(answering))
        self.assertEqual(self.heard()[2:], ["c1 granted"])

    def test_an_answer_that_failed_after_its_asker_had_gone_is_told_as_denied(self) -> None:
        asked = self.ask()
        self.talk.store.hold()
        self.talk.store.fail_next(StorageFailed("disk full"))
        answering = Deferred.fromCoroutine(self.desk.answer(self.ids()[0], Verdict.ALLOW, ALICE))
        asked.cancel()
        self.talk.store.release()
        self.failureResultOf(answering, StorageFailed)
        self.assertEqual((self.heard()[2:], self.ids()), (["c1 denied"], []))


class InARun(SynchronousTestCase):
    """Requests of a real turn."""

    def setUp(self) -> None:
        self.harness = Harness(tools=lambda bench: self._tools(bench.permissions))
        self.talk = Conversation(self.harness)
        self.desk = self.talk.workspace.permissions
        self.harness.provider.add(Call("c1", "touch"))
        self.run_ = self.talk.prompt("hi", "r1")

    def _tools(self, desk: Desk) -> list[AskingTool]:
        self.tool = AskingTool(desk)
        return [self.tool]

    def kinds(self) -> list[str]:
        return [kind for kind, _, _ in self.talk.listener.events]

    def test_r_perm_17_a_denied_tool_ends_the_turn(self) -> None:
        now(self.desk.answer(self.desk.pending()[0].id, Verdict.DENY, ALICE))
        self.assertEqual(self.talk.lines()[1:], ["assistant:  [end_turn]", "tool: c1 User denied permission"])
        self.assertEqual(self.tool.done, [])

    def test_a_cancelled_run_takes_its_request_back_before_it_ends(self) -> None:
        self.talk.cancel()
        self.assertEqual(self.desk.pending(), [])
        self.assertEqual(self.talk.listener.of("permission_notification")[-1]["denied"], True)
        kinds = self.kinds()
        self.assertLess(max(n for n, kind in enumerate(kinds) if kind.startswith("permission")), len(kinds) - 1)
        self.assertEqual((kinds[-1], self.tool.done), ("run_complete", []))

    def test_promise_44_after_a_kill_the_request_is_interrupted_and_the_tool_is_not_run(self) -> None:
        (request,) = self.desk.pending()
        self.talk.store.crash()
        after = Harness(stores=self.harness.stores, tools=lambda bench: self._tools(bench.permissions))
        later = self.talk.restarted(after)
        desk = later.workspace.permissions
        self.assertEqual((desk.pending(), self.tool.done), ([], []))
        self.assertEqual(now(desk.book.outcome_of(request.id)), Settlement.INTERRUPTED)
        self.assertFalse(now(desk.answer(request.id, Verdict.ALLOW, ALICE)))
        logged = [one.kind.value for one in now(later.store.events_after(0, 1000))]
        self.assertLess(logged.index("permission_notification", logged.index("permission_request")), len(logged) - 1)
        self.assertEqual(logged[-1], "run_complete")

    def test_promise_44_a_stop_interrupts_the_request_too(self) -> None:
        (request,) = self.desk.pending()
        now(self.talk.stop())
        self.assertEqual(self.talk.listener.of("permission_notification")[-1]["denied"], True)
        entry = now(Conversation(Harness(stores=self.harness.stores)).store.desk_entry(request.id))
        assert entry is not None
        self.assertEqual((entry.outcome, entry.by, self.tool.done), ("interrupted", "restart", []))


def _an_ask(session_id: SessionId) -> Ask:
    return Ask(
        session_id=session_id,
        tool_call_id="c1",
        tool_name="bash",
        action="execute",
        description="",
        path="/project",
        params=None,
    )
