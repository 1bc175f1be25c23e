"""The watch over silence, on a fake clock."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.providers._idle_watch import IdleWatch, Limits


class IdleWatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.watch = IdleWatch(self.clock, Limits(), "acme")
        self.waiting: Deferred[None] = Deferred()

    def test_promise_18_silence_is_logged_once_at_15_s_and_ended_at_300(self) -> None:
        self.watch.over(self.waiting)
        with capturedLogs() as logs:
            self.clock.pump([14.9, 0.2, 284.8])
        self.assertEqual(len(logs), 1)
        self.assertNoResult(self.waiting)
        self.clock.advance(0.2)
        self.failureResultOf(self.waiting, CancelledError)
        self.assertTrue(self.watch.expired)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_promise_18_a_stall_is_told_once_and_again_when_it_comes_again(self) -> None:
        told: list[float] = []
        watch = IdleWatch(self.clock, Limits(), "acme", told.append)
        watch.over(self.waiting)
        self.clock.pump([15, 100])
        watch.progress()
        self.clock.pump([14])
        self.assertEqual(told, [15])
        self.clock.advance(1)
        self.assertEqual(told, [15, 15])
        watch.stop()

    def test_progress_begins_the_wait_anew_also_after_a_stall(self) -> None:
        self.watch.over(self.waiting)
        for _ in range(3):
            self.clock.pump([15, 284])
            self.watch.progress()
        self.assertNoResult(self.waiting)

    def test_nothing_prolongs_the_tail(self) -> None:
        self.watch.over(self.waiting)
        self.watch.tail()
        self.clock.advance(9)
        self.watch.tail()
        self.watch.progress()
        self.clock.advance(1)
        self.failureResultOf(self.waiting, CancelledError)

    def test_a_limit_below_the_stall_ends_without_a_log(self) -> None:
        watch = IdleWatch(self.clock, Limits(idle_s=5), "acme")
        watch.over(self.waiting)
        with capturedLogs() as logs:
            self.clock.advance(5)
        self.failureResultOf(self.waiting, CancelledError)
        self.assertEqual(logs, [])

    def test_a_watch_that_is_stopped_leaves_nothing_behind(self) -> None:
        self.watch.over(self.waiting)
        self.watch.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
