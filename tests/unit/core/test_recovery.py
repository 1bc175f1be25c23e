"""What a server does with the runs that its predecessor left."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.closing import CANCELLED_TOOL
from txcrush.core.run import BY_STOP
from txcrush.model.messages import Reasoning
from txcrush.model.providers import Usage, UserTurn
from txcrush.model.runs import Outcome
from txcrush.testing.conversation import Conversation, now
from txcrush.testing.harness import Harness, Listener
from txcrush.testing.scripted_provider import Begin, Call, Hang, Say, Step, Think, Wait
from txcrush.testing.scripted_tool import ScriptedTool


class CrashCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.tool = ScriptedTool("look")
        self.harness = Harness(tools=[self.tool])
        self.provider = self.harness.provider
        self.talk = Conversation(self.harness)

    def grow(self) -> None:
        """Let the rows of growing text be written."""
        self.harness.clock.advance(1)

    def crash(self, *steps: Step) -> Conversation:
        """Kill the server, and start another over what it left."""
        self.talk.store.crash()
        self.after = Harness(steps, stores=self.harness.stores, tools=[ScriptedTool("look")])
        return self.talk.restarted(self.after)


class Begun(CrashCase):
    def test_a_run_that_had_begun_ends_as_interrupted_and_keeps_its_text(self) -> None:
        self.provider.add("partial", Hang())
        run = self.talk.prompt("hi", "r1")
        self.grow()
        later = self.crash()
        self.assertEqual(later.lines(), ["user: hi", "assistant: partial [canceled]"])
        finish = later.messages()[-1].finish
        assert finish is not None
        self.assertEqual(finish.message, "Interrupted by a server restart")
        end = now(later.prompt("hi", "r1").when_ended())
        self.assertEqual((end.outcome, end.source, end.text), (Outcome.CANCELLED, BY_STOP.source, "partial"))
        self.assertEqual((later.is_busy, self.after.provider.requests), (False, []))
        self.assertEqual(later.record(run).end, end)

    def test_its_end_is_in_the_log_once(self) -> None:
        self.provider.add("partial", Hang())
        self.talk.prompt("hi", "r1")
        self.crash()
        later = self.crash()
        logged = now(later.store.events_after(0, 1000))
        self.assertEqual([one.key for one in logged if one.kind == "run_complete"], ["r1"])

    def test_open_calls_are_closed_and_answered_and_no_tool_runs_again(self) -> None:
        self.provider.add(Think("hm"), Call("c1", "look"), Call("c2", "look"), Begin("c3", "look"))
        self.talk.prompt("hi", "r1")
        self.tool.answer("c1", "seen")
        later = self.crash()
        lines = ["user: hi", "assistant:  [canceled]", "tool: c1 seen"]
        self.assertEqual(later.lines(), [*lines, f"tool: c2 {CANCELLED_TOOL}", f"tool: c3 {CANCELLED_TOOL}"])
        message = later.messages()[1]
        self.assertTrue(all(call.finished for call in message.tool_calls))
        self.assertEqual(message.tool_calls[2].input, "{}")
        self.assertTrue(all(part.finished_at for part in message.parts if isinstance(part, Reasoning)))
        self.assertEqual(later.workspace.sessions.get(later.session_id).message_count, len(later.lines()))

    def test_a_crash_while_the_turn_is_summed_up_ends_it_at_its_last_step(self) -> None:
        full = Usage(input=190_000, output=0, total=190_000)
        for written in ("half a summ", ""):
            self.setUp()
            self.provider.add("let me see", Call("c1", "look"), usage=full)
            self.provider.add(written, Hang())
            self.talk.prompt("hi", "r1")
            self.tool.answer("c1", "seen")
            self.grow()
            later = self.crash()
            self.assertEqual(later.lines(), ["user: hi", "assistant: let me see [canceled]", "tool: c1 seen"])
            end = now(later.prompt("hi", "r1").when_ended())
            self.assertEqual((end.outcome, end.text), (Outcome.CANCELLED, "let me see"))
            session = later.workspace.sessions.get(later.session_id)
            self.assertEqual((session.summary_message_id, session.message_count), ("", 3))

    def test_a_crash_between_two_steps_replaces_tool_use(self) -> None:
        self.provider.add(Call("c1", "look"))
        self.talk.prompt("hi", "r1")
        self.talk.store.hold()
        self.tool.answer("c1")
        self.talk.store.release(2)
        later = self.crash()
        self.assertEqual(later.lines(), ["user: hi", "assistant:  [canceled]", "tool: c1 done"])

    def test_a_clock_that_was_set_back_hides_no_open_message(self) -> None:
        self.provider.add("earlier")
        self.provider.add("partial", Hang())
        self.harness.clock.advance(20)
        self.talk.prompt("one", "r1")
        self.harness.clock.rightNow -= 10
        self.talk.prompt("two", "r2")
        later = self.crash()
        self.assertEqual([line for line in later.lines() if line.endswith("[?]")], [])

    def test_a_prompt_folded_into_a_turn_that_had_begun_ends_with_it(self) -> None:
        self.provider.add(Wait(), Call("c1", "look"))
        self.provider.add("partial", Hang())
        self.talk.prompt("one", "r1")
        folded = self.talk.prompt("two")
        self.provider.proceed()
        self.tool.answer("c1")
        self.grow()
        later = self.crash()
        end = later.record(folded).end
        assert end is not None
        self.assertEqual((end.outcome, end.text), (Outcome.CANCELLED, "partial"))
        self.assertEqual(now(later.store.unfinished_runs()), [])
        logged = now(later.store.events_after(0, 1000))
        self.assertEqual([one.key for one in logged if one.kind == "run_complete"], ["r1"])

    def test_the_next_prompt_finds_a_conversation_that_a_provider_takes(self) -> None:
        self.provider.add("let me see", Call("c1", "look"))
        self.talk.prompt("hi", "r1")
        later = self.crash(Step("well"))
        self.assertEqual(now(later.prompt("again").when_ended()).text, "well")


class Recalled(CrashCase):
    def test_who_joins_a_run_that_an_earlier_server_interrupted_gets_its_end_as_a_value(self) -> None:
        """Nobody's wait is cut short by it, so it is no `RunCancelled`, and over HTTP no 503."""
        self.provider.add("partial", Hang())
        self.talk.prompt("hi", "r1")
        later = self.crash()
        end = now(later.prompt("hi", "r1").when_ended())
        self.assertEqual((end.outcome, end.source), (Outcome.CANCELLED, BY_STOP.source))


