"""Runs from acceptance to their one end, over the real services and a store in memory."""

from uuid import uuid4

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core._runmachine import RunState
from txcrush.core.run import Run
from txcrush.model.errors import (
    PromptEmpty,
    ProviderError,
    RunCancelled,
    RunFolded,
    RunIdReused,
    SessionBusy,
    SessionIdMissing,
    SessionNotFound,
    ShuttingDown,
    StorageFailed,
    WorkspaceClosing,
)
from txcrush.model.ids import SessionId
from txcrush.model.providers import UserTurn
from txcrush.model.runs import Attachment, Outcome, Prompt, WhenBusy
from txcrush.testing.conversation import Conversation, now
from txcrush.testing.harness import Harness
from txcrush.testing.scale import scaled
from txcrush.testing.scripted_provider import Call, Fail, Hang, Wait
from txcrush.testing.scripted_tool import ScriptedTool

PAIR = ["user: hi", "assistant:  [canceled]"]
"""What a cancelled prompt that never got an answer leaves behind."""

CREATED = ("message", "created")


class RunsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.tool = ScriptedTool("look")
        self.harness = Harness(tools=[self.tool])
        self.provider = self.harness.provider
        self.talk = Conversation(self.harness)
        self.runs = self.talk.workspace.runs

    def ends_as(self, run: Run, outcome: Outcome) -> None:
        """The run has ended so, in memory and, once, in the store."""
        self.assertEqual(now(run.when_ended()).outcome, outcome)
        self.assertIsNone(self.runs.find(run.id))
        end = self.talk.record(run).end
        assert end is not None
        self.assertEqual(end.outcome, outcome)

    def asked(self, request: int) -> list[str]:
        """What the user said in the conversation of a request to the model."""
        turns = self.provider.requests[request].turns
        return [turn.text for turn in turns if isinstance(turn, UserTurn) and "<system" not in turn.text]


class Accepting(RunsCase):
    def test_a_prompt_is_answered_and_its_run_ends_once(self) -> None:
        self.provider.add("hello ", "there")
        run = self.talk.prompt("hi", "r1")
        self.ends_as(run, Outcome.COMPLETED)
        self.assertEqual(now(run.when_ended()).text, "hello there")
        self.assertEqual(self.talk.lines(), ["user: hi", "assistant: hello there [end_turn]"])
        self.assertEqual(len(self.talk.completions()), 1)

    def test_r_acc_01_a_run_is_counted_from_its_acceptance_to_its_end(self) -> None:
        self.provider.add("a")
        self.talk.store.hold()
        run = self.talk.prompt("hi")
        self.assertEqual((self.runs.live(), run.state, self.talk.is_busy), ([run], RunState.ACCEPTED, False))
        self.talk.store.release()
        self.assertEqual((self.runs.live(), run.state), ([], RunState.ENDED))

    def test_r_acc_04_the_sequence_is_given_in_the_request_across_sessions(self) -> None:
        other = Conversation(self.harness)
        self.talk.store.hold()
        runs = [self.talk.prompt("a"), other.prompt("b"), self.talk.prompt("c")]
        self.assertEqual([run.seq for run in runs], [1, 2, 3])

    def test_r_acc_05_a_prompt_that_cannot_be_taken_is_refused_before_anything_is_stored(self) -> None:
        writes = self.talk.store.writes
        nowhere = SessionId("")
        self.assertRaises(PromptEmpty, self.runs.accept, Prompt(session_id=nowhere, text=""))
        self.assertRaises(SessionIdMissing, self.runs.accept, Prompt(session_id=nowhere, text="hi"))
        now(self.runs.stop())
        self.assertRaises(PromptEmpty, self.talk.prompt, "")
        self.assertRaises(SessionIdMissing, self.runs.accept, Prompt(session_id=nowhere, text="hi"))
        self.assertRaises(WorkspaceClosing, self.talk.prompt, "hi")
        self.assertEqual((self.talk.store.writes, self.talk.lines()), (writes, []))

    def test_r_acc_06_an_empty_prompt_needs_an_attached_text(self) -> None:
        image = Attachment("a.png", "a.png", "image/png", b"png")
        text = Attachment("a.txt", "a.txt", "text/plain", b"words")
        self.assertRaises(PromptEmpty, self.talk.prompt, "", attachments=(image,))
        self.provider.add("read")
        self.ends_as(self.talk.prompt("", attachments=(image, text)), Outcome.COMPLETED)

    def test_r_acc_07_accepting_returns_before_the_run_has_begun(self) -> None:
        self.talk.store.hold()
        run = self.talk.prompt("hi")
        self.assertNoResult(run.when_kept())
        self.assertTrue(self.runs.any_live)

    def test_r_acc_08_a_refusal_leaves_no_reservation(self) -> None:
        self.assertRaises(PromptEmpty, self.talk.prompt, "")
        self.talk.cancel()
        self.provider.add("a")
        self.ends_as(self.talk.prompt("hi"), Outcome.COMPLETED)

    def test_r_acc_09_a_dropped_watcher_leaves_the_run_running(self) -> None:
        self.provider.add("a", Wait(), "b")
        run = self.talk.prompt("hi")
        for watcher in (run.when_ended(), run.when_ended()):
            watcher.cancel()
            self.failureResultOf(watcher, CancelledError)
        self.assertEqual(run.state, RunState.ACTIVE)
        self.provider.proceed()
        self.assertEqual(self.talk.lines()[-1], "assistant: ab [end_turn]")

    def test_r_acc_09_watchers_dropped_at_every_state_cancel_nothing(self) -> None:
        self.provider.add(Wait(), "first")
        self.provider.add(Wait(), "second")
        self.talk.store.hold()
        runs = [self.talk.prompt("one", "r1"), self.talk.prompt("two", "r2")]
        for _ in range(40):
            for run in runs:
                for watcher in (run.when_kept(), run.when_placed(), run.when_ended()):
                    watcher.addErrback(lambda failure: failure.trap(CancelledError))
                    watcher.cancel()
            self.talk.store.release(1)
            if self.provider.waiting and not self.talk.store.held:
                self.provider.proceed()
        self.talk.store.release()
        self.assertEqual([now(run.when_ended()).text for run in runs], ["first", "second"])

    def test_r_acc_12_an_unknown_session_is_accepted_and_fails_in_its_run(self) -> None:
        run = self.runs.accept(Prompt(session_id=SessionId("nobody"), text="hi"))
        self.ends_as(run, Outcome.FAILED)
        error = "failed to get session: sql: no rows in result set"
        self.assertEqual([event["error"] for event in self.talk.errors()], [error])
        self.assertEqual([event["error"] for event in self.talk.completions()], [error])

    def test_a_prompt_that_cannot_be_kept_starts_nothing(self) -> None:
        self.talk.store.fail_next(StorageFailed("the disk is full"))
        run = self.talk.prompt("hi", "r1")
        for waiting in (run.when_kept(), run.when_placed(), run.when_ended()):
            self.failureResultOf(waiting, StorageFailed)
        self.assertEqual((self.runs.live(), self.talk.lines(), self.provider.requests), ([], [], []))
        self.provider.add("a")
        self.ends_as(self.talk.prompt("hi", "r1"), Outcome.COMPLETED)


