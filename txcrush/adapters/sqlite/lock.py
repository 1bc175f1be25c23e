"""The data directory and its lock: one server at a time, as an advisory lock that dies with its process."""

import errno
import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from txcrush.model.errors import NoDataDirectory, StorageFailed
from txcrush.wire.stored import LockOwner, decode_lock_owner, encode_lock_owner

LOCK_FILE = "txcrush.lock"
_CONTENDED = (errno.EWOULDBLOCK, errno.EACCES)
_OWNER_BYTES = 4096


def prepare_directory(data_dir: str) -> None:
    """Create the directory, for its owner only, and keep it out of version control. Blocks."""
    try:
        os.makedirs(data_dir, mode=0o700, exist_ok=True)
        with suppress(FileExistsError), open(os.path.join(data_dir, ".gitignore"), "x", encoding="ascii") as ignore:
            ignore.write("*\n")
    except OSError as error:
        raise NoDataDirectory(str(error)) from error


class DirectoryLock:
    """An exclusive lock, held until `release`. The file stays: removing it would let two servers lock two files."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, data_dir: str, version: str, now: Callable[[], float]) -> "DirectoryLock":
        """Raises `StorageFailed` at once where somebody else, or this very process, holds it. Blocks on file work."""
        try:
            descriptor = os.open(os.path.join(data_dir, LOCK_FILE), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StorageFailed(f"the lock of the data directory cannot be opened: {error}") from error
        try:
            _lock(descriptor, data_dir)
            _sign(descriptor, LockOwner(os.getpid(), version, _rfc3339(now())))
        except BaseException:
            os.close(descriptor)
            raise
        return cls(descriptor)

    def release(self) -> None:
        """Give the directory up. Closing the descriptor is what unlocks it."""
        os.close(self._descriptor)


def _lock(descriptor: int, data_dir: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _CONTENDED:
            raise StorageFailed(_in_use(descriptor, data_dir)) from error
        raise StorageFailed(f"the data directory {data_dir} cannot be locked: {error}") from error


def _sign(descriptor: int, owner: LockOwner) -> None:
    try:
        os.fchmod(descriptor, 0o600)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, encode_lock_owner(owner), 0)
    except OSError as error:
        raise StorageFailed(f"the lock of the data directory cannot be written: {error}") from error


def _in_use(descriptor: int, data_dir: str) -> str:
    text = f"data directory already in use by another crush process: {data_dir}"
    try:
        owner = decode_lock_owner(os.pread(descriptor, _OWNER_BYTES, 0))
    except (OSError, StorageFailed):  # the owner is just writing it: the refusal stands without its name
        return text
    return f"{text} (owner pid={owner.pid} version={owner.version} started_at={owner.started_at})"


def _rfc3339(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
