"""Child processes on the asyncio reactor.

Theory. Each child leads a session of its own, so a kill reaches its group in one stroke. What leaves the group is found
by the mark that its environment carries, and by ancestry: on Linux the server adopts orphans (`lifetime`), so whatever
a child leaves behind stays below the server. An end is an interrupt, a grace, and then rounds of look and kill until a
look finds nothing. The end of a child is its own exit, never that of its pipes, which its background jobs may hold open
for as long as they like; they go on being read, slowly where much comes.
"""

import asyncio
import os
import signal
from asyncio import AbstractEventLoop, SubprocessTransport
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import cast

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from txcrush import ports
from txcrush.adapters.process_table import (
    MARK,
    Root,
    Table,
    belonging,
    covers,
    descendants,
    find_orphans,
    ignores_interrupt,
    read_table,
    reap,
    send,
)
from txcrush.core.observers import OneShot, apart, within
from txcrush.model.errors import CannotStart
from txcrush.model.processes import Program
from txcrush.ports import Clock, InThread, TakeBytes

DRAIN_S = 0.05
"""What a child had written when it exited is read for so long."""

FREE_BYTES = 4 << 20
PACE_BYTES = 128 << 10
PACE_S = 0.005
"""After the first megabytes a child is read at most 128 KiB in 5 ms, and several share that: `yes` must not fill the
reactor's time."""

LOOKS_S = (0.02, 0.05, 0.1)
"""Pauses between looks while an interrupt is given time; the last one repeats."""

KILL_ROUNDS = 60
KILL_PAUSE_S = 0.02
SWEEP_S = 5.0
JIFFY_S = 0.02
"""How exactly the system tells when a process was started."""

REMEMBERED = 256
"""Ended children whose orphans can still be told, if they have shed their mark."""

Pick = Callable[[Table], set[int]]

log = Logger()


class RunningChild(asyncio.SubprocessProtocol):
    """One child; a `ports.Child`."""

    def __init__(self, owner: "ChildProcesses", program: Program, out: TakeBytes, err: TakeBytes) -> None:
        self._owner = owner
        self.program = program
        self._take = {1: out, 2: err}
        self._open = {1, 2}
        self._since_pause = -FREE_BYTES
        self._drains = False
        self._exited: OneShot[int] = OneShot()
        self._transport: SubprocessTransport | None = None
        self.pid = 0
        self.started_at = 0.0
        self.ended_at: float | None = None
        self.is_alone = True

    # ports.Child

    def when_exited(self) -> Deferred[int]:
        """See `ports.Child`."""
        return self._exited.when()

    def kill(self, grace_s: float = 2.0) -> Deferred[None]:
        """See `ports.Child`."""
        return self._owner.end(self.program.mark, grace_s)

    # What asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(SubprocessTransport, transport)
        self.pid = self._transport.get_pid()
        self._owner.began(self)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._take[fd](data)
        self._since_pause += len(data)
        if self._since_pause >= PACE_BYTES and not self._drains:
            self._since_pause = 0
            self._pause()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        self._open.discard(fd)
        if not self._open and self.ended_at is not None:
            self._tell()

    def process_exited(self) -> None:
        self._owner.ended(self)
        self._drains = True
        self._resume()
        if self._open:
            self._owner.clock.callLater(DRAIN_S, self._tell)
        else:
            self._tell()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        """The program has been reaped and nobody holds its pipes any more."""
        if self._transport is not None:
            self._transport.close()

    def _tell(self) -> None:
        assert self._transport is not None
        self._drains = False
        code = self._transport.get_returncode() or 0
        self._exited.fire(code if code >= 0 else 128 - code)

    def _pause(self) -> None:
        """Take no output for a moment; the child waits, once the pipe is full."""
        readers = self._readers()
        for reader in readers:
            reader.pause_reading()
        if readers:
            self._owner.clock.callLater(PACE_S * self._owner.running, self._resume)

    def _resume(self) -> None:
        for reader in self._readers():
            reader.resume_reading()

    def _readers(self) -> list[asyncio.ReadTransport]:
        assert self._transport is not None
        pipes = [self._transport.get_pipe_transport(fd) for fd in self._open]
        return [cast(asyncio.ReadTransport, pipe) for pipe in pipes if pipe is not None and not pipe.is_closing()]


