"""A prompt from the command line, over a server that does what the test says."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcrush.cli._client import Answer, Refused, Unreachable
from txcrush.cli._membership import ServerLeaves
from txcrush.cli._prompting import (
    CANCEL_S,
    CANCELLED,
    COMPLETED,
    FAILED,
    SEND_AGAIN_S,
    TELL_AGAIN_S,
    Prompting,
    Wish,
)
from txcrush.cli._stream import StreamedEvent
from txcrush.testing.scripted_api import WORKSPACE, NotedScreen, ScriptedApi


class PromptingCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.server, self.screen = Clock(), ScriptedApi(), NotedScreen()

    def start(self, **wish: Any) -> Deferred[int]:
        asked = Wish(prompt="hi", directory="/p", **wish)
        self.prompting = Prompting(self.clock, self.server, asked, self.screen)  # type: ignore[arg-type]
        return self.prompting.start()

    def tell(self, kind: str, **payload: Any) -> None:
        self.server.streams[-1].asker.callback(StreamedEvent(kind, "updated", payload))

    def end(self, **fields: Any) -> None:
        self.tell("run_complete", run_id=self.screen.run_id, message_id="m", **fields)


class Ends(PromptingCase):
    def test_the_stream_is_open_before_the_prompt_goes_out(self) -> None:
        self.start()
        self.assertEqual(len(self.server.streams), 1)
        self.assertEqual(self.server.asked[-1], f"POST {WORKSPACE}/agent")

    def test_a_completed_run_is_status_0_and_the_client_says_goodbye(self) -> None:
        done = self.start()
        self.tell("run_complete", run_id="another", message_id="x", text="not ours")
        self.end(text="yes")
        self.assertEqual((self.successResultOf(done), self.screen.shown), (COMPLETED, "yes"))
        self.assertTrue(self.server.asked[-1].startswith("DELETE /v1/clients/"))

    def test_a_failed_run_is_status_1(self) -> None:
        done = self.start()
        self.end(error="no")
        self.assertEqual((self.successResultOf(done), self.screen.notes), (FAILED, ["the run failed: no"]))

    def test_without_a_provider_it_says_what_to_do(self) -> None:
        self.server.answers[f"GET {WORKSPACE}/agent"] = {"is_ready": False}
        self.failureResultOf(self.start(), Refused)

    def test_a_directory_without_sessions_has_none_to_continue(self) -> None:
        self.server.answers[f"GET {WORKSPACE}/sessions"] = []
        self.failureResultOf(self.start(goes_on=True), Refused)

    def test_a_session_that_does_not_exist_is_named(self) -> None:
        self.server.answers[f"GET {WORKSPACE}/sessions"] = []
        self.server.failures[f"GET {WORKSPACE}/sessions/x"] = [Refused(500, "sql: no rows in result set")]
        self.assertIn("no session x", str(self.failureResultOf(self.start(session="x"), Refused).value))
        self.assertTrue(self.server.asked[-1].startswith("DELETE /v1/clients/"))


class Interrupts(PromptingCase):
    def test_the_first_cancels_and_waits_for_the_end(self) -> None:
        done = self.start()
        self.prompting.interrupt()
        self.assertEqual(self.server.asked[-1], f"POST {WORKSPACE}/agent/sessions/s/cancel")
        self.assertNoResult(done)
        self.end(cancelled=True, error="context canceled")
        self.assertEqual(self.successResultOf(done), CANCELLED)

    def test_the_second_leaves_the_run_and_says_how_to_come_back(self) -> None:
        done = self.start()
        self.prompting.interrupt()
        self.prompting.interrupt()
        self.assertEqual(self.successResultOf(done), CANCELLED)
        self.assertIn("txcrush attach s", self.screen.notes[-1])

    def test_a_cancel_that_is_lost_as_we_leave_is_not_told(self) -> None:
        cancel = f"POST {WORKSPACE}/agent/sessions/s/cancel"
        for leaves, told in ((True, 0), (False, 1)):
            self.setUp()
            self.server.pending[cancel] = Deferred()
            self.start()
            self.prompting.interrupt()
            if leaves:
                self.prompting.interrupt()
            self.server.pending[cancel].errback(Unreachable("the connection was lost"))
            self.assertEqual(self.screen.notes.count("the connection was lost"), told)

    def test_while_the_prompt_is_on_its_way_it_is_cancelled_also_after_it_has_arrived(self) -> None:
        path, cancel = f"POST {WORKSPACE}/agent", f"POST {WORKSPACE}/agent/sessions/s/cancel"
        self.server.pending[path] = Deferred()
        done = self.start()
        self.prompting.interrupt()
        self.assertEqual(self.server.asked.count(cancel), 1)
        self.server.pending[path].callback(Answer(202, None))
        self.assertEqual(self.server.asked.count(cancel), 2)
        self.end(cancelled=True)
        self.assertEqual(self.successResultOf(done), CANCELLED)

    def test_before_the_prompt_is_sent_nothing_is_left_behind(self) -> None:
        self.server.pending["POST /v1/workspaces"] = Deferred()
        done = self.start()
        self.prompting.interrupt()
        self.assertEqual(self.successResultOf(done), CANCELLED)
        self.assertEqual(self.screen.notes, ["interrupted before the prompt was sent"])

    def test_a_cancelled_run_that_says_nothing_is_left(self) -> None:
        done = self.start()
        self.prompting.interrupt()
        self.clock.advance(CANCEL_S)
        self.assertEqual((self.successResultOf(done), self.screen.ends[-1]["left"]), (CANCELLED, True))

    def test_why_a_run_was_cancelled_is_told_where_the_user_did_not_do_it(self) -> None:
        for error, note in (("context canceled", "cancelled"), ("Interrupted", "cancelled: Interrupted")):
            self.setUp()
            self.start()
            self.end(cancelled=True, error=error)
            self.assertEqual(self.screen.notes, [note])

    def test_leaving_cancels_nothing(self) -> None:
        done = self.start()
        self.prompting.leave()
        self.assertEqual(self.successResultOf(done), CANCELLED)
        self.assertFalse([asked for asked in self.server.asked if asked.endswith("/cancel")])

    def test_a_run_that_takes_longer_than_it_may_is_cancelled_with_status_1(self) -> None:
        done = self.start(timeout_s=3)
        self.clock.advance(3)
        self.assertEqual(self.server.asked[-1], f"POST {WORKSPACE}/agent/sessions/s/cancel")
        self.end(cancelled=True)
        self.assertEqual(self.successResultOf(done), FAILED)


class Servers(PromptingCase):
    def test_one_that_is_shutting_down_has_taken_no_prompt(self) -> None:
        self.server.failures["POST /v1/workspaces"] = [Refused(503, "server is shutting down")]
        self.failureResultOf(self.start(), ServerLeaves)

    def test_one_that_is_gone_at_the_goodbye_changes_nothing(self) -> None:
        done = self.start()
        self.server.is_gone = True
        self.end(text="yes")
        self.assertEqual(self.successResultOf(done), COMPLETED)

    def test_one_without_a_provider_is_told_with_what_to_do(self) -> None:
        self.server.failures[f"POST {WORKSPACE}/agent/init"] = [Refused(500, "coder agent configuration is missing")]
        self.assertIn("add one to", str(self.failureResultOf(self.start(), Refused).value))


class BrokenStreams(PromptingCase):
    def lose(self) -> None:
        self.server.streams[-1].asker.callback(None)
        self.clock.pump([0.25])

    def lose_for_good(self) -> None:
        """The stream breaks, and cannot go on where it did."""
        self.lose()
        self.server.streams[-1].asker.callback(StreamedEvent("reset", "created", {"reason": "unknown"}))

    def test_a_stream_that_ends_is_opened_again(self) -> None:
        done = self.start()
        self.lose()
        self.assertEqual(len(self.server.streams), 2)
        self.end(text="yes")
        self.assertEqual(self.successResultOf(done), COMPLETED)

    def said(self, reason: str) -> None:
        """The session holds a finished answer to our prompt, and an older one."""
        finish = {"type": "finish", "data": {"reason": reason, "message": "why"}}
        messages = [
            {"id": "old", "role": "user", "parts": [{"type": "text", "data": {"text": "hi"}}]},
            {"id": "u", "role": "user", "parts": [{"type": "text", "data": {"text": "hi"}}]},
            {"id": "m", "role": "assistant", "parts": [{"type": "text", "data": {"text": "all"}}, finish]},
        ]
        self.server.answers[f"GET {WORKSPACE}/sessions/s/messages"] = messages
        self.server.answers[f"GET {WORKSPACE}/agent/sessions/s"] = {"is_busy": False}

    def test_a_run_that_ended_meanwhile_is_told_from_its_messages(self) -> None:
        for reason, status in (("end_turn", COMPLETED), ("canceled", CANCELLED), ("error", FAILED)):
            self.setUp()
            done = self.start()
            self.said(reason)
            self.lose_for_good()
            self.assertEqual((self.successResultOf(done), self.screen.shown), (status, "all"))
            self.assertEqual(self.server.asked.count(f"POST {WORKSPACE}/agent"), 1)

    def test_a_run_that_never_answered_is_given_up_after_several_looks(self) -> None:
        done = self.start()
        self.server.answers[f"GET {WORKSPACE}/agent/sessions/s"] = {"is_busy": False}
        self.lose_for_good()
        self.assertNoResult(done)
        self.clock.pump(TELL_AGAIN_S)
        self.assertEqual(self.successResultOf(done), FAILED)
        self.assertIn("lost the run", self.screen.notes[-1])

    def test_a_server_that_stays_away_is_told(self) -> None:
        done = self.start()
        self.server.is_gone = True
        self.server.streams[-1].asker.callback(None)
        self.clock.pump([5.0] * 5)
        self.failureResultOf(done, Unreachable)

    def test_a_prompt_whose_answer_is_lost_is_sent_again_under_the_same_run_id(self) -> None:
        path = f"POST {WORKSPACE}/agent"
        self.server.failures[path] = [Unreachable("cut")]
        done = self.start()
        self.clock.pump(SEND_AGAIN_S[:1])
        sent = [
            body["run_id"] for asked, body in zip(self.server.asked, self.server.bodies, strict=True) if asked == path
        ]
        self.assertEqual((len(sent), len(set(sent))), (2, 1))
        self.end(text="yes")
        self.assertEqual(self.successResultOf(done), COMPLETED)
