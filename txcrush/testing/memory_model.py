"""A model provider whose connections are in memory: the real adapters and Twisted's HTTP client, a fake clock."""

from collections.abc import Iterable, Mapping
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactor
from twisted.python.failure import Failure
from zope.interface import implementer

from txcrush.adapters.providers import Limits, ProviderBuilder
from txcrush.model.config import ProviderConfig
from txcrush.model.providers import ModelReply, ModelRequest, UserTurn
from txcrush.ports import StreamSink
from txcrush.testing.recording_sink import RecordingSink
from txcrush.testing.routed_reactor import RoutedReactor

KEY = "sk-canary-0123456789"
REQUEST = ModelRequest(model="m", turns=(UserTurn("hi"),))


class _Reactor(MemoryReactor):
    """Sockets in memory, time from the test's clock."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.callLater = clock.callLater
        self.seconds = clock.seconds
        self.getDelayedCalls = clock.getDelayedCalls


class _Handle:
    def setsockopt(self, level: int, name: int, value: int) -> None:
        """There is no kernel that would heed it."""


@implementer(ITCPTransport)
class Line:
    """One connection, seen from the provider. `sent` is what it was sent, `gone` says that it was closed.

    What is sent while the client has paused waits until it reads on, as in a socket.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._protocol: Any = None
        self._held = b""
        self._end: Exception | None = None
        self._paused = False
        self.sent = b""
        self.gone = False

    def connect(self, protocol: Any) -> None:
        self._protocol = protocol
        protocol.makeConnection(self)

    # What the provider does

    def send(self, data: bytes) -> None:
        """These bytes arrive, in one piece."""
        self._held += data
        self._pass_on()

    def close(self) -> None:
        """The provider closes the connection cleanly, behind what it has sent."""
        self._end = self._end or ConnectionDone()
        self._pass_on()

    def drop(self) -> None:
        """The connection breaks, behind what was sent."""
        self._end = self._end or ConnectionLost()
        self._pass_on()

    def _pass_on(self) -> None:
        if self.gone or self._paused:
            return
        held, self._held = self._held, b""
        if held:
            self._protocol.dataReceived(held)
        if self._end is not None and not self._paused:
            self._lose(self._end)

    def _lose(self, reason: Exception) -> None:
        if not self.gone:
            self.gone = True
            self._protocol.connectionLost(Failure(reason))

    # What the client does

    def write(self, data: bytes) -> None:
        self.sent += data

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.sent += b"".join(data)

    def loseConnection(self, *_: object) -> None:
        self._clock.callLater(0, self._lose, ConnectionDone())

    def abortConnection(self) -> None:
        self._clock.callLater(0, self._lose, ConnectionAborted())

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self._clock.callLater(0, self._pass_on)

    def stopProducing(self) -> None:
        self.loseConnection()

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """Nothing is ever full here."""

    def unregisterProducer(self) -> None:
        """Nothing is ever full here."""

    def loseWriteConnection(self) -> None:
        """The client never closes one half only."""

    def getTcpNoDelay(self) -> bool:
        return True

    def setTcpNoDelay(self, enabled: bool) -> None:
        """There is no kernel that would heed it."""

    def getTcpKeepAlive(self) -> bool:
        return True

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """There is no kernel that would heed it."""

    def getHandle(self) -> _Handle:
        return _Handle()

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "10.0.0.1", 80)

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "10.0.0.2", 50_000)


class MemoryModel:
    """A provider of one kind (`openai-compat`, `anthropic`). `lines` holds every connection that was opened.

    It is a `ports.Provider` as well, so that a harness can run on it.
    """

    def __init__(
        self, kind: str, clock: Clock | None = None, limits: Limits | None = None, environ: Mapping[str, str] = {}
    ) -> None:
        self.clock = clock or Clock()
        self.lines: list[Line] = []
        self._reactor = _Reactor(self.clock)
        routed = RoutedReactor(self._reactor, 80)
        self._builder = ProviderBuilder(
            routed,
            clock=self.clock,
            environ=environ,
            expand=lambda text: text,
            new_id=iter(map(str, range(10**9))).__next__,
            limits=limits,
        )
        config = ProviderConfig(id="acme", type=kind, base_url="http://10.0.0.1/v1", api_key=KEY)
        self._provider = self._builder(config)

    def stream(self, request: ModelRequest, sink: StreamSink) -> "Deferred[ModelReply]":
        """See `ports.Provider`."""
        return self._provider.stream(request, sink)

    def ask(self, sink: StreamSink | None = None) -> "Deferred[ModelReply]":
        """Send a request."""
        return self.stream(REQUEST, sink or RecordingSink())

    def accept(self) -> Line:
        """The line of the newest request: a connection that it waits for, or one that was kept."""
        for _, _, factory, *_ in self._waiting():
            line = Line(self.clock)
            self.lines.append(line)
            line.connect(factory.buildProtocol(None))
        return self.lines[-1]

    @property
    def connecting(self) -> bool:
        """Whether a connection is being opened, and still wanted."""
        return any(not connector.stoppedConnecting for connector in self._reactor.connectors)

    def _waiting(self) -> list[Any]:
        clients, self._reactor.tcpClients = self._reactor.tcpClients, []
        connectors, self._reactor.connectors = self._reactor.connectors, []
        pairs = zip(clients, connectors, strict=True)
        return [client for client, connector in pairs if not connector.stoppedConnecting]
