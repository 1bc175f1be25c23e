"""What is done to every connection to a provider: the head of an answer is bounded, a dead peer is noticed, and who is
gone is not waited for."""

import re
import socket
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from txcrush.adapters.providers._idle_watch import Limits

_EMPTY_LINE = re.compile(rb"\n\r?\n")

_PROBE_IDLE_S, _PROBES = 30, 4
"""A silent peer is probed after so many seconds, then so many times in as many again."""


@implementer(IStreamClientEndpoint)
class GuardedEndpoint:
    """Bounds what Twisted does not: the whole of connecting (names and tunnels too), and the head of an answer.

    `opened` holds the guards of the connections that are open.
    """

    def __init__(self, way: IStreamClientEndpoint, reactor: Any, limits: Limits, opened: "set[Guard]") -> None:
        self._way = way
        self._reactor = reactor
        self._limits = limits
        self._open = opened

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        factory = _GuardFactory(protocolFactory, self._reactor, self._limits, self._open)
        connected: Deferred[Any] = self._way.connect(factory)
        connected.addTimeout(self._limits.connect_s, self._reactor)
        unwrapped: Deferred[IProtocol] = connected.addCallback(_unwrapped)
        return unwrapped


def _unwrapped(guard: ProtocolWrapper) -> IProtocol:
    """The pool wants its own protocol back, not the guard before it."""
    inner: IProtocol = guard.wrappedProtocol
    return inner


@implementer(IStreamClientEndpoint)
class WatchedEndpoint:
    """A TCP connection whose peer may vanish: the kernel probes it, and gives up what is not acknowledged for long.

    Without that a kept connection whose peer is gone would take a request and say nothing, until the idle limit.
    """

    def __init__(self, way: IStreamClientEndpoint, silence_s: float) -> None:
        self._way = way
        self._silence_ms = int(silence_s * 1000)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        return self._way.connect(protocolFactory).addCallback(self._watched)

    def _watched(self, protocol: Any) -> IProtocol:
        handle = protocol.transport.getHandle()
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        wanted = {
            "TCP_KEEPIDLE": _PROBE_IDLE_S,
            "TCP_KEEPINTVL": max(1, _PROBE_IDLE_S // _PROBES),
            "TCP_KEEPCNT": _PROBES,
            "TCP_USER_TIMEOUT": self._silence_ms,
        }
        for name, value in wanted.items():
            if hasattr(socket, name):  # they differ by system
                handle.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        watched: IProtocol = protocol
        return watched


class Guard(ProtocolWrapper):
    """Knows that a connection is open, and aborts it when an answer's head grows beyond the limit.

    Twisted itself keeps any number of headers. A write is a new request: the count begins anew. An empty line ends it,
    unless it ends an interim answer (100 Continue), of which there may be any number.
    """

    factory: "_GuardFactory"
    _head: bytearray | None = None
    _begin = 0
    _abort: IDelayedCall | None = None

    def __init__(self, factory: "_GuardFactory", inner: IProtocol) -> None:
        super().__init__(factory, inner)  # type: ignore[arg-type]
        self.lost: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self.factory.open.add(self)
        ProtocolWrapper.connectionMade(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.factory.open.discard(self)
        if self._abort is not None and self._abort.active():
            self._abort.cancel()
        ProtocolWrapper.connectionLost(self, reason)
        self.lost.callback(None)

    def write(self, data: bytes) -> None:
        self._head, self._begin = bytearray(), 0
        ProtocolWrapper.write(self, data)

    def writeSequence(self, data: list[bytes]) -> None:
        self._head, self._begin = bytearray(), 0
        ProtocolWrapper.writeSequence(self, data)

    def loseConnection(self) -> None:
        """Close; a peer that does not take the rest, or does not answer TLS's good-bye, has little time for it."""
        ProtocolWrapper.loseConnection(self)
        if self._abort is None and not self.lost.called:
            self._abort = self.factory.reactor.callLater(self.factory.limits.drain_s, self.abortConnection)

    def stopProducing(self) -> None:
        """Who reads the body wants no more of it: nothing that is still to be sent matters."""
        self.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        if self._head is not None and not self._within(self._head, data):
            self.abortConnection()
            return
        ProtocolWrapper.dataReceived(self, data)

    def _within(self, head: bytearray, data: bytes) -> bool:
        searched = max(self._begin, len(head) - 2)
        head += data
        while end := _EMPTY_LINE.search(head, searched):
            if not head.startswith((b"HTTP/1.1 1", b"HTTP/1.0 1"), self._begin):
                self._head = None
                return True
            self._begin = searched = end.end()
        return len(head) <= self.factory.limits.head_bytes


class _GuardFactory(WrappingFactory):
    protocol = Guard
    noisy = False

    def __init__(self, inner: IProtocolFactory, reactor: Any, limits: Limits, opened: set[Guard]) -> None:
        super().__init__(inner)  # type: ignore[no-untyped-call]
        self.reactor = reactor
        self.limits = limits
        self.open = opened