class Joining(RunsCase):
    def test_the_same_run_id_joins_the_run_that_is_active(self) -> None:
        self.provider.add(Wait(), "a")
        run = self.talk.prompt("hi", "r1")
        self.assertIs(self.talk.prompt("hi", "r1"), run)
        self.provider.proceed()
        self.assertEqual(len(self.talk.lines()), 2)

    def test_the_same_run_id_joins_a_run_that_is_accepted_or_queued(self) -> None:
        self.provider.add(Wait(), "a")
        self.talk.store.hold()
        first = self.talk.prompt("hi", "r1")
        self.assertIs(self.talk.prompt("hi", "r1"), first)
        self.talk.store.release()
        second = self.talk.prompt("ho", "r2")
        self.assertEqual(second.state, RunState.QUEUED)
        self.assertIs(self.talk.prompt("ho", "r2"), second)
        self.assertEqual(self.talk.queued(), ["ho"])

    def test_the_same_run_id_joins_a_run_that_has_ended(self) -> None:
        self.provider.add("a")
        self.talk.prompt("hi", "r1")
        again = self.talk.prompt("hi", "r1")
        self.assertEqual(now(again.when_ended()).text, "a")
        self.assertEqual(now(again.when_placed()), RunState.ENDED)
        self.assertEqual((len(self.provider.requests), len(self.talk.completions())), (1, 1))

    def test_a_run_that_was_cancelled_is_joined_by_its_end(self) -> None:
        self.provider.add(Hang())
        self.talk.prompt("hi", "r1")
        self.talk.cancel()
        self.assertEqual(now(self.talk.prompt("hi", "r1").when_ended()).outcome, Outcome.CANCELLED)

    def test_a_run_of_the_last_server_is_joined(self) -> None:
        self.provider.add("a")
        self.talk.prompt("hi", "r1")
        now(self.talk.stop())
        later = self.talk.restarted(Harness(stores=self.harness.stores))
        self.assertEqual(now(later.prompt("hi", "r1").when_ended()).text, "a")
        self.failureResultOf(later.prompt("ho", "r1").when_kept(), RunIdReused)

    def test_another_prompt_or_session_may_not_use_the_run_id(self) -> None:
        self.provider.add(Wait(), "a")
        run = self.talk.prompt("hi", "r1")
        other = Conversation(self.harness)
        self.assertRaises(RunIdReused, self.talk.prompt, "ho", "r1")
        self.assertRaises(RunIdReused, other.prompt, "hi", "r1")
        self.provider.proceed()
        self.ends_as(run, Outcome.COMPLETED)
        self.failureResultOf(self.talk.prompt("ho", "r1").when_ended(), RunIdReused)
        self.failureResultOf(other.prompt("hi", "r1").when_kept(), RunIdReused)

    def test_a_key_makes_a_prompt_safe_to_send_again_and_stays_out_of_events(self) -> None:
        self.provider.add(Wait(), "a")
        run = self.talk.prompt("hi", key="k1")
        self.assertIs(self.talk.prompt("hi", key="k1"), run)
        self.provider.proceed()
        self.assertEqual(now(self.talk.prompt("hi", key="k1").when_ended()).text, "a")
        (complete,) = self.talk.completions()
        self.assertNotIn("run_id", complete)

    def test_who_joins_a_run_that_was_queued_once_is_told_where_it_is_now(self) -> None:
        self.provider.add(Wait(), "a")
        self.provider.add(Wait(), "b")
        self.talk.prompt("hi")
        self.talk.prompt("ho", key="k", when_busy=WhenBusy.QUEUE)
        self.provider.proceed()
        self.assertEqual(now(self.talk.prompt("ho", key="k").when_placed()), RunState.ACTIVE)


