"""The command line in processes of its own, against real servers."""

import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import Factory, ProcessProtocol, Protocol
from twisted.python.failure import Failure

from txcrush.testing.live_server import LiveServer, PromptsModel
from txcrush.testing.model_server import ModelServer
from txcrush.wire.json import encode_text, parse_object

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
    running = spawned(home, arguments, terminal=False)
    running.transport.write(stdin.encode())
    running.transport.closeStdin()
    return running


def spawned(home: Path, arguments: Sequence[str], *, terminal: bool) -> Running:
    """The process, at a terminal of its own or without any."""
    running = Running()
    env = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home), "PATH": os.environ["PATH"]}
    (home / "work").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "txcrush", *arguments]
    reactor.spawnProcess(running, sys.executable, command, env, str(home / "work"), usePTY=terminal)
    return running


async def txcrush(home: Path, *arguments: str, stdin: str = "") -> Running:
    """Run a `txcrush` to its end."""
    running = begin(home, *arguments, stdin=stdin)
    await running.when_ended()
    return running


class Replying(Protocol):
    """A server that has one answer for everything."""

    @classmethod
    def with_answer(cls, answer: bytes, asked: Deferred[None] | None = None) -> Factory:
        """Protocols that give this answer; `asked` fires at the first request."""
        made: Any = Factory.forProtocol(cls)
        made.answer, made.asked = answer, asked
        return made

    def dataReceived(self, data: bytes) -> None:
        made: Any = self.factory
        if made.asked is not None and not made.asked.called:
            made.asked.callback(None)
        self.transport.write(made.answer)


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
async def test_one_that_is_told_to_end_leaves_the_run_to_the_server(short_path: Path) -> None:
    async with scripted(short_path) as (live, model):
        running = begin(short_path, "run", *at(live), "go")
        exchange = await model.next_request()
        exchange.head()
        exchange.text("partial")
        await running.when_shown("partial")
        running.transport.signalProcess(signal.SIGTERM)
        assert await running.when_ended() == 130
        assert (exchange.gone, "the run goes on; come back with: txcrush attach" in running.err) == (False, True)
        stream = await live.client.stream(await live.client.join(live.project))
        exchange.text(" and whole")
        exchange.finish()
        exchange.done()
        end = await stream.when(lambda event: event.kind == "run_complete")
        assert end.payload["text"] == "partial and whole"
        stream.close()


@pytest_twisted.ensureDeferred
async def test_ctrl_c_ends_the_wait_for_a_server_that_is_silent(short_path: Path) -> None:
    asked: Deferred[None] = Deferred()
    port = reactor.listenUNIX(str(short_path / "silent"), Replying.with_answer(b"", asked))
    try:
        running = begin(short_path, "run", "--host", f"unix://{short_path}/silent", "go")
        await asked.addTimeout(BOUND_S, reactor)
        running.transport.signalProcess(signal.SIGINT)
        assert await running.when_ended() == 130
    finally:
        await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_a_run_that_takes_too_long_is_cancelled_with_status_1(short_path: Path) -> None:
    async with scripted(short_path) as (live, model):
        running = begin(short_path, "run", *at(live), "--timeout", "0.5", "go")
        await (await model.next_request()).when_gone()
        assert (await running.when_ended(), "cancelling" in running.err) == (1, True)


@pytest_twisted.ensureDeferred
async def test_a_server_that_stops_in_mid_run_ends_it_as_cancelled(short_path: Path) -> None:
    async with scripted(short_path) as (live, model):
        running = begin(short_path, "run", *at(live), "--json", "go")
        exchange = await model.next_request()
        exchange.head()
        exchange.text("partial")
        await running.when_shown("partial")
        await live.stop()
        assert await running.when_ended() == 130, running.err
        last = parse_object(running.out.splitlines()[-1])
        assert (last["type"], last["outcome"]) == ("end", "cancelled")


@pytest_twisted.ensureDeferred
async def test_a_reader_that_goes_away_leaves_the_run_alone(short_path: Path) -> None:
    async with scripted(short_path) as (live, model):
        running = begin(short_path, "run", *at(live), "go")
        exchange = await model.next_request()
        exchange.head()
        running.transport.closeStdout()
        exchange.text("nobody reads this")
        assert await running.when_ended() == 130
        assert (exchange.gone, "Traceback" in running.err) == (False, False), running.err


