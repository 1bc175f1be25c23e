"""Watching a session and taking part in it, over a server that does what the test says."""

import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcrush.cli._attaching import CANCELLED, COMPLETED, FAILED, HELP, Attaching, View
from txcrush.cli._client import Refused, Unreachable
from txcrush.cli._keyboard import Keyboard
from txcrush.cli._stream import StreamedEvent
from txcrush.testing.scripted_api import WORKSPACE, NotedScreen, ScriptedApi
from txcrush.testing.typed_keyboard import TypedReactor

SESSION = f"{WORKSPACE}/agent/sessions/s"


def message(message_id: str, role: str, text: str) -> dict[str, Any]:
    return {"id": message_id, "session_id": "s", "role": role, "parts": [{"type": "text", "data": {"text": text}}]}


class AttachingCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.server, self.screen = Clock(), ScriptedApi(), NotedScreen()
        self.server.answers[f"GET {WORKSPACE}/sessions"] = [{"id": "s"}, {"id": "t"}]
        reads, self.writes = os.pipe()
        for fd in (reads, self.writes):
            self.addCleanup(os.close, fd)
        self.keyboard = Keyboard(TypedReactor(), reads)

    def attach(self, **view: Any) -> "Deferred[int]":
        asked = View(**{"directory": "/p", "session": "s", **view})
        self.attaching = Attaching(self.clock, self.server, asked, self.screen, self.keyboard)  # type: ignore[arg-type]
        return self.attaching.start()

    def tell(self, kind: str, **payload: Any) -> None:
        self.server.streams[-1].asker.callback(StreamedEvent(kind, "updated", payload))

    def end(self, **fields: Any) -> None:
        self.tell("run_complete", session_id="s", message_id="m", **fields)

    def type(self, line: str) -> None:
        os.write(self.writes, f"{line}\n".encode())
        self.keyboard.doRead()


class Watching(AttachingCase):
    def test_what_was_said_is_shown_and_goes_on_as_it_grows(self) -> None:
        self.server.answers[f"GET {WORKSPACE}/sessions/s/messages"] = [
            message("u", "user", "hi"),
            message("m", "assistant", "hel"),
        ]
        self.attach()
        self.tell("message", **message("m", "assistant", "hello"))
        self.assertEqual((self.screen.shown, self.screen.notes[0]), ("hello", "> hi"))

    def test_what_others_ask_is_shown_once(self) -> None:
        self.attach()
        for _ in range(2):
            self.tell("message", **message("u", "user", "and now?"))
        self.assertEqual(self.screen.notes.count("> and now?"), 1)

    def test_other_sessions_are_not_shown(self) -> None:
        self.attach()
        self.tell("message", **{**message("m", "assistant", "elsewhere"), "session_id": "t"})
        self.assertEqual(self.screen.shown, "")

    def test_promise_89_what_a_newer_server_says_more_is_passed_over(self) -> None:
        done = self.attach(until_idle=True)
        self.tell("of_tomorrow", session_id="s", whatever=[{"deep": 1}])
        self.tell("agent_event", session_id="s", type="of_tomorrow", more=1)
        newer = message("m", "assistant", "hello")
        newer["parts"].insert(0, {"type": "of_tomorrow", "data": {"x": 1}})
        self.tell("message", **newer, of_tomorrow={"deep": [1]})
        self.assertEqual(self.screen.shown, "hello")
        self.end(of_tomorrow=1)
        self.assertEqual(self.successResultOf(done), COMPLETED)

    def test_until_idle_leaves_with_how_the_run_ended(self) -> None:
        for fields, status in (({}, COMPLETED), ({"error": "no"}, FAILED), ({"cancelled": True}, CANCELLED)):
            self.setUp()
            done = self.attach(until_idle=True)
            self.assertNoResult(done)
            self.end(**fields)
            self.assertEqual(self.successResultOf(done), status)
            self.assertTrue(self.server.asked[-1].startswith("DELETE /v1/clients/"))

    def test_until_idle_leaves_an_idle_session_at_once(self) -> None:
        self.server.answers[f"GET {SESSION}"] = {"is_busy": False}
        self.assertEqual(self.successResultOf(self.attach(until_idle=True)), COMPLETED)

    def test_a_broken_stream_is_opened_again(self) -> None:
        self.attach()
        self.tell("message", **message("m", "assistant", "hel"))
        self.server.streams[-1].asker.callback(None)
        self.clock.pump([0.25])
        self.assertEqual(len(self.server.streams), 2)
        self.tell("message", **message("m", "assistant", "hello"))
        self.assertEqual(self.screen.shown, "hello")

    def break_off(self, cursor: str) -> None:
        self.server.streams[-1].cursor = cursor
        self.server.streams[-1].asker.callback(None)
        self.clock.pump([0.25])

    def test_promise_25_a_broken_stream_goes_on_where_it_ended(self) -> None:
        self.attach()
        self.assertIn("rich=1", self.server.opened[-1])
        for cursor, expected in (("g-7", "last_event_id=g-7"), ("", "last_event_id=g-7"), ("g-9", "last_event_id=g-9")):
            self.break_off(cursor)
            self.assertTrue(self.server.opened[-1].endswith(expected), self.server.opened)

    def test_what_was_missed_is_read_where_it_cannot_and_nothing_is_shown_twice(self) -> None:
        old = [message(f"u{number}", "user", f"old {number}") for number in range(9)]
        self.server.answers[f"GET {WORKSPACE}/sessions/s/messages"] = list(old)
        self.attach()
        self.tell("message", **message("m", "assistant", "hel"))
        self.break_off("g-7")
        now = [*old, message("m", "assistant", "hello "), message("m2", "assistant", "world")]
        self.server.answers[f"GET {WORKSPACE}/sessions/s/messages"] = now
        self.tell("reset", reason="unknown")
        self.assertEqual((self.screen.shown, self.screen.notes.count("> old 8")), ("hello |world", 1))
        self.assertNotIn("> old 1", self.screen.notes)

    def test_less_than_was_shown_before_a_server_was_killed_is_not_shown_again(self) -> None:
        self.attach()
        self.tell("message", **message("m", "assistant", "hello"))
        self.tell("message", **message("m", "assistant", "hel"))
        self.assertEqual(self.screen.shown, "hello")

    def test_a_server_that_stays_away_is_told(self) -> None:
        done = self.attach()
        self.server.is_gone = True
        self.server.streams[-1].asker.callback(None)
        self.clock.pump([5.0] * 5)
        self.failureResultOf(done, Unreachable)


