"""A run ends once, also where the store is slow or refuses."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.endings import LAST_WRITE_S
from txcrush.model.errors import RunCancelled, StorageFailed
from txcrush.model.runs import Outcome, WhenBusy
from txcrush.testing.conversation import Conversation, now
from txcrush.testing.harness import Harness
from txcrush.testing.scripted_provider import Call, Hang, Say, Wait
from txcrush.testing.scripted_tool import ScriptedTool

FULL = StorageFailed("the disk is full")


class EndingsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.tool = ScriptedTool("look")
        self.harness = Harness(tools=[self.tool])
        self.provider = self.harness.provider
        self.talk = Conversation(self.harness)


class Refused(EndingsCase):
    def counted(self) -> tuple[int, int]:
        """How many messages the session says that it has, and how many it has."""
        session = self.talk.workspace.sessions.get(self.talk.session_id)
        return session.message_count, len(self.talk.lines())

    def test_promise_86_a_result_that_was_refused_is_kept_with_the_end(self) -> None:
        self.provider.add(Call("c1", "look"))
        run = self.talk.prompt("hi", "r1")
        self.talk.store.fail_next(FULL)
        self.tool.answer("c1", "seen")
        self.assertEqual(now(run.when_ended()).error, "the disk is full")
        self.assertEqual(self.talk.lines()[1:], ["assistant:  [error]", "tool: c1 seen"])
        self.assertEqual(*self.counted())

    def test_promise_86_an_answer_that_could_not_begin_leaves_no_message_and_is_not_counted(self) -> None:
        self.provider.add("first")
        self.talk.prompt("one", "r1")
        self.provider.add(Wait(), Call("c1", "look"))
        run = self.talk.prompt("two", "r2")
        self.provider.proceed()
        self.talk.store.hold()
        self.tool.answer("c1")
        self.talk.store.release(2)
        self.talk.store.fail_next(FULL)
        self.talk.store.release()
        self.assertEqual(now(run.when_ended()).error, "the disk is full")
        self.assertEqual(*self.counted())
        self.assertEqual(self.talk.lines()[-1], "assistant:  [error]")

    def test_promise_86_a_prompt_whose_answer_never_began_stands_alone(self) -> None:
        self.talk.store.hold()
        run = self.talk.prompt("hi", "r1")
        self.talk.store.release(3)
        self.talk.store.fail_next(FULL)
        self.talk.store.release()
        self.assertEqual(now(run.when_ended()).outcome, Outcome.FAILED)
        self.assertEqual(self.talk.lines(), ["user: hi"])
        self.assertEqual(*self.counted())

    def test_an_end_that_cannot_be_written_is_told_of_as_a_failure(self) -> None:
        self.provider.add(Wait(), "a")
        run = self.talk.prompt("hi", "r1")
        self.talk.store.fail_next(FULL)
        self.provider.proceed()
        end = now(run.when_ended())
        self.assertEqual((end.outcome, end.error), (Outcome.FAILED, "the disk is full"))
        self.assertEqual([one["error"] for one in self.talk.completions()], ["the disk is full"])
        self.assertEqual((self.talk.is_busy, self.talk.workspace.runs.live()), (False, []))

    def test_the_next_run_starts_nevertheless(self) -> None:
        self.provider.add(Wait(), "a")
        self.provider.add("b")
        self.talk.prompt("one", "r1")
        second = self.talk.prompt("two", "r2")
        self.talk.store.fail_next(FULL)
        self.provider.proceed()
        self.assertEqual(now(second.when_ended()).text, "b")

    def test_a_folded_prompt_with_a_run_id_is_told_too(self) -> None:
        self.provider.add(Wait(), Call("c1", "look"))
        self.provider.add(Wait(), "end")
        self.talk.prompt("one", "r1")
        steered = self.talk.prompt("two", "r2", WhenBusy.STEER)
        self.provider.proceed()
        self.tool.answer("c1")
        self.talk.store.fail_next(FULL)
        self.provider.proceed()
        self.assertEqual([one["run_id"] for one in self.talk.completions()], ["r1", "r2"])
        self.assertEqual(now(steered.when_ended()).outcome, Outcome.FAILED)

    def test_a_cancelled_run_whose_end_cannot_be_written_is_cancelled(self) -> None:
        self.provider.add("partial", Hang())
        run = self.talk.prompt("hi", "r1")
        waiting = run.when_ended()
        self.talk.store.fail_next(FULL)
        self.talk.cancel()
        self.failureResultOf(waiting, RunCancelled)
        self.assertEqual([one["cancelled"] for one in self.talk.completions()], [True])

    def test_dropped_prompts_are_told_of_although_it_cannot_be_written(self) -> None:
        self.provider.add(Hang())
        self.talk.prompt("one", "r1")
        queued = self.talk.prompt("two", "r2")
        waiting = queued.when_ended()
        self.talk.store.fail_next(FULL)
        self.talk.workspace.runs.clear(self.talk.session_id)
        self.failureResultOf(waiting, RunCancelled)
        self.assertEqual([one["run_id"] for one in self.talk.completions()], ["r2"])

    def test_the_next_server_closes_what_could_not_be_written(self) -> None:
        self.provider.add("partial", Hang())
        self.talk.prompt("hi", "r1")
        self.harness.clock.advance(1)
        self.talk.store.fail_next(FULL)
        self.talk.cancel()
        self.assertEqual(self.talk.lines(), ["user: hi", "assistant: partial [?]"])
        now(self.talk.stop())
        later = self.talk.restarted(Harness(stores=self.harness.stores))
        self.assertEqual(later.lines(), ["user: hi", "assistant: partial [canceled]"])
        self.assertEqual(now(later.store.unfinished_runs()), [])

    def test_a_user_message_that_cannot_be_stored_fails_the_run_before_the_model_is_asked(self) -> None:
        self.talk.store.hold()
        run = self.talk.prompt("hi", "r1")
        self.talk.store.release(3)  # the acceptance, what was said before, the title
        self.talk.store.fail_next(FULL)
        self.talk.store.release()
        self.assertEqual(now(run.when_ended()).error, "the disk is full")
        self.assertEqual((self.provider.requests, len(self.talk.completions())), ([], 1))
        self.assertEqual(now(self.talk.store.unfinished_runs()), [])

    def test_a_tool_result_that_cannot_be_stored_leaves_no_message_unfinished(self) -> None:
        for parallel in (False, True):
            with self.subTest(parallel=parallel):
                tool = ScriptedTool("look", parallel=parallel)
                harness = Harness(tools=[tool])
                talk = Conversation(harness)
                harness.provider.add(Call("c1", "look"))
                run = talk.prompt("hi", "r1")
                talk.store.fail_next(FULL)
                tool.answer("c1")
                self.assertEqual(now(run.when_ended()).error, "the disk is full")
                self.assertEqual(talk.lines()[1], "assistant:  [error]")


class Slow(EndingsCase):
    def test_who_waits_for_a_run_does_not_wait_for_a_disk_for_ever(self) -> None:
        self.provider.add(Wait(), "a")
        run = self.talk.prompt("hi", "r1")
        waiting = run.when_ended()
        self.talk.store.hold()
        self.provider.proceed()
        self.assertNoResult(waiting)
        self.harness.clock.advance(LAST_WRITE_S)
        self.assertEqual(self.successResultOf(waiting).outcome, Outcome.FAILED)
        self.assertFalse(self.talk.is_busy)

    def test_an_end_that_is_written_late_is_told_of_once_and_as_it_was(self) -> None:
        self.provider.add(Wait(), "a")
        run = self.talk.prompt("hi", "r1")
        self.talk.store.hold()
        self.provider.proceed()
        self.harness.clock.advance(3 * LAST_WRITE_S)
        self.talk.store.release()
        self.assertEqual([one["text"] for one in self.talk.completions()], ["a"])
        self.assertEqual(self.talk.lines()[-1], "assistant: a [end_turn]")
        record = self.talk.record(run)
        assert record.end is not None
        self.assertEqual(record.end.outcome, Outcome.COMPLETED)

    def test_an_end_that_is_refused_late_is_told_of_once(self) -> None:
        self.provider.add(Wait(), "a")
        self.talk.prompt("hi", "r1")
        self.talk.store.hold()
        self.provider.proceed()
        self.harness.clock.advance(LAST_WRITE_S)
        self.talk.store.fail_next(FULL)
        self.talk.store.release()
        self.assertEqual([one["error"] for one in self.talk.completions()], ["the disk is full"])

    def test_a_cancel_while_the_disk_stalls_leaves_nothing_unfinished(self) -> None:
        self.provider.add(Say("partial"), Hang())
        run = self.talk.prompt("hi", "r1")
        self.talk.store.hold()
        self.talk.cancel()
        self.harness.clock.advance(3 * LAST_WRITE_S)
        self.assertEqual(now(run.when_ended()).outcome, Outcome.CANCELLED)
        self.talk.store.release()
        self.assertEqual(self.talk.lines(), ["user: hi", "assistant: partial [canceled]"])
        self.assertEqual(len(self.talk.completions()), 1)
