"""How a thread's results reach the Deferreds that wait for them, on the reactor's thread."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred

T = TypeVar("T")


class CallFromThread(Protocol):
    """`reactor.callFromThread`."""

    def __call__(self, callable: Callable[..., Any], *args: Any) -> None: ...


def asker() -> "Deferred[Any]":
    """A Deferred whose cancellation forgets the asker and nothing else: the work goes on."""
    return Deferred(_forget)


def answer(waiting: Iterable[tuple["Deferred[Any]", Any]]) -> None:
    """Fire each Deferred with its result, or fail it with it, unless its asker has gone."""
    for deferred, result in waiting:
        if deferred.called:
            continue
        if isinstance(result, Exception):
            deferred.errback(result)
        else:
            deferred.callback(result)


def _forget(_: "Deferred[Any]") -> None:
    """Twisted then fails the Deferred with CancelledError; `answer` passes it over."""
