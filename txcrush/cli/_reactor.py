"""Running one piece of work on a reactor, from start to end."""

import signal
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

INTERRUPTED = 130
LEAVE_SIGNALS = (signal.SIGTERM, signal.SIGHUP)

Main = Callable[[Any], Coroutine[Deferred[Any], Any, int]]
"""Takes the reactor; its result is the exit status."""

Signalled = Callable[[], bool]
"""Called for a signal; returns False where it has no use for it: then the work is given up."""


def drive(main: Main, interrupted: Signalled | None = None, left: Signalled | None = None) -> int:
    """Run `main`; the exit status, or what it failed with is raised.

    `interrupted` is called for each Ctrl-C, `left` when the process is told to end or its terminal goes away.
    """
    from twisted.internet import reactor as installed

    reactor: Any = installed
    results: list[int | Failure] = []
    given_up: list[bool] = []
    stopping: list[bool] = []

    def stop() -> None:
        if not stopping:
            stopping.append(True)
            reactor.stop()

    def begin() -> None:
        work = Deferred.fromCoroutine(main(reactor))

        def signalled(heard: Signalled | None) -> None:
            if heard is not None and heard():
                return
            if given_up:
                stop()
            given_up.append(True)
            work.cancel()

        signal.signal(signal.SIGINT, lambda *_: reactor.callFromThread(signalled, interrupted))
        for number in LEAVE_SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                signal.signal(number, lambda *_: reactor.callFromThread(signalled, left))
        work.addBoth(results.append).addCallback(lambda _: stop())

    reactor.callWhenRunning(begin)
    reactor.run(installSignalHandlers=False)
    if not results or given_up:
        return INTERRUPTED
    result = results[0]
    if isinstance(result, Failure):
        result.raiseException()
    return result
