"""A turn, step by step, and what each way of ending it leaves behind."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.closing import CANCELLED_TOOL, FAILED_TOOL
from txcrush.model.errors import Failed, ProviderError
from txcrush.model.messages import FinishReason, Message, Reasoning
from txcrush.model.providers import AssistantTurn, CallResult, ResultsTurn, UserTurn
from txcrush.model.runs import Attachment, Outcome, WhenBusy
from txcrush.testing.conversation import Conversation, now
from txcrush.testing.harness import Harness
from txcrush.testing.scripted_provider import Begin, Call, Fail, Hang, Step, Think, Wait
from txcrush.testing.scripted_tool import ScriptedTool

OVERLOADED = ProviderError("overloaded", title="Service Unavailable", status=503, retryable=True)
REFUSED = ProviderError("no such model", title="Not Found", status=404)


class TurnCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.tool = ScriptedTool("look")
        self.side = ScriptedTool("fetch", parallel=True)
        self.slow = ScriptedTool("tidy", parallel=True, stubborn=True)
        self.harness = Harness(tools=[self.tool, self.side, self.slow])
        self.provider = self.harness.provider
        self.talk = Conversation(self.harness)

    def last(self) -> Message:
        """The last assistant message."""
        return [message for message in self.talk.messages() if message.role == "assistant"][-1]

    def said(self, request: int) -> list[object]:
        """The turns of a request after the system's and the reminder."""
        turns = self.provider.requests[request].turns
        first = next(n for n, turn in enumerate(turns) if isinstance(turn, UserTurn) and "<system" not in turn.text)
        return list(turns[first:])


class Steps(TurnCase):
    def test_a_tool_is_run_between_two_steps(self) -> None:
        self.provider.add("let me see ", Call("c1", "look", '{"at":"it"}'))
        self.provider.add("I see")
        run = self.talk.prompt("hi")
        self.tool.answer("c1", "a thing")
        self.assertEqual(
            self.talk.lines(),
            ["user: hi", "assistant: let me see  [tool_use]", "tool: c1 a thing", "assistant: I see [end_turn]"],
        )
        self.assertEqual(
            self.said(1)[1:],
            [self.said(1)[1], ResultsTurn((CallResult("c1", "look", "a thing"),))],
        )
        self.assertIsInstance(self.said(1)[1], AssistantTurn)
        self.assertEqual(now(run.when_ended()).text, "I see")

    def test_the_finish_comes_only_after_the_results(self) -> None:
        self.provider.add(Call("c1", "look"))
        self.provider.add("end")
        self.talk.prompt("hi")
        self.assertIsNone(self.last().finish)
        self.tool.answer("c1")
        self.assertEqual(self.talk.lines()[1], "assistant:  [tool_use]")

    def test_a_result_that_stops_the_turn_ends_it_as_end_turn(self) -> None:
        self.provider.add(Call("c1", "look"))
        run = self.talk.prompt("hi")
        self.tool.answer("c1", "User denied permission", is_error=True, stop_turn=True)
        self.assertEqual(self.talk.lines()[-2:], ["assistant:  [end_turn]", "tool: c1 User denied permission"])
        self.assertEqual(now(run.when_ended()).outcome, Outcome.COMPLETED)

    def test_r_queue_06_and_r_queue_13_folded_prompts_come_in_order_and_stay_for_all_later_steps(self) -> None:
        note = Attachment("n.txt", "n.txt", "text/plain", b"words")
        self.provider.add(Wait(), Call("c1", "look"))
        self.provider.add(Call("c2", "look"))
        self.provider.add("end")
        self.talk.prompt("one")
        self.talk.prompt("two")
        self.talk.prompt("three", attachments=(note,))
        self.provider.proceed()
        self.tool.answer("c1")
        self.tool.answer("c2")
        for request, index in ((1, 3), (2, 3)):
            two, three = self.said(request)[index : index + 2]
            self.assertEqual(two, UserTurn("two"))
            assert isinstance(three, UserTurn)
            self.assertTrue(three.text.startswith("three") and "words" in three.text)
        users = [message for message in self.talk.messages() if message.role == "user"]
        self.assertEqual([message.text for message in users], ["one", "two", "three"])
        self.assertEqual(len(users[2].parts), 3)

    def test_a_prompt_that_folds_waits_for_the_next_step(self) -> None:
        self.provider.add(Wait(), Call("c1", "look"))
        self.provider.add("end")
        self.talk.prompt("one")
        self.talk.prompt("two")
        self.assertEqual((self.talk.queued(), self.talk.lines()[:1]), (["two"], ["user: one"]))
        self.provider.proceed()
        self.tool.answer("c1")
        self.assertEqual(self.talk.lines()[3:], ["user: two", "assistant: end [end_turn]"])

    def test_a_prompt_that_comes_in_the_last_step_has_a_turn_of_its_own(self) -> None:
        self.provider.add(Wait(), "a")
        self.provider.add("b")
        self.talk.prompt("one")
        self.talk.prompt("two")
        self.provider.proceed()
        ends = ["user: one", "assistant: a [end_turn]", "user: two", "assistant: b [end_turn]"]
        self.assertEqual(self.talk.lines(), ends)

    def test_an_earlier_turn_is_part_of_the_conversation(self) -> None:
        self.provider.add("a")
        self.provider.add("b")
        self.talk.prompt("one")
        self.talk.prompt("two")
        self.assertEqual(self.said(1), [UserTurn("one"), AssistantTurn("a"), UserTurn("two")])


