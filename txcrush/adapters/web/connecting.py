"""Ways to a host that lead to an address which was checked: a name is resolved once, and never again."""

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import (
    IAddress,
    IHostResolution,
    IProtocol,
    IProtocolFactory,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from txcrush.adapters.web.addresses import literal
from txcrush.adapters.web.failures import WebFailed

ATTEMPT_S = 8
"""Seconds for one address, where a host has several."""
MOST_ADDRESSES = 4
"""So many of a host's addresses are tried."""
HEAD_BYTES = 128 * 1024
"""The longest head of an answer; Twisted itself keeps any number of headers."""

CheckAddress = Callable[[str, str], None]
"""Raises `AddressRefused` for a host and one address of it."""


async def addresses_of(reactor: Any, host: str, port: int) -> list[str]:
    """The host's addresses, in the system's order; the host itself where it is one. Raises `WebFailed`."""
    written = literal(host)
    if written is not None:
        return [written]
    answer = _Answer()
    reactor.nameResolver.resolveHostName(answer, host, port)
    found = await answer.complete
    if not found:
        raise WebFailed(f"the host name {host} cannot be resolved")
    return found


@implementer(IResolutionReceiver)
class _Answer:
    """Collects a resolver's answer. A resolver cannot be stopped: given up, the answer is not looked at."""

    def __init__(self) -> None:
        self.complete: Deferred[list[str]] = Deferred()
        self._found: dict[str, None] = {}

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Nothing to keep."""

    def addressResolved(self, address: IAddress) -> None:
        if isinstance(address, (IPv4Address, IPv6Address)):
            self._found[address.host] = None

    def resolutionComplete(self) -> None:
        if not self.complete.called:
            self.complete.callback(list(self._found))


@implementer(IStreamClientEndpoint)
class PinnedEndpoint:
    """Resolves once, has each address checked, and connects to one of those."""

    def __init__(self, reactor: Any, host: str, port: int, check: CheckAddress) -> None:
        self._reactor = reactor
        self._host = host
        self._port = port
        self._check = check

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        addresses = await addresses_of(self._reactor, self._host, self._port)
        for address in addresses:
            self._check(self._host, address)
        *first, last = addresses[:MOST_ADDRESSES]
        for address in first:
            try:
                return await self._way(address).connect(factory)
            except (ConnectError, OSError):
                continue
        return await self._way(last).connect(factory)

    def _way(self, address: str) -> IStreamClientEndpoint:
        kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
        way: IStreamClientEndpoint = kind(self._reactor, address, self._port, timeout=ATTEMPT_S)
        return way


class Meter(ProtocolWrapper):
    """Aborts the connection when the head of its answer, with all that comes before it, grows too long."""

    factory: "_MeterFactory"
    _seen = 0
    in_head = True

    def connectionMade(self) -> None:
        self.factory.opened.add(self)
        ProtocolWrapper.connectionMade(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.factory.opened.discard(self)
        ProtocolWrapper.connectionLost(self, reason)

    def dataReceived(self, data: bytes) -> None:
        ProtocolWrapper.dataReceived(self, data)
        self._seen += len(data)
        if self.in_head and self._seen > HEAD_BYTES:
            self.abortConnection()


class _MeterFactory(WrappingFactory):
    protocol = Meter
    noisy = False

    def __init__(self, inner: IProtocolFactory, opened: set[Meter]) -> None:
        super().__init__(inner)  # type: ignore[no-untyped-call]
        self.opened = opened


@implementer(IStreamClientEndpoint)
class MeteredEndpoint:
    """Puts a `Meter` on the connection, and into `opened` as long as it is open."""

    def __init__(self, way: IStreamClientEndpoint, opened: set[Meter]) -> None:
        self._way = way
        self._opened = opened

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        connected: Deferred[Any] = self._way.connect(_MeterFactory(protocolFactory, self._opened))
        unwrapped: Deferred[IProtocol] = connected.addCallback(_unwrapped)
        return unwrapped


def _unwrapped(meter: ProtocolWrapper) -> IProtocol:
    """The agent wants its own protocol back, not the meter before it."""
    inner: IProtocol = meter.wrappedProtocol
    return inner
