"""Running one piece of work on a reactor, from start to end."""

import signal
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

Main = Callable[[Any], Coroutine[Deferred[Any], Any, int]]
"""Takes the reactor; its result is the exit status."""


def drive(main: Main, interrupted: Callable[[], None] | None = None) -> int:
    """Run `main`; the exit status, or what it failed with is raised. `interrupted` is called for each Ctrl-C."""
    from twisted.internet import reactor as installed

    reactor: Any = installed
    results: list[int | Failure] = []

    def begin() -> None:
        if interrupted is not None:
            signal.signal(signal.SIGINT, lambda *_: reactor.callFromThread(interrupted))
        Deferred.fromCoroutine(main(reactor)).addBoth(results.append).addCallback(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run(installSignalHandlers=False)
    if not results:
        return 130
    result = results[0]
    if isinstance(result, Failure):
        result.raiseException()
    return result
