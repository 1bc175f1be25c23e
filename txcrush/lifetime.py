"""The life of the process around a server: its start, its signals, its end.

Twisted's own runner records the signal that stopped it and ends the process by that signal (status -15) and a second
one only gets logged. Here the first SIGTERM, SIGINT or SIGHUP stops the server and the process ends with status 0, a
second one ends it at once with status 1, and so does a stop that takes longer than it may.
"""

import ctypes
import gc
import os
import resource
import signal
import stat
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Protocol, TextIO, cast

from twisted.application.service import Service
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from txcrush.adapters.process_table import kill_children
from txcrush.model.errors import CrushError

STOP_S = 6.0
"""Seconds that the server has to park its runs; what is not parked by then is recovered at the next start."""

FORCE_S = 7.0
"""Seconds after which the process ends whatever still holds it: a thread, a child, a blocked reactor."""

PR_SET_CHILD_SUBREAPER = 36
"""From `linux/prctl.h`; Python has no name for it."""

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Server(Protocol):
    """What `wiring.build_server` returns, as far as the process cares."""

    def startService(self) -> object:
        """Begin to start; a failure is reported by `when_started`."""

    def when_started(self) -> "Deferred[None]":
        """Fires once requests are answered; fails with `CrushError` or `OSError` when that cannot be."""

    def stopService(self) -> "Deferred[None]":
        """Take no new work, park the runs, close everything; fires when done. Also called when the start failed."""


class Reactor(Protocol):
    """The part of a reactor that a lifetime uses, beside `IReactorTime`."""

    def callWhenRunning(self, callable: Callable[..., object], *args: object) -> object:
        """As in `IReactorCore`."""

    def addSystemEventTrigger(
        self, phase: str, eventType: str, callable: Callable[..., object], *args: object
    ) -> object:
        """As in `IReactorCore`."""

    def callFromThread(self, callable: Callable[..., object], *args: object) -> None:
        """As in `IReactorFromThreads`."""

    def stop(self) -> None:
        """As in `IReactorCore`."""


BuildServer = Callable[[Callable[[], None]], Server]
"""Makes the server; it is handed the function that it calls when it wants the process to end."""


class Lifetime(Service):
    """What `twist` and `txcrush serve` run: it builds the server once the reactor runs, and ends with it."""

    log = Logger()

    def __init__(self, reactor: Reactor, process: "Process", build: BuildServer) -> None:
        self._reactor = reactor
        self._process = process
        self._build = build
        self._server: Server | None = None
        self._starting: Deferred[None] | None = None
        self._ending = False
        self._signals = 0

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        self._reactor.callWhenRunning(self._begin)

    def stopService(self) -> "Deferred[None]":
        super().stopService()  # type: ignore[no-untyped-call]
        self._ending = True
        self._process.exit_after(FORCE_S)
        if self._starting is not None:
            self._starting.cancel()
        stopped = Deferred.fromCoroutine(self._stop())
        stopped.addTimeout(STOP_S, cast(IReactorTime, self._reactor))
        return stopped.addErrback(self._stop_failed)

    def end(self) -> None:
        """Stop the server, then the process. Calling it again changes nothing."""
        if not self._ending:
            self._ending = True
            self._reactor.stop()

    def _begin(self) -> None:
        self._process.raise_file_limit()
        self._process.adopt_orphans()
        self._process.catch_signals(self._signalled)
        self._starting = Deferred.fromCoroutine(self._start())
        self._starting.addErrback(self._start_failed)

    async def _start(self) -> None:
        self._server = self._build(self.end)
        self._server.startService()
        await self._server.when_started()
        self._process.settle()
        self.log.info("ready")

    async def _stop(self) -> None:
        if self._server is not None:
            await self._server.stopService()

    def _start_failed(self, failure: Failure) -> None:
        if self._ending:
            return
        error = failure.value
        if isinstance(error, CrushError | OSError | CannotListenError):
            self._process.say(f"txcrush: {error}")
        else:
            self.log.failure("The server cannot start", failure=failure)
        self._reactor.addSystemEventTrigger("after", "shutdown", self._process.exit, 1)
        self.end()

    def _stop_failed(self, failure: Failure) -> None:
        if isinstance(failure.value, TimeoutError):
            self.log.error(
                "Stopping took longer than {limit} s; what was left is recovered at the next start", limit=STOP_S
            )
        else:
            self.log.failure("Stopping failed", failure=failure)

    def _signalled(self, number: int) -> None:
        """Runs inside the signal handler: also when the reactor is blocked."""
        self._signals += 1
        if self._signals > 1:
            self._process.exit(1)
        self._process.exit_after(FORCE_S)
        self._reactor.callFromThread(self._stop_asked, number)

    def _stop_asked(self, number: int) -> None:
        self.log.info("{signal}: stopping; a second signal forces", signal=signal.Signals(number).name)
        self.end()


class Process:
    """The process as the operating system sees it. Everything that a test of `Lifetime` must not do for real."""

    def __init__(self) -> None:
        self._watchdog: threading.Timer | None = None
        self._adopts = False

    def raise_file_limit(self) -> None:
        """Allow as many open files as the system lets us: every subscriber is one."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard and hard != resource.RLIM_INFINITY:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def adopt_orphans(self) -> None:
        """On Linux, become the parent of what our children leave behind, so that it can be found and ended."""
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
            self._adopts = True

    def catch_signals(self, handler: Callable[[int], None]) -> None:
        """Call the handler for each stop signal, except those that our parent had us ignore (`nohup`, `&`)."""

        def caught(number: int, _frame: FrameType | None) -> None:
            handler(number)

        for number in STOP_SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, caught)

    def hurry(self) -> None:
        """No garbage collection while start-up makes what stays anyway: a seventh of its time. `settle` ends this."""
        gc.disable()

    def settle(self) -> None:
        """Keep the garbage collector away from what start-up made, which stays for good, and let it run less often."""
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        gc.enable()

    def say(self, line: str) -> None:
        """Write a line to the real standard error, which logging has replaced."""
        if sys.__stderr__ is not None:
            print(line, file=sys.__stderr__, flush=True)

    def announce(self, line: str) -> None:
        """Write a line for the user, a secret in it, to the real standard output; not where that is a log.

        A file or a journal that takes both outputs is one: what a server in the background is given.
        """
        if sys.__stdout__ is not None and not _is_log(sys.__stdout__.fileno(), sys.__stderr__):
            print(line, file=sys.__stdout__, flush=True)

    def exit_after(self, delay_s: float) -> None:
        """End the process with status 1 then, if it is still there. The first call counts."""
        if self._watchdog is None:
            self._watchdog = threading.Timer(delay_s, self._force)
            self._watchdog.daemon = True
            self._watchdog.start()

    def exit(self, status: int) -> None:
        """End the process here and now; threads and children have no say."""
        if self._adopts:
            kill_children(os.getpid())
        os._exit(status)

    def _force(self) -> None:
        self.say(f"txcrush: stopping took longer than {FORCE_S:.0f} s: forced")
        self.exit(1)


def _is_log(output: int, errors: TextIO | None) -> bool:
    """Whether the output is a file or a socket, and the very same as standard error."""
    mine = os.fstat(output)
    if errors is None or not (stat.S_ISREG(mine.st_mode) or stat.S_ISSOCK(mine.st_mode)):
        return False
    theirs = os.fstat(errors.fileno())
    return (mine.st_dev, mine.st_ino) == (theirs.st_dev, theirs.st_ino)
