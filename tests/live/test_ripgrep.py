"""ripgrep as a child: its bounds, its end, what it inherits."""

import os
import sys
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread

from txcrush.adapters import ripgrep as ripgrep_module
from txcrush.adapters.ripgrep import NOT_FOUND, PLAIN, Printed, Ripgrep, found_program
from txcrush.model.errors import Refused


class FakeProgram:
    """An `rg` that is a shell script; it names its process in `pid`."""

    def __init__(self, folder: Path, clock: object = reactor) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.environ = {"PATH": f"{self.bin}:/usr/bin:/bin"}
        self.ripgrep = Ripgrep(clock, self.environ, deferToThread)  # type: ignore[arg-type]

    def write(self, script: str) -> None:
        program = self.bin / "rg"
        program.write_text(
            f"#!/bin/sh\necho $$ > {self.folder}/pid.new; mv {self.folder}/pid.new {self.folder}/pid\n{script}\n"
        )
        program.chmod(0o755)

    def run(self, *arguments: str, timeout_s: float = 20, max_bytes: int = 1 << 20) -> "Deferred[Printed]":
        return self.ripgrep.run(arguments, str(self.folder), timeout_s=timeout_s, max_bytes=max_bytes)

    async def when_started(self) -> int:
        while not (self.folder / "pid").exists():
            await deferToThread(os.sched_yield)
        return int((self.folder / "pid").read_text())


@pytest.fixture
def program(tmp_path: Path) -> FakeProgram:
    return FakeProgram(tmp_path)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest_twisted.ensureDeferred
async def test_it_tells_what_was_printed_and_how_it_ended(program: FakeProgram) -> None:
    program.write("printf 'out\\0put'; echo 'rg: oh' >&2; exit 2")
    assert await program.run() == Printed(b"out\0put", "rg: oh", 2)


@pytest_twisted.ensureDeferred
async def test_it_is_killed_once_it_has_printed_enough(program: FakeProgram) -> None:
    program.write("exec yes")
    printed = await program.run(max_bytes=100_000)
    assert (len(printed.output), printed.is_cut, printed.is_late) == (100_000, True, False)
    assert not is_alive(await program.when_started())


@pytest_twisted.ensureDeferred
async def test_endless_errors_neither_hold_it_nor_are_kept(program: FakeProgram) -> None:
    program.write("head -c 1000000 /dev/zero | tr '\\0' e >&2; echo done")
    printed = await program.run()
    assert printed.output == b"done\n"
    assert len(printed.error) == ripgrep_module.ERROR_BYTES


@pytest_twisted.ensureDeferred
async def test_it_is_killed_when_its_time_is_up(tmp_path: Path) -> None:
    clock = Clock()
    program = FakeProgram(tmp_path, clock)
    program.write("echo some; exec tail -f /dev/null")
    running = program.run(timeout_s=5)
    pid = await program.when_started()
    clock.advance(5)
    printed = await running
    assert printed.is_late
    assert printed.output in (b"some\n", b"")
    assert not is_alive(pid)
    assert clock.getDelayedCalls() == []


@pytest_twisted.ensureDeferred
async def test_cancelling_kills_it_at_once(program: FakeProgram) -> None:
    program.write("exec tail -f /dev/null")
    running = program.run()
    pid = await program.when_started()
    running.cancel()
    with pytest.raises(CancelledError):
        await running
    assert not is_alive(pid)


@pytest_twisted.ensureDeferred
async def test_it_has_its_own_session_no_input_and_nothing_of_ours_in_its_environment(program: FakeProgram) -> None:
    program.environ.update(RIPGREP_CONFIG_PATH="/x", OPENAI_API_KEY="secret", TXCRUSH_TOKEN="secret", HOME="/home/x")
    program.write("ps -o sid= -p $$ 2>/dev/null || cut -d' ' -f6 /proc/$$/stat; cat; env")
    lines = (await program.run()).output.decode().splitlines()
    assert int(lines[0]) == await program.when_started()
    assert "HOME=/home/x" in lines
    assert [line for line in lines if line.startswith(("RIPGREP", "OPENAI", "TXCRUSH"))] == []


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_started_is_refused(program: FakeProgram) -> None:
    program.write("echo")
    with pytest.raises(Refused, match="could not be started"):
        await program.run("nul\0nul")
    with pytest.raises(Refused, match="could not be started"):
        await program.ripgrep.run((), str(program.folder / "absent"), timeout_s=5, max_bytes=10)


def test_the_one_on_the_path_comes_before_the_one_beside_the_interpreter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "rg"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    assert found_program(f"relative:{tmp_path}") == str(own)
    assert os.path.dirname(found_program("")) in (os.path.dirname(sys.executable), os.path.join(sys.prefix, "bin"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "no"))
    monkeypatch.setattr(ripgrep_module.sysconfig, "get_path", lambda _: str(tmp_path / "no"))
    with pytest.raises(Refused) as refused:
        found_program(".:relative")
    assert refused.value.message == NOT_FOUND


def test_d_06_nested_ignore_files_count_outside_of_git_but_none_from_above() -> None:
    assert {"--no-require-git", "--no-ignore-parent", "--no-config"} <= set(PLAIN)