class Dispatching(RunsCase):
    def test_r_disp_01_eight_prompts_at_once_make_one_stream_at_a_time(self) -> None:
        for number in range(8):
            self.provider.add(Wait(), f"answer {number}")
        self.talk.store.hold()
        runs = [self.talk.prompt(f"prompt {number}", f"r{number}") for number in range(8)]
        self.talk.store.release()
        self.assertEqual((len(self.provider.requests), len(self.talk.queued())), (1, 7))
        for number in range(8):
            self.assertEqual(self.provider.waiting, 1)
            self.provider.proceed()
            self.assertEqual(runs[number].state, RunState.ENDED)
        pairs = ((f"user: prompt {n}", f"assistant: answer {n} [end_turn]") for n in range(8))
        self.assertEqual(self.talk.lines(), [line for pair in pairs for line in pair])

    def test_r_disp_01_eight_prompts_without_run_id_are_one_turn(self) -> None:
        self.provider.add("for all")
        self.talk.store.hold()
        runs = [self.talk.prompt(f"p{number}") for number in range(8)]
        self.talk.store.release()
        self.assertEqual(len(self.provider.requests), 1)
        self.assertEqual(self.asked(0), [f"p{number}" for number in range(8)])
        for run in runs:
            self.ends_as(run, Outcome.COMPLETED)

    def test_r_disp_01_sessions_do_not_wait_for_each_other(self) -> None:
        other = Conversation(self.harness)
        self.provider.add(Wait(), "a")
        self.provider.add(Wait(), "b")
        self.talk.prompt("hi")
        other.prompt("hi")
        self.assertEqual(self.provider.waiting, 2)

    def test_r_disp_02_a_run_can_be_cancelled_before_it_has_read_anything(self) -> None:
        self.talk.store.hold()
        run = self.talk.prompt("hi", "r1")
        self.talk.store.release(1)
        self.assertEqual(run.state, RunState.ACTIVE)
        self.talk.cancel()
        self.talk.store.release()
        self.assertEqual(self.talk.lines(), PAIR)

    def test_r_disp_04_a_prompt_to_a_busy_session_publishes_nothing(self) -> None:
        self.provider.add(Wait(), "a")
        self.talk.prompt("hi")
        heard = len(self.talk.listener.frames)
        self.assertEqual(now(self.talk.prompt("ho", "r2").when_placed()), RunState.QUEUED)
        self.assertEqual(len(self.talk.listener.frames), heard)

    def test_r_disp_08_a_new_agent_leaves_runs_alone_and_cancellable(self) -> None:
        self.provider.add(Hang())
        run = self.talk.prompt("hi")
        self.talk.workspace.agents.init(interactive=False)
        self.assertTrue(self.talk.is_busy)
        self.talk.cancel()
        self.ends_as(run, Outcome.CANCELLED)


class WhenTheSessionIsBusy(RunsCase):
    def setUp(self) -> None:
        super().setUp()
        self.provider.add(Wait(), Call("c1", "look"))
        self.provider.add("end")
        self.first = self.talk.prompt("first", "r1")

    def finish(self) -> None:
        self.provider.proceed()
        self.tool.answer("c1")

    def test_without_a_run_id_the_prompt_is_folded_into_the_turn(self) -> None:
        run = self.talk.prompt("more")
        self.finish()
        self.assertEqual(self.asked(1), ["first", "more"])
        self.ends_as(run, Outcome.COMPLETED)
        self.assertEqual(now(run.when_ended()), now(self.first.when_ended()))

    def test_with_a_run_id_it_has_a_turn_of_its_own(self) -> None:
        self.provider.add("own")
        run = self.talk.prompt("more", "r2")
        self.finish()
        self.assertEqual(self.asked(1), ["first"])
        self.assertEqual(now(run.when_ended()).text, "own")

    def test_queue_makes_a_turn_of_its_own_also_without_a_run_id(self) -> None:
        self.provider.add("own")
        run = self.talk.prompt("more", when_busy=WhenBusy.QUEUE)
        self.finish()
        self.assertEqual(now(run.when_ended()).text, "own")

    def test_steer_folds_also_with_a_run_id_which_gets_its_event(self) -> None:
        run = self.talk.prompt("more", "r2", WhenBusy.STEER)
        self.finish()
        self.ends_as(run, Outcome.COMPLETED)
        self.assertEqual(
            [(one["run_id"], one["text"]) for one in self.talk.completions()], [("r1", "end"), ("r2", "end")]
        )

    def test_reject_is_refused_and_leaves_no_trace(self) -> None:
        self.assertRaises(SessionBusy, self.talk.prompt, "more", "r2", WhenBusy.REJECT)
        self.assertEqual((self.talk.queued(), self.runs.live()), ([], [self.first]))

    def test_interrupt_cancels_keeps_the_queue_and_runs_next(self) -> None:
        self.provider.add("last")
        waiting = self.talk.prompt("waiting", "r2")
        watcher = self.first.when_ended()
        urgent = self.talk.prompt("urgent", "r3", WhenBusy.INTERRUPT)
        self.failureResultOf(watcher, RunCancelled)
        self.ends_as(self.first, Outcome.CANCELLED)
        self.assertEqual((urgent.state, waiting.state), (RunState.ENDED, RunState.ENDED))
        users = [line for line in self.talk.lines() if line.startswith("user")]
        self.assertEqual(users, ["user: first", "user: urgent", "user: waiting"])