class ChildProcesses:
    """Starts children and ends them; a `ports.Processes`.

    `loop` gives the loop of the running reactor. `clock` is a wall clock.
    """

    def __init__(self, loop: Callable[[], AbstractEventLoop], in_thread: InThread, clock: Clock) -> None:
        self._loop = loop
        self._in_thread = in_thread
        self.clock = clock
        self._own_pid = os.getpid()
        self._children: dict[int, RunningChild] = {}
        self._past: deque[Root] = deque(maxlen=REMEMBERED)
        self._suspects: dict[int, float] = {}
        self._sweep: IDelayedCall | None = None
        self._is_closed = False

    def start(self, program: Program, out: TakeBytes, err: TakeBytes) -> Deferred[ports.Child]:
        """See `ports.Processes`."""
        starting = Deferred.fromCoroutine(self._start(RunningChild(self, program, out, err)))
        given_up: list[bool] = []
        asker: Deferred[ports.Child] = Deferred(lambda _: given_up.append(True))

        def settle(result: RunningChild | Failure) -> None:
            if not given_up:
                asker.callback(result)  # a Failure goes down the errbacks
            elif isinstance(result, RunningChild):
                result.kill()

        starting.addBoth(settle)
        return asker

    def end(self, mark: str, grace_s: float = 2.0) -> Deferred[None]:
        """See `ports.Processes`."""
        return apart(Deferred.fromCoroutine(self._end(mark, grace_s)))

    async def close(self) -> None:
        """Kill whatever is still below the server, whosever it was."""
        self._is_closed = True
        if self._sweep is not None and self._sweep.active():
            self._sweep.cancel()
        if self._children or self._past:
            await self._kill(lambda: partial(descendants, pid=self._own_pid))

    @property
    def running(self) -> int:
        """How many children run, at least one."""
        return max(1, len(self._children))

    # What children tell

    def began(self, child: RunningChild) -> None:
        """The child runs. Nobody is alone any more where there is more than one."""
        child.started_at = self.clock.seconds()
        for other in self._children.values():
            other.is_alone = child.is_alone = False
        self._children[child.pid] = child
        self._watch()

    def ended(self, child: RunningChild) -> None:
        """The child has exited and was reaped."""
        child.ended_at = self.clock.seconds()
        self._children.pop(child.pid, None)
        self._past.append(self._root(child))

    # Starting

    async def _start(self, child: RunningChild) -> RunningChild:
        program = child.program
        try:
            spawned = self._loop().subprocess_exec(
                lambda: child,
                *program.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd=program.cwd,
                env={**program.env, MARK: program.mark},
                start_new_session=True,
            )
            await Deferred.fromFuture(asyncio.ensure_future(spawned))
        except (OSError, ValueError, RuntimeError) as error:
            raise CannotStart(f"could not run command: {_reason(error, program.cwd)}") from error
        return child

    # Ending

    async def _end(self, mark: str, grace_s: float) -> None:
        waiting = [child.when_exited() for child in self._children.values() if covers(mark, child.program.mark)]

        def pick() -> Pick:
            roots, children = self._roots(), list(self._children)
            return partial(belonging, mark=mark, roots=roots, own_pid=self._own_pid, children=children)

        if await self._interrupt(pick, grace_s):
            await self._kill(pick)
        for exited in waiting:
            await self._bounded(exited)
        for root in [root for root in self._past if covers(mark, root.mark)]:
            self._past.remove(root)
        await self._reap()

    async def _interrupt(self, pick: Callable[[], Pick], grace_s: float) -> bool:
        """Interrupt, and give time; whether anything is left that must be killed."""
        found = await self._in_thread(_signalled, pick(), signal.SIGINT)
        waited_s, looks = 0.0, list(LOOKS_S)  # counted in pauses: the clock of the wall may be set meanwhile
        while found and waited_s < grace_s:
            pause_s = looks.pop(0) if len(looks) > 1 else looks[0]
            waited_s += pause_s
            await self._pause(pause_s)
            found, is_hopeless = await self._in_thread(_left, pick())
            if is_hopeless:
                break
        return bool(found)

    async def _kill(self, pick: Callable[[], Pick]) -> None:
        for _ in range(KILL_ROUNDS):
            if not await self._in_thread(_signalled, pick(), signal.SIGKILL):
                return
            await self._pause(KILL_PAUSE_S)
        log.error("some processes could not be ended in {rounds} rounds", rounds=KILL_ROUNDS)

    def _pause(self, seconds: float) -> Deferred[None]:
        return deferLater(self.clock, seconds)

    async def _bounded(self, exited: Deferred[int]) -> None:
        try:
            await within(1.0, self.clock, exited)
        except TimeoutError:
            log.warn("a killed process has not been reaped")

    def _roots(self) -> list[Root]:
        return [*map(self._root, self._children.values()), *self._past]

    def _root(self, child: RunningChild) -> Root:
        until = self.clock.seconds() if child.ended_at is None else child.ended_at
        return Root(
            pid=child.pid,
            mark=child.program.mark,
            is_alive=child.ended_at is None,
            strays_from=child.started_at - JIFFY_S if child.is_alone else 0.0,
            strays_until=until + JIFFY_S if child.is_alone else 0.0,
        )

    # Orphans

    def _watch(self) -> None:
        if self._sweep is None and not self._is_closed:
            self._sweep = self.clock.callLater(SWEEP_S, self._sweep_now)

    def _sweep_now(self) -> None:
        self._sweep = None
        Deferred.fromCoroutine(self._reap()).addErrback(lambda failure: log.failure("no orphan was reaped", failure))

    async def _reap(self) -> None:
        """Reap the orphans that have died; look again as long as anything is left."""
        orphans = await self._in_thread(find_orphans, self._own_pid, list(self._children), self._suspects)
        self._suspects = orphans.suspects
        reap(orphans.dead - self._children.keys())
        if self._children or orphans.living or orphans.suspects:
            self._watch()


def _signalled(pick: Pick, number: signal.Signals) -> set[int]:
    """Signal what is found; what was found. Runs in a thread."""
    table = read_table()
    found = pick(table)
    send(table, found, number)
    return found


def _left(pick: Pick) -> tuple[set[int], bool]:
    """What is left, and whether no interrupt can end it. Runs in a thread."""
    found = pick(read_table())
    return found, all(map(ignores_interrupt, found))


def _reason(error: Exception, cwd: str) -> str:
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    what = f"could not stat: {cwd}" if error.filename == cwd else error.filename
    return f"{what}: {error.strerror.lower()}" if what else error.strerror.lower()


_: type[ports.Processes] = ChildProcesses
