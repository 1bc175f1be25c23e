# mypy: allow-untyped-calls
# (Twisted's classes that are extended here carry no annotations.)
"""A Unix socket that nobody else can open, replace or steal.

A lock file beside the socket (`PATH.lock`, never removed) is held from before the check for a stale socket until the
socket is gone: between one server's check and its bind another one could otherwise bind, and lose its socket.
"""

import contextlib
import errno
import fcntl
import os
import socket
import stat
import struct
import sys
from collections.abc import Iterator

from twisted.internet import tcp, unix
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.python.failure import Failure

from txcrush.model.errors import ListenFailed

BACKLOG = 1024
_DARWIN_SOL_LOCAL, _DARWIN_LOCAL_PEERCRED, _DARWIN_XUCRED_BYTES = 0, 1, 76


class SocketPort(unix.Port):
    """A listening Unix socket: 0600 from its first moment, removed at the end only if the file is still ours."""

    def __init__(self, path: str, factory: IProtocolFactory, reactor: IReactorTime, lock: int) -> None:
        super().__init__(os.fsencode(path), factory, backlog=BACKLOG, mode=0o600, reactor=reactor)
        self._path = path
        self._lock = lock
        self._identity: tuple[int, int, int] | None = None
        self._unbound: socket.socket

    def startListening(self) -> None:
        try:
            with _umask(0o177):
                super().startListening()
        except BaseException:
            self._unbound.close()  # Twisted leaves it to the garbage collector
            raise
        self._identity = _identity(self._path)

    def createInternetSocket(self) -> socket.socket:
        self._unbound = super().createInternetSocket()
        return self._unbound

    def connectionLost(self, reason: Failure) -> None:
        # Past unix.Port's own, which removes whatever lies at the path.
        tcp.Port.connectionLost(self, reason)
        if self._identity is not None and _identity(self._path) == self._identity:
            os.unlink(self._path)
        os.close(self._lock)


def listen_unix(reactor: IReactorTime, path: str, factory: IProtocolFactory) -> SocketPort:
    """Listen at the path. Raises `ListenFailed`, with what to do, and then leaves everything as it was."""
    if not path or "\0" in path:
        raise ListenFailed(f"not a path for a Unix socket: {path!r}")
    prepare_directory(os.path.dirname(path) or ".")
    lock = _lock(path)
    try:
        remove_stale(path)
        port = SocketPort(path, factory, reactor, lock)
        port.startListening()
    except (OSError, CannotListenError) as error:
        os.close(lock)
        raise ListenFailed(f"cannot listen on {path}: {getattr(error, 'socketError', error)}") from error
    except BaseException:
        os.close(lock)
        raise
    return port


def prepare_directory(path: str) -> None:
    """Create the socket's directory as 0700, or make sure that others cannot put a socket of theirs into it."""
    try:
        with _umask(0o077):
            os.makedirs(path)
    except FileExistsError:
        mode = os.stat(path).st_mode
        if not stat.S_ISDIR(mode):
            raise ListenFailed(f"{path} is not a directory") from None
        if mode & 0o022 and not mode & stat.S_ISVTX:
            raise ListenFailed(f"others can write in {path}: chmod go-w it, or choose another place") from None
    except OSError as error:
        raise ListenFailed(f"cannot create {path}: {error.strerror}") from error


def remove_stale(path: str) -> None:
    """Remove a socket that nobody listens on. Raises `ListenFailed` for a live one and for anything else there."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ListenFailed(f"{path} exists and is not a socket: it is left alone, choose another place or remove it")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        outcome = probe.connect_ex(path)
    if outcome in (0, errno.EAGAIN, errno.EINPROGRESS):  # EAGAIN: somebody listens, and the backlog is full
        raise ListenFailed(f"another server is listening on {path}")
    if outcome == errno.ECONNREFUSED:
        os.unlink(path)
    elif outcome != errno.ENOENT:
        raise ListenFailed(f"cannot tell whether a server is listening on {path}: {os.strerror(outcome)}")


def peer_uid(transport: object) -> int | None:
    """The user id of the process at the other end of a Unix socket's transport, None when that cannot be known."""
    connection: socket.socket = transport.getHandle()  # type: ignore[attr-defined]
    try:
        if sys.platform == "darwin":
            xucred = connection.getsockopt(_DARWIN_SOL_LOCAL, _DARWIN_LOCAL_PEERCRED, _DARWIN_XUCRED_BYTES)
            return int(struct.unpack_from("=II", xucred)[1])
        ucred = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII"))
        return int(struct.unpack("iII", ucred)[1])
    except (AttributeError, OSError):
        return None


def peer_pid(transport: object) -> int | None:
    """The process at the other end of a Unix socket's transport (Linux), None when that cannot be known."""
    if sys.platform == "darwin":
        return None
    try:
        connection: socket.socket = transport.getHandle()  # type: ignore[attr-defined]
        ucred = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII"))
    except (AttributeError, OSError):
        return None
    return int(struct.unpack("iII", ucred)[0]) or None


def _lock(path: str) -> int:
    try:
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ListenFailed(f"cannot write {path}.lock: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise ListenFailed(f"another server is listening on {path}") from None
    return lock


def _identity(path: str) -> tuple[int, int, int] | None:
    """What tells this file from a later one at the same path; inode numbers alone are used again at once."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns


@contextlib.contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)
