"""Who listens on a Unix socket, asked of the kernel: nobody can pretend to be somebody else there."""

import errno
import os
import socket
import struct
import sys
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from zope.interface import implementer

CONNECT_S = 2.0
_DARWIN_SOL_LOCAL, _DARWIN_LOCAL_PEERCRED, _DARWIN_LOCAL_PEERPID, _DARWIN_XUCRED_BYTES = 0, 1, 2, 76


class Peer(Struct, frozen=True):
    """The process that listens, and its user."""

    pid: int
    uid: int

    def is_trusted_by(self, uid: int) -> bool:
        """Whether a user may tell it what he would not tell everybody: it is his own, or the system's."""
        return self.uid in (uid, 0)


def peer_at(path: str) -> Peer | None:
    """The process that listens at the path, None where none does. Raises OSError where that cannot be known."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(CONNECT_S)
        try:
            asking.connect(path)
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            return None
        return _peer(asking)


class StrangersSocket(ConnectError):
    """Another user listens there."""

    def __str__(self) -> str:
        return "another user's server listens there"


@implementer(IStreamClientEndpoint)
class OwnSocket:
    """Connects to a Unix socket, and lets nobody say a word on a connection whose other end is a stranger's.

    `peer_at` has looked before, but in a directory that all can write another socket may have taken the place since.
    """

    def __init__(self, reactor: Any, path: str, uid: int) -> None:
        self._endpoint = UNIXClientEndpoint(reactor, path)
        self._uid = uid

    def connect(self, factory: IProtocolFactory) -> "Deferred[IProtocol]":
        """As in `IStreamClientEndpoint`; fails with `StrangersSocket`."""
        connected: Deferred[IProtocol] = self._endpoint.connect(factory)
        return connected.addCallback(self._checked)

    def _checked(self, protocol: Any) -> Any:
        if not _peer(protocol.transport.getHandle()).is_trusted_by(self._uid):
            protocol.transport.abortConnection()
            raise StrangersSocket
        return protocol


def is_alive(pid: int) -> bool:
    """Whether the process runs. One that has ended and that nobody has collected does not."""
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno == errno.EPERM
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (OSError, IndexError):
        return not os.path.isdir("/proc/self")


def _peer(connected: socket.socket) -> Peer:
    return _darwin_peer(connected) if sys.platform == "darwin" else _linux_peer(connected)


def _linux_peer(connected: socket.socket) -> Peer:
    raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII"))
    pid, uid, _ = struct.unpack("iII", raw)
    return Peer(pid, uid)


def _darwin_peer(connected: socket.socket) -> Peer:
    xucred = connected.getsockopt(_DARWIN_SOL_LOCAL, _DARWIN_LOCAL_PEERCRED, _DARWIN_XUCRED_BYTES)
    pid = connected.getsockopt(_DARWIN_SOL_LOCAL, _DARWIN_LOCAL_PEERPID)
    return Peer(pid, struct.unpack_from("=II", xucred)[1])
