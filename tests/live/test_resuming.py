"""Streams that are cut and resumed, over real sockets and a real database, and over a server that is started anew."""

import random
import socket
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from txcrush.core.sessions import session_event
from txcrush.core.workspaces import Workspace
from txcrush.http import readers
from txcrush.model.ids import SessionId, WorkspaceId
from txcrush.model.sessions import Session
from txcrush.model.storage import PutSession
from txcrush.testing.answer import stream_event
from txcrush.testing.live_client import CLIENT, RawClient
from txcrush.testing.live_server import LiveServer
from txcrush.testing.scale import scaled
from txcrush.wire.sse import SseEvent, SseParser

BATCH = 50
READER = "22222222-2222-4222-8222-222222222222"


class CutClient(RawClient):
    """Reads one stream, as far as its cut: the byte at which the connection is lost."""

    def __init__(self, cut: int | None, took: Callable[[SseEvent], None]) -> None:
        super().__init__()
        self.parser = SseParser()
        self.status = b""
        self._cut = cut
        self._took = took
        self._head: bytes | None = b""

    def dataReceived(self, data: bytes) -> None:
        if self.closed:
            return
        if self._cut is not None:
            data, self._cut = data[: self._cut], max(0, self._cut - len(data))
        for event in self.parser.feed(self._body(data)):
            self._took(event)
        if self._cut == 0:
            self.connectionLost(connectionDone)
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.closed:
            super().connectionLost(reason)

    def _body(self, data: bytes) -> bytes:
        if self._head is None:
            return data
        self._head += data
        head, end, body = self._head.partition(b"\r\n\r\n")
        if not end:
            return b""
        self._head, self.status = None, head.partition(b"\r\n")[0]
        return body


class Reading:
    """A reader that is cut again and again, and comes back each time with the cursor that it has by the standard."""

    def __init__(self, chance: random.Random) -> None:
        self.events: list[SseEvent] = []
        self.cursor = ""
        self.cuts = 0
        self._chance = chance

    async def once(self, server: LiveServer, workspace: str, cut: int | None) -> None:
        """Open the stream and read it to its cut, or its end."""
        reading = CutClient(cut, self.events.append)
        connected = await server.client.raw(reading)
        headers = {"Last_Event_ID": self.cursor} if self.cursor else {}
        connected.send("GET", f"/v1/workspaces/{workspace}/events?client_id={READER}&rich=1", **headers)
        await connected.when_closed()
        self.cursor = reading.parser.last_event_id or self.cursor
        self.cuts += cut is not None

    @property
    def titles(self) -> list[str]:
        told = (stream_event(event.data) for event in self.events)
        return [one.payload["title"] for one in told if one.kind == "session"]


def workspace_of(server: LiveServer, workspace: str) -> Workspace:
    assert server._server is not None
    return server._server._workspaces.get(WorkspaceId(workspace))


async def publish(workspace: Workspace, session: str, numbers: range) -> None:
    """Events that nothing replaces, in batches, each durable before the next."""
    for first in range(numbers.start, numbers.stop, BATCH):
        batch = [
            Session(id=SessionId(session), title=f"t{number}") for number in numbers[first - numbers.start :][:BATCH]
        ]
        await workspace.events.commit([PutSession(batch[-1])], [session_event(one) for one in batch])


@pytest_twisted.ensureDeferred
async def test_promise_25_a_reader_cut_at_random_points_and_over_a_restart_has_every_event_once(
    short_path: Path, record_property: Callable[[str, object], None]
) -> None:
    count, cuts = scaled(10_000, 100_000), scaled(30, 200)
    chance = random.Random(count)
    reading = Reading(chance)
    server = await LiveServer.start(reactor, short_path)
    workspace = await server.client.join(server.project)
    session = await server.client.session(workspace)
    reading.cursor = _head(workspace_of(server, workspace))
    half = count // 2
    bytes_each = count * 400 // cuts
    done = Deferred.fromCoroutine(publish(workspace_of(server, workspace), session, range(half)))
    while reading.cuts < cuts // 2:
        await reading.once(server, workspace, chance.randrange(1, bytes_each))
    await done
    await server.stop()

    server = await LiveServer.start(reactor, short_path)
    workspace = await server.client.join(server.project)
    done = Deferred.fromCoroutine(publish(workspace_of(server, workspace), session, range(half, count)))
    while reading.cuts < cuts:
        await reading.once(server, workspace, chance.randrange(1, bytes_each))
    await done
    ending = Deferred.fromCoroutine(reading.once(server, workspace, None))
    await _until(lambda: bool(reading.events) and f'"t{count - 1}"'.encode() in reading.events[-1].data)
    await server.stop()
    await ending

    assert reading.titles == [f"t{number}" for number in range(count)]
    seqs = [int(event.last_event_id.rpartition("-")[2]) for event in reading.events]
    assert all(before < after for before, after in pairwise(seqs))
    record_property("promise_25", f"{count} events, {cuts} cuts, one restart: 0 lost, 0 twice")