class Folded(CrashCase):
    def test_a_prompt_that_was_stored_but_not_answered_is_said_once_at_every_write(self) -> None:
        """A crash between a folded prompt's user message and the step that takes it in; then another turn does."""
        for writes in range(8):
            with self.subTest(writes=writes):
                self.setUp()
                self.provider.add(Wait(), Call("c1", "look"))
                self.talk.prompt("one", "r1")
                self.talk.prompt("own", "r2")
                self.talk.prompt("two")
                self.provider.proceed()
                self.talk.store.hold()
                self.tool.answer("c1")
                self.provider.add(Hang())
                self.talk.store.release(writes)
                later = self.crash(Step("both"), Step("more"))
                self.assertEqual(later.lines().count("user: two"), 1)
                for request in self.after.provider.requests:
                    texts = [turn.text for turn in request.turns if isinstance(turn, UserTurn)]
                    self.assertEqual(texts.count("two"), 1 if "two" in texts else 0)


class WithoutRun(CrashCase):
    def test_half_a_summary_is_deleted_and_the_session_is_as_before(self) -> None:
        self.provider.add("an answer")
        self.talk.prompt("a question")
        before = self.talk.lines()
        self.provider.add("half a summ", Wait())
        self.talk.workspace.summaries.start(self.talk.session_id)
        self.grow()
        after = self.crash()
        self.assertEqual(after.lines(), before)
        session = after.workspace.sessions.get(after.session_id)
        self.assertEqual((session.message_count, session.summary_message_id), (2, ""))

    def test_no_message_is_left_unfinished(self) -> None:
        self.provider.add("partial", Wait())
        self.talk.prompt("a question")
        self.grow()
        after = self.crash()
        self.assertEqual(self.successResultOf(after.store.unfinished_messages()), [])


