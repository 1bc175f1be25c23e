"""Writing to a connection without the detour through the reactor.

Twisted queues what is written and asks the reactor when the socket will take it: for an event stream with a thousand
readers that is a selector call more, each way, for every frame. Here the socket is asked at once, as long as nothing
waits before it; what it does not take goes the ordinary way, and then everything does until that has left.
"""

import socket
from typing import Any

from twisted.internet.tcp import Connection

UNHEARD_MS = 40_000
"""With a heartbeat every 15 s a peer that is gone is found out within a minute."""

_USER_TIMEOUT: int | None = getattr(socket, "TCP_USER_TIMEOUT", None)


class Sender:
    """Writes to one transport, in order. A transport that is no plain socket (TLS, a test's) is written to as ever."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        plain = isinstance(transport, Connection) and not transport.TLS
        self._socket = transport.getHandle() if plain else None
        if plain:
            transport.bufferSize = 0  # the producer is paused at the first byte that the socket does not take

    def watch_peer(self) -> None:
        """Have the connection end where what is sent is not acknowledged for a while: its peer has gone unheard."""
        if self._socket is None or self._socket.family == socket.AF_UNIX:
            return
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if _USER_TIMEOUT is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, UNHEARD_MS)

    @property
    def unsent(self) -> int:
        """Bytes that wait because the other end does not take them."""
        transport = self._transport
        waiting = len(getattr(transport, "dataBuffer", b"")) - getattr(transport, "offset", 0)
        return int(waiting + getattr(transport, "_tempDataLen", 0))

    def write(self, data: bytes) -> None:
        """Send the data, or what of it cannot be sent now as soon as it can."""
        transport, sent = self._transport, 0
        own = self._socket
        is_open = transport.connected and not transport.disconnecting
        if own is not None and is_open and not transport.dataBuffer and not transport._tempDataBuffer:
            sent = _send_now(own, data)
        if sent < len(data):
            transport.write(data[sent:] if sent else data)


def _send_now(own: Any, data: bytes) -> int:
    """How many bytes the socket took."""
    try:
        return int(own.send(data))
    except OSError:
        return 0  # full, or gone: the transport will find out, and tell
