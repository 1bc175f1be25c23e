"""How long the reactor was kept from its work."""

from typing import Any

from twisted.internet.task import LoopingCall

PERIOD_S = 0.005


class LoopLag:
    """Notes, every few milliseconds, by how much it was called too late. `lags_s` are seconds."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._due = 0.0
        self.lags_s: list[float] = []
        self._calls = LoopingCall(self._note)
        self._calls.clock = reactor

    def start(self) -> None:
        self._due = self._reactor.seconds()
        self._calls.start(PERIOD_S).addErrback(lambda failure: failure.trap())

    def stop(self) -> None:
        self._calls.stop()

    @property
    def longest_ms(self) -> float:
        return 1000 * max(self.lags_s, default=0.0)

    def at_ms(self, share: float) -> float:
        """The lag that this share of the calls stayed below."""
        ordered = sorted(self.lags_s)
        return 1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0

    def _note(self) -> None:
        now = self._reactor.seconds()
        if self.lags_s or now > self._due:
            self.lags_s.append(max(0.0, now - self._due))
        self._due = now + PERIOD_S
