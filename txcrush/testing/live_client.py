"""Clients of a real server: one over treq, one that holds an event stream, one that speaks bare bytes.

Nothing here sleeps: a test waits for what it wants to see.
"""

import socket
import struct
from collections.abc import Callable
from typing import Any, cast

from msgspec import UNSET
from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import connectProtocol
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent
from twisted.web.iweb import UNKNOWN_LENGTH, IAgentEndpointFactory, IResponse
from zope.interface import implementer

from txcrush.testing.answer import Answer, StreamEvent, headers_of, stream_event
from txcrush.wire.json import encode
from txcrush.wire.sse import SseParser

CLIENT = "11111111-1111-4111-8111-111111111111"


class StreamEnded(Exception):
    """The stream ended before it held what was waited for."""


class EventStream(Protocol):
    """A body of events while it comes. `events` holds those so far, `raw` their bytes."""

    transport: Any

    def __init__(self) -> None:
        self.events: list[StreamEvent] = []
        self.raw = b""
        self.ended = False
        self._parser = SseParser()
        self._waiting: list[tuple[Callable[[StreamEvent], bool], Deferred[StreamEvent]]] = []
        self._watchers: list[Deferred[None]] = []

    def when(self, predicate: Callable[[StreamEvent], bool]) -> Deferred[StreamEvent]:
        """Fires with the first event that fits, one that has come already too; fails with `StreamEnded`."""
        watcher: Deferred[StreamEvent] = Deferred(self._forget)
        found = next(filter(predicate, self.events), None)
        if found is not None:
            watcher.callback(found)
        elif self.ended:
            watcher.errback(StreamEnded())
        else:
            self._waiting.append((predicate, watcher))
        return watcher

    def when_ended(self) -> Deferred[None]:
        """Fires when the server or the client has ended the stream."""
        watcher: Deferred[None] = Deferred(lambda watcher: self._watchers.remove(watcher))
        if self.ended:
            watcher.callback(None)
        else:
            self._watchers.append(watcher)
        return watcher

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The payloads of one kind so far."""
        return [event.payload for event in self.events if event.kind == kind]

    def close(self) -> None:
        """The client goes."""
        self.transport.stopProducing()

    def dataReceived(self, data: bytes) -> None:
        self.raw += data
        for event in self._parser.feed(data):
            self._take(stream_event(event.data))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ended = True
        waiting, self._waiting = self._waiting, []
        watchers, self._watchers = self._watchers, []
        for _, watcher in waiting:
            watcher.errback(StreamEnded())
        for asker in watchers:
            asker.callback(None)

    def _take(self, event: StreamEvent) -> None:
        self.events.append(event)
        due = [item for item in self._waiting if item[0](event)]
        self._waiting = [item for item in self._waiting if item not in due]
        for _, watcher in due:
            watcher.callback(event)

    def _forget(self, watcher: Deferred[StreamEvent]) -> None:
        self._waiting = [item for item in self._waiting if item[1] is not watcher]


class RawClient(Protocol):
    """A bare connection: what is sent and what comes is bytes. `clean` says, once it is closed, whether by a FIN."""

    transport: Any

    def __init__(self) -> None:
        self.received = b""
        self.closed = False
        self.clean = False
        self._waiting: list[tuple[Callable[[bytes], bool], Deferred[bytes]]] = []
        self._watchers: list[Deferred[None]] = []

    def when(self, predicate: Callable[[bytes], bool]) -> Deferred[bytes]:
        """Fires with everything received, once that fits; fails with `StreamEnded`."""
        watcher: Deferred[bytes] = Deferred(self._forget)
        if predicate(self.received):
            watcher.callback(self.received)
        elif self.closed:
            watcher.errback(StreamEnded())
        else:
            self._waiting.append((predicate, watcher))
        return watcher

    def when_closed(self) -> Deferred[None]:
        """Fires when the connection is closed, by whomever."""
        watcher: Deferred[None] = Deferred(lambda watcher: self._watchers.remove(watcher))
        if self.closed:
            watcher.callback(None)
        else:
            self._watchers.append(watcher)
        return watcher

    def send(self, method: str, path: str, value: object = UNSET, **headers: str) -> None:
        """Send a request; `_` in header names stands for `-`."""
        body = b"" if value is UNSET else encode(value)
        fields = {"Host": "localhost", **{name.replace("_", "-"): text for name, text in headers.items()}}
        if body:
            fields |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {text}" for name, text in fields.items())]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)

    def reset(self) -> None:
        """Cut the connection: over TCP with a reset instead of a FIN."""
        if self.transport.getHandle().family != socket.AF_UNIX:
            self.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        due = [item for item in self._waiting if item[0](self.received)]
        self._waiting = [item for item in self._waiting if item not in due]
        for _, watcher in due:
            watcher.callback(self.received)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.closed, self.clean = True, reason.check(type(connectionDone.value)) is not None
        waiting, self._waiting = self._waiting, []
        watchers, self._watchers = self._watchers, []
        for _, watcher in waiting:
            watcher.errback(StreamEnded())
        for asker in watchers:
            asker.callback(None)

    def _forget(self, watcher: Deferred[bytes]) -> None:
        self._waiting = [item for item in self._waiting if item[1] is not watcher]


@implementer(IAgentEndpointFactory)
class _OneEndpoint:
    """Whatever the URL says, the same place is asked."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def endpointForURI(self, uri: object) -> IStreamClientEndpoint:
        return self._endpoint


