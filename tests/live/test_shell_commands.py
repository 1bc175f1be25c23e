"""Commands of users over real sockets: who drops ends them, and so does the end of the server."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from txcrush.testing.live_server import LiveServer, PromptsModel

SLEEP = shutil.which("sleep") or "/bin/sleep"
SETSID = shutil.which("setsid") or "/usr/bin/setsid"


class Live:
    def __init__(self, server: LiveServer) -> None:
        self.server, self.client = server, server.client
        self.workspace = self.session = ""

    async def open(self) -> None:
        self.workspace = await self.client.join(self.server.project, env=["GREETING=hello"])
        self.session = await self.client.session(self.workspace)

    @property
    def path(self) -> str:
        return f"/v1/workspaces/{self.workspace}/agent/sessions/{self.session}/shell"

    @property
    def notes(self) -> Path:
        return Path(self.server.project) / "pid"

    async def pid(self) -> int:
        """The number that a command has written down."""
        await until(lambda: self.notes.exists() and self.notes.read_text().endswith("\n"))
        return int(self.notes.read_text())


def until(holds: object) -> Deferred[object]:
    looking = LoopingCall(lambda: holds() and looking.stop())  # type: ignore[operator]
    return looking.start(0.02).addTimeout(10, reactor)


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest_twisted.async_yield_fixture
async def live(short_path: Path) -> AsyncIterator[Live]:
    model = PromptsModel.listen(reactor)
    server = await LiveServer.start(reactor, short_path, model)
    made = Live(server)
    await made.open()
    yield made
    await server.stop()
    await model.stop()


@pytest_twisted.ensureDeferred
async def test_a_command_is_run_answered_and_kept(live: Live) -> None:
    answer = await live.client.post(
        live.path, {"command": "echo $GREETING $COLUMNS; echo err >&2; exit 3", "term_width": 50}
    )
    assert answer.value == {"output": "hello 50\n\nerr\n", "exit_code": 3}
    missing = await live.client.post(live.path, {"command": "no-such-command-xyz"})
    assert missing.value == {
        "output": '"no-such-command-xyz": executable file not found in $PATH\n',
        "exit_code": 127,
    }
    for command, expected in (("if", {"output": "", "exit_code": 1}), ("", {"output": "", "exit_code": 0})):
        assert (await live.client.post(live.path, {"command": command})).value == expected
    allowed = await live.client.post(live.path, {"command": "curl"})
    assert "not allowed" not in allowed.value["output"]
    messages = await live.client.get(f"/v1/workspaces/{live.workspace}/sessions/{live.session}/messages")
    assert [message["parts"][0]["data"]["exit_code"] for message in messages.value][:4] == [3, 127, 1, 0]


@pytest.mark.parametrize("how", ["reset", "close"])
@pytest_twisted.ensureDeferred
async def test_a_client_that_drops_ends_all_of_it_and_nothing_is_kept(live: Live, how: str) -> None:
    raw = await live.client.raw()
    raw.send("POST", live.path, {"command": f"{SETSID} {SLEEP} 300 & echo $$ > pid; {SLEEP} 300"})
    shell = await live.pid()
    below = psutil.Process(shell).children(recursive=True)
    if how == "reset":
        raw.reset()
    else:
        raw.transport.loseConnection()
    await until(lambda: not is_running(shell) and not any(is_running(process.pid) for process in below))
    messages = await live.client.get(f"/v1/workspaces/{live.workspace}/sessions/{live.session}/messages")
    assert messages.value == []


@pytest_twisted.ensureDeferred
async def test_what_a_command_left_behind_ends_with_the_server_in_time(live: Live) -> None:
    deaf = f"trap '' INT TERM HUP; {SETSID} {SLEEP} 300 & echo $! > pid"
    answer = await live.client.post(live.path, {"command": deaf})
    assert answer.value["exit_code"] == 0
    pid = await live.pid()
    assert is_running(pid)
    began = reactor.seconds()
    await live.server.stop()
    assert reactor.seconds() - began < 5
    assert not is_running(pid)


@pytest_twisted.ensureDeferred
async def test_a_command_that_still_runs_does_not_hold_the_server_up(live: Live) -> None:
    raw = await live.client.raw()
    raw.send("POST", live.path, {"command": f"trap '' INT TERM; echo $$ > pid; while :; do {SLEEP} 1; done"})
    pid = await live.pid()
    os.kill(pid, 0)
    began = reactor.seconds()
    await live.server.stop()
    assert reactor.seconds() - began < 5
    assert not is_running(pid)
    await raw.when_closed()