class NotBegun(CrashCase):
    def test_a_prompt_whose_request_had_not_gone_out_starts_again_at_every_write(self) -> None:
        for writes in (1, 2, 3):
            with self.subTest(writes=writes):
                self.setUp()
                self.talk.store.hold()
                run = self.talk.prompt("hi", "r1")
                self.talk.store.release(writes)
                later = self.crash(Step("answer"))
                self.assertEqual(later.lines(), ["user: hi", "assistant: answer [end_turn]"])
                self.assertEqual(later.record(run).end, now(later.prompt("hi", "r1").when_ended()))
                self.assertEqual(later.workspace.sessions.get(later.session_id).message_count, 2)

    def test_a_prompt_that_was_never_acknowledged_is_gone(self) -> None:
        self.talk.store.hold()
        self.talk.prompt("hi", "r1")
        later = self.crash()
        self.assertEqual((later.lines(), now(later.store.unfinished_runs())), ([], []))

    def test_the_prompt_is_told_to_the_model_once(self) -> None:
        self.talk.store.hold()
        self.talk.prompt("hi", "r1")
        self.talk.store.release(3)
        self.crash(Step("answer"))
        texts = [getattr(turn, "text", "") for turn in self.after.provider.requests[0].turns]
        self.assertEqual(texts.count("hi"), 1)

    def test_queued_prompts_start_in_order_after_the_interrupted_one(self) -> None:
        self.provider.add("partial", Hang())
        self.talk.prompt("one", "r1")
        self.talk.prompt("two", "r2")
        self.talk.prompt("three", "r3")
        self.grow()
        later = self.crash(Step(Say("b")), Step(Say("c")))
        pairs = ["user: two", "assistant: b [end_turn]", "user: three", "assistant: c [end_turn]"]
        self.assertEqual(later.lines(), ["user: one", "assistant: partial [canceled]", *pairs])

    def test_what_starts_again_can_be_watched_cancelled_and_joined(self) -> None:
        self.provider.add("partial", Hang())
        self.talk.prompt("one", "r1")
        self.talk.prompt("two", "r2")
        self.talk.prompt("three", "r3")
        later = self.crash(Step("b", Hang()))
        listener = Listener()
        later.workspace.events.subscribe(listener)
        joined = later.prompt("two", "r2")
        self.assertEqual((joined.state, later.queued()), ("active", ["three"]))
        later.cancel()
        self.assertEqual(now(joined.when_ended()).outcome, Outcome.CANCELLED)
        self.assertCountEqual([one["run_id"] for one in listener.of("run_complete")], ["r2", "r3"])

    def test_new_prompts_come_behind_what_waited(self) -> None:
        self.provider.add(Hang())
        self.talk.prompt("one", "r1")
        waited = self.talk.prompt("two", "r2")
        later = self.crash(Step(Wait(), "b"), Step("c"))
        new = later.prompt("three", "r3")
        self.assertGreater(new.seq, waited.seq)
        self.after.provider.proceed()
        self.assertEqual(now(new.when_ended()).text, "c")

    def test_a_prompt_of_a_session_that_is_gone_fails(self) -> None:
        self.provider.add(Hang())
        self.talk.prompt("one", "r1")
        waited = self.talk.prompt("two", "r2")
        now(self.talk.workspace.sessions.delete(self.talk.session_id))
        later = self.crash()
        end = later.record(waited).end
        assert end is not None
        self.assertEqual(end.outcome, Outcome.FAILED)
        self.assertEqual(now(later.store.unfinished_runs()), [])
