"""A model server on a real loopback socket that does, byte by byte, what a test says.

An exchange writes Chat Completions; `messages_answer` writes Anthropic Messages on it. HTTP is spoken by hand, so that
a test can also send what no HTTP server would. Nothing here sleeps: a test waits for `next_request()`, sends what it
likes, and waits for `when_gone()`.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IAddress, IReactorTCP
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from txcrush.wire.json import encode, parse_object
from txcrush.wire.sse import frame


class Exchange:
    """One request that came, and what to answer.

    `headers` has lower-case names; `body` is as it came. Nothing is sent before the test (or the server's `handler`)
    says so.
    """

    def __init__(self, connection: "_Connection", line: str, headers: dict[str, str], body: bytes) -> None:
        self._connection = connection
        self.method, self.target = line.split(" ")[:2]
        self.headers = headers
        self.body = body

    def json(self) -> dict[str, Any]:
        """The body of the request."""
        return parse_object(self.body.decode())

    @property
    def gone(self) -> bool:
        """Whether the client has closed the connection."""
        return self._connection.gone

    def when_gone(self) -> Deferred[None]:
        """Fires when the connection is closed, by whomever."""
        return self._connection.when_gone()

    def send(self, data: bytes) -> None:
        """Raw bytes, as they are."""
        self._connection.transport.write(data)

    def head(self, status: int = 200, content_type: str = "text/event-stream", **headers: str) -> None:
        """The head of a streamed answer, chunked so that the connection can be kept. `_` in names stands for `-`."""
        fields = {"Content-Type": content_type, "Transfer-Encoding": "chunked"} | _dashed(headers)
        self.send(_head(status, fields))

    def chunk(self, data: bytes) -> None:
        """Bytes of a streamed body."""
        if data:
            self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def event(self, value: object) -> None:
        """One event with this value as JSON."""
        self.chunk(frame(encode(value)))

    def text(self, delta: str) -> None:
        """A chunk with more text."""
        self.event({"choices": [{"index": 0, "delta": {"content": delta}}]})

    def delta(self, **fields: object) -> None:
        """A chunk whose delta has these fields."""
        self.event({"choices": [{"index": 0, "delta": fields}]})

    def finish(self, reason: str = "stop") -> None:
        """The finish chunk."""
        self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})

    def usage(self, prompt: int, completion: int, **more: object) -> None:
        """The usage chunk."""
        row = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        self.event({"choices": [], "usage": row | more})

    def done(self) -> None:
        """`[DONE]` and the end of the body; the connection stays."""
        self.chunk(b"data: [DONE]\n\n")
        self.end()

    def end(self) -> None:
        """The end of the streamed body; the connection stays."""
        self.send(b"0\r\n\r\n")

    def reply(self, *texts: str, prompt: int = 10, completion: int = 5) -> None:
        """A whole good answer in so many deltas."""
        self.head()
        for text in texts:
            self.text(text)
        self.finish()
        self.usage(prompt, completion)
        self.done()

    def answer(self, status: int, body: bytes, content_type: str = "application/json", **headers: str) -> None:
        """A whole answer that does not stream."""
        fields = {"Content-Type": content_type, "Content-Length": str(len(body))} | _dashed(headers)
        self.send(_head(status, fields) + body)

    def error(self, status: int, message: str, **headers: str) -> None:
        """An error in OpenAI's shape."""
        body = encode({"error": {"message": message, "type": "invalid_request_error"}})
        self.answer(status, body, **headers)

    def close(self) -> None:
        """A clean end of the connection."""
        self._connection.transport.loseConnection()

    def drop(self) -> None:
        """A reset of the connection."""
        self._connection.transport.abortConnection()

    def pause_reading(self) -> None:
        """Read nothing more from the client."""
        self._connection.transport.pauseProducing()


class ModelServer:
    """Counts and keeps what it is asked. `handler`, when set, answers each request; else `next_request()` hands it out.

    `requests` holds every request, `connections` counts the connections that were opened, `open` those that still are.
    """

    def __init__(self, handler: Callable[[Exchange], None] | None = None) -> None:
        self.handler = handler
        self.requests: list[Exchange] = []
        self.connections = 0
        self._open: set[_Connection] = set()
        self._unseen: deque[Exchange] = deque()
        self._asking: deque[Deferred[Exchange]] = deque()
        self._port: Any = None
        self.port = 0

    @classmethod
    def listen(
        cls, reactor: IReactorTCP, handler: Callable[[Exchange], None] | None = None, tls: Any = None
    ) -> "ModelServer":
        """A server on a free port of 127.0.0.1; with a TLS context factory, over TLS."""
        server = cls(handler)
        factory: Any = _ConnectionFactory(server)
        if tls is None:
            server._port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        else:
            listen_tls = reactor.listenSSL  # type: ignore[attr-defined]  # an IReactorSSL, where there is TLS at all
            server._port = listen_tls(0, factory, tls, interface="127.0.0.1")
        server.port = server._port.getHost().port
        return server

    @property
    def base_url(self) -> str:
        """What the `base_url` of a Chat Completions provider is set to."""
        return f"{self.root_url}/v1"

    @property
    def root_url(self) -> str:
        """What the `base_url` of an Anthropic Messages provider is set to."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def open(self) -> int:
        return len(self._open)

    def next_request(self) -> Deferred[Exchange]:
        """The oldest request that was not handed out yet, when there is one."""
        asking: Deferred[Exchange] = Deferred(lambda asking: self._asking.remove(asking))
        if self._unseen:
            asking.callback(self._unseen.popleft())
        else:
            self._asking.append(asking)
        return asking

    async def stop(self) -> None:
        """Close the port and every connection, and wait until that is done."""
        await maybeDeferred(self._port.stopListening)
        for connection in list(self._open):
            gone = connection.when_gone()
            connection.transport.abortConnection()
            await gone

    def opened(self, connection: "_Connection") -> None:
        self.connections += 1
        self._open.add(connection)

    def closed(self, connection: "_Connection") -> None:
        self._open.discard(connection)

    def asked(self, exchange: Exchange) -> None:
        self.requests.append(exchange)
        if self.handler is not None:
            self.handler(exchange)
        elif self._asking:
            self._asking.popleft().callback(exchange)
        else:
            self._unseen.append(exchange)


class _Connection(Protocol):
    transport: Any

    def __init__(self, server: ModelServer) -> None:
        self._server = server
        self._buffer = b""
        self._watchers: list[Deferred[None]] = []
        self.gone = False

    def when_gone(self) -> Deferred[None]:
        watcher: Deferred[None] = Deferred(lambda watcher: self._watchers.remove(watcher))
        if self.gone:
            watcher.callback(None)
        else:
            self._watchers.append(watcher)
        return watcher

    def connectionMade(self) -> None:
        self._server.opened(self)

    def dataReceived(self, data: bytes) -> None:
        self._buffer += data
        head, blank, rest = self._buffer.partition(b"\r\n\r\n")
        line, _, fields = head.decode("latin-1").partition("\r\n")
        headers = _fields(fields.split("\r\n"))
        length = int(headers.get("content-length", "0"))
        if blank and len(rest) >= length:
            self._buffer = rest[length:]
            self._server.asked(Exchange(self, line, headers, rest[:length]))

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # Twisted's signature
        self.gone = True
        self._server.closed(self)
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher.callback(None)


class _ConnectionFactory(Factory):
    noisy = False

    def __init__(self, server: ModelServer) -> None:
        self._server = server

    def buildProtocol(self, addr: IAddress | None) -> _Connection:  # Twisted's signature
        return _Connection(self._server)


def _head(status: int, fields: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _dashed(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def _fields(lines: Iterable[str]) -> dict[str, str]:
    pairs = (line.partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
