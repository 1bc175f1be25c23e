"""Who listens on a Unix socket, asked of the kernel: nobody can pretend to be somebody else there."""

import errno
import os
import socket
import struct
import sys

from msgspec import Struct

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
        return _darwin_peer(asking) if sys.platform == "darwin" else _linux_peer(asking)


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


def _linux_peer(connected: socket.socket) -> Peer:
    raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII"))
    pid, uid, _ = struct.unpack("iII", raw)
    return Peer(pid, uid)


def _darwin_peer(connected: socket.socket) -> Peer:
    xucred = connected.getsockopt(_DARWIN_SOL_LOCAL, _DARWIN_LOCAL_PEERCRED, _DARWIN_XUCRED_BYTES)
    pid = connected.getsockopt(_DARWIN_SOL_LOCAL, _DARWIN_LOCAL_PEERPID)
    return Peer(pid, struct.unpack_from("=II", xucred)[1])
