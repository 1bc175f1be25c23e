"""Promise 69: what a server sends costs a bounded number of bytes and a bounded time, and a cancel closes the
connection at once. Everything on the loopback."""

import gzip
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread

from txcrush.adapters.places import Places
from txcrush.adapters.tools.download import Download
from txcrush.adapters.tools.fetch import LARGEST, Fetch
from txcrush.adapters.tools.web_fetch import WebFetch
from txcrush.adapters.web import WebClient, WebFailed, WebRequest
from txcrush.adapters.web.connecting import HEAD_BYTES
from txcrush.adapters.web.pages import Pages
from txcrush.model.errors import Refused
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import ToolCall
from txcrush.model.tools import ToolOutput, ToolUse
from txcrush.testing.model_server import Exchange, ModelServer
from txcrush.testing.scripted_desk import ScriptedDesk

BOMB = gzip.compress(bytes(20_000_000), 9)
MOST_SENT = 64 * 1024 * 1024
"""What a test sends at most, so that a missing limit fails it rather than the machine."""


class Pouring:
    """Sends a piece again and again, as fast as it is read, and counts. `start` begins."""

    def __init__(self, exchange: Exchange, piece: bytes, most: int = MOST_SENT) -> None:
        self._transport: Any = exchange._connection.transport
        self._piece = piece
        self._most = most
        self.sent = 0

    def start(self) -> None:
        self._transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        if self.sent >= self._most:
            self._transport.unregisterProducer()
            return
        self.sent += len(self._piece)
        self._transport.write(self._piece)

    def stopProducing(self) -> None:
        """The connection is closed."""


class Rig:
    """A server, and the tools in a directory, which may reach it, on a clock of the test's."""

    def __init__(self, directory: Path) -> None:
        self.clock = Clock()
        self.server = ModelServer.listen(reactor)
        self.desk = ScriptedDesk()
        self.directory = directory
        self.web = WebClient(reactor, self.clock, {}, allow_private=True)
        self.url = f"http://127.0.0.1:{self.server.port}/"

    def fetch(self, format: str = "text", **more: object) -> "Deferred[ToolOutput]":
        tool = Fetch(self.web, self.desk, str(self.directory), deferToThread)
        return tool.run(used(url=self.url, format=format, **more))

    def download(self, path: str = "file", *, largest: int = 1 << 30, **more: object) -> "Deferred[ToolOutput]":
        tool = Download(self.web, self.desk, Places(str(self.directory)), deferToThread, largest=largest)
        return tool.run(used(url=self.url, file_path=path, **more))

    def web_fetch(self) -> "Deferred[ToolOutput]":
        tool = WebFetch(Pages(self.web, deferToThread), str(self.directory), deferToThread)
        return tool.run(used(url=self.url))

    def every_tool(self) -> "Iterator[Deferred[ToolOutput]]":
        yield self.fetch()
        yield self.download(largest=1_000_000)
        yield self.web_fetch()

    def left(self) -> list[str]:
        return sorted(os.listdir(self.directory))


def used(**arguments: object) -> ToolUse:
    call = ToolCall(id="call_1", name="tool", input="", finished=True)
    return ToolUse(call=call, arguments=arguments, session_id=SessionId("s"), message_id=MessageId("m"))


async def refusal(running: "Deferred[ToolOutput]") -> str:
    with pytest.raises(Refused) as refused:
        await running
    return refused.value.message


@pytest_twisted.async_yield_fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    await rig.server.stop()


@pytest_twisted.ensureDeferred
async def test_promise_69_a_gzip_bomb_is_refused_by_every_tool(rig: Rig) -> None:
    for running in rig.every_tool():
        exchange = await rig.server.next_request()
        exchange.answer(200, BOMB, "text/html", content_encoding="gzip")
        assert "decompression bomb" in await refusal(running)
        await exchange.when_gone()
    assert rig.left() == []


@pytest_twisted.ensureDeferred
async def test_what_is_compressed_as_usual_is_read(rig: Rig) -> None:
    text = b"".join(b"line %d\n" % number for number in range(5000))
    running = rig.fetch()
    exchange = await rig.server.next_request()
    exchange.answer(200, gzip.compress(text), "text/plain", content_encoding="gzip")
    assert (await running).content == text.decode()
    assert exchange.headers["accept-encoding"] == "gzip"


@pytest_twisted.ensureDeferred
async def test_promise_69_an_endless_body_is_read_up_to_the_limit(rig: Rig) -> None:
    running = rig.fetch()
    exchange = await rig.server.next_request()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    pouring = Pouring(exchange, b"x" * 65536)
    pouring.start()
    output = await running
    assert output.content == "x" * LARGEST + f"\n\n[Content truncated to {LARGEST} bytes]"
    await exchange.when_gone()
    assert pouring.sent < MOST_SENT


@pytest_twisted.ensureDeferred
async def test_promise_69_an_endless_download_ends_at_the_limit_and_leaves_nothing(rig: Rig) -> None:
    running = rig.download(largest=3_000_000)
    exchange = await rig.server.next_request()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    pouring = Pouring(exchange, b"x" * 65536)
    pouring.start()
    assert await refusal(running) == "failed to download from URL: the file is larger than 3000000 bytes"
    await exchange.when_gone()
    assert pouring.sent < MOST_SENT
    assert rig.left() == []


