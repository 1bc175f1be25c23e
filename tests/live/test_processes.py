"""Real children: what they leave behind, what they withstand, how much they write."""

import asyncio
import ctypes
import os
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import psutil
import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.threads import deferToThread

from txcrush.adapters import processes as adapter
from txcrush.adapters.process_table import MARK
from txcrush.adapters.processes import ChildProcesses
from txcrush.adapters.wall_clock import WallClock
from txcrush.core.kept_output import KEPT_BYTES, KeptOutput
from txcrush.lifetime import PR_SET_CHILD_SUBREAPER
from txcrush.model.errors import CannotStart
from txcrush.model.processes import Program
from txcrush.ports import Child

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt orphans")
SCOPE = "7b1c/workspace"
DAEMON = """
import os, signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP): signal.signal(number, signal.SIG_IGN)
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
print(os.getpid(), flush=True)
time.sleep(300)
"""
BARE_DAEMON = "env -i setsid -f sh -c 'echo $$; exec sleep 300'"
HOPPER = """
import os, sys, time
print(os.getpid(), flush=True)
end = time.time() + 60
while time.time() < end:
    if os.fork(): os._exit(0)
    time.sleep(0.002)
"""


@pytest_twisted.async_yield_fixture
async def children() -> AsyncIterator[ChildProcesses]:
    made = ChildProcesses(asyncio.get_running_loop, deferToThread, WallClock(reactor))  # type: ignore[arg-type]
    yield made
    await made.end(SCOPE, 0.0)
    if made._sweep is not None:
        made._sweep.cancel()


@pytest.fixture
def adopting() -> Any:
    """This process adopts orphans, as the server does."""
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    yield
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


class Script:
    """A child that runs a bash line, and what it has written so far."""

    def __init__(self) -> None:
        self.out = KeptOutput()
        self._watchers: list[tuple[int, Deferred[None]]] = []
        self.child: Child

    def take(self, data: bytes) -> None:
        self.out.take(data)
        lines = self.text.count("\n")
        for watcher in [watcher for watcher in self._watchers if watcher[0] <= lines]:
            self._watchers.remove(watcher)
            watcher[1].callback(None)

    @property
    def text(self) -> str:
        return self.out.parts[0]

    def when_lines(self, lines: int) -> Deferred[None]:
        """Fires when so many lines have come."""
        watcher: Deferred[None] = Deferred()
        if self.text.count("\n") >= lines:
            watcher.callback(None)
        else:
            self._watchers.append((lines, watcher))
        return watcher.addTimeout(10, reactor)