class Cancelled(TurnCase):
    def cancel(self) -> None:
        self.talk.cancel()
        self.assertEqual((self.talk.is_busy, self.talk.errors()), (False, []))
        self.assertEqual([one["error"] for one in self.talk.completions()], ["context canceled"])

    def test_streaming_text_is_kept(self) -> None:
        self.provider.add("half an ", "answer", Hang())
        self.talk.prompt("hi")
        self.cancel()
        self.assertEqual(self.talk.lines()[-1], "assistant: half an answer [canceled]")
        self.assertEqual(len(self.provider.cancelled), 1)

    def test_streaming_reasoning_is_closed(self) -> None:
        self.provider.add(Think("hm"), Hang())
        self.talk.prompt("hi")
        self.cancel()
        reasoning = next(part for part in self.last().parts if isinstance(part, Reasoning))
        self.assertEqual((reasoning.thinking, bool(reasoning.finished_at)), ("hm", True))

    def test_a_call_that_is_still_written_is_closed_and_answered(self) -> None:
        self.provider.add(Begin("c1", "look"), Hang())
        self.talk.prompt("hi")
        self.cancel()
        (call,) = self.last().tool_calls
        self.assertEqual((call.input, call.finished), ("{}", True))
        self.assertEqual(self.talk.lines()[-1], f"tool: c1 {CANCELLED_TOOL}")

    def test_a_running_tool_is_cancelled_and_answered(self) -> None:
        self.provider.add(Call("c1", "look"))
        self.talk.prompt("hi")
        self.cancel()
        self.assertEqual(self.tool.cancelled, ["c1"])
        self.assertEqual(self.talk.lines()[1:], ["assistant:  [canceled]", f"tool: c1 {CANCELLED_TOOL}"])

    def test_h_20_parallel_tools_are_all_waited_for_and_their_results_kept(self) -> None:
        self.provider.add(Call("c1", "fetch"), Call("c2", "fetch"), Call("c3", "tidy"))
        self.talk.prompt("hi")
        self.side.answer("c1", "came in time")
        self.talk.cancel()
        self.assertEqual((self.side.cancelled, self.slow.cancelled), (["c2"], ["c3"]))
        self.assertTrue(self.talk.is_busy)
        self.talk.cancel()
        self.slow.answer("c3", "cleaned up")
        self.assertFalse(self.talk.is_busy)
        self.assertEqual(
            self.talk.lines()[1:],
            ["assistant:  [canceled]", "tool: c1 came in time", "tool: c3 cleaned up", f"tool: c2 {CANCELLED_TOOL}"],
        )
        self.assertEqual(len(self.talk.completions()), 1)

    def test_between_two_steps_tool_use_is_replaced_and_no_message_is_added(self) -> None:
        self.provider.add(Call("c1", "look"))
        run = self.talk.prompt("hi", "r1")
        self.talk.store.hold()
        self.tool.answer("c1")
        self.talk.store.release(1)
        self.talk.cancel()
        self.talk.store.release()
        self.assertEqual(self.talk.lines(), ["user: hi", "assistant:  [canceled]", "tool: c1 done"])
        self.assertEqual(len(self.provider.requests), 1)
        self.assertEqual(now(run.when_ended()).message_id, self.last().id)

    def test_a_cancel_at_any_write_between_two_steps_leaves_nothing_unfinished(self) -> None:
        for writes in range(6):
            with self.subTest(writes=writes):
                tool = ScriptedTool("look")
                harness = Harness([Step("x", Call("c1", "look")), Step(Hang())], tools=[tool])
                talk = Conversation(harness)
                talk.prompt("hi", "r1")
                talk.prompt("more")
                talk.store.hold()
                tool.answer("c1")
                talk.store.release(writes)
                talk.cancel()
                talk.store.release()
                reasons = [message.finish and message.finish.reason for message in talk.messages()]
                self.assertNotIn(None, reasons)
                self.assertEqual(reasons.count(FinishReason.CANCELED), 1)
                self.assertEqual(sum(line.startswith("tool") for line in talk.lines()), 1)
                self.assertEqual(talk.workspace.runs.live(), [])
                self.assertEqual(now(talk.store.unfinished_runs()), [])

    def test_every_prompt_that_was_taken_into_the_turn_ends_with_it(self) -> None:
        self.provider.add(Wait(), Call("c1", "look"))
        self.talk.prompt("one", "r1")
        folded = [self.talk.prompt("two"), self.talk.prompt("three", "r3", WhenBusy.STEER)]
        self.provider.proceed()
        self.talk.store.hold()
        self.tool.answer("c1")
        self.talk.store.release(2)
        self.assertEqual([run.state for run in folded], ["folded", "folded"])
        self.talk.cancel()
        self.talk.store.release()
        self.assertEqual([now(run.when_ended()).outcome for run in folded], [Outcome.CANCELLED] * 2)
        self.assertEqual(self.talk.workspace.runs.live(), [])

    def test_during_the_wait_for_another_try_what_was_said_is_taken_back(self) -> None:
        self.provider.add("lost", Fail(OVERLOADED))
        self.talk.prompt("hi")
        self.cancel()
        self.assertEqual(self.talk.lines(), ["user: hi", "assistant:  [canceled]"])
        self.harness.clock.advance(60)
        self.assertEqual(len(self.provider.requests), 1)

    def test_nothing_reaches_a_message_that_has_ended(self) -> None:
        self.provider.add("a", Wait(), "b")
        self.talk.prompt("hi")
        self.cancel()
        heard = len(self.talk.listener.frames)
        self.harness.clock.advance(60)
        self.assertEqual((len(self.talk.listener.frames), self.provider.waiting), (heard, 0))

    def test_the_next_prompt_finds_a_conversation_that_a_provider_takes(self) -> None:
        self.provider.add("trying ", Call("c1", "look"), Begin("c2", "look"))
        self.provider.add("well")
        self.talk.prompt("hi")
        self.cancel()
        self.talk.prompt("again")
        calls = next(turn for turn in self.said(1) if isinstance(turn, AssistantTurn)).calls
        results = [one for turn in self.said(1) if isinstance(turn, ResultsTurn) for one in turn.results]
        self.assertCountEqual([call.id for call in calls], [one.call_id for one in results])

    def test_the_message_count_is_right_after_a_cancel(self) -> None:
        self.provider.add(Call("c1", "look"), Call("c2", "look"))
        self.talk.prompt("hi")
        self.cancel()
        session = self.talk.workspace.sessions.get(self.talk.session_id)
        (stored,) = now(self.talk.store.sessions())
        self.assertEqual((session.message_count, stored.message_count), (len(self.talk.lines()),) * 2)


