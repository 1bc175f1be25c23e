"""A provider that never stops sending: the server's memory stays bounded, every run ends clearly, and no key shows.

The server is a process of its own, so that its memory is its own.
"""

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.threads import deferToThread

from txcrush.testing.live_client import LiveClient
from txcrush.testing.live_server import UNIX_ORIGIN
from txcrush.testing.model_server import Exchange
from txcrush.testing.scale import scaled
from txcrush.testing.two_wires import MESSAGES, WIRES, TwoWires, chosen, voice_for

BOUND_S = 60.0
LIMIT_BYTES = 64 * 1024 * 1024
SENT_BYTES = 64 * 1024 * 1024
PIECE = 1024 * 1024
CANARY = "sk-canary-"


class Process:
    """`txcrush serve` on a socket in the directory; its log goes to a file there."""

    def __init__(self, directory: Path) -> None:
        self.socket = directory / "s"
        self.log = directory / "log"
        environ = {"HOME": str(directory), "XDG_RUNTIME_DIR": str(directory), "PATH": os.defpath}
        command = [sys.executable, "-m", "txcrush", "serve", "--host", f"unix://{self.socket}", "--trust-projects"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--state-dir", str(directory / "state"), "--log-level=debug"], stderr=log, env=environ
            )

    async def when_ready(self) -> None:
        while b"listening on" not in self.log.read_bytes():
            assert self.process.poll() is None, self.log.read_text()
            await deferToThread(os.sched_yield)

    def forget_peak(self) -> None:
        """From now on the peak is counted anew."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def memory(self, name: str) -> int:
        """`VmRSS` now or `VmHWM`, the peak; in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"{name}:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024

    async def end(self) -> None:
        self.process.terminate()
        await deferToThread(self.process.wait, BOUND_S)


