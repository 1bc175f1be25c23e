"""A file that is written beside its place and appears there whole, or not at all.

The directory is opened name by name, none through a symbolic link, and everything after that happens inside it: a link
that is swapped in meanwhile leads nowhere.
"""

import errno
import os
import secrets
import stat
from contextlib import suppress
from threading import Lock

_WALK = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Landing:
    """Blocking: for threads. Its methods may be called from several, one after the other. They raise OSError.

    `path` is the place, absolute, symbolic links resolved. Directories above it are made with the first byte, not
    before. After `discard` nothing happens any more.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = Lock()
        self._directory = self._handle = -1
        self._draft = ""
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
        """Put the file into its place, instead of the one that is there, whose mode and owner it takes."""
        with self._lock:
            if self._over:
                return
            self._open()
            self._become_like_what_is_there()
            os.fsync(self._handle)
            os.rename(self._draft, self._name, src_dir_fd=self._directory, dst_dir_fd=self._directory)
            self._over = True
            self._close()

    def discard(self) -> None:
        """Leave nothing behind, but what was committed."""
        with self._lock:
            if self._over:
                return
            self._over = True
            if self._handle >= 0:
                with suppress(FileNotFoundError):
                    os.unlink(self._draft, dir_fd=self._directory)
            self._close()

    @property
    def _name(self) -> str:
        return os.path.basename(self._path)

    def _open(self) -> None:
        if self._handle >= 0:
            return
        self._directory = _anchored(os.path.dirname(self._path))
        self._draft = f".txcrush-{secrets.token_hex(6)}.tmp"
        self._handle = os.open(self._draft, _CREATE, 0o666, dir_fd=self._directory)

    def _become_like_what_is_there(self) -> None:
        """A rename asks nobody whether the old file may be written, nor what it is: ask, as whoever writes in place
        is asked."""
        try:
            there = os.open(self._name, _LOOK, dir_fd=self._directory)
        except FileNotFoundError:
            return
        try:
            state, own = os.fstat(there), os.fstat(self._handle)
        finally:
            os.close(there)
        if not stat.S_ISREG(state.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", self._path)
        if (own.st_uid, own.st_gid) != (state.st_uid, state.st_gid):
            os.fchown(self._handle, state.st_uid, state.st_gid)
        os.fchmod(self._handle, stat.S_IMODE(state.st_mode))

    def _close(self) -> None:
        for handle in (self._handle, self._directory):
            if handle >= 0:
                os.close(handle)
        self._handle = self._directory = -1


def _anchored(path: str) -> int:
    """The open directory; what is missing of it is made."""
    directory = os.open("/", _WALK)
    try:
        for name in filter(None, path.split("/")):
            below = _below(directory, name)
            os.close(directory)
            directory = below
    except OSError:
        os.close(directory)
        raise
    return directory


def _below(directory: int, name: str) -> int:
    try:
        return os.open(name, _WALK, dir_fd=directory)
    except FileNotFoundError:
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=directory)
        return os.open(name, _WALK, dir_fd=directory)