class Failing(TurnCase):
    def test_an_error_of_the_provider_is_the_messages_finish(self) -> None:
        self.provider.add("half", Fail(REFUSED))
        run = self.talk.prompt("hi")
        finish = self.last().finish
        assert finish is not None
        self.assertEqual((finish.reason, finish.message, finish.details), ("error", "Not Found", "no such model"))
        end = now(run.when_ended())
        self.assertEqual((end.outcome, end.text, end.error), (Outcome.FAILED, "half", "not found: no such model"))

    def test_an_unfinished_call_gets_an_error_result(self) -> None:
        self.provider.add(Begin("c1", "look"), Fail(REFUSED))
        self.talk.prompt("hi")
        self.assertEqual(self.talk.lines()[1:], ["assistant:  [error]", f"tool: c1 {FAILED_TOOL}"])

    def test_a_tool_that_fails_the_turn_is_told_of(self) -> None:
        self.provider.add(Call("c1", "look"))
        run = self.talk.prompt("hi")
        self.tool.fail("c1", Failed("the tool is broken"))
        self.assertEqual(self.talk.lines()[1:], ["assistant:  [error]", "tool: c1 the tool is broken"])
        self.assertEqual(now(run.when_ended()).error, "the tool is broken")

    def test_a_step_that_a_tool_fails_was_paid_for_all_the_same(self) -> None:
        self.provider.add(Call("c1", "look"))
        self.provider.add(Call("c2", "look"))
        self.talk.prompt("hi")
        before = self.talk.workspace.sessions.get(self.talk.session_id).cost
        self.tool.answer("c1")
        self.tool.fail("c2", Failed("broken"))
        (stored,) = now(self.talk.store.sessions())
        self.assertGreater(stored.cost, before)

    def test_the_error_of_the_last_try_counts(self) -> None:
        for _ in range(4):
            self.provider.add(Fail(OVERLOADED))
        run = self.talk.prompt("hi")
        for delay in (5, 10, 20):
            self.harness.clock.advance(delay)
        self.assertEqual(now(run.when_ended()).error, "retry error: service unavailable: overloaded")
        self.assertEqual(len(self.provider.requests), 4)

    def test_a_crash_of_ours_ends_the_run_too(self) -> None:
        run = self.talk.prompt("hi", "r1")
        self.assertEqual(now(run.when_ended()).outcome, Outcome.FAILED)
        self.assertEqual(len(self.flushLoggedErrors(AssertionError)), 1)