class Rejecting(RunsCase):
    def test_reject_counts_what_is_accepted_but_not_yet_active(self) -> None:
        self.talk.store.hold()
        self.talk.prompt("hi")
        self.assertFalse(self.talk.is_busy)
        self.assertRaises(SessionBusy, self.talk.prompt, "ho", when_busy=WhenBusy.REJECT)

    def test_reject_runs_on_an_idle_session(self) -> None:
        self.provider.add("a")
        self.ends_as(self.talk.prompt("hi", when_busy=WhenBusy.REJECT), Outcome.COMPLETED)

    def test_interrupt_runs_at_once_on_an_idle_session(self) -> None:
        self.provider.add("a")
        self.ends_as(self.talk.prompt("hi", when_busy=WhenBusy.INTERRUPT), Outcome.COMPLETED)


class Cancelling(RunsCase):
    def test_r_cancel_01_and_r_cancel_14_an_idle_cancel_does_nothing_to_the_next_prompt(self) -> None:
        writes = self.talk.store.writes
        self.talk.cancel()
        self.assertEqual((self.talk.store.writes, self.talk.listener.frames), (writes, []))
        self.provider.add("a")
        self.ends_as(self.talk.prompt("hi"), Outcome.COMPLETED)

    def test_promise_09_idle_cancels_never_poison_the_next_prompt(self) -> None:
        for _ in range(scaled(4, 20)):
            talk = Conversation(self.harness, f"/project/{uuid4()}")
            for number in range(50):
                self.provider.add("ok")
                for _ in range(number % 3 + 1):
                    talk.cancel()
                run = talk.prompt("hi", f"r{number}" if number % 2 else "")
                self.assertEqual(now(run.when_ended()).outcome, Outcome.COMPLETED)
                talk.cancel()

    def test_r_cancel_03_cancelling_an_accepted_prompt_twice_cancels_it_once(self) -> None:
        self.talk.store.hold()
        run = self.talk.prompt("hi", "r1")
        self.talk.cancel()
        self.talk.cancel()
        self.talk.store.release()
        self.ends_as(run, Outcome.CANCELLED)
        self.assertEqual(len(self.talk.completions()), 1)

    def test_r_cancel_04_and_r_cancel_22_an_accepted_prompt_is_cancelled_on_entry_and_the_next_runs(self) -> None:
        self.talk.store.hold()
        run = self.talk.prompt("hi", "r1")
        watcher = run.when_ended()
        self.talk.cancel()
        self.talk.store.release()
        self.failureResultOf(watcher, RunCancelled)
        self.ends_as(run, Outcome.CANCELLED)
        self.assertEqual((self.talk.lines(), self.runs.live(), self.provider.requests), (PAIR, [], []))
        self.provider.add("a")
        self.ends_as(self.talk.prompt("ho"), Outcome.COMPLETED)

    def test_r_cancel_09_and_r_cancel_21_one_cancel_covers_the_active_run_and_the_accepted_one(self) -> None:
        self.provider.add("partial", Hang())
        first = self.talk.prompt("first", "r1")
        self.talk.store.hold()
        second = self.talk.prompt("second", "r2")
        self.talk.cancel()
        self.talk.store.release()
        self.ends_as(first, Outcome.CANCELLED)
        self.ends_as(second, Outcome.CANCELLED)
        self.assertCountEqual(
            self.talk.lines(),
            ["user: first", "assistant: partial [canceled]", "user: second", "assistant:  [canceled]"],
        )

    def test_r_cancel_10_a_covered_prompt_is_not_queued_behind_a_busy_session(self) -> None:
        self.provider.add(Wait(), "a")
        self.talk.store.hold()
        self.talk.prompt("first", "r1")
        self.talk.store.release(1)
        second = self.talk.prompt("second", "r2")
        self.talk.cancel()
        self.talk.store.release()
        self.assertEqual(self.talk.queued(), [])
        self.ends_as(second, Outcome.CANCELLED)
        self.assertIn("user: second", self.talk.lines())

    def test_r_cancel_12_a_normal_end_leaves_nothing_that_could_cancel_the_next(self) -> None:
        self.provider.add("a")
        self.provider.add("b")
        self.talk.prompt("one")
        self.talk.cancel()
        self.talk.prompt("two")
        self.assertEqual(self.talk.lines()[1::2], ["assistant: a [end_turn]", "assistant: b [end_turn]"])

    def test_r_cancel_13_one_cancel_covers_two_accepted_prompts(self) -> None:
        self.talk.store.hold()
        runs = [self.talk.prompt("hi", "r1"), self.talk.prompt("hi", "r2")]
        self.talk.cancel()
        self.talk.store.release()
        for run in runs:
            self.ends_as(run, Outcome.CANCELLED)
        self.assertCountEqual(self.talk.lines(), PAIR * 2)

    def test_r_cancel_15_a_prompt_accepted_after_the_cancel_runs(self) -> None:
        self.provider.add("c")
        self.talk.store.hold()
        covered = [self.talk.prompt("a", "a"), self.talk.prompt("b", "b")]
        self.talk.cancel()
        later = self.talk.prompt("c", "c")
        self.talk.store.release()
        self.ends_as(later, Outcome.COMPLETED)
        for run in covered:
            self.ends_as(run, Outcome.CANCELLED)

    def test_r_cancel_18_everybody_hears_of_a_cancel_and_nobody_of_an_error(self) -> None:
        self.provider.add("partial", Hang())
        self.talk.prompt("hi", "r1")
        self.talk.cancel()
        last = self.talk.listener.of("message")[-1]
        self.assertEqual(last["parts"][-1]["data"]["reason"], "canceled")
        self.assertEqual(last["parts"][-1]["data"]["message"], "User canceled request")
        self.assertEqual(self.talk.errors(), [])

    def test_r_cancel_19_a_cancel_before_any_output_shows_the_prompt_and_then_its_end(self) -> None:
        self.talk.store.hold()
        self.talk.prompt("hi", "r1")
        self.talk.cancel()
        self.talk.store.release()
        told = [(kind, change, payload.get("role")) for kind, change, payload in self.talk.listener.events]
        shown = [(change, role) for kind, change, role in told if kind == "message"]
        self.assertEqual(shown, [("created", "user"), ("created", "assistant"), ("updated", "assistant")])
        self.assertEqual(told[-1][0], "run_complete")

    def test_r_cancel_05_a_cancel_before_the_prompt_is_stored_leaves_both_messages(self) -> None:
        run = self.cancelled_after(writes=1)
        self.assertEqual(self.shown_before, [])
        self.ends_as(run, Outcome.CANCELLED)
        self.assertEqual(self.talk.lines(), PAIR)

    def test_r_cancel_06_a_cancel_after_the_prompt_is_stored_adds_the_answer_only(self) -> None:
        run = self.cancelled_after(writes=3)
        self.assertEqual(self.shown_before, ["user"])
        self.ends_as(run, Outcome.CANCELLED)
        self.assertEqual(self.talk.lines(), PAIR)
        self.assertEqual(self.created(), ["user", "assistant"])

    def created(self) -> list[str]:
        """The roles of the messages that came to be, in order."""
        return [one["role"] for kind, change, one in self.talk.listener.events if (kind, change) == CREATED]

    def cancelled_after(self, writes: int) -> Run:
        """A run that is cancelled when the store has done so much; `shown_before` is whose messages there were then."""
        self.talk.store.hold()
        run = self.talk.prompt("hi", "r1")
        self.talk.store.release(writes)
        self.shown_before = self.created()
        self.talk.cancel()
        self.talk.store.release()
        return run

    def test_r_cancel_07_a_cancel_is_written_also_while_the_workspace_ends(self) -> None:
        self.talk.store.hold()
        run = self.talk.prompt("hi", "r1")
        self.talk.store.release(1)
        self.talk.cancel()
        stopped = self.talk.stop()
        self.talk.store.release()
        self.successResultOf(stopped)
        self.assertEqual(now(run.when_ended()).outcome, Outcome.CANCELLED)
        self.assertEqual([one["run_id"] for one in self.talk.completions()], ["r1"])
        later = self.talk.restarted(Harness(stores=self.harness.stores))
        self.assertEqual((later.lines(), later.is_busy), (PAIR, False))

    def test_r_cancel_07_nobody_waits_longer_than_5_s_for_a_store_that_hangs(self) -> None:
        self.provider.add("partial", Hang())
        run = self.talk.prompt("hi", "r1")
        watcher = run.when_ended()
        self.talk.store.hold()
        self.talk.cancel()
        self.harness.clock.advance(4.9)
        self.assertNoResult(watcher)
        self.harness.clock.advance(0.1)
        self.failureResultOf(watcher, RunCancelled)
        self.talk.store.release()
        self.assertEqual(self.talk.lines()[-1], "assistant: partial [canceled]")

    def test_r_cancel_20_a_cancel_at_any_write_before_the_answer_leaves_the_same_pair(self) -> None:
        for writes in range(1, 5):
            with self.subTest(writes=writes):
                self.provider.add(Hang())
                talk = Conversation(self.harness)
                talk.store.hold()
                run = talk.prompt("hi", f"r{writes}")
                talk.store.release(writes)
                talk.cancel()
                talk.cancel()
                talk.store.release()
                self.ends_as(run, Outcome.CANCELLED)
                self.assertEqual((talk.lines(), talk.errors()), (PAIR, []))
                self.assertEqual([one["cancelled"] for one in talk.completions()], [True])
                self.assertEqual(self.talk.workspace.sessions.get(talk.session_id).message_count, 2)

    def test_a_second_cancel_during_the_last_writes_changes_nothing(self) -> None:
        self.provider.add("partial", Hang())
        run = self.talk.prompt("hi", "r1")
        self.talk.store.hold()
        self.talk.cancel()
        self.talk.cancel()
        self.assertTrue(self.talk.is_busy)
        self.talk.store.release(1)
        self.talk.cancel()
        self.talk.store.release()
        self.ends_as(run, Outcome.CANCELLED)
        self.assertEqual(len(self.provider.cancelled), 1)
        self.assertEqual(len(self.talk.completions()), 1)

    def test_a_cancel_that_comes_while_the_end_is_written_comes_too_late(self) -> None:
        self.provider.add(Wait(), "a")
        run = self.talk.prompt("hi", "r1")
        self.talk.store.hold()
        self.provider.proceed()
        self.talk.cancel()
        self.talk.store.release()
        self.ends_as(run, Outcome.COMPLETED)
        self.assertEqual(self.talk.lines()[-1], "assistant: a [end_turn]")
        self.assertNotIn("cancelled", self.talk.completions()[0])

    def test_a_cancel_by_whoever_hears_of_the_end_reaches_the_next_run(self) -> None:
        self.provider.add(Wait(), "a")
        first = self.talk.prompt("one", "r1")
        second = self.talk.prompt("two", "r2")
        first.when_ended().addCallback(lambda _: self.talk.cancel())
        self.provider.proceed()
        self.ends_as(second, Outcome.CANCELLED)
        self.assertEqual(len(self.provider.requests), 1)

    def test_a_cancel_by_whoever_hears_that_the_run_begins_reaches_it(self) -> None:
        self.talk.store.hold()
        run = self.talk.prompt("hi", "r1")
        run.when_placed().addCallback(lambda _: self.talk.cancel())
        self.talk.store.release()
        self.ends_as(run, Outcome.CANCELLED)
        self.assertEqual((self.talk.lines(), self.provider.requests), (PAIR, []))


