"""Telling many askers of one thing, each by a Deferred of its own."""

from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from txcrush.ports import Clock

T = TypeVar("T")


class OneShot(Generic[T]):
    """Something that happens once.

    Every asker gets a fresh Deferred, whose cancellation removes that asker and touches nobody else. Whoever asks
    later is told at once.
    """

    def __init__(self) -> None:
        self._waiting: list[Deferred[T]] = []
        self._happened: list[T] = []

    @property
    def happened(self) -> bool:
        return bool(self._happened)

    def when(self) -> Deferred[T]:
        """Fires when it happens, with what happened."""
        watcher: Deferred[T] = Deferred(self._forget)
        if self._happened:
            watcher.callback(self._happened[0])
        else:
            self._waiting.append(watcher)
        return watcher

    def fire(self, what: T) -> None:
        """It happens. The first time counts."""
        if not self._happened:
            self._happened.append(what)
            self._release(lambda watcher: watcher.callback(what))

    def fail_waiting(self, error: Callable[[], Exception]) -> None:
        """Those who wait now get an error of their own; it has still not happened."""
        self._release(lambda watcher: watcher.errback(error()))

    def _release(self, tell: "Callable[[Deferred[T]], None]") -> None:
        waiting, self._waiting = self._waiting, []
        for watcher in waiting:
            tell(watcher)

    def _forget(self, watcher: "Deferred[T]") -> None:
        if watcher in self._waiting:
            self._waiting.remove(watcher)


def apart(work: Deferred[T]) -> Deferred[T]:
    """Fires as the work does. Cancelling it leaves the work alone, whose later failure is its owner's to report."""
    asker: Deferred[T] = Deferred()

    def tell(result: T | Failure) -> None:
        if not asker.called:
            asker.callback(result)  # a Failure goes down the errbacks

    work.addBoth(tell)
    return asker


async def ended(work: Deferred[T]) -> T:
    """Wait until the work has ended, and give its result. Who is cancelled meanwhile is so once it has ended: for work
    that must not be left half done, and that ends soon by itself."""
    outcome: OneShot[tuple[T | Failure]] = OneShot()
    work.addBoth(lambda result: outcome.fire((result,)))
    cancelled: CancelledError | None = None
    while not outcome.happened:
        try:
            await outcome.when()
        except CancelledError as error:
            cancelled = error
    (result,) = await outcome.when()
    if cancelled is not None:
        raise cancelled
    if isinstance(result, Failure):
        result.raiseException()
    return result


def within(seconds: float, clock: Clock, work: Deferred[T]) -> Deferred[T]:
    """Fires as the work does, or fails with `TimeoutError` after so long; the work goes on."""
    return apart(work).addTimeout(seconds, clock)
