"""The limits of one model request, and the watch over the longest of them: silence."""

from collections.abc import Callable
from typing import Any, TypeVar

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from txcrush.ports import Clock

T = TypeVar("T")


class Limits(Struct, frozen=True, kw_only=True):
    """Seconds and bytes of one model request.

    `idle_s` is the longest wait for an event with progress, `stalled_s` when a wait is first told of. Once the answer
    is finished, its tail (usage) may take `tail_s`; a connection that stays open behind the end is cut after `drain_s`.
    `line_bytes` bounds a line of a stream and an answer in one piece, `silence_s` how long a peer may leave what we
    sent unacknowledged. A list of models has `list_s` for its head and again for its body.
    """

    connect_s: float = 30
    idle_s: float = 300
    stalled_s: float = 15
    tail_s: float = 10
    drain_s: float = 1
    list_s: float = 3
    silence_s: float = 60
    line_bytes: int = 8 * 1024 * 1024
    error_bytes: int = 64 * 1024
    head_bytes: int = 256 * 1024


class IdleWatch:
    """Cancels what is waited for when nothing progresses for too long; tells of it once before that, and logs it."""

    _log = Logger()

    def __init__(self, clock: Clock, limits: Limits, name: str, told: Callable[[float], None] = lambda _: None) -> None:
        self._clock = clock
        self._limits = limits
        self._name = name
        self._told = told
        self._waiting: Deferred[Any] | None = None
        self._stalled = False
        self._in_tail = False
        self._first_s = min(limits.stalled_s, limits.idle_s)
        self._call: IDelayedCall = clock.callLater(self._first_s, self._stall)
        self.expired = False

    def over(self, waiting: Deferred[T]) -> Deferred[T]:
        """Watch over this Deferred from now on, with a fresh limit."""
        self._waiting = waiting
        self.progress()
        return waiting

    def progress(self) -> None:
        """Something new came."""
        if self._in_tail:
            return
        if self._stalled:
            self._restart(self._first_s, self._stall)
        elif self._call.active():
            self._call.reset(self._first_s)
        self._stalled = False

    def tail(self) -> None:
        """Only the short rest of the answer is still to come; nothing prolongs that."""
        if not self._in_tail:
            self._in_tail = True
            self._restart(self._limits.tail_s, self._expire)

    def stop(self) -> None:
        """The wait is over."""
        if self._call.active():
            self._call.cancel()

    def _restart(self, delay_s: float, then: Callable[[], None]) -> None:
        self.stop()
        if not self.expired:
            self._call = self._clock.callLater(delay_s, then)

    def _stall(self) -> None:
        rest_s = self._limits.idle_s - self._first_s
        if rest_s <= 0:
            return self._expire()
        self._stalled = True
        self._log.warn("stalled: {name} has sent nothing new for {wait_s:g} s", name=self._name, wait_s=self._first_s)
        self._call = self._clock.callLater(rest_s, self._expire)
        self._told(self._first_s)
        return None

    def _expire(self) -> None:
        self.expired = True
        if self._waiting is not None:
            self._waiting.cancel()
