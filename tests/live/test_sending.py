"""Frames on real sockets: all of them, in order, whatever the reader's pace."""

import socket
from pathlib import Path
from typing import Any

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint, UNIXServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport

from txcrush.http.sending import Sender

FRAMES = [b"%d:" % number + b"x" * (number % 5000) + b"\n" for number in range(400)]


class Pair:
    """A server's transport and a client that reads when it is told to."""

    def __init__(self) -> None:
        self.connected: Deferred[Any] = Deferred()
        self.received = b""
        self.ended: Deferred[None] = Deferred()

    async def open(self, path: Path) -> Any:
        pair = self

        class Serving(Protocol):
            def connectionMade(self) -> None:
                pair.connected.callback(self.transport)

        class Reading(Protocol):
            def connectionMade(self) -> None:
                assert self.transport is not None
                self.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

            def dataReceived(self, data: bytes) -> None:
                pair.received += data

            def connectionLost(self, reason: Any = None) -> None:
                pair.ended.callback(None)

        port = await UNIXServerEndpoint(reactor, str(path / "s")).listen(Factory.forProtocol(Serving))
        client = await UNIXClientEndpoint(reactor, str(path / "s")).connect(Factory.forProtocol(Reading))
        transport = await self.connected
        await port.stopListening()
        return transport, client.transport


@pytest_twisted.ensureDeferred
async def test_frames_arrive_whole_and_in_order_also_when_the_reader_stops_for_a_while(short_path: Path) -> None:
    pair = Pair()
    transport, reader = await pair.open(short_path)
    sender = Sender(transport)
    reader.pauseProducing()
    for frame in FRAMES[:200]:
        sender.write(frame)
    reader.resumeProducing()
    for frame in FRAMES[200:]:
        sender.write(frame)
    transport.loseConnection()
    await pair.ended
    assert pair.received == b"".join(FRAMES)


@pytest_twisted.ensureDeferred
async def test_writing_to_a_reader_that_is_gone_harms_nobody(short_path: Path) -> None:
    pair = Pair()
    transport, reader = await pair.open(short_path)
    reader.abortConnection()
    await pair.ended
    for frame in FRAMES:
        Sender(transport).write(frame)


def test_a_transport_that_is_no_socket_is_written_to_as_ever() -> None:
    transport = StringTransport()
    Sender(transport).write(b"frame")
    assert transport.value() == b"frame"
