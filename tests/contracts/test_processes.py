"""What every `ports.Processes` promises: run by the fake and by real children."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.threads import deferToThread

from txcrush.adapters.processes import ChildProcesses
from txcrush.adapters.wall_clock import WallClock
from txcrush.model.errors import CannotStart
from txcrush.model.processes import Program
from txcrush.ports import Child, Processes
from txcrush.testing.scripted_processes import ScriptedChild, ScriptedProcesses

LINES = {
    "talk": "printf out; printf err >&2; exit 7",
    "hang": "printf begun; sleep 60",
    "signalled": "kill -KILL $$",
}


class Fake:
    """Scripted programs."""

    def __init__(self, _directory: Path) -> None:
        self.processes: Processes = ScriptedProcesses(self._tell)
        self.processes.missing |= {"/no/such/program", "/no/such/directory"}
        self.stories = {
            LINES["talk"]: lambda child: child.write(b"out", b"err").exit(7),
            LINES["hang"]: lambda child: child.write(b"begun"),
            LINES["signalled"]: lambda child: child.exit(128 + 9),
        }

    def _tell(self, child: ScriptedChild) -> None:
        self.stories[child.command](child)

    async def close(self) -> None:
        """It holds nothing."""


class Real:
    """Children of this process."""

    def __init__(self, directory: Path) -> None:
        self.processes: Processes = ChildProcesses(
            asyncio.get_running_loop,
            deferToThread,
            WallClock(reactor),  # type: ignore[arg-type]
        )

    async def close(self) -> None:
        await self.processes.close()


Suite = Fake | Real


@pytest_twisted.async_yield_fixture(params=[Fake, Real])
async def suite(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Suite]:
    made = request.param(tmp_path)
    yield made
    await made.close()


class Started:
    """A child and what it has written."""

    def __init__(self, child: Child, out: bytearray, err: bytearray, wrote: Deferred[None]) -> None:
        self.child, self.out, self.err, self.wrote = child, out, err, wrote


async def started(suite: Suite, line: str, mark: str = "scope/1", cwd: str = "/") -> Started:
    out, err, wrote = bytearray(), bytearray(), Deferred[None]()

    def take(data: bytes) -> None:
        out.extend(data)
        if not wrote.called:
            wrote.callback(None)

    program = Program(argv=("/bin/sh", "-c", LINES[line]), cwd=cwd, env={"PATH": os.defpath}, mark=mark)
    child = await suite.processes.start(program, take, err.extend)
    return Started(child, out, err, wrote)


@pytest_twisted.ensureDeferred
async def test_output_is_handed_over_apart_before_the_exit_is_told(suite: Suite) -> None:
    begun = await started(suite, "talk")
    assert await begun.child.when_exited() == 7
    assert (bytes(begun.out), bytes(begun.err)) == (b"out", b"err")


@pytest_twisted.ensureDeferred
async def test_every_asker_is_told_of_the_exit_also_later(suite: Suite) -> None:
    child = (await started(suite, "talk")).child
    assert await gatherResults([child.when_exited(), child.when_exited()]) == [7, 7]
    assert await child.when_exited() == 7


@pytest_twisted.ensureDeferred
async def test_who_gives_up_waiting_leaves_the_child_alone(suite: Suite) -> None:
    child = (await started(suite, "talk")).child
    given_up = child.when_exited()
    given_up.addErrback(lambda failure: failure.trap(CancelledError))
    given_up.cancel()
    assert await child.when_exited() == 7


@pytest_twisted.ensureDeferred
async def test_a_signal_is_128_and_its_number(suite: Suite) -> None:
    assert await (await started(suite, "signalled")).child.when_exited() == 137


@pytest_twisted.ensureDeferred
async def test_a_kill_ends_it_and_the_exit_is_told_by_then(suite: Suite) -> None:
    begun = await started(suite, "hang")
    await begun.wrote
    exited = begun.child.when_exited()
    await begun.child.kill()
    assert exited.called
    assert await exited == 130
    await begun.child.kill()  # again: nothing is left, and that is fine


@pytest_twisted.ensureDeferred
async def test_a_mark_ends_what_stands_under_it_and_nothing_else(suite: Suite) -> None:
    inside, beside = await started(suite, "hang", "a/1"), await started(suite, "hang", "ab/1")
    await gatherResults([inside.wrote, beside.wrote])
    exited = beside.child.when_exited()
    await suite.processes.end("a")
    assert await inside.child.when_exited() == 130
    assert not exited.called
    await suite.processes.end("ab")
    assert await exited == 130


@pytest.mark.parametrize("what", ["program", "directory"])
@pytest_twisted.ensureDeferred
async def test_what_is_not_there_cannot_be_started(suite: Suite, what: str) -> None:
    program = Program(
        argv=("/no/such/program" if what == "program" else sys.executable, "-V"),
        cwd="/no/such/directory" if what == "directory" else "/",
        env={},
        mark="m",
    )
    with pytest.raises(CannotStart, match=f"could not run command: .*/no/such/{what}"):
        await suite.processes.start(program, len, len)