@pytest_twisted.ensureDeferred
async def test_a_socket_that_nobody_listens_on_is_no_server(short_path: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(short_path / f"crush-{os.getuid()}.sock"))
    left.close()
    assert (await txcrush(short_path, "stop")).status == 3
    first = await txcrush(short_path, "run", "hello")
    stopped = await txcrush(short_path, "stop")
    assert (first.status, stopped.status) == (0, 0), first.err + stopped.err


@pytest_twisted.ensureDeferred
async def test_stop_ends_no_server_of_another_kind(short_path: Path) -> None:
    version = b'{"version":"1","build_id":"dn2nut75wxxo"}'
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(version), version)
    port = reactor.listenUNIX(str(short_path / "foreign"), Replying.with_answer(answer))
    try:
        stopped = await txcrush(short_path, "stop", "--host", f"unix://{short_path}/foreign")
        assert (stopped.status, "no txcrush" in stopped.err) == (1, True), stopped.err
    finally:
        await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_status_names_the_process_and_the_busy_sessions(short_path: Path) -> None:
    async with scripted(short_path) as (live, model):
        running = begin(short_path, "run", *at(live), "go")
        exchange = await model.next_request()
        status = await txcrush(short_path, "status", "--json", *at(live)[:2])
        found = parse_object(status.out)
        assert (status.status, found["pid"]) == (0, os.getpid())
        assert [session["is_busy"] for session in found["workspaces"][0]["sessions"]] == [True]
        exchange.reply("done")
        assert await running.when_ended() == 0


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


@pytest_twisted.ensureDeferred
async def test_an_attached_terminal_sees_the_run_of_another_and_outlives_its_leaving(short_path: Path) -> None:
    async with scripted(short_path) as (live, model):
        running = begin(short_path, "run", *at(live), "go")
        exchange = await model.next_request()
        exchange.head()
        exchange.text("partial")
        await running.when_shown("partial")
        watching = begin(short_path, "attach", *at(live), "--until-idle")
        await watching.when_shown("partial")
        assert "> go" in watching.err
        running.transport.signalProcess(signal.SIGTERM)
        await running.when_ended()
        exchange.text(" and whole")
        exchange.finish()
        exchange.done()
        assert (await watching.when_ended(), watching.out) == (0, "partial and whole\n")


@pytest_twisted.ensureDeferred
async def test_an_attached_terminal_cancels_the_run_of_another(short_path: Path) -> None:
    async with scripted(short_path) as (live, model):
        running = begin(short_path, "run", *at(live), "go")
        exchange = await model.next_request()
        exchange.head()
        exchange.text("partial")
        watching = begin(short_path, "attach", *at(live), "--until-idle")
        await watching.when_shown("partial")
        watching.transport.signalProcess(signal.SIGINT)
        await exchange.when_gone()
        assert await gatherResults([watching.when_ended(), running.when_ended()]) == [130, 130]


@pytest_twisted.ensureDeferred
async def test_sessions_lists_those_of_the_project(short_path: Path) -> None:
    async with scripted(short_path) as (live, model):
        empty = await txcrush(short_path, "sessions", *at(live))
        assert (empty.status, empty.out) == (0, "no sessions here yet\n"), empty.err
        running = begin(short_path, "run", *at(live), "go")
        exchange = await model.next_request()
        busy = await txcrush(short_path, "sessions", *at(live))
        assert busy.out.startswith("* "), busy.out
        exchange.reply("done")
        await running.when_ended()
        listed = await txcrush(short_path, "sessions", "--json", *at(live))
        assert '"message_count":2' in listed.out, listed.out


async def asks_to_make_a_file(model: ModelServer) -> None:
    """The model wants to run a command that nobody has allowed."""
    exchange = await model.next_request()
    exchange.head()
    call = {"name": "bash", "arguments": encode_text({"command": "touch made", "description": "make a file"})}
    exchange.delta(tool_calls=[{"index": 0, "id": "call_1", "type": "function", "function": call}])
    exchange.finish("tool_calls")
    exchange.done()


@pytest_twisted.ensureDeferred
async def test_at_a_terminal_what_tools_ask_is_put_to_the_user(short_path: Path) -> None:
    for typed, is_made in (("y\n", True), ("n\n", False)):
        home = short_path / typed.strip()
        home.mkdir()
        async with scripted(home) as (live, model):
            running = spawned(home, ["run", *at(live), "--cwd", live.project, "go"], terminal=True)
            await asks_to_make_a_file(model)
            await running.when_shown("allow?")
            assert "Execute command: touch made" in running.out
            running.transport.write(typed.encode())
            if is_made:
                (await model.next_request()).reply("made it")
            assert await running.when_ended() == 0, running.out
            assert (home / "project" / "made").exists() is is_made


