"""A run and those who wait for it."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core._runmachine import RunState
from txcrush.core.run import BY_INTERRUPTION, BY_STOP, BY_USER, Run
from txcrush.model.errors import RunCancelled, ShuttingDown, StorageFailed
from txcrush.model.ids import RunId, SessionId
from txcrush.model.runs import Outcome, Prompt, RunEnd, RunRecord, WhenBusy

DONE = RunEnd(outcome=Outcome.COMPLETED, text="done")
GONE = RunEnd(outcome=Outcome.CANCELLED, reason="User canceled request", source="user")


def run_of(when_busy: WhenBusy = WhenBusy.REFERENCE, *, minted: bool = False) -> Run:
    prompt = Prompt(session_id=SessionId("s"), text="hi", when_busy=when_busy)
    return Run(RunRecord(id=RunId("r1"), minted=minted, prompt=prompt, position=1, accepted_at=0))


class Watching(SynchronousTestCase):
    def test_every_watcher_has_a_deferred_of_its_own(self) -> None:
        run = run_of()
        watchers = [run.when_ended() for _ in range(3)]
        watchers[0].addCallback(lambda _: None)
        run.finish(DONE)
        self.assertEqual([self.successResultOf(one) for one in watchers], [None, DONE, DONE])

    def test_a_dropped_watcher_touches_neither_the_run_nor_the_others(self) -> None:
        run = run_of()
        dropped, kept = run.when_ended(), run.when_ended()
        dropped.cancel()
        error = self.failureResultOf(dropped, CancelledError).value
        self.assertNotIsInstance(error, RunCancelled)
        run.finish(DONE)
        self.assertEqual(self.successResultOf(kept), DONE)

    def test_who_waits_while_the_run_is_cancelled_is_told_by_whom_and_why(self) -> None:
        run = run_of()
        waiting = run.when_ended()
        run.finish(GONE)
        error = self.failureResultOf(waiting, RunCancelled).value
        self.assertEqual((error.reason, error.source), ("User canceled request", "user"))

    def test_who_asks_after_a_cancel_gets_its_end_as_a_value(self) -> None:
        run = run_of()
        run.finish(GONE)
        self.assertEqual(self.successResultOf(run.when_ended()), GONE)

    def test_the_first_end_counts(self) -> None:
        run = run_of()
        run.finish(DONE)
        run.finish(GONE)
        self.assertEqual((run.end, self.successResultOf(run.when_ended())), (DONE, DONE))

    def test_an_end_answers_every_question(self) -> None:
        run = run_of()
        kept, placed = run.when_kept(), run.when_placed()
        run.finish(DONE)
        self.assertIsNone(self.successResultOf(kept))
        self.assertEqual(self.successResultOf(placed), RunState.ENDED)

    def test_a_refused_run_tells_those_who_wait_and_those_who_ask_later(self) -> None:
        run = run_of()
        early = [run.when_kept(), run.when_placed(), run.when_ended()]
        run.refuse(StorageFailed("full"))
        for waiting in [*early, run.when_kept(), run.when_placed(), run.when_ended()]:
            self.failureResultOf(waiting, StorageFailed)

    def test_a_run_that_is_left_to_the_next_server_keeps_what_was_said_of_it(self) -> None:
        run = run_of()
        run.kept()
        run.enqueue()
        early = run.when_ended()
        run.leave(ShuttingDown())
        self.assertIsNone(self.successResultOf(run.when_kept()))
        self.assertEqual(self.successResultOf(run.when_placed()), RunState.QUEUED)
        for waiting in (early, run.when_ended()):
            self.failureResultOf(waiting, ShuttingDown)

    def test_who_asks_for_its_place_later_is_told_where_it_is_by_then(self) -> None:
        run = run_of()
        early = run.when_placed()
        run.enqueue()
        self.assertEqual(self.successResultOf(early), RunState.QUEUED)
        run.activate()
        self.assertEqual(self.successResultOf(run.when_placed()), RunState.ACTIVE)


class Working(SynchronousTestCase):
    def setUp(self) -> None:
        self.step: Deferred[None] = Deferred()
        self.begun = 0

    async def body(self) -> None:
        self.begun += 1
        await self.step

    def test_a_cancel_reaches_the_innermost_await_once(self) -> None:
        given_up: list[object] = []
        self.step = Deferred(given_up.append)
        run = run_of()
        run.activate()
        work = Deferred.fromCoroutine(run.work(self.body()))
        run.cancel(BY_USER)
        run.cancel(BY_STOP)
        self.assertEqual(len(given_up), 1)
        self.assertIsInstance(self.successResultOf(work), CancelledError)
        self.assertEqual((run.cancellation, run.state), (BY_USER, RunState.CANCELLING))

    def test_a_run_that_is_not_active_is_not_marked_by_a_cancel(self) -> None:
        run = run_of()
        run.enqueue()
        run.cancel(BY_INTERRUPTION)
        self.assertEqual((run.cancellation, run.state), (None, RunState.QUEUED))

    def test_a_run_that_is_cancelled_before_its_work_does_none(self) -> None:
        run = run_of()
        run.activate()
        run.cancel(BY_USER)
        self.successResultOf(Deferred.fromCoroutine(run.work(self.body())))
        self.assertEqual(self.begun, 0)

    def test_a_run_that_cancels_itself_as_it_begins_goes_no_further(self) -> None:
        run = run_of()
        run.activate()

        async def body() -> None:
            run.cancel(BY_USER)
            await self.step

        work = Deferred.fromCoroutine(run.work(body()))
        self.assertIsInstance(self.successResultOf(work), CancelledError)

    def test_what_stopped_the_work_is_given_back(self) -> None:
        run = run_of()
        run.activate()
        work = Deferred.fromCoroutine(run.work(self.body()))
        self.step.errback(ValueError("no"))
        self.assertIsInstance(self.successResultOf(work), ValueError)


class Wishes(SynchronousTestCase):
    def test_what_folds_into_the_active_turn(self) -> None:
        self.assertTrue(run_of(minted=True).folds)
        self.assertFalse(run_of().folds)
        self.assertTrue(run_of(WhenBusy.STEER).folds)
        for wish in (WhenBusy.QUEUE, WhenBusy.INTERRUPT, WhenBusy.REJECT):
            self.assertFalse(run_of(wish, minted=True).folds)

    def test_only_interrupt_interrupts(self) -> None:
        self.assertEqual([wish for wish in WhenBusy if run_of(wish).interrupts], [WhenBusy.INTERRUPT])

    def test_a_minted_id_is_not_shown(self) -> None:
        self.assertEqual((run_of(minted=True).public_id, run_of().public_id), ("", "r1"))