class CancellingOne(RunsCase):
    def setUp(self) -> None:
        super().setUp()
        self.provider.add("first ", Hang())
        self.first, self.second, self.third = (self.talk.prompt(name, name) for name in ("one", "two", "three"))

    def test_the_active_run_ends_and_the_queue_goes_on_in_order(self) -> None:
        self.provider.add("second")
        self.provider.add("third")
        self.runs.cancel_run(self.first)
        self.ends_as(self.first, Outcome.CANCELLED)
        self.ends_as(self.second, Outcome.COMPLETED)
        self.ends_as(self.third, Outcome.COMPLETED)

    def test_a_queued_run_goes_without_a_trace_among_the_messages(self) -> None:
        self.provider.add("third")
        self.runs.cancel_run(self.second)
        self.ends_as(self.second, Outcome.CANCELLED)
        self.assertEqual((self.first.state, self.third.state), (RunState.ACTIVE, RunState.QUEUED))
        self.runs.cancel_run(self.first)
        self.ends_as(self.third, Outcome.COMPLETED)
        self.assertNotIn("user: two", self.talk.lines())

    def test_an_accepted_one_is_cancelled_on_entry_and_those_beside_it_are_not(self) -> None:
        self.talk.store.hold()
        fourth, fifth = self.talk.prompt("four", "r4"), self.talk.prompt("five", "r5")
        self.runs.cancel_run(fourth)
        self.talk.store.release()
        self.ends_as(fourth, Outcome.CANCELLED)
        self.assertEqual(fifth.state, RunState.QUEUED)

    def test_an_accepted_one_is_cancelled_also_while_the_server_stops(self) -> None:
        self.talk.store.hold()
        fourth = self.talk.prompt("four", "r4")
        self.runs.cancel_run(fourth)
        stopped = self.talk.stop()
        self.talk.store.release()
        now(stopped)
        end = fourth.end
        assert end is not None
        self.assertEqual(end.outcome, Outcome.CANCELLED)

    def test_one_that_is_cancelled_or_has_ended_stays_as_it_is(self) -> None:
        self.runs.cancel_run(self.second)
        end = self.second.end
        self.runs.cancel_run(self.second)
        self.assertIs(self.second.end, end)
        self.assertEqual([one["run_id"] for one in self.talk.completions()], ["two"])

    def test_a_folded_prompt_cannot_be_taken_out_of_its_turn(self) -> None:
        talk = Conversation(self.harness, "/other")
        self.provider.add(Call("c1", "look"))
        talk.prompt("one", "r1")
        folded = talk.prompt("more", "r2", WhenBusy.STEER)
        self.provider.add(Hang())
        self.tool.answer("c1", "seen")
        self.assertEqual(folded.state, RunState.FOLDED)
        self.assertRaises(RunFolded, talk.workspace.runs.cancel_run, folded)


