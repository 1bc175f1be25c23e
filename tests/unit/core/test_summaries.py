"""Summaries on request (`R-SUM`), over the real services and a store in memory."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.instructions import SUMMARY, SUMMARY_REQUEST
from txcrush.core.run import BY_USER
from txcrush.core.summary_message import SUMMARIZATION_ERROR
from txcrush.model.errors import CrushError, Failed, ProviderError, SessionProcessing, WorkspaceClosing
from txcrush.model.ids import SessionId
from txcrush.model.messages import FinishReason, Message
from txcrush.model.providers import SystemTurn, Usage, UserTurn
from txcrush.model.sessions import Todo, TodoStatus
from txcrush.testing.conversation import Conversation, now
from txcrush.testing.harness import Harness
from txcrush.testing.scripted_provider import Fail, Hang, Wait

REFUSED = ProviderError("no", title="Bad Request", status=400)


class SummariesCase(SynchronousTestCase):
    """A session with one turn in it."""

    def setUp(self) -> None:
        self.harness = Harness()
        self.provider = self.harness.provider
        self.talk = Conversation(self.harness)
        self.provider.add("an answer")
        self.talk.prompt("a question")

    def start(self) -> "Deferred[None]":
        summary = self.talk.workspace.summaries.start(self.talk.session_id)
        return Deferred.fromCoroutine(summary.when_done())

    def summary_message(self) -> Message:
        return next(message for message in self.talk.messages() if message.is_summary_message)


class Making(SummariesCase):
    def test_r_sum_01_an_empty_session_is_a_success_and_asks_nobody(self) -> None:
        other = Conversation(self.harness)
        now(other.workspace.summaries.start(other.session_id).when_done())
        self.assertEqual(len(self.provider.requests), 1)
        self.assertFalse(other.is_busy)

    def test_r_sum_02_it_holds_the_session_and_prompts_queue_behind_it(self) -> None:
        self.provider.add("a summary", Wait())
        done = self.start()
        self.provider.add("later")
        run = self.talk.prompt("next")
        self.assertTrue(self.talk.is_busy)
        self.assertEqual(self.talk.queued(), ["next"])
        self.provider.proceed()
        self.successResultOf(done)
        self.assertEqual(self.successResultOf(run.when_ended()).text, "later")

    def test_r_sum_03_and_05_the_request_has_the_past_and_no_tools_or_limits(self) -> None:
        self.provider.add("a summary")
        self.successResultOf(self.start())
        request = self.provider.requests[-1]
        self.assertEqual(request.turns[0], SystemTurn(SUMMARY))
        self.assertIn(UserTurn("a question"), request.turns)
        self.assertEqual((request.tools, request.max_tokens, request.temperature), ((), 0, None))

    def test_r_sum_04_the_todos_of_the_session_are_told(self) -> None:
        todos = (Todo("walk", TodoStatus.IN_PROGRESS, "walking"),)
        now(self.talk.workspace.sessions.update(self.talk.session_id, todos=todos))
        self.provider.add("a summary")
        self.successResultOf(self.start())
        asked = self.provider.requests[-1].turns[-1]
        assert isinstance(asked, UserTurn)
        self.assertTrue(asked.text.startswith(SUMMARY_REQUEST))
        self.assertIn("- [in_progress] walk", asked.text)

    def test_r_sum_06_and_07_the_summary_becomes_the_sessions_memory(self) -> None:
        before = self.talk.workspace.sessions.get(self.talk.session_id).cost
        self.provider.add("a summary", usage=Usage(input=200, output=20, total=220))
        self.successResultOf(self.start())
        message, session = self.summary_message(), self.talk.workspace.sessions.get(self.talk.session_id)
        assert message.finish is not None
        self.assertEqual((message.text, message.finish.reason), ("a summary", FinishReason.END_TURN))
        self.assertEqual(session.summary_message_id, message.id)
        self.assertEqual((session.prompt_tokens, session.completion_tokens), (0, 20))
        self.assertAlmostEqual(session.cost - before, 0.00024)

    def test_r_use_12_without_usage_its_size_is_estimated(self) -> None:
        self.provider.add("12345678", usage=Usage())
        self.successResultOf(self.start())
        self.assertEqual(self.talk.workspace.sessions.get(self.talk.session_id).completion_tokens, 2)

    def test_later_turns_begin_from_the_summary(self) -> None:
        self.provider.add("a summary")
        self.successResultOf(self.start())
        self.provider.add("go on")
        self.talk.prompt("next")
        turns = self.provider.requests[-1].turns
        self.assertIn(UserTurn("a summary"), turns)
        self.assertNotIn(UserTurn("a question"), turns)


class NotMaking(SummariesCase):
    def test_r_sum_01_a_busy_session_is_refused(self) -> None:
        self.provider.add(Wait())
        self.talk.prompt("busy")
        self.assertRaises(SessionProcessing, self.talk.workspace.summaries.start, self.talk.session_id)

    def test_an_unknown_session_is_told_by_the_databases_words(self) -> None:
        summary = self.talk.workspace.summaries.start(SessionId("ghost"))
        error = self.assertRaises(Failed, now, summary.when_done())
        self.assertEqual(error.message, "failed to get session: sql: no rows in result set")

    def test_r_sum_08_a_cancel_deletes_the_message_and_is_no_error(self) -> None:
        self.provider.add("half a summ", Hang())
        done = self.start()
        self.talk.workspace.runs.cancel(self.talk.session_id, BY_USER)
        self.successResultOf(done)
        self.assertEqual([message.is_summary_message for message in self.talk.messages()], [False, False])
        self.assertIn("deleted", [change for kind, change, _ in self.talk.listener.events if kind == "message"])
        self.assertFalse(self.talk.is_busy)

    def test_r_sum_08_an_error_stays_on_the_message_and_is_told(self) -> None:
        self.provider.add("half", Fail(REFUSED))
        error = self.failureResultOf(self.start(), CrushError).value
        finish = self.summary_message().finish
        assert finish is not None
        self.assertIs(error, REFUSED)
        self.assertEqual(
            (finish.reason, finish.message, finish.details), (FinishReason.ERROR, SUMMARIZATION_ERROR, "no")
        )

    def test_a_prompt_behind_a_summary_that_failed_still_runs(self) -> None:
        self.provider.add(Wait(), Fail(REFUSED))
        done = self.start()
        self.provider.add("later")
        run = self.talk.prompt("next")
        self.provider.proceed()
        self.failureResultOf(done, CrushError)
        self.assertEqual(self.successResultOf(run.when_ended()).text, "later")

    def test_a_stop_of_the_server_ends_it_and_takes_no_more(self) -> None:
        self.provider.add("half", Hang())
        done = self.start()
        self.successResultOf(self.talk.stop())
        self.successResultOf(done)
        self.assertRaises(WorkspaceClosing, self.talk.workspace.summaries.start, self.talk.session_id)

    def test_a_workspace_stays_open_while_one_is_made(self) -> None:
        self.provider.add("a summary", Wait())
        done = self.start()
        self.harness.clock.advance(60)
        self.assertEqual(self.harness.workspaces.list(), [self.talk.workspace])
        self.provider.proceed()
        self.successResultOf(done)
        self.assertEqual(self.harness.workspaces.list(), [])
