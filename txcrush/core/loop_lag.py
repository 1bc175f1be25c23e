"""How late the event loop is: a timer that should fire ten times a second, and by how much it does not.

What blocks the loop for a while makes the timer late by what was left of it; ten looks a second cost 0.1 % of a core.
"""

from collections.abc import Iterator

from twisted.internet.interfaces import IDelayedCall

from txcrush.core.tallies import Spread
from txcrush.model.metrics import Family
from txcrush.ports import Clock

EVERY_S = 0.1
WINDOW_S = 10.0
BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class LoopLag:
    """`clock` must never be set back: the reactor's own, not the wall's. `mean_s` and `worst_s` are of the last full
    ten seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.spread = Spread("txcrush_event_loop_lag_seconds", "How late a timer of the event loop was.", bounds=BOUNDS)
        self.mean_s = 0.0
        self.worst_s = 0.0
        self._due = 0.0
        self._sum = 0.0
        self._count = 0
        self._worst = 0.0
        self._window_ends = 0.0
        self._timer: IDelayedCall | None = None

    def start(self) -> None:
        self._window_ends = self._clock.seconds() + WINDOW_S
        self._look_later()

    def stop(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def families(self) -> Iterator[Family]:
        yield self.spread.family()

    def _look_later(self) -> None:
        self._due = self._clock.seconds() + EVERY_S
        self._timer = self._clock.callLater(EVERY_S, self._look)

    def _look(self) -> None:
        now = self._clock.seconds()
        lag = max(0.0, now - self._due)
        self.spread.observe(lag)
        self._sum += lag
        self._count += 1
        self._worst = max(self._worst, lag)
        if now >= self._window_ends:
            self.mean_s, self.worst_s = self._sum / self._count, self._worst
            self._sum, self._count, self._worst = 0.0, 0, 0.0
            self._window_ends = now + WINDOW_S
        self._look_later()
