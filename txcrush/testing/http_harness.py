"""The HTTP face in memory: raw bytes through the real parser, guards and routes to the services of a harness."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

from klein import Klein
from msgspec import UNSET
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IAddress
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from txcrush.http.channel import CrushChannel
from txcrush.http.families import route_families
from txcrush.http.guards import Policy
from txcrush.http.page import PAGE_FOLDER, PAGE_PREFIXES, PageRoutes
from txcrush.http.page_sessions import PageSessions
from txcrush.http.routing import build_app
from txcrush.http.site import CrushSite
from txcrush.testing.answer import Answer, StreamEvent, parse_answer, stream_event
from txcrush.testing.harness import CLIENT, Harness, NoProjectFiles, named_files
from txcrush.testing.scripted_provider import Step
from txcrush.wire.json import encode
from txcrush.wire.sse import SseParser

UID = 1000
SOCKET = UNIXAddress("/run/crush.sock")
LOOPBACK = IPv4Address("TCP", "127.0.0.1", 8080)


class Connection:
    """One request on a connection of its own."""

    def __init__(self, site: CrushSite, address: IAddress) -> None:
        self._channel: CrushChannel = site.buildProtocol(address)
        self._transport = StringTransport(hostAddress=address, peerAddress=address)
        self._channel.makeConnection(self._transport)  # type: ignore[no-untyped-call]

    def send(self, data: bytes) -> None:
        """Bytes from the client."""
        self._channel.dataReceived(data)

    @property
    def raw(self) -> bytes:
        """Everything that the server has written."""
        return bytes(self._transport.value())

    @property
    def closed(self) -> bool:
        """Whether the server has ended the connection."""
        return bool(self._transport.disconnecting)

    @property
    def aborted(self) -> bool:
        """Whether the server threw away what the client had not taken."""
        return bool(self._transport.disconnected)

    def drop(self) -> None:
        """The client's connection is reset."""
        self._channel.connectionLost(Failure(ConnectionLost()))

    def pause(self) -> None:
        """The client reads no more, and the buffers between are full."""
        self._producer.pauseProducing()

    def resume(self) -> None:
        """The client reads on."""
        self._producer.resumeProducing()

    @property
    def _producer(self) -> Any:
        return self._transport.producer


class Asked(Connection):
    """A request that was sent. Its answer may be a while in coming."""

    with_body = True

    @property
    def is_answered(self) -> bool:
        return parse_answer(self.raw, with_body=self.with_body) is not None

    @property
    def answer(self) -> Answer:
        """The answer, which must be there already."""
        answer = parse_answer(self.raw, with_body=self.with_body)
        assert answer is not None, "there is no answer yet"
        return answer


class MemoryStream(Connection):
    """An open event stream."""

    @property
    def head(self) -> bytes:
        """The answer's head, as it came."""
        return self.raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"

    @property
    def body(self) -> bytes:
        """Everything after the head."""
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def events(self) -> list[StreamEvent]:
        """Every event so far."""
        return [stream_event(event.data) for event in SseParser().feed(self.body)]

    @property
    def cursor(self) -> str:
        """What the client would come back with, by the rules of the standard."""
        parser = SseParser()
        parser.feed(self.body)
        return parser.last_event_id

    @property
    def ids(self) -> list[str]:
        """The value of every `id:` line, in order."""
        return [line[4:].decode() for line in self.body.split(b"\n") if line.startswith(b"id: ")]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The payloads of one kind."""
        return [event.payload for event in self.events if event.kind == kind]


class MemoryClient:
    """Asks a site. `headers` go with every request, those of a request over them; None leaves one out."""

    def __init__(self, site: CrushSite, address: IAddress, headers: dict[str, str | None] | None = None) -> None:
        self._site = site
        self._address = address
        self._headers: dict[str, str | None] = {"Host": "localhost", **(headers or {})}

    def ask(self, method: str, path: str, value: object = UNSET, *, raw: bytes = b"", **headers: str | None) -> Asked:
        """Send a request. `value` is its body as JSON, `raw` its body as bytes; `_` in header names stands for `-`."""
        asked = Asked(self._site, self._address)
        asked.with_body = method != "HEAD"
        asked.send(self._request(method, path, raw if value is UNSET else encode(value), headers))
        return asked

    def get(self, path: str) -> Answer:
        return self.ask("GET", path).answer

    def post(self, path: str, value: object = UNSET, *, raw: bytes = b"", **headers: str | None) -> Answer:
        return self.ask("POST", path, value, raw=raw, **headers).answer

    def put(self, path: str, value: object) -> Answer:
        return self.ask("PUT", path, value).answer

    def delete(self, path: str) -> Answer:
        return self.ask("DELETE", path).answer

    def stream(
        self, workspace_id: str, client_id: str = CLIENT, query: str = "", **headers: str | None
    ) -> MemoryStream:
        """Open a workspace's event stream; `query` is more of its query, such as `rich=1`."""
        stream = MemoryStream(self._site, self._address)
        path = f"/v1/workspaces/{workspace_id}/events?client_id={client_id}&{query}".rstrip("&")
        stream.send(self._request("GET", path, b"", headers))
        return stream

    def _request(self, method: str, path: str, body: bytes, headers: dict[str, str | None]) -> bytes:
        fields = self._headers | {name.replace("_", "-"): value for name, value in headers.items()}
        if body:
            fields = {"Content-Type": "application/json", **fields, "Content-Length": str(len(body))}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {text}" for name, text in fields.items() if text is not None)]
        return "\r\n".join([*lines, "", ""]).encode() + body


class HttpHarness(Harness):
    """A harness with the HTTP interface on top: `app` is the Klein application, `client` asks it.

    Over `unix` the client may do what the user's own programs may; over `tcp` it needs `token`, where there is one.
    `in_thread` is called for what the server would do in a thread; by default it is done at once.
    """

    def __init__(
        self,
        steps: Iterable[Step] = (),
        *,
        kind: Literal["unix", "tcp"] = "unix",
        token: str | None = None,
        replaceable: bool = False,
        in_thread: Callable[..., Deferred[Any]] = maybeDeferred,
        **more: Any,
    ) -> None:
        super().__init__(steps, **more)
        self.page_at = ""
        self.observed = self.observatory()
        self.families = route_families(
            self.workspaces,
            self.clock,
            self.observed,
            project_files=NoProjectFiles(),
            file_names=named_files,
            skill_files=self.skill_files,
            page=PageRoutes(PAGE_FOLDER, in_thread),
            page_url=lambda: self.page_at,
            replaceable=replaceable,
        )
        self.app: Klein = build_app(self.families, in_thread)
        policy = Policy(kind=kind, own_uid=UID, token=token, public_prefixes=PAGE_PREFIXES)
        sessions = PageSessions(token, self.clock.seconds) if token else None
        asks_uid = (lambda _: UID) if kind == "unix" else None
        self.site = CrushSite(self.app.resource(), policy, self.clock, asks_uid, sessions)
        self.client = MemoryClient(self.site, SOCKET if kind == "unix" else LOOPBACK)

    def join(self, path: str = "/project", client_id: str = CLIENT, **fields: object) -> str:
        """Create or join a workspace over HTTP; returns its id."""
        answer = self.client.post("/v1/workspaces", {"path": path, "client_id": client_id, **fields})
        assert answer.status == 200, answer
        return str(answer.value["id"])

    def session(self, workspace_id: str, title: str = "A Session") -> str:
        """Create a session over HTTP; returns its id."""
        answer = self.client.post(f"/v1/workspaces/{workspace_id}/sessions", {"title": title})
        assert answer.status == 200, answer
        return str(answer.value["id"])
