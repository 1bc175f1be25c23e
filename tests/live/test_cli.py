"""The command line in processes of its own, against real servers."""

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from txcrush.testing.live_server import LiveServer, PromptsModel
from txcrush.testing.model_server import ModelServer
from txcrush.wire.json import parse_object

BOUND_S = 30


class Running(ProcessProtocol):
    """A `txcrush` process and what it has written so far."""

    def __init__(self) -> None:
        self.out = self.err = ""
        self.status: int | None = None
        self._waiting: list[tuple[str, Deferred[None]]] = []
        self._enders: list[Deferred[int]] = []

    def outReceived(self, data: bytes) -> None:
        self.out += data.decode()
        self._tell()

    def errReceived(self, data: bytes) -> None:
        self.err += data.decode()
        self._tell()

    def processEnded(self, reason: Failure) -> None:
        self.status = 0 if reason.check(ProcessDone) else reason.value.exitCode
        for ender in self._enders:
            ender.callback(self.status)

    def when_shown(self, text: str) -> Deferred[None]:
        """Fires when either stream holds the text."""
        shown: Deferred[None] = Deferred()
        self._waiting.append((text, shown))
        self._tell()
        return shown.addTimeout(BOUND_S, reactor)

    def when_ended(self) -> Deferred[int]:
        """Fires with the exit status."""
        ender: Deferred[int] = Deferred()
        if self.status is not None:
            ender.callback(self.status)
        else:
            self._enders.append(ender)
        return ender.addTimeout(BOUND_S, reactor)

    def _tell(self) -> None:
        due = [item for item in self._waiting if item[0] in self.out + self.err]
        self._waiting = [item for item in self._waiting if item not in due]
        for _, shown in due:
            shown.callback(None)


def begin(home: Path, *arguments: str, stdin: str = "") -> Running:
    """Start a `txcrush` in a home of its own."""
    running = Running()
    env = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home), "PATH": os.environ["PATH"]}
    (home / "work").mkdir(exist_ok=True)
    transport: Any = reactor.spawnProcess(
        running, sys.executable, [sys.executable, "-m", "txcrush", *arguments], env, str(home / "work")
    )
    transport.write(stdin.encode())
    transport.closeStdin()
    return running


async def txcrush(home: Path, *arguments: str, stdin: str = "") -> Running:
    """Run a `txcrush` to its end."""
    running = begin(home, *arguments, stdin=stdin)
    await running.when_ended()
    return running


@asynccontextmanager
async def scripted(home: Path) -> AsyncIterator[tuple[LiveServer, ModelServer]]:
    """A server in this process, whose model does what the test says."""
    model = PromptsModel.listen(reactor)
    live = await LiveServer.start(reactor, home, model)
    try:
        yield live, model
    finally:
        await live.stop()
        await model.stop()


@pytest_twisted.ensureDeferred
async def test_a_newcomers_prompt_is_answered_by_a_server_that_it_starts(short_path: Path) -> None:
    first = await txcrush(short_path, "run", "hello")
    try:
        assert (first.status, "started a txcrush server" in first.err) == (0, True), first.err
        assert "offline model" in first.out
        again = await txcrush(short_path, "run", "--json", "hello")
        lines = [parse_object(line) for line in again.out.splitlines()]
        assert (again.status, lines[0]["type"], lines[-1]["outcome"]) == (0, "session", "completed")
        status = await txcrush(short_path, "status")
        assert (status.status, status.out.startswith("txcrush ")) == (0, True), status.err
    finally:
        stopped = await txcrush(short_path, "stop")
    assert stopped.status == 0, stopped.err
    assert [(await txcrush(short_path, name)).status for name in ("status", "stop")] == [3, 3]


@pytest_twisted.ensureDeferred
async def test_two_that_start_at_once_share_one_server(short_path: Path) -> None:
    both = [begin(short_path, "run", "hello") for _ in range(2)]
    try:
        assert await gatherResults([one.when_ended() for one in both]) == [0, 0]
        assert sum("started a txcrush server" in one.err for one in both) == 1
    finally:
        await txcrush(short_path, "stop")


@pytest_twisted.ensureDeferred
async def test_what_is_piped_in_goes_before_the_prompt(short_path: Path) -> None:
    async with scripted(short_path) as (live, model):
        running = begin(short_path, "run", *at(live), "and", "this", stdin="piped\n")
        exchange = await model.next_request()
        assert exchange.json()["messages"][-1]["content"] == "piped\n\nand this"
        exchange.reply("seen")
        assert (await running.when_ended(), running.out) == (0, "seen\n")


@pytest_twisted.ensureDeferred
async def test_the_first_ctrl_c_cancels_the_run(short_path: Path) -> None:
    async with scripted(short_path) as (live, model):
        running = begin(short_path, "run", *at(live), "go")
        exchange = await model.next_request()
        exchange.head()
        exchange.text("partial")
        await running.when_shown("partial")
        running.transport.signalProcess(signal.SIGINT)
        await exchange.when_gone()
        assert await running.when_ended() == 130
        assert "cancelled" in running.err


@pytest_twisted.ensureDeferred
async def test_a_killed_client_leaves_its_run_to_the_server(short_path: Path) -> None:
    async with scripted(short_path) as (live, model):
        running = begin(short_path, "run", *at(live), "go")
        exchange = await model.next_request()
        exchange.head()
        exchange.text("partial")
        await running.when_shown("partial")
        running.transport.signalProcess(signal.SIGKILL)
        await running.when_ended()
        assert not exchange.gone
        exchange.text(" and whole")
        exchange.finish()
        exchange.done()
        again = begin(short_path, "run", *at(live), "--continue", "go on")
        later = await model.next_request()
        assert "partial and whole" in [turn["content"] for turn in later.json()["messages"]]
        later.reply("done")
        assert await again.when_ended() == 0


@pytest_twisted.ensureDeferred
async def test_a_failed_run_is_told_and_ends_with_status_1(short_path: Path) -> None:
    async with scripted(short_path) as (live, model):
        running = begin(short_path, "run", *at(live), "go")
        (await model.next_request()).error(400, "scripted refusal")
        assert await running.when_ended() == 1
        assert "scripted refusal" in running.err


@pytest_twisted.ensureDeferred
async def test_a_session_is_continued_by_its_id_or_as_the_latest(short_path: Path) -> None:
    async with scripted(short_path) as (live, model):
        for extra in ((), ("--continue",)):
            running = begin(short_path, "run", *at(live), "--json", *extra, "go")
            exchange = await model.next_request()
            exchange.reply("done")
            assert await running.when_ended() == 0, running.err
        session = parse_object(running.out.splitlines()[0])["session_id"]
        contents = [turn["content"] for turn in exchange.json()["messages"]]
        assert contents.count("go") == 2
        unknown = await txcrush(short_path, "run", *at(live), "--session", f"{session}x", "go")
        assert unknown.status == 1


@pytest_twisted.ensureDeferred
async def test_wrong_usage_and_missing_servers_are_told_apart(short_path: Path) -> None:
    assert (await txcrush(short_path, "run")).status == 2
    assert (await txcrush(short_path, "run", "--host", "nonsense", "go")).status == 2
    missing = await txcrush(short_path, "run", "--host", "tcp://127.0.0.1:1", "go")
    assert (missing.status, "txcrush serve --host" in missing.err) == (3, True)


def at(live: LiveServer) -> tuple[str, ...]:
    """The options that name a server and its project."""
    return ("--host", f"unix://{live.socket}", "--cwd", live.project)