class Stage:
    """The process, a model server with keys, and one session."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.project = directory / "project"
        self.model = TwoWires.listen(reactor)  # type: ignore[arg-type]
        self.server = Process(directory)
        self.client = LiveClient(reactor, UNIXClientEndpoint(reactor, str(self.server.socket)), UNIX_ORIGIN)
        self.workspace = self.session = ""
        self.stream: Any = None

    async def open(self) -> None:
        self.project.mkdir()
        (self.project / "crush.json").write_bytes(self.model.config())
        await self.server.when_ready()
        self.workspace = await self.client.join(str(self.project))
        self.session = await self.client.session(self.workspace)
        self.stream = await self.client.stream(self.workspace)

    async def choose(self, wire: str) -> None:
        for slot in ("large", "small"):
            choice = {"scope": 1, "model_type": slot, "model": chosen(wire, slot)}
            assert (await self.client.post(f"/v1/workspaces/{self.workspace}/config/model", choice)).status == 200

    def prompt(self) -> Deferred[Any]:
        return self.client.prompt(self.workspace, self.session, "go")

    async def close(self) -> None:
        if self.stream is not None:
            self.stream.close()
        await self.server.end()
        await self.model.stop()


@pytest_twisted.async_yield_fixture
async def stage(short_path: Path) -> AsyncIterator[Stage]:
    made = Stage(short_path)
    try:
        await made.open()
        yield made
    finally:
        await made.close()


def flood(exchange: Exchange, head: bytes, piece: bytes) -> None:
    """Send the head, then the piece again and again, as fast as it is taken, until 64 MiB are sent."""
    transport = exchange._connection.transport
    transport.write(head)

    class Pull:
        left = SENT_BYTES

        def resumeProducing(self) -> None:
            self.left -= len(piece)
            if self.left < 0:
                transport.unregisterProducer()
                transport.loseConnection()
            else:
                transport.write(piece)

        def stopProducing(self) -> None:
            self.left = 0

    transport.registerProducer(Pull(), False)


OK = b"HTTP/1.1 200 OK\r\n\r\n"


def words(wire: str) -> bytes:
    """Many events with text."""
    if wire == MESSAGES:
        event = b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"%b"}}\n\n'
    else:
        event = b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n'
    return event % (b"word " * 200) * 800


FLOODS: dict[str, tuple[bytes, Callable[[str], bytes]]] = {
    "a line": (OK + b"data: ", lambda _: b"x" * PIECE),
    "a text": (OK + b'data: {"choices":[{"delta":{"content":"', lambda _: b"x" * PIECE),
    "a comment": (OK + b":", lambda _: b"x" * PIECE),
    "empty lines": (OK, lambda _: b"data\n" * (PIECE // 5)),
    "a document": (OK + b'{"choices":[', lambda _: b"[]," * (PIECE // 3)),
    "nesting": (OK + b"data: ", lambda _: b"[" * PIECE),
    "headers": (b"HTTP/1.1 200 OK\r\n", lambda _: b"A: b\r\n" * (PIECE // 6)),
    "interim answers": (b"", lambda _: b"HTTP/1.1 100 Continue\r\n\r\n" * (PIECE // 25)),
    "an error": (b"HTTP/1.1 400 Bad\r\n\r\n", lambda _: b"x" * PIECE),
    "words": (OK, words),
}


@pytest.mark.parametrize("wire", WIRES)
@pytest_twisted.ensureDeferred
async def test_promise_22_64_mib_of_anything_cost_no_more_than_64_mib(
    stage: Stage, wire: str, record_property: Any
) -> None:
    await stage.choose(wire)
    held = stage.prompt()
    voice_for(await stage.model.next_request()).say("warm")
    assert (await held).status == 200
    worst, named = 0, ""
    share = scaled(3, 1) if wire == MESSAGES else 1  # what does not depend on the wire need not be told twice
    for name, (head, piece) in list(FLOODS.items())[::share]:
        stage.server.forget_peak()
        before = stage.server.memory("VmRSS")
        held = stage.prompt().addTimeout(BOUND_S, reactor)
        flood(await stage.model.next_request(), head, piece(wire))
        if name in ("headers", "interim answers"):
            await stage.model.requests[-1].when_gone()
            await stage.client.post(f"/v1/workspaces/{stage.workspace}/agent/sessions/{stage.session}/cancel")
            assert (await held).status == 200
        else:
            answer = await held
            assert answer.status == 500, (name, answer)
            assert answer.message.startswith(("invalid response: ", "bad request: ")), (name, answer.message[:200])
        grown = stage.server.memory("VmHWM") - before
        if grown > worst:
            worst, named = grown, name
        assert grown <= LIMIT_BYTES, f"{name}: {grown / 2**20:.0f} MiB"
    record_property("promise_22", f"over {wire}: {worst / 2**20:.0f} MiB more at the most ({named})")
    held = stage.prompt()
    voice_for(await stage.model.next_request()).say("still here")
    assert (await held).status == 200


QUOTES: tuple[Callable[[Exchange, bytes], object], ...] = (
    lambda exchange, key: exchange.answer(401, b'{"error":{"message":"bad key ' + key + b'"}}'),
    lambda exchange, key: exchange.answer(403, b"<p>" + key),
    lambda exchange, key: exchange.answer(400, b"no json: " + key),
    lambda exchange, key: exchange.answer(301, b"", Location=f"http://x/?key={key.decode()}"),
    lambda exchange, key: exchange.answer(200, b'{"error":"' + key + b'"}'),
    lambda exchange, key: exchange.answer(200, b'{"' + key + b'":'),
    lambda exchange, key: exchange.answer(200, b'data: {"type":7,"choices":"' + key + b'"}\n\n', "text/event-stream"),
    lambda exchange, key: exchange.answer(200, b'data: {"error":{"message":"' + key + b'"}}\n\n', "text/event-stream"),
    lambda exchange, key: exchange.answer(200, b"", Content_Encoding=key.decode()),
)


@pytest.mark.parametrize("wire", WIRES)
@pytest_twisted.ensureDeferred
async def test_promise_24_a_key_that_a_provider_quotes_shows_nowhere(stage: Stage, wire: str) -> None:
    await stage.choose(wire)
    shown = b""
    for quote in QUOTES:
        held = stage.prompt().addTimeout(BOUND_S, reactor)
        quote(await stage.model.next_request(), f"{CANARY}{wire}".encode())
        answer = await held
        assert answer.status == 500
        assert (
            "[redacted]" in answer.message
            or "html" in answer.message.lower()
            or "cannot be understood" in (answer.message)
        ), answer.message
        shown += answer.body
    shown += stage.stream.raw + stage.server.log.read_bytes()
    for path in stage.directory.rglob("*"):
        if path.is_file() and path.name != "crush.json":
            shown += path.read_bytes()
    assert len(stage.stream.of("run_complete")) == len(QUOTES)
    assert b"redacted" in shown
    assert CANARY.encode() not in shown
