"""How late the loop is, on a clock that jumps as a blocked loop's would."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.loop_lag import EVERY_S, WINDOW_S, LoopLag


class Lag(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.lag = LoopLag(self.clock)
        self.lag.start()

    def calm(self, seconds: float) -> None:
        for _ in range(round(seconds / EVERY_S)):
            self.clock.advance(EVERY_S)

    def test_a_calm_loop_is_never_late(self) -> None:
        self.calm(2 * WINDOW_S)
        self.assertGreaterEqual(self.lag.spread.count(), 150)
        self.assertLess(self.lag.worst_s, 1e-6)

    def test_promise_81_a_loop_that_was_blocked_is_seen_to_be_late(self) -> None:
        self.calm(1)
        self.clock.advance(EVERY_S + 2.0)
        self.calm(2 * WINDOW_S)
        self.assertAlmostEqual(self.lag.spread.total(), 2.0, 3)

    def test_one_stall_moves_the_worst_and_hardly_the_mean(self) -> None:
        self.calm(WINDOW_S)
        self.clock.advance(EVERY_S + 2.0)
        self.calm(WINDOW_S - 1)
        self.assertAlmostEqual(self.lag.worst_s, 2.0, 3)
        self.assertLess(self.lag.mean_s, 0.05)

    def test_stopped_it_leaves_nothing_behind(self) -> None:
        self.lag.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