@pytest_twisted.ensureDeferred
async def test_without_a_terminal_a_rule_answers_what_tools_ask(short_path: Path) -> None:
    for rule, is_made in (("--yes", True), ("--deny", False)):
        home = short_path / rule
        home.mkdir()
        async with scripted(home) as (live, model):
            running = begin(home, "run", *at(live), "--cwd", live.project, rule, "go")
            await asks_to_make_a_file(model)
            if is_made:
                (await model.next_request()).reply("made it")
            assert await running.when_ended() == 0, running.err
            assert (home / "project" / "made").exists() is is_made


@pytest_twisted.ensureDeferred
async def test_an_attached_terminal_answers_for_a_run_without_one(short_path: Path) -> None:
    async with scripted(short_path) as (live, model):
        running = begin(short_path, "run", *at(live), "--cwd", live.project, "go")
        await asks_to_make_a_file(model)
        await running.when_shown("waiting for an answer")
        watching = spawned(short_path, ["attach", *at(live), "--cwd", live.project, "--until-idle"], terminal=True)
        await watching.when_shown("allow?")
        watching.transport.write(b"y\n")
        (await model.next_request()).reply("made it")
        assert await gatherResults([running.when_ended(), watching.when_ended()]) == [0, 0]
        assert (short_path / "project" / "made").exists()


@pytest_twisted.ensureDeferred
async def test_runs_are_listed_shown_waited_for_and_cancelled(short_path: Path) -> None:
    async with scripted(short_path) as (live, model):
        assert (await txcrush(short_path, "runs", *at(live))).out == "no runs here\n"
        workspace = await live.client.join(live.project)
        session = await live.client.session(workspace)
        for name in ("one", "two/2"):
            await live.client.prompt(workspace, session, f"do {name}", run_id=name)
        exchange = await model.next_request()
        listed = await txcrush(short_path, "runs", *at(live))
        assert [line.split()[:2] for line in listed.out.splitlines()] == [["queued", "two/2"], ["active", "one"]]
        cancelled = await txcrush(short_path, "cancel", "two/2", *at(live))
        assert (cancelled.status, cancelled.err) == (0, "run two/2: cancelled\n"), cancelled.err
        waiting = begin(short_path, "runs", "one", "--wait", *at(live))
        exchange.reply("the answer")
        assert await waiting.when_ended() == 0
        assert "completed" in waiting.out and waiting.out.endswith("\nthe answer\n")
        shown = await txcrush(short_path, "runs", "--json", "--state", "ended", "-n", "1", *at(live))
        assert '"outcome":"cancelled"' in shown.out
        unknown = await txcrush(short_path, "cancel", "none", *at(live))
        assert (unknown.status, unknown.err) == (1, "txcrush: run not found\n")


@pytest_twisted.ensureDeferred
async def test_pair_prints_the_address_of_the_page_and_a_code(short_path: Path) -> None:
    live = await LiveServer.start(reactor, short_path, web=0)
    host = ("--host", f"unix://{live.socket}")
    shown = await txcrush(short_path, "pair", *host)
    moved = await txcrush(short_path, "pair", *host, "--no-qr", "--url", "https://agents.example.org")
    await live.stop()
    lines = shown.out.splitlines()
    assert (shown.status, lines[0]) == (0, f"http://127.0.0.1:{port_in(lines[0])}/ui/#token={token_in(lines[0])}")
    assert len(token_in(lines[0])) >= 43 and len(lines) > 10
    assert "of this machine only" in shown.err
    assert moved.out == f"https://agents.example.org/ui/#token={token_in(lines[0])}\n"


def port_in(url: str) -> int:
    return int(url.split(":")[2].partition("/")[0])


def token_in(url: str) -> str:
    return url.partition("#token=")[2]


@pytest_twisted.ensureDeferred
async def test_pair_says_how_to_get_a_page(short_path: Path) -> None:
    live = await LiveServer.start(reactor, short_path)
    shown = await txcrush(short_path, "pair", "--host", f"unix://{live.socket}")
    await live.stop()
    assert (shown.status, shown.out) == (1, "")
    assert "--web" in shown.err