class Queueing(RunsCase):
    def test_r_rc_05_and_r_rc_06_queued_runs_have_their_turns_in_order(self) -> None:
        for text in ("a", "b", "c"):
            self.provider.add(Wait(), text)
        runs = [self.talk.prompt(text, f"r-{text}") for text in ("one", "two", "three")]
        self.assertEqual(self.talk.queued(), ["two", "three"])
        for run in runs:
            self.assertEqual(run.state, RunState.ACTIVE)
            self.provider.proceed()
        self.assertEqual([one["text"] for one in self.talk.completions()], ["a", "b", "c"])
        self.assertEqual([one["run_id"] for one in self.talk.completions()], ["r-one", "r-two", "r-three"])
        self.assertEqual(len(self.talk.lines()), 6)

    def test_r_rc_05_what_is_queued_is_told_to_nobody_and_keeps_all_of_its_prompt(self) -> None:
        note = Attachment("n.txt", "n.txt", "text/plain", b"the words of the note")
        self.provider.add(Wait(), "a")
        self.provider.add("b")
        self.talk.prompt("one", "r1")
        heard = len(self.talk.listener.frames)
        second = self.talk.prompt("two", "r2", attachments=(note,))
        self.assertEqual((len(self.talk.listener.frames), second.state), (heard, RunState.QUEUED))
        self.provider.proceed()
        last = self.provider.requests[1].turns[-1]
        assert isinstance(last, UserTurn)
        self.assertTrue(last.text.startswith("two") and "the words of the note" in last.text)
        self.assertEqual([one["run_id"] for one in self.talk.completions()], ["r1", "r2"])

    def test_r_rc_06_each_queued_prompt_has_one_user_and_one_assistant_message_and_its_own_event(self) -> None:
        self.provider.add(Wait(), "a")
        self.provider.add("b")
        self.talk.prompt("one", "r1")
        self.talk.prompt("two", "r2")
        self.provider.proceed()
        self.assertEqual(
            self.talk.lines(),
            ["user: one", "assistant: a [end_turn]", "user: two", "assistant: b [end_turn]"],
        )
        answers = [message.id for message in self.talk.messages() if message.role == "assistant"]
        told = [(one["run_id"], one["message_id"], one["text"]) for one in self.talk.completions()]
        self.assertEqual(told, [("r1", answers[0], "a"), ("r2", answers[1], "b")])

    def test_r_queue_05_what_a_step_takes_in_is_decided_in_one_breath(self) -> None:
        self.provider.add(Wait(), Call("c1", "look"))
        self.provider.add("after")
        first = self.talk.prompt("one", "r1")
        folded = [self.talk.prompt("two"), self.talk.prompt("three")]
        self.provider.proceed()
        self.talk.store.hold()
        self.tool.answer("c1")
        self.talk.store.release(2)
        self.assertEqual([run.state for run in folded], [RunState.FOLDED] * 2)
        late = self.talk.prompt("late")
        self.talk.cancel()
        last = self.talk.prompt("last")
        self.talk.store.release()
        for run in (first, *folded, late):
            self.ends_as(run, Outcome.CANCELLED)
        self.ends_as(last, Outcome.COMPLETED)
        self.assertEqual(len(self.talk.completions()), 3)

    def test_r_queue_07_what_was_accepted_before_the_first_step_joins_the_first_turn(self) -> None:
        self.provider.add("both")
        self.talk.store.hold()
        self.talk.prompt("one", "r1")
        self.talk.prompt("two")
        self.talk.store.release()
        self.assertEqual(self.talk.lines(), ["user: one", "user: two", "assistant: both [end_turn]"])
        self.assertEqual(self.asked(0), ["one", "two"])

    def test_r_queue_08_the_queue_goes_on_after_an_error(self) -> None:
        self.provider.add(Wait(), Fail(ProviderError("no", title="Bad Request", status=400)))
        self.provider.add("second")
        first, second = self.talk.prompt("one", "r1"), self.talk.prompt("two", "r2")
        self.provider.proceed()
        self.ends_as(first, Outcome.FAILED)
        self.ends_as(second, Outcome.COMPLETED)
        self.assertEqual(len(self.talk.completions()), 2)

    def test_r_queue_09_a_prompt_sent_between_cancel_and_end_runs_after_it(self) -> None:
        self.provider.add("partial", Hang())
        self.provider.add("second")
        first = self.talk.prompt("one", "r1")
        self.talk.store.hold()
        self.talk.cancel()
        second = self.talk.prompt("two", "r2")
        self.talk.store.release()
        self.ends_as(first, Outcome.CANCELLED)
        self.ends_as(second, Outcome.COMPLETED)

    def test_r_cancel_11_and_r_queue_11_a_cancel_drops_the_queue_and_tells_of_each(self) -> None:
        self.provider.add(Hang())
        runs = [self.talk.prompt("one", "r1"), self.talk.prompt("two", "r2"), self.talk.prompt("three", "r3")]
        watchers = [run.when_ended() for run in runs]
        self.talk.cancel()
        for run, watcher in zip(runs, watchers, strict=True):
            self.failureResultOf(watcher, RunCancelled)
            self.ends_as(run, Outcome.CANCELLED)
        self.assertCountEqual([one["run_id"] for one in self.talk.completions()], ["r1", "r2", "r3"])
        self.assertEqual(self.talk.lines(), ["user: one", "assistant:  [canceled]"])

    def test_clearing_drops_the_queue_and_leaves_the_active_run(self) -> None:
        self.provider.add(Wait(), "a")
        first, second = self.talk.prompt("one", "r1"), self.talk.prompt("two", "r2")
        watcher = second.when_ended()
        self.runs.clear(self.talk.session_id)
        self.failureResultOf(watcher, RunCancelled)
        self.assertEqual((self.talk.queued(), first.state), ([], RunState.ACTIVE))
        self.provider.proceed()
        self.ends_as(first, Outcome.COMPLETED)

    def test_r_queue_12_the_session_is_busy_without_a_gap_between_two_runs(self) -> None:
        self.provider.add(Wait(), "a")
        self.provider.add(Wait(), "b")
        self.talk.prompt("one", "r1")
        self.talk.prompt("two", "r2")
        heard: list[bool] = []
        deliver = self.talk.listener.deliver
        self.talk.listener.deliver = lambda frame: (heard.append(self.talk.is_busy), deliver(frame))[1]  # type: ignore[method-assign]
        self.provider.proceed()
        self.assertEqual((set(heard), self.talk.queued()), ({True}, []))

    def test_a_long_queue_is_worked_off_without_recursion(self) -> None:
        for number in range(300):
            self.provider.add(*([Wait()] if not number else []), f"a{number}")
        runs = [self.talk.prompt(f"p{number}", f"r{number}") for number in range(300)]
        self.provider.proceed()
        self.assertEqual({now(run.when_ended()).outcome for run in runs}, {Outcome.COMPLETED})