class Calls(TurnCase):
    def test_badly_written_arguments_are_mended_and_stored_as_they_were_run(self) -> None:
        self.provider.add(Call("c1", "look", "{'at': 'it',}"))
        self.provider.add("end")
        self.talk.prompt("hi")
        self.assertEqual(self.tool.uses[0].arguments, {"at": "it"})
        self.tool.answer("c1")
        self.assertEqual(self.talk.messages()[1].tool_calls[0].input, '{"at":"it"}')

    def test_arguments_that_cannot_be_mended_are_stored_as_none_and_refused(self) -> None:
        self.provider.add(Call("c1", "look", "at it"))
        self.provider.add("end")
        self.talk.prompt("hi")
        self.assertEqual(self.talk.messages()[1].tool_calls[0].input, "{}")
        self.assertIn("not valid JSON", self.talk.lines()[2])

    def test_what_the_token_limit_has_cut_off_is_never_mended(self) -> None:
        self.provider.add(Call("c1", "look", '{"at": "half a fi'), finish=FinishReason.MAX_TOKENS)
        self.talk.prompt("hi")
        self.assertEqual(self.tool.uses, [])
        self.assertIn("not valid JSON", self.talk.lines()[2])
        self.assertEqual(self.last().finish.reason if self.last().finish else "", FinishReason.MAX_TOKENS)

    def test_r_loop_05_a_loop_ends_the_turn_as_if_it_were_done(self) -> None:
        for _ in range(10):
            self.provider.add(Call("c1", "look", '{"at":"it"}'))
        run = self.talk.prompt("hi")
        for _ in range(10):
            self.assertTrue(self.talk.is_busy)
            self.tool.answer("c1", "nothing new")
        self.assertFalse(self.talk.is_busy)
        self.assertEqual(len(self.provider.requests), 10)
        self.assertEqual(now(run.when_ended()).outcome, Outcome.COMPLETED)
        self.assertEqual(self.talk.lines()[-2:], ["assistant:  [tool_use]", "tool: c1 nothing new"])

    def test_after_a_loop_the_session_goes_on(self) -> None:
        self.test_r_loop_05_a_loop_ends_the_turn_as_if_it_were_done()
        self.provider.add("better")
        self.talk.prompt("try something else")
        self.assertEqual(self.talk.lines()[-1], "assistant: better [end_turn]")


class Offered(SynchronousTestCase):
    def setUp(self) -> None:
        self.question = ScriptedTool("question")
        self.harness = Harness(tools=[self.question, ScriptedTool("look")])
        self.talk = Conversation(self.harness)

    def offered(self) -> list[str]:
        return [spec.name for spec in self.harness.provider.requests[-1].tools]

    def test_questions_are_for_interactive_runs_only(self) -> None:
        for interactive, names in ((True, ["look", "question"]), (False, ["look"])):
            self.talk.workspace.agents.init(interactive=interactive)
            self.harness.provider.add("hello")
            self.talk.prompt("hi")
            self.assertEqual(self.offered(), names)

    def test_a_tool_that_was_not_offered_is_not_run(self) -> None:
        self.talk.workspace.agents.init(interactive=False)
        self.harness.provider.add(Call("c1", "question"))
        self.harness.provider.add("end")
        self.talk.prompt("hi")
        self.assertEqual(self.question.uses, [])
        self.assertIn("tool not found: question. Available tools: look", self.talk.lines()[2])
