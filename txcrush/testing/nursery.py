"""Real server processes that start fast: one process has imported everything, and forks one server for each that is
asked for. They are there to be killed.

`python -m txcrush.testing.nursery` is that process. It reads a JSON object a line, `{"arguments", "environ", "errors"}`
(those of `txcrush serve`, all its variables, and the file that gets its standard error), and writes `born PID` for each
and `gone PID STATUS` when it has ended, STATUS as of `os.waitstatus_to_exitcode`. When its input ends it kills what is
left, and ends.
"""

import importlib
import os
import select
import signal
import sys
import types
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessTerminated
from twisted.internet.interfaces import IReactorProcess
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from txcrush.wire.json import encode, parse_object

REACTOR = "twisted.internet.reactor"
EVERYTHING = (
    "twisted.internet.asyncioreactor",
    "twisted.plugins.twisted_reactors",
    "twisted.trial.itrial",
    "twisted.words.iwords",
    "twisted.cred.strcred",
    "encodings.idna",
    "txcrush.tap",
    "txcrush.wiring",
)


class Grown:
    """One server process. `died` fires with its status."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.status: int | None = None
        self._watchers: list[Deferred[int]] = []

    def when_gone(self) -> Deferred[int]:
        """Fires with the status once it has ended: below zero is the signal that ended it."""
        watcher: Deferred[int] = Deferred(self._forget)
        if self.status is not None:
            watcher.callback(self.status)
        else:
            self._watchers.append(watcher)
        return watcher

    def signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        with suppress(ProcessLookupError):  # it may have ended, and we be told of it later
            if self.status is None:
                os.kill(self.pid, number)

    def gone(self, status: int) -> None:
        self.status = status
        while self._watchers:
            self._watchers.pop(0).callback(status)

    def _forget(self, watcher: Deferred[int]) -> None:
        self._watchers.remove(watcher)


class Nursery(ProcessProtocol):
    """The parent's side, in the test. `start` makes one, `stop` ends it and every server that it has."""

    transport: Any

    def __init__(self) -> None:
        self._line = b""
        self._waiting: deque[Deferred[Grown]] = deque()
        self._alive: dict[int, Grown] = {}
        self._ended: Deferred[None] = Deferred()

    @classmethod
    def start(cls, reactor: IReactorProcess, environ: Mapping[str, str] | None = None) -> "Nursery":
        """`environ` is added to the variables of the process that forks."""
        nursery = cls()
        command = [sys.executable, "-c", f"from {__name__} import main; main()"]
        cast(Any, reactor).spawnProcess(
            nursery, command[0], command, env={**os.environ, **(environ or {})}, childFDs={0: "w", 1: "r", 2: 2}
        )
        return nursery

    def serve(self, arguments: list[str], environ: Mapping[str, str], errors: Path) -> Deferred[Grown]:
        """Fires with a new server's process, which has only begun to start."""
        born: Deferred[Grown] = Deferred()
        self._waiting.append(born)
        self.transport.write(
            encode({"arguments": arguments, "environ": dict(environ), "errors": str(errors)}).rstrip() + b"\n"
        )
        return born

    def stop(self) -> Deferred[None]:
        self.transport.closeStdin()
        return self._ended

    def outReceived(self, data: bytes) -> None:
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            word, pid, *status = line.decode().split()
            if word == "born":
                self._alive[int(pid)] = grown = Grown(int(pid))
                self._waiting.popleft().callback(grown)
            else:
                self._alive.pop(int(pid)).gone(int(status[0]))

    def processEnded(self, reason: Failure) -> None:
        if reason.check(ProcessTerminated) is not None:
            self._ended.errback(reason)
        else:
            self._ended.callback(None)


# The other side


def main() -> None:
    """Be the process that forks."""
    _import_everything()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    nest = _Nest([woken, wake])
    try:
        _tend(nest, woken)
    finally:
        nest.end()


def _tend(nest: "_Nest", woken: int) -> None:
    """Do what the parent says, until it has gone."""
    waiting = b""
    while True:
        ready, _, _ = select.select([0, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            nest.reap()
        if 0 in ready:
            data = os.read(0, 1 << 16)
            if not data:
                return
            *lines, waiting = (waiting + data).split(b"\n")
            for line in lines:
                nest.bear(parse_object(line.decode()))


class _Nest:
    def __init__(self, own_files: list[int]) -> None:
        self._own_files = own_files
        self._alive: set[int] = set()

    def bear(self, order: Mapping[str, Any]) -> None:
        pid = os.fork()
        if not pid:
            self._be_born(order)
        self._alive.add(pid)
        print(f"born {pid}", flush=True)

    def _be_born(self, order: Mapping[str, Any]) -> None:
        """Become a server; never returns."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        errors = os.open(order["errors"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDWR)
        for file, number in ((nothing, 0), (nothing, 1), (errors, 2)):
            os.dup2(file, number)
        for file in (*self._own_files, nothing, errors):
            os.close(file)
        status = _exit_status(lambda: _serve(order["arguments"], order["environ"]))
        os._exit(status)

    def reap(self) -> None:
        for pid in list(self._alive):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                self._alive.discard(pid)
                print(f"gone {pid} {os.waitstatus_to_exitcode(status)}", flush=True)

    def end(self) -> None:
        for pid in self._alive:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _serve(arguments: list[str], environ: dict[str, str]) -> None:
    from txcrush.tap import serve

    os.environ.clear()
    os.environ.update(environ)
    serve(arguments)


def _exit_status(work: Callable[[], None]) -> int:
    try:
        work()
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 1
    except BaseException as error:
        print(f"the server crashed: {error!r}", file=sys.stderr, flush=True)
        return 1
    return 0


def _import_everything() -> None:
    """All that a server imports, but no reactor: each child makes its own. Klein wants one when it is imported, and
    uses it for nothing that we call."""
    sys.modules[REACTOR] = types.ModuleType(REACTOR)
    for name in EVERYTHING:
        importlib.import_module(name)
    del sys.modules[REACTOR]
