"""Asking again, and what the user sees of a failure (`agent.md` 8: the retry policy, R-ERR)."""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core import retries
from txcrush.core.closing import FAILED_TOOL, describe
from txcrush.core.retries import BACK_OFF_S, RetriesFailed, delay_before
from txcrush.model.errors import Failed, ProviderError
from txcrush.model.messages import FinishReason, Message, ToolCall, ToolResult
from txcrush.model.providers import ModelReply, Usage
from txcrush.model.runs import Outcome
from txcrush.testing.conversation import Conversation
from txcrush.testing.harness import Harness
from txcrush.testing.scripted_provider import Begin, Call, Fail, Hang, Step, Think, Wait

REPLY = ModelReply(finish=FinishReason.END_TURN, usage=Usage())


def error(
    message: str = "slow down", *, title: str = "Too Many Requests", status: int = 429, retryable: bool = True
) -> ProviderError:
    return ProviderError(message, title=title, status=status, retryable=retryable)


BAD = error("bad words", title="Bad Request", status=400, retryable=False)


def asked_for(seconds: float) -> ProviderError:
    return ProviderError("wait", retryable=True, retry_after_s=seconds)


class Delays(SynchronousTestCase):
    def test_retry_policy_back_off_doubles_from_5_seconds(self) -> None:
        self.assertEqual([delay_before(attempt, error()) for attempt in range(3)], [5.0, 10.0, 20.0])

    def test_retry_policy_the_providers_wish_counts_below_a_minute(self) -> None:
        self.assertEqual(delay_before(2, asked_for(0.5)), 0.5)
        self.assertEqual(delay_before(0, asked_for(59.9)), 59.9)

    def test_retry_policy_an_odd_wish_is_not_heard(self) -> None:
        for odd in (0.0, -1.0, 60.0, 3600.0):
            self.assertEqual(delay_before(0, asked_for(odd)), 5.0)