class Deleting(RunsCase):
    def test_the_session_goes_when_its_runs_have_ended_and_those_who_wait_are_told(self) -> None:
        self.provider.add("partial", Hang())
        runs = [self.talk.prompt("one", "r1"), self.talk.prompt("two", "r2")]
        self.talk.store.hold()
        runs.append(self.talk.prompt("three", "r3"))
        watchers = [run.when_ended() for run in runs]
        deleted = self.talk.delete()
        self.assertNoResult(deleted)
        self.talk.store.release()
        for watcher in watchers:
            self.assertEqual(self.failureResultOf(watcher, RunCancelled).value.source, "user")
        self.successResultOf(deleted)
        self.assertFalse(self.talk.workspace.sessions.exists(self.talk.session_id))
        self.assertEqual((self.talk.lines(), self.runs.live()), ([], []))
        self.assertEqual(self.talk.listener.events[-1][:2], ("session", "deleted"))
        self.assertEqual(len(self.talk.completions()), 3)

    def test_a_prompt_that_comes_while_the_session_is_deleted_is_cancelled_too(self) -> None:
        self.provider.add("partial", Hang())
        self.talk.prompt("one", "r1")
        self.talk.store.hold()
        deleted = self.talk.delete()
        late = self.talk.prompt("late", "r2")
        self.talk.store.release()
        self.successResultOf(deleted)
        self.ends_as(late, Outcome.CANCELLED)
        self.assertEqual(len(self.provider.requests), 1)

    def test_a_summary_that_is_being_made_is_given_up_first(self) -> None:
        self.provider.add("answer")
        self.provider.add("summa", Hang())
        self.talk.prompt("one", "r1")
        summary = self.talk.workspace.summaries.start(self.talk.session_id)
        self.talk.store.hold()
        deleted = self.talk.delete()
        self.assertNoResult(deleted)
        self.talk.store.release()
        self.successResultOf(deleted)
        now(summary.when_done())
        self.assertEqual((self.talk.lines(), self.runs.any_live), ([], False))

    def test_a_session_that_is_gone_cannot_be_deleted_again(self) -> None:
        now(self.talk.delete())
        self.failureResultOf(self.talk.delete(), SessionNotFound)


