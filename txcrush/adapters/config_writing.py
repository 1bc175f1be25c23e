"""Replacing a configuration file: one writer at a time, and either the old text or the new one, never a part."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_POLL_S = 0.02


@contextmanager
def locked(path: str, wait_s: float, pause: Callable[[float], None] = time.sleep) -> Iterator[None]:
    """Hold the advisory lock `PATH.lock`, which is never deleted: a lock belongs to the file, not to its name.

    Blocks for `wait_s` seconds at most, then raises OSError.
    """
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    handle = os.open(path + ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        _acquire(handle, max(1, round(wait_s / _POLL_S)), pause)
        yield
    finally:
        os.close(handle)


def replace_file(path: str, content: bytes) -> None:
    """Put the content at the path, mode 0600, durable when it returns. Call it with the lock held."""
    draft = path + ".tmp"
    _write_new(draft, content)
    os.replace(draft, path)
    directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _acquire(handle: int, tries: int, pause: Callable[[float], None]) -> None:
    for _ in range(tries):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pause(_POLL_S)
        else:
            return
    raise TimeoutError("acquire config lock: another process holds it")


def _write_new(path: str, content: bytes) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)  # left by a process that died, or planted as a link
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with open(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(handle)
