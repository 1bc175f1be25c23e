"""A file that is written beside its place and appears there whole, or not at all."""

import os
import secrets
import stat
from threading import Lock


class Landing:
    """Blocking: for threads. Its methods may be called from several, one after the other.

    `path` is the place, symlinks resolved. Directories above it are made with the first byte, so nothing is there
    before. After `discard` nothing happens any more.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = Lock()
        self._temporary = ""
        self._handle = -1
        self._over = False
        self.size = 0

    def write(self, data: bytes) -> None:
        """Append the bytes."""
        with self._lock:
            if self._over:
                return
            self._open()
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._handle, rest) :]
            self.size += len(data)

    def commit(self) -> None:
        """Put the file into its place, instead of the one that is there."""
        with self._lock:
            if self._over:
                return
            self._open()
            os.fsync(self._handle)
            os.replace(self._temporary, self._path)
            self._over = True
            self._close()

    def discard(self) -> None:
        """Leave nothing behind, but what was committed."""
        with self._lock:
            if self._over:
                return
            self._over = True
            if self._handle >= 0:
                self._close()
                os.unlink(self._temporary)

    def _open(self) -> None:
        if self._handle >= 0:
            return
        folder, name = os.path.split(self._path)
        os.makedirs(folder, exist_ok=True)
        self._temporary = os.path.join(folder, f".{name[:100]}.{secrets.token_hex(6)}.part")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._handle = os.open(self._temporary, flags, 0o666)
        self._keep_mode()

    def _keep_mode(self) -> None:
        """An existing file's mode and, where we may, its owner."""
        try:
            there = os.lstat(self._path)
        except FileNotFoundError:
            return
        if stat.S_ISREG(there.st_mode):
            if (there.st_uid, there.st_gid) != (os.geteuid(), os.getegid()) and os.geteuid() == 0:
                os.fchown(self._handle, there.st_uid, there.st_gid)
            os.fchmod(self._handle, stat.S_IMODE(there.st_mode))

    def _close(self) -> None:
        os.close(self._handle)
        self._handle = -1