def _head(workspace: Workspace) -> str:
    return workspace.event_ids.of(workspace.events.published)


async def _until(holds: Callable[[], bool]) -> None:
    """Look again and again, for a while."""
    for _ in range(6000):
        if holds():
            return
        await deferLater(reactor, 0.01)  # type: ignore[arg-type]
    raise AssertionError("it never came")


@pytest_twisted.ensureDeferred
async def test_promise_26_a_cursor_that_retention_has_passed_is_reset_once(short_path: Path) -> None:
    server = await LiveServer.start(reactor, short_path, event_log_bytes=50_000)
    workspace = await server.client.join(server.project)
    session = await server.client.session(workspace)
    reading = Reading(random.Random(1))
    reading.cursor = _head(workspace_of(server, workspace))
    await publish(workspace_of(server, workspace), session, range(1000))
    ending = Deferred.fromCoroutine(reading.once(server, workspace, None))
    await _until(lambda: len(reading.events) >= 2)
    got = await server.client.get(f"/v1/workspaces/{workspace}/sessions")
    await server.stop()
    await ending
    events = [stream_event(event.data) for event in reading.events]
    assert [(event.kind, event.change) for event in events] == [("reset", "created"), ("session", "updated")]
    assert events[0].payload == {"reason": "too_old"}
    told = {name: events[1].payload[name] for name in ("id", "title")}
    assert told == {name: got.value[0][name] for name in told}
    assert {event.last_event_id for event in reading.events} == {reading.events[0].last_event_id}


@pytest.mark.parametrize("query", ["rich=1", ""])
@pytest_twisted.ensureDeferred
async def test_promise_30_a_reader_that_stopped_is_freed_after_four_heartbeats(
    short_path: Path, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "HEARTBEAT_S", 0.05)
    server = await LiveServer.start(reactor, short_path)
    workspace = await server.client.join(server.project)
    events = workspace_of(server, workspace).events
    session = await server.client.session(workspace)
    raw = await server.client.raw()
    raw.send("GET", f"/v1/workspaces/{workspace}/events?client_id={CLIENT}&{query}")
    await raw.when(lambda received: b"\r\n\r\n" in received)
    raw.transport.pauseProducing()
    told = Session(id=SessionId(session), title="x" * 4_000_000)  # more than the sockets between take
    await events.commit([PutSession(told)], [session_event(told)])
    assert events.subscribers == 1
    await _until(lambda: events.subscribers == 0)
    raw.transport.resumeProducing()
    await raw.when_closed()
    await server.stop()


@pytest.mark.parametrize("query", ["rich=1", ""])
@pytest_twisted.ensureDeferred
async def test_promise_30_a_peer_that_is_heard_no_more_is_found_out_by_the_kernel(short_path: Path, query: str) -> None:
    if not hasattr(socket, "TCP_USER_TIMEOUT"):
        pytest.skip("this system has no TCP_USER_TIMEOUT")
    server = await LiveServer.start(reactor, short_path, listen=("tcp:0:interface=127.0.0.1",))
    workspace = await server.client.join(server.project)
    raw = await server.tcp_client().raw()
    target = f"/v1/workspaces/{workspace}/events?client_id={CLIENT}&{query}"
    raw.send("GET", target, Authorization=f"Bearer {server.token}")
    await raw.when(lambda received: b"\r\n\r\n" in received)
    (reader,) = workspace_of(server, workspace).events._subscribers
    taken = reader._request.channel.transport.getHandle()  # type: ignore[attr-defined]
    assert taken.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    unheard_s = taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) / 1000
    assert 0 < readers.HEARTBEAT_S + unheard_s <= 60
    await server.stop()