class Sessions(AttachingCase):
    def test_the_latest_is_meant_where_none_is_named(self) -> None:
        self.attach(session="")
        self.assertIn(f"GET {WORKSPACE}/sessions/s/messages", self.server.asked)

    def test_the_beginning_of_an_id_will_do(self) -> None:
        self.server.answers[f"GET {WORKSPACE}/sessions"] = [{"id": "s"}, {"id": "abc"}]
        self.server.answers[f"GET {WORKSPACE}/sessions/abc/messages"] = []
        self.server.answers[f"GET {WORKSPACE}/agent/sessions/abc"] = {"is_busy": True}
        self.server.failures[f"GET {WORKSPACE}/sessions/ab"] = [Refused(500, "sql: no rows in result set")]
        self.attach(session="ab")
        self.assertIn(f"GET {WORKSPACE}/sessions/abc/messages", self.server.asked)

    def test_a_beginning_that_fits_several_or_none_is_refused(self) -> None:
        self.server.answers[f"GET {WORKSPACE}/sessions"] = [{"id": "abd"}, {"id": "abc"}]
        for wanted, problem in (("ab", "2 sessions begin with ab"), ("x", "no session x here")):
            self.server.failures[f"GET {WORKSPACE}/sessions/{wanted}"] = [Refused(500, "sql: no rows in result set")]
            self.assertIn(problem, str(self.failureResultOf(self.attach(session=wanted), Refused).value))


class TakingPart(AttachingCase):
    def test_a_line_is_a_prompt(self) -> None:
        self.attach()
        self.type("  do it ")
        self.assertEqual(self.server.asked[-1], f"POST {WORKSPACE}/agent")
        body = self.server.bodies[-1]
        self.assertEqual((body["session_id"], body["prompt"], bool(body["run_id"])), ("s", "do it", True))
        self.assertIn("the session is busy: queued", self.screen.notes)

    def test_commands(self) -> None:
        for line, asked in (("/cancel", "cancel"), ("/clear", "prompts/clear")):
            self.setUp()
            self.attach()
            self.type(line)
            self.assertEqual(self.server.asked[-1], f"POST {SESSION}/{asked}")

    def test_the_queue_is_listed(self) -> None:
        for queued, shown in ((["one", "two"], ["1. one", "2. two"]), (None, ["nothing is queued"])):
            self.setUp()
            self.server.answers[f"GET {SESSION}/prompts/list"] = queued
            self.attach()
            self.type("/queue")
            self.assertEqual(self.screen.notes[-len(shown) :], shown)

    def test_an_unknown_command_is_explained_and_not_sent(self) -> None:
        self.attach()
        before = len(self.server.asked)
        self.type("/exit")
        self.type("")
        self.assertEqual((self.screen.notes[-1], len(self.server.asked)), (HELP, before))

    def test_leaving(self) -> None:
        done = self.attach()
        self.type("/leave")
        self.assertEqual(self.successResultOf(done), COMPLETED)
        self.assertFalse([asked for asked in self.server.asked if asked.endswith("/cancel")])

    def test_a_permission_is_asked_and_the_next_line_answers_it(self) -> None:
        self.attach()
        url = f"{WORKSPACE}/permissions/grant?client_id={self.attaching._member.client_id}"
        self.server.answers[f"POST {url}"] = {"resolved": True}
        request = {"id": "p", "tool_name": "bash", "description": "ls", "path": "/p", "params": None}
        self.tell("permission_request", session_id="s", tool_call_id="c", **request)
        self.type("y")
        self.assertEqual((self.server.asked[-1], self.server.bodies[-1]["action"]), (f"POST {url}", "allow"))


class Interrupts(AttachingCase):
    def test_the_first_cancels_what_runs_and_the_second_leaves(self) -> None:
        done = self.attach()
        self.attaching.interrupt()
        self.assertEqual(self.server.asked[-1], f"POST {SESSION}/cancel")
        self.assertNoResult(done)
        self.attaching.interrupt()
        self.assertEqual(self.successResultOf(done), COMPLETED)

    def test_where_nothing_runs_the_first_leaves(self) -> None:
        self.server.answers[f"GET {SESSION}"] = {"is_busy": False}
        done = self.attach()
        self.attaching.interrupt()
        self.assertEqual(self.successResultOf(done), COMPLETED)
        self.assertFalse([asked for asked in self.server.asked if asked.endswith("/cancel")])

    def test_after_the_cancel_has_been_heard_the_next_run_can_be_cancelled_too(self) -> None:
        self.attach()
        self.attaching.interrupt()
        self.end(cancelled=True)
        self.tell("message", **message("m2", "assistant", "again"))
        self.attaching.interrupt()
        self.assertEqual(self.server.asked.count(f"POST {SESSION}/cancel"), 2)