class Stopping(RunsCase):
    def test_r_shut_05_a_prompt_during_shutdown_is_refused(self) -> None:
        self.provider.add(Hang())
        self.talk.prompt("hi", "r1")
        self.talk.store.hold()
        stopped = self.talk.stop()
        self.assertRaises(WorkspaceClosing, self.talk.prompt, "ho")
        self.talk.store.release()
        self.successResultOf(stopped)

    def test_active_runs_end_with_their_event_before_the_streams_do(self) -> None:
        self.provider.add("partial", Hang())
        run = self.talk.prompt("hi", "r1")
        watcher = run.when_ended()
        at_end: list[int] = []
        self.talk.listener.end = lambda: at_end.append(len(self.talk.completions()))  # type: ignore[method-assign]
        now(self.talk.stop())
        self.assertEqual(self.failureResultOf(watcher, RunCancelled).value.source, "server stop")
        self.assertEqual(at_end, [1])
        later = self.talk.restarted(Harness(stores=self.harness.stores))
        self.assertEqual(later.lines(), ["user: hi", "assistant: partial [canceled]"])

    def test_r_rc_18_who_waits_for_a_queued_run_is_told_that_the_server_stops(self) -> None:
        self.provider.add(Hang())
        self.talk.prompt("one", "r1")
        second = self.talk.prompt("two", "r2")
        watcher = second.when_ended()
        now(self.talk.stop())
        self.failureResultOf(watcher, ShuttingDown)
        self.failureResultOf(second.when_ended(), ShuttingDown)

    def test_queued_and_accepted_runs_wait_for_the_next_server_and_start_in_order(self) -> None:
        self.provider.add(Hang())
        self.talk.prompt("one", "r1")
        self.talk.prompt("two", "r2")
        self.talk.prompt("three", "r3")
        self.talk.store.hold()
        self.talk.prompt("four", "r4")
        stopped = self.talk.stop()
        self.talk.store.release()
        self.successResultOf(stopped)
        self.assertEqual([one["run_id"] for one in self.talk.completions()], ["r1"])
        harness = Harness(stores=self.harness.stores)
        for text in ("a", "b", "c"):
            harness.provider.add(Wait(), text)
        later = self.talk.restarted(harness)
        self.assertEqual((later.queued(), later.is_busy), (["three", "four"], True))
        for _ in range(3):
            harness.provider.proceed()
        self.assertEqual([one["run_id"] for one in later.completions()], ["r2", "r3", "r4"])
        users = [line for line in later.lines() if line.startswith("user")]
        self.assertEqual(users, ["user: one", "user: two", "user: three", "user: four"])

    def test_an_interrupting_prompt_that_waited_runs_first_and_interrupts_nobody(self) -> None:
        self.provider.add(Hang())
        self.talk.prompt("one", "r1")
        self.talk.prompt("two", "r2")
        self.talk.store.hold()
        self.talk.prompt("urgent", "r3", WhenBusy.INTERRUPT)
        stopped = self.talk.stop()
        self.talk.store.release()
        self.successResultOf(stopped)
        harness = Harness(stores=self.harness.stores)
        harness.provider.add(Wait(), "a")
        harness.provider.add("b")
        later = self.talk.restarted(harness)
        harness.provider.proceed()
        self.assertEqual([(one["run_id"], one["text"]) for one in later.completions()], [("r3", "a"), ("r2", "b")])

    def test_what_a_user_cancelled_does_not_start_again_because_the_server_stops(self) -> None:
        self.talk.store.hold()
        run = self.talk.prompt("hi", "r1")
        self.talk.cancel()
        stopped = self.talk.stop()
        self.talk.store.release()
        self.successResultOf(stopped)
        self.assertEqual(now(run.when_ended()).outcome, Outcome.CANCELLED)
        later = self.talk.restarted(Harness(stores=self.harness.stores))
        self.assertEqual((later.lines(), later.is_busy), (PAIR, False))

    def test_r_shut_04_stopping_waits_for_the_last_writes(self) -> None:
        self.provider.add("partial", Hang())
        self.talk.prompt("hi", "r1")
        self.talk.store.hold()
        stopped = self.talk.stop()
        while self.talk.store.held:
            self.assertNoResult(stopped)
            self.talk.store.release(1)
        self.talk.store.release()
        self.successResultOf(stopped)