@pytest_twisted.ensureDeferred
async def test_promise_69_an_announced_size_over_the_limit_is_refused_before_a_byte_is_read(rig: Rig) -> None:
    running = rig.download(largest=1000)
    exchange = await rig.server.next_request()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n")
    assert "larger than 1000 bytes" in await refusal(running)
    assert rig.left() == []


@pytest.mark.parametrize(
    "begin",
    [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n"],
    ids=["at once", "behind a hint"],
)
@pytest_twisted.ensureDeferred
async def test_promise_69_an_endless_head_is_cut_off(rig: Rig, begin: bytes) -> None:
    running = rig.fetch()
    exchange = await rig.server.next_request()
    exchange.send(begin)
    pouring = Pouring(exchange, b"X-More: " + b"x" * 8000 + b"\r\n")
    pouring.start()
    assert (await refusal(running)).startswith("failed to fetch URL: ")
    await exchange.when_gone()
    assert pouring.sent < HEAD_BYTES + MOST_SENT // 4


@pytest_twisted.ensureDeferred
async def test_promise_69_endless_hints_are_cut_off(rig: Rig) -> None:
    running = rig.fetch()
    exchange = await rig.server.next_request()
    Pouring(exchange, b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 100).start()
    assert (await refusal(running)).startswith("failed to fetch URL: ")
    await exchange.when_gone()


@pytest_twisted.ensureDeferred
async def test_promise_69_ten_thousand_redirects_are_eleven_requests(rig: Rig) -> None:
    numbers = iter(range(10_000))
    rig.server.handler = lambda exchange: exchange.answer(302, b"", location=f"/{next(numbers)}")
    for running in rig.every_tool():
        before = len(rig.server.requests)
        assert (await refusal(running)).endswith("stopped after 10 redirects")
        assert len(rig.server.requests) - before == 11
    assert rig.left() == []


@pytest_twisted.ensureDeferred
async def test_promise_69_a_slow_drip_ends_in_time_and_leaves_nothing(rig: Rig) -> None:
    for start, limit in ((rig.fetch, 30), (rig.download, 300), (rig.web_fetch, 30)):
        running = start()
        exchange = await rig.server.next_request()
        exchange.head(content_type="text/plain")
        for _ in range(limit - 1):
            exchange.chunk(b"x")
            rig.clock.advance(1)
        assert not running.called
        rig.clock.advance(1)
        assert f"no whole answer within {limit} seconds" in await refusal(running)
        await exchange.when_gone()
    assert rig.left() == []


@pytest_twisted.ensureDeferred
async def test_promise_69_a_server_that_never_answers_ends_in_time(rig: Rig) -> None:
    running = rig.fetch(timeout=2)
    exchange = await rig.server.next_request()
    rig.clock.advance(2)
    assert "within 2 seconds" in await refusal(running)
    await exchange.when_gone()


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip"])
@pytest_twisted.ensureDeferred
async def test_promise_69_other_codings_are_refused(rig: Rig, coding: str) -> None:
    running = rig.fetch()
    (await rig.server.next_request()).answer(200, b"xx", "text/plain", content_encoding=coding)
    assert "not asked for" in await refusal(running)


def silence(_: Exchange) -> None:
    """The server says nothing."""


def half_a_body(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 1_500_000)


@pytest.mark.parametrize("state", [silence, half_a_body])
@pytest_twisted.ensureDeferred
async def test_cancel_closes_the_connection_and_leaves_nothing(rig: Rig, state: Callable[[Exchange], None]) -> None:
    for start in (rig.fetch, rig.download, rig.web_fetch):
        running = start()
        exchange = await rig.server.next_request()
        state(exchange)
        if state is half_a_body and start is not rig.fetch:
            await written(rig, exchange)
        if running.called:  # a fetch needs no more than its limit
            await running
            continue
        running.cancel()
        with pytest.raises(CancelledError):
            await running
        await exchange.when_gone()
    assert rig.left() == []


async def written(rig: Rig, exchange: Exchange) -> None:
    """Wait until what was sent has been taken from us."""
    transport: Any = exchange._connection.transport
    taken: Deferred[None] = Deferred()

    class Watch:
        def resumeProducing(self) -> None:
            transport.unregisterProducer()
            taken.callback(None)

        def stopProducing(self) -> None:
            """The connection is closed."""

    transport.registerProducer(Watch(), False)
    await taken


@pytest_twisted.ensureDeferred
async def test_cancel_while_it_is_asked_about_connects_to_nobody(rig: Rig) -> None:
    rig.desk.grant = None
    for start in (rig.fetch, rig.download):
        running = start()
        if not rig.desk.waiting:
            await deferToThread(lambda: None)
        running.cancel()
        with pytest.raises(CancelledError):
            await running
    assert rig.server.connections == 0


@pytest_twisted.ensureDeferred
async def test_no_connection_is_kept(rig: Rig) -> None:
    running = rig.fetch()
    exchange = await rig.server.next_request()
    exchange.answer(200, b"hello", "text/plain")
    await running
    await exchange.when_gone()
    with pytest.raises(WebFailed):
        await rig.web.get(WebRequest(url="http://127.0.0.1:1/", limit=1, seconds=5))
