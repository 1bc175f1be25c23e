"""Answering what tools ask, over a server and a keyboard that do what the test says."""

import os
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcrush.cli._answers import Answers, Rule
from txcrush.cli._client import Refused
from txcrush.cli._keyboard import Keyboard
from txcrush.cli._membership import Membership
from txcrush.cli._stream import StreamedEvent
from txcrush.testing.scripted_api import WORKSPACE, NotedScreen, ScriptedApi
from txcrush.testing.typed_keyboard import TypedReactor

GRANT = f"POST {WORKSPACE}/permissions/grant"


class AnswersCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.server, self.screen = ScriptedApi(), NotedScreen()
        self.member = Membership(self.server, "/p")  # type: ignore[arg-type]
        self.member.url = WORKSPACE
        self.server.answers[f"{GRANT}?client_id={self.member.client_id}"] = {"resolved": True}
        reads, self.writes = os.pipe()
        for fd in (reads, self.writes):
            self.addCleanup(os.close, fd)
        self.keyboard = Keyboard(TypedReactor(), reads)

    def begin(self, rule: Rule = Rule.ASK, *, keyboard: bool = True) -> None:
        self.answers = Answers(self.member, "s", self.screen, rule, self.keyboard if keyboard else None)
        self.addCleanup(self.answers.close)

    def tell(self, kind: str, **payload: Any) -> None:
        self.answers.take(StreamedEvent(kind, "created", payload))

    def ask(self, key: str = "p", session_id: str = "s") -> None:
        self.tell(
            "permission_request",
            id=key,
            session_id=session_id,
            tool_call_id=f"c{key}",
            tool_name="bash",
            description="Execute command: ls",
            path="/p",
            params={"command": "ls"},
        )

    def type(self, line: str) -> None:
        os.write(self.writes, f"{line}\n".encode())
        self.keyboard.doRead()

    def verdicts(self) -> list[tuple[str, str]]:
        sent = zip(self.server.asked, self.server.bodies, strict=True)
        return [(body["permission"]["id"], body["action"]) for asked, body in sent if asked.startswith(GRANT)]


class Rules(AnswersCase):
    def test_by_a_rule_what_the_session_and_its_children_ask_is_answered_once_and_nothing_else(self) -> None:
        for rule in (Rule.ALLOW, Rule.DENY):
            self.setUp()
            self.begin(rule)
            self.tell("session", id="child", parent_session_id="s")
            self.ask("p")
            self.ask("p")
            self.ask("q", "child")
            self.ask("r", "foreign")
            self.assertEqual(self.verdicts(), [("p", rule.value), ("q", rule.value)])

    def test_without_a_keyboard_it_says_once_that_the_run_waits(self) -> None:
        self.begin(keyboard=False)
        self.ask()
        self.ask()
        waiting = "waiting for an answer (bash: Execute command: ls): give it in another client"
        self.assertEqual((self.screen.notes, self.verdicts()), ([waiting], []))

    def test_an_answer_that_does_not_arrive_is_told(self) -> None:
        self.server.failures[f"{GRANT}?client_id={self.member.client_id}"] = [Refused(404, "workspace not found")]
        self.begin(Rule.ALLOW)
        self.ask()
        self.assertEqual(self.screen.notes, ["the answer did not arrive: workspace not found"])

    def test_a_question_is_no_permission_and_no_rule_answers_it(self) -> None:
        self.begin(Rule.ALLOW, keyboard=False)
        self.tell("question_batch_request", id="b", session_id="s", questions=[{}])
        self.assertEqual(self.screen.notes, ["waiting for an answer (1 questions): give it in another client"])


class AtTheTerminal(AnswersCase):
    def test_the_three_verdicts(self) -> None:
        for typed, verdict in (("y", "allow"), ("S", "allow_session"), (" no ", "deny")):
            self.setUp()
            self.begin()
            self.ask()
            self.type(typed)
            self.assertEqual(self.verdicts(), [("p", verdict)])

    def test_what_means_nothing_is_asked_again(self) -> None:
        self.begin()
        self.ask()
        self.type("perhaps")
        self.type("")
        self.assertEqual(self.verdicts(), [])
        self.type("y")
        self.assertEqual(self.verdicts(), [("p", "allow")])

    def test_what_was_typed_before_the_question_answers_nothing(self) -> None:
        self.begin()
        self.type("y")
        self.ask()
        self.assertEqual(self.verdicts(), [])

    def test_one_is_asked_at_a_time_in_order(self) -> None:
        self.begin()
        self.ask("p")
        self.ask("q")
        self.type("n")
        self.type("y")
        self.assertEqual(self.verdicts(), [("p", "deny"), ("q", "allow")])

    def test_where_another_client_was_quicker_the_next_is_asked(self) -> None:
        self.begin()
        self.ask("p")
        self.ask("q")
        self.ask("r")
        self.tell("permission_notification", tool_call_id="cq", granted=True, denied=False)
        self.tell("permission_notification", tool_call_id="cp", granted=False, denied=True)
        self.type("y")
        self.assertEqual(self.verdicts(), [("r", "allow")])
        self.assertIn("answered by another client", self.screen.notes)

    def test_our_own_answer_coming_back_is_not_another_clients(self) -> None:
        self.begin()
        self.ask()
        self.type("y")
        self.tell("permission_notification", tool_call_id="cp", granted=True, denied=False)
        self.assertNotIn("answered by another client", self.screen.notes)

    def test_an_answer_that_came_too_late_is_told(self) -> None:
        self.server.answers[f"{GRANT}?client_id={self.member.client_id}"] = {"resolved": False}
        self.begin()
        self.ask()
        self.type("y")
        self.assertEqual(self.screen.notes[-1], "another client has answered that already")

    def test_the_asking_itself_is_not_taken_for_an_answer(self) -> None:
        self.begin()
        self.ask()
        self.tell("permission_notification", tool_call_id="cp", granted=False, denied=False)
        self.type("y")
        self.assertEqual(self.verdicts(), [("p", "allow")])


class Batches(AnswersCase):
    def batch(self) -> None:
        questions = [
            {"id": "q1", "type": "yes_no", "question": "Go?"},
            {"id": "q2", "type": "free_text", "question": "Why?"},
        ]
        self.tell("question_batch_request", id="b", session_id="s", tool_call_id="c", questions=questions)

    def test_all_are_asked_and_answered_together(self) -> None:
        self.begin()
        self.batch()
        self.type("y")
        self.type("because")
        responses = [{"request_id": "q1", "yes": True}, {"request_id": "q2", "fill_in_text": "because"}]
        self.assertEqual(self.server.asked, [f"POST {WORKSPACE}/questions/answer"])
        self.assertEqual(self.server.bodies, [{"batch_request_id": "b", "responses": responses}])

    def test_a_batch_that_another_client_answers_is_dropped(self) -> None:
        self.begin()
        self.batch()
        self.tell("question_batch_notification", batch_id="b")
        self.type("y")
        self.assertEqual(self.server.asked, [])