async def run(children: ChildProcesses, line: str, *arguments: str, mark: str = f"{SCOPE}/1") -> Script:
    script = Script()
    program = Program(argv=("bash", "-c", line, "bash", *arguments), cwd="/", env=dict(os.environ), mark=mark)
    script.child = await children.start(program, script.take, script.take)
    return script


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def marked() -> list[int]:
    """Every process that carries a mark of this test."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK, "").startswith(SCOPE) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


async def until(holds: Callable[[], bool], limit_s: float = 10.0) -> None:
    """Wait for something that only the system knows."""
    looking = LoopingCall(lambda: holds() and looking.stop())
    await looking.start(0.02).addTimeout(limit_s, reactor)


async def timed(work: Deferred[Any]) -> float:
    began = reactor.seconds()
    await work
    return float(reactor.seconds() - began)


@pytest_twisted.ensureDeferred
async def test_t_sh_03_a_child_that_signals_its_own_group_does_not_reach_us(children: ChildProcesses) -> None:
    script = await run(children, "echo $PPID; trap 'echo caught; exit 9' TERM; kill -TERM 0; sleep 5")
    assert await script.child.when_exited() == 9
    assert script.text == f"{os.getpid()}\ncaught\n"


@pytest_twisted.ensureDeferred
async def test_t_sh_04_reading_the_terminal_fails_at_once(children: ChildProcesses) -> None:
    script = await run(children, "exec 2>/dev/null; read x < /dev/tty || echo none; read y || echo empty")
    await script.when_lines(2)
    assert await script.child.when_exited() == 0
    assert script.text == "none\nempty\n"


@pytest_twisted.ensureDeferred
async def test_t_sh_06_cancelling_a_group_takes_less_than_four_seconds(children: ChildProcesses) -> None:
    script = await run(children, "sh -c 'echo $$; sleep 60 & wait'")
    await script.when_lines(1)
    assert await timed(script.child.kill()) < 4
    assert marked() == []


@pytest_twisted.ensureDeferred
async def test_t_sh_08_an_endless_loop_of_the_shell_itself_ends_at_once(children: ChildProcesses) -> None:
    script = await run(children, "echo go; while :; do :; done")
    await script.when_lines(1)
    assert await timed(script.child.kill()) < 1.5
    assert await script.child.when_exited() == 128 + signal.SIGINT


@pytest_twisted.ensureDeferred
async def test_completion_is_the_exit_of_the_shell_not_the_end_of_its_pipes(children: ChildProcesses) -> None:
    script = await run(children, "(read < <(sleep 0.4); echo later) & echo started")
    assert await timed(script.child.when_exited()) < 0.35
    assert script.text == "started\n"
    await script.when_lines(2)
    assert script.text == "started\nlater\n"


@pytest_twisted.ensureDeferred
async def test_all_that_was_written_before_the_exit_is_there_at_the_exit(children: ChildProcesses) -> None:
    for _ in range(20):
        script = await run(children, "sleep 30 & seq 1 5000; echo last")
        await script.child.when_exited()
        assert script.text.endswith("5000\nlast\n")
    await children.end(SCOPE, 0.0)


@pytest_twisted.ensureDeferred
async def test_promise_12_what_a_command_left_behind_dies_with_its_scope(children: ChildProcesses) -> None:
    script = await run(
        children, 'nohup sleep 300 >/dev/null 2>&1 & setsid -f "$1" -c "$2"; echo x', sys.executable, DAEMON
    )
    await script.child.when_exited()
    await script.when_lines(2)
    assert len(marked()) == 2
    await children.end(SCOPE)
    assert marked() == []


@pytest.mark.parametrize(
    "line",
    [
        "trap '' INT TERM HUP; echo $$; while :; do sleep 1; done",
        'exec "$1" -c "$2"; ',
        'nohup setsid "$1" -c "$2" & wait; sleep 300',
        "(trap '' INT TERM; setsid sleep 300 & setsid sleep 300 & wait) & echo x; wait",
        "f() { sleep 300 & f2; }; f2() { echo x; sleep 300; }; f",
    ],
    ids=["deaf", "daemon", "nohup setsid daemon", "deaf sessions", "nested"],
)
@pytest_twisted.ensureDeferred
async def test_promise_70_a_kill_leaves_nothing_of(children: ChildProcesses, line: str) -> None:
    script = await run(children, line, sys.executable, DAEMON)
    await script.when_lines(1)
    assert await timed(script.child.kill(0.5)) < 4
    assert marked() == []


@pytest_twisted.ensureDeferred
async def test_promise_70_a_fork_loop_ends_within_a_bound(children: ChildProcesses) -> None:
    bomb = "f() { [ $1 -gt 0 ] && { f $(($1 - 1)) & f $(($1 - 1)) & }; sleep 60; }; trap '' INT; echo x; f 5"
    script = await run(children, bomb)
    await script.when_lines(1)
    assert await timed(script.child.kill(0.2)) < 6
    assert marked() == []


@pytest_twisted.ensureDeferred
async def test_promise_70_a_process_that_hops_from_pid_to_pid_is_caught_by_its_group(children: ChildProcesses) -> None:
    script = await run(children, 'exec "$1" -c "$2"', sys.executable, HOPPER)
    await script.when_lines(1)
    assert await timed(script.child.kill(0.2)) < 6
    assert marked() == []


@LINUX
@pytest_twisted.ensureDeferred
async def test_a_daemon_without_any_environment_is_found_as_an_orphan(children: ChildProcesses, adopting: None) -> None:
    script = await run(children, BARE_DAEMON + "; sleep 300")
    await script.when_lines(1)
    stray = int(script.text)
    assert alive(stray)
    await script.child.kill(0.2)
    assert not alive(stray)


@LINUX
@pytest_twisted.ensureDeferred
async def test_adopted_orphans_are_reaped_and_other_children_are_left_to_their_parents(
    children: ChildProcesses, adopting: None
) -> None:
    other = await deferToThread(subprocess.Popen, ["sleep", "60"])
    script = await run(children, "(sleep 0.05 & echo $!)")
    await script.child.when_exited()
    orphan = int(script.text)
    await until(lambda: psutil.Process(orphan).status() == psutil.STATUS_ZOMBIE)
    await children._reap()
    assert not psutil.pid_exists(orphan)
    assert psutil.pid_exists(other.pid)
    os.kill(other.pid, signal.SIGKILL)
    assert await deferToThread(other.wait) == -signal.SIGKILL  # it was still there to be waited for


@pytest_twisted.ensureDeferred
async def test_promise_13_and_promise_70_runaway_output_costs_bounded_memory(
    children: ChildProcesses, record_property: Callable[[str, object], None]
) -> None:
    script = await run(children, "yes")
    await script.when_lines(1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    longest, last = 0.0, reactor.seconds()

    def beat() -> None:
        nonlocal longest, last
        now = reactor.seconds()
        longest, last = max(longest, now - last), now

    beating = LoopingCall(beat)
    beating.start(0.002)
    spent = sum(os.times()[:2])
    await deferLater(reactor, 2.0)
    spent = sum(os.times()[:2]) - spent
    beating.stop()
    await script.child.kill(0.2)
    assert script.out.dropped_bytes > 10 * KEPT_BYTES
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 16 * 1024  # KiB
    record_property("promise_13", f"yes for 2 s: {grown} KiB more memory, the longest gap {longest * 1000:.0f} ms")
    assert longest < 0.25  # the machine may be busy; unpaced reads still let others in
    assert spent < 1.2


@pytest_twisted.ensureDeferred
async def test_a_start_that_is_given_up_leaves_nothing_running(children: ChildProcesses) -> None:
    program = Program(argv=("sleep", "300"), cwd="/", env=dict(os.environ), mark=f"{SCOPE}/1")
    starting = children.start(program, len, len)
    gone: list[object] = []
    starting.addErrback(gone.append)
    starting.cancel()
    assert len(gone) == 1
    await until(lambda: not children._children and not marked())


@pytest_twisted.ensureDeferred
async def test_a_text_that_no_program_can_be_given_is_refused(children: ChildProcesses) -> None:
    with pytest.raises(CannotStart, match="null"):
        await run(children, "echo a\0b")


@pytest_twisted.ensureDeferred
async def test_many_children_side_by_side(children: ChildProcesses) -> None:
    scripts = await gatherResults([Deferred.fromCoroutine(run(children, f"echo {n}; exit {n}")) for n in range(40)])
    assert await gatherResults([script.child.when_exited() for script in scripts]) == list(range(40))
    assert [script.text for script in scripts] == [f"{n}\n" for n in range(40)]


FORCED = """
import os
import subprocess
from txcrush.lifetime import Process
process = Process()
process.adopt_orphans()
child = subprocess.Popen(
    ["bash", "-c", "setsid sleep 300 & echo $!; wait"], start_new_session=True, stdout=subprocess.PIPE
)
os.write(1, child.stdout.readline())  # it has begun
orphan = subprocess.run(["bash", "-c", "setsid sleep 300 >&- & echo $!"])
process.exit(1)
"""


@LINUX
def test_a_forced_exit_takes_children_and_orphans_along() -> None:
    forced = subprocess.run([sys.executable, "-c", FORCED], stdout=subprocess.PIPE, text=True, timeout=20)
    assert forced.returncode == 1
    pids = [int(pid) for pid in forced.stdout.split()]
    assert len(pids) == 2
    assert [pid for pid in pids if alive(pid)] == []


def test_a_paced_child_still_gives_many_megabytes_a_second() -> None:
    assert adapter.PACE_BYTES / adapter.PACE_S > 20e6
