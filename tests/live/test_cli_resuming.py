"""The command line's streams are cut while an answer grows: nothing is lost and nothing is shown twice."""

import sys
from pathlib import Path
from typing import Any

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from txcrush.testing.live_server import LiveServer, PromptsModel
from txcrush.wire.json import parse_object

BOUND_S = 30
WORDS = [f"w{number} " for number in range(40)]


class Run(ProcessProtocol):
    """A `txcrush run --json` and the lines that it has written."""

    def __init__(self) -> None:
        self._out = b""
        self._ended: Deferred[int] = Deferred()

    def connectionMade(self) -> None:
        self.transport.closeStdin()  # what is piped in would be part of the prompt

    def outReceived(self, data: bytes) -> None:
        self._out += data

    def processEnded(self, reason: Failure) -> None:
        self._ended.callback(0 if reason.check(ProcessDone) else reason.value.exitCode)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [parse_object(line) for line in self._out.decode().splitlines()]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["type"] == kind]

    @property
    def text(self) -> str:
        return "".join(line["text"] for line in self.of("text"))

    async def when_ended(self) -> int:
        """The exit status."""
        return await self._ended.addTimeout(BOUND_S, reactor)  # type: ignore[arg-type]

    async def until_shown(self, text: str) -> None:
        for _ in range(BOUND_S * 100):
            if self.text.endswith(text):
                return
            await deferLater(reactor, 0.01)  # type: ignore[arg-type]
        raise AssertionError(f"{text!r} was never shown: {self._out!r}")


@pytest_twisted.ensureDeferred
async def test_promise_25_an_answer_is_shown_once_whatever_becomes_of_the_stream(short_path: Path) -> None:
    model = PromptsModel.listen(reactor)
    server = await LiveServer.start(reactor, short_path, model)
    run = Run()
    command = [sys.executable, "-m", "txcrush", "run", "--json", "--host", f"unix://{server.socket}", "go"]
    env = {"HOME": str(short_path), "XDG_RUNTIME_DIR": str(short_path), "PATH": "/usr/bin:/bin"}
    reactor.spawnProcess(run, sys.executable, command, env, server.project)
    exchange = await model.next_request().addTimeout(BOUND_S, reactor)  # type: ignore[arg-type]
    exchange.head()
    cuts = 0
    for number, word in enumerate(WORDS):
        exchange.text(word)
        if number % 10 == 5:
            await run.until_shown(word)
            cuts += cut(server)
    exchange.finish()
    exchange.done()
    assert await run.when_ended() == 0
    assert (run.text, cuts) == ("".join(WORDS), 4)
    assert run.of("again") == []
    assert run.lines[-1]["outcome"] == "completed"
    await server.stop()
    await model.stop()


def cut(server: LiveServer) -> int:
    """Cut every open stream off."""
    assert server._server is not None
    (workspace,) = server._server._workspaces.list()
    readers: list[Any] = list(workspace.events._subscribers)
    for reader in readers:
        reader._request.channel.transport.abortConnection()
    return len(readers)