class LiveClient:
    """Asks a server over treq, each time on a connection of its own."""

    def __init__(self, reactor: Any, endpoint: IStreamClientEndpoint, origin: str, token: str | None = None) -> None:
        self._endpoint = endpoint
        self._origin = origin
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._agent = Agent.usingEndpointFactory(reactor, _OneEndpoint(endpoint))
        self._treq = HTTPClient(self._agent)

    async def ask(self, method: str, path: str, value: object = UNSET, **headers: str) -> Answer:
        """The answer, when all of it has come. `value` is the body: JSON, or bytes; `_` in names stands for `-`."""
        body = b"" if value is UNSET else value if isinstance(value, bytes) else encode(value)
        fields: Any = self._headers | {name.replace("_", "-"): text for name, text in headers.items()}
        if body:
            fields = {"Content-Type": "application/json"} | fields
        response = await self._treq.request(
            method, self._origin + path, data=body or None, headers=fields, allow_redirects=False
        )
        return Answer(response.code, _headers(response), await response.content())

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.ask("GET", path, **headers)

    async def post(self, path: str, value: object = UNSET, **headers: str) -> Answer:
        return await self.ask("POST", path, value, **headers)

    async def stream(self, workspace_id: str, client_id: str = CLIENT) -> EventStream:
        """An event stream whose head has come: from now on nothing passes it by."""
        path = f"/v1/workspaces/{workspace_id}/events?client_id={client_id}"
        fields: Any = self._headers | {"Accept": "text/event-stream"}
        response = await self._treq.request("GET", self._origin + path, headers=fields, unbuffered=True)
        assert response.code == 200, response.code
        stream = EventStream()
        response.original.deliverBody(stream)
        return stream

    async def raw(self, client: RawClient | None = None) -> RawClient:
        """A bare connection, by this protocol where one is given."""
        return cast(RawClient, await connectProtocol(self._endpoint, client or RawClient()))

    # What nearly every test does

    async def join(self, path: str, client_id: str = CLIENT, **fields: object) -> str:
        """Create or join a workspace; returns its id."""
        answer = await self.post("/v1/workspaces", {"path": path, "client_id": client_id, **fields})
        assert answer.status == 200, answer
        return str(answer.value["id"])

    async def session(self, workspace_id: str, title: str = "A Session") -> str:
        """Create a session; returns its id."""
        answer = await self.post(f"/v1/workspaces/{workspace_id}/sessions", {"title": title})
        assert answer.status == 200, answer
        return str(answer.value["id"])

    def prompt(
        self, workspace_id: str, session_id: str, text: str, *, prefer: str = "", key: str = "", **fields: object
    ) -> Deferred[Answer]:
        """Post a prompt. `prefer` and `key` are the headers Prefer and Idempotency-Key."""
        named = {"Prefer": prefer, "Idempotency_Key": key}
        headers = {name: value for name, value in named.items() if value}
        body = {"session_id": session_id, "prompt": text, **fields}
        return Deferred.fromCoroutine(self.post(f"/v1/workspaces/{workspace_id}/agent", body, **headers))


def _headers(response: IResponse) -> dict[str, str]:
    raw = response.headers.getAllRawHeaders()
    headers = headers_of((name.decode(), value.decode()) for name, values in raw for value in values)
    return headers if response.length is UNKNOWN_LENGTH else headers | {"content-length": str(response.length)}