class Asking(SynchronousTestCase):
    """`ask` over a list of what each try gives."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.tries = 0
        self.resets = 0

    def ask(self, *outcomes: ProviderError | ModelReply) -> Deferred[ModelReply]:
        def attempt() -> Deferred[ModelReply]:
            outcome = outcomes[self.tries]
            self.tries += 1
            return succeed(outcome) if isinstance(outcome, ModelReply) else fail(outcome)

        def reset() -> None:
            self.resets += 1

        return Deferred.fromCoroutine(retries.ask(self.clock, attempt, reset))

    def test_retry_policy_a_success_is_asked_once(self) -> None:
        self.assertIs(self.successResultOf(self.ask(REPLY)), REPLY)
        self.assertEqual((self.tries, self.resets), (1, 0))

    def test_retry_policy_there_are_four_tries_at_0_5_15_and_35_seconds(self) -> None:
        asked = self.ask(error(), error(), error(), REPLY)
        for tries, seconds in enumerate(BACK_OFF_S, 1):
            self.clock.advance(seconds - 0.1)
            self.assertEqual((self.tries, self.resets), (tries, tries))
            self.clock.advance(0.1)
        self.assertIs(self.successResultOf(asked), REPLY)
        self.assertEqual(self.tries, 4)

    def test_retry_policy_exhausted_is_wrapped_and_keeps_the_last_error(self) -> None:
        asked = self.ask(error("1"), error("2"), error("3"), error("4", title="Provider Overloaded", status=529))
        self.clock.pump(BACK_OFF_S)
        last = self.failureResultOf(asked, RetriesFailed).value
        self.assertEqual(str(last), "retry error: provider overloaded: 4")
        self.assertEqual((last.title, last.message, last.status), ("Provider Overloaded", "4", 529))
        self.assertEqual((self.tries, self.resets), (4, 3))

    def test_retry_policy_not_retryable_at_first_is_unwrapped(self) -> None:
        raised = self.failureResultOf(self.ask(BAD), ProviderError).value
        self.assertIs(raised, BAD)
        self.assertEqual((str(raised), self.tries, self.resets), ("bad request: bad words", 1, 0))

    def test_retry_policy_not_retryable_after_a_first_retry_is_wrapped(self) -> None:
        asked = self.ask(error(), BAD)
        self.clock.advance(5)
        self.assertEqual(str(self.failureResultOf(asked, RetriesFailed).value), "retry error: bad request: bad words")
        self.assertEqual(self.tries, 2)

    def test_retry_policy_the_wait_can_be_cancelled(self) -> None:
        asked = self.ask(error())
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertEqual((self.clock.getDelayedCalls(), self.tries), ([], 1))

    def test_retry_policy_a_cancelled_try_is_not_repeated(self) -> None:
        asked: Deferred[ModelReply] = Deferred()
        work = Deferred.fromCoroutine(retries.ask(self.clock, lambda: asked, lambda: None))
        work.cancel()
        self.failureResultOf(work, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_retry_policy_each_retry_logs_a_warning_with_what_is_known(self) -> None:
        logged: list[dict[str, Any]] = []
        globalLogPublisher.addObserver(logged.append)
        self.addCleanup(globalLogPublisher.removeObserver, logged.append)
        self.ask(error()).addErrback(lambda _: None).cancel()
        (warning,) = [event for event in logged if event["log_level"] is LogLevel.warn]
        found = [warning[name] for name in ("delay", "status", "title", "reason")]
        self.assertEqual(found, [5.0, 429, "Too Many Requests", "slow down"])

    def test_r_err_01_the_status_of_the_last_error_shows_through_the_wrapping(self) -> None:
        for status in (401, 403):
            self.tries = 0
            asked = self.ask(error(), error("no", status=status, retryable=False))
            self.clock.advance(5)
            self.assertEqual(self.failureResultOf(asked, RetriesFailed).value.status, status)


class Describing(SynchronousTestCase):
    def test_a_provider_error_is_its_title_and_the_providers_words(self) -> None:
        self.assertEqual(describe(error()), ("Too Many Requests", "slow down"))

    def test_a_title_that_is_missing_is_provider_error(self) -> None:
        self.assertEqual(describe(ProviderError("odd")), ("Provider Error", "odd"))

    def test_after_retries_it_is_the_last_error_without_the_prefix(self) -> None:
        self.assertEqual(describe(RetriesFailed("slow", title="Too Many Requests")), ("Too Many Requests", "slow"))

    def test_anything_else_is_a_provider_error_with_its_text(self) -> None:
        self.assertEqual(describe(Failed("no disk")), ("Provider Error", "no disk"))
        self.assertEqual(describe(ValueError("odd")), ("Provider Error", "odd"))
        self.assertEqual(describe(ValueError()), ("Provider Error", "ValueError"))


class Turns(SynchronousTestCase):
    """Failures of a turn, through the whole server."""

    def setUp(self) -> None:
        self.harness = Harness()
        self.provider = self.harness.provider
        self.talk = Conversation(self.harness)

    def play(self, *steps: Step) -> None:
        for step in steps:
            self.provider.add(*step.acts, usage=step.usage, finish=step.finish)
        self.run = self.talk.prompt("hi", "r1")

    def last(self) -> Message:
        """The last assistant message."""
        return next(one for one in reversed(self.talk.messages()) if one.role == "assistant")

    def finish(self) -> tuple[str, str, str]:
        finish = self.last().finish
        assert finish is not None
        return finish.reason.value, finish.message, finish.details

    def test_a_retry_takes_back_what_was_streamed_and_publishes_that(self) -> None:
        self.play(Step(Think("hm", "seal"), "wrong", Begin("c", "ls"), Fail(error())), Step("right"))
        self.assertEqual(self.last().parts, ())
        self.assertEqual(self.talk.listener.of("message")[-1]["parts"], [])
        self.harness.clock.advance(5)
        self.assertEqual((self.last().text, self.last().tool_calls), ("right", ()))
        self.assertEqual(self.finish(), ("end_turn", "", ""))
        self.assertEqual(self.successResultOf(self.run.when_ended()).outcome, Outcome.COMPLETED)

    def test_the_partial_answer_of_the_last_try_stays_beneath_the_error(self) -> None:
        self.play(*[Step(f"try {number}", Fail(error())) for number in range(4)])
        self.harness.clock.pump(BACK_OFF_S)
        text, finish = self.talk.listener.of("message")[-1]["parts"]
        self.assertEqual(text["data"], {"text": "try 3"})
        said = [finish["data"][name] for name in ("reason", "message", "details")]
        self.assertEqual(said, ["error", "Too Many Requests", "slow down"])
        text = "retry error: too many requests: slow down"
        (completion,) = self.talk.completions()
        (told,) = self.talk.errors()
        self.assertEqual((completion["error"], told["error"], told["run_id"]), (text, text, "r1"))

    def test_a_retry_can_be_cancelled_while_it_waits(self) -> None:
        self.play(Step("partial", Fail(error())))
        self.talk.cancel()
        self.assertEqual(self.finish(), ("canceled", "User canceled request", ""))
        self.assertEqual(len(self.provider.requests), 1)

    def test_r_err_02_a_context_that_is_too_long_is_an_error_like_any_other(self) -> None:
        self.play(Step(Fail(error("too long", title="Bad Request", status=400, retryable=False))))
        self.assertEqual(self.finish(), ("error", "Bad Request", "too long"))
        self.assertEqual(len(self.provider.requests), 1)

    def test_r_err_03_before_the_model_is_asked_an_error_shows_in_events_only(self) -> None:
        self.harness.config_files.config.models.clear()
        self.play()
        self.assertEqual([one.role for one in self.talk.messages() if one.role == "assistant"], [])
        (completion,) = self.talk.completions()
        (told,) = self.talk.errors()
        self.assertEqual(completion["error"], told["error"])
        self.assertTrue(told["error"])

    def test_r_err_04_calls_that_are_open_when_the_model_fails_are_answered(self) -> None:
        self.play(Step("a", Call("1", "ls"), Begin("2", "view"), Fail(BAD)))
        results = [part for one in self.talk.messages() for part in one.parts if isinstance(part, ToolResult)]
        self.assertEqual([(one.tool_call_id, one.content, one.is_error) for one in results], [
            ("1", FAILED_TOOL, True),
            ("2", FAILED_TOOL, True),
        ])  # fmt: skip
        self.assertEqual(self.last().tool_calls[1], ToolCall("2", "view", "{}", finished=True))
        self.assertEqual(self.finish(), ("error", "Bad Request", "bad words"))

    def test_r_err_04_an_open_call_is_answered_also_where_an_earlier_step_used_its_id(self) -> None:
        self.play(Step(Call("0", "ls")), Step(Begin("0", "ls"), Fail(BAD)))
        results = [part for one in self.talk.messages() for part in one.parts if isinstance(part, ToolResult)]
        self.assertEqual([one.tool_call_id for one in results], ["0", "0"])
        self.assertEqual(results[1].content, FAILED_TOOL)

    def test_r_err_04_arguments_that_are_no_json_are_not_kept_beneath_an_error(self) -> None:
        self.play(Step(Call("1", "ls", "{broken"), Fail(BAD)))
        self.assertEqual(self.last().tool_calls[0].input, "{}")

    def test_nothing_is_written_for_a_session_that_is_gone(self) -> None:
        self.play(Step("a", Wait(), "b", Hang()))
        self.provider.proceed()
        self.successResultOf(self.talk.workspace.sessions.delete(self.talk.session_id))
        self.talk.cancel()
        self.harness.clock.advance(1)
        self.assertEqual((self.talk.messages(), self.flushLoggedErrors()), ([], []))

    def test_r_err_05_a_filtered_answer_is_no_error(self) -> None:
        self.play(Step("half", finish=FinishReason.CONTENT_FILTER))
        self.assertEqual((self.last().text, self.finish()), ("half", ("content_filter", "", "")))
        self.assertNotIn("error", self.talk.completions()[0])
        self.assertEqual(self.talk.errors(), [])

    def test_r_err_06_an_answer_that_was_too_long_ends_normally(self) -> None:
        self.play(Step("half", finish=FinishReason.MAX_TOKENS))
        self.assertEqual(self.finish(), ("max_tokens", "", ""))
        self.assertEqual(self.successResultOf(self.run.when_ended()).outcome, Outcome.COMPLETED)

    def test_a_failed_turn_writes_and_shows_nothing_after_its_end(self) -> None:
        self.play(Step("a", Wait(), "b", Fail(BAD)))
        self.provider.proceed()
        writes, shown = self.talk.store.writes, len(self.talk.listener.frames)
        self.harness.clock.advance(1)
        self.assertEqual((self.talk.store.writes, len(self.talk.listener.frames)), (writes, shown))
        self.assertEqual(self.last().text, "ab")
