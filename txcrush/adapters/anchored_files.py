"""Looking at, reading and replacing the file of a `Place`, and no other.

Theory. `Place.real` held no symbolic link when it was looked at, and what was decided was decided for it. So it is
opened name by name, each below the directory that was opened before, and none through a link: if somebody has swapped
a directory or the file for a link since, opening fails (`promises.md` 66). Only regular files are opened, so nothing
blocks. A file is replaced by renaming a finished one over it (67): whoever looks, at any moment and after any crash,
sees the old content or the new, whole.

Every function blocks: call it in a thread. What the disk refuses is an OSError.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from msgspec import Struct

from txcrush.adapters.places import Place
from txcrush.model.errors import Refused

NEW_FILE_MODE, NEW_DIRECTORY_MODE = 0o644, 0o755
"""Less what the process's umask takes away."""

MAX_DRAFTS = 1000
"""Drafts in one directory at a time, those included that killed processes have left."""

MAX_NAMES = 10_000

_WALK = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class FileState(Struct, frozen=True, kw_only=True):
    """What tells one state of a file from another, and what a replacement keeps."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    mode: int
    uid: int
    gid: int

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.mode)

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.mode)


def look(place: Place) -> FileState | None:
    """What is there; None where nothing is."""
    try:
        with _parent(place) as (directory, name):
            return _state(os.stat(name, dir_fd=directory, follow_symlinks=False))
    except FileNotFoundError:
        return None


@contextmanager
def opened(place: Place) -> Iterator[tuple[int, FileState]]:
    """The descriptor of the file, open for reading, and its state. Raises `Refused` for what is no regular file."""
    with _parent(place) as (directory, name):
        _ensure_regular(place, _state(os.stat(name, dir_fd=directory, follow_symlinks=False)))
        handle = os.open(name, _READ, dir_fd=directory)
    try:
        state = _state(os.fstat(handle))
        _ensure_regular(place, state)
        yield handle, state
    finally:
        os.close(handle)


def names_beside(place: Place) -> list[str]:
    """The names in the file's directory, in the disk's order, at most 10,000; none where it may not be read. Names that
    are not UTF-8 are left out."""
    try:
        with _parent(place) as (directory, _):
            handle = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        return []
    try:
        with os.scandir(handle) as entries:
            names = [entry.name for entry, _ in zip(entries, range(MAX_NAMES), strict=False)]
    finally:
        os.close(handle)
    return [name for name in names if name.isascii() or not any("\ud800" <= char <= "\udfff" for char in name)]


def read_whole(place: Place, limit: int) -> tuple[bytes, FileState]:
    """The whole file. Raises `Refused` for one of more than `limit` bytes."""
    with opened(place) as (handle, state):
        content = b"".join(_pieces(handle, limit + 1))
    if len(content) > limit:
        raise Refused(f"{place.absolute} is too large: at most {limit} bytes are read")
    return content, state


def replace(place: Place, content: bytes, expected: FileState | None) -> FileState:
    """Put the content there, durably, and tell its state. Directories above it are made.

    `expected` is what was there when it was decided, None for nothing: `Refused` where it is something else by now, and
    where its owner cannot be kept. A file that exists keeps its mode and owner.
    """
    with _parent(place, make=True) as (directory, name):
        if expected is not None:
            _ensure_writable(place, directory, name, expected)
        with _draft(directory, content, expected) as draft:
            _put(place, directory, draft, name, expected)
        _sync(directory)
        return _state(os.stat(name, dir_fd=directory, follow_symlinks=False))


def _state(found: os.stat_result) -> FileState:
    return FileState(
        device=found.st_dev,
        inode=found.st_ino,
        size=found.st_size,
        mtime_ns=found.st_mtime_ns,
        mode=found.st_mode,
        uid=found.st_uid,
        gid=found.st_gid,
    )


@contextmanager
def _parent(place: Place, *, make: bool = False) -> Iterator[tuple[int, str]]:
    """The open directory that holds the file, and the file's name in it."""
    above, name = os.path.split(place.real)
    directory = os.open("/", _WALK)
    try:
        for step in filter(None, above.split("/")):
            below = _step(directory, step, make=make)
            os.close(directory)
            directory = below
        yield directory, name or "."
    finally:
        os.close(directory)


def _step(directory: int, name: str, *, make: bool) -> int:
    try:
        return os.open(name, _WALK, dir_fd=directory)
    except FileNotFoundError:
        if not make:
            raise
    with suppress(FileExistsError):
        os.mkdir(name, NEW_DIRECTORY_MODE, dir_fd=directory)
    return os.open(name, _WALK, dir_fd=directory)


def _ensure_regular(place: Place, state: FileState) -> None:
    if stat.S_ISLNK(state.mode):
        raise Refused(f"{place.absolute} has become a symbolic link: look at it again")
    if not state.is_file:
        raise Refused(f"{place.absolute} is not a regular file")


def _pieces(handle: int, limit: int) -> Iterator[bytes]:
    while limit > 0:
        piece = os.read(handle, min(limit, 1024 * 1024))
        if not piece:
            return
        limit -= len(piece)
        yield piece


def _ensure_writable(place: Place, directory: int, name: str, expected: FileState) -> None:
    """A rename asks nobody whether the file may be written: ask, as whoever writes in place is asked."""
    _ensure_unchanged(place, directory, name, expected)
    os.close(os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory))


def _ensure_unchanged(place: Place, directory: int, name: str, expected: FileState) -> None:
    try:
        state = _state(os.stat(name, dir_fd=directory, follow_symlinks=False))
    except FileNotFoundError:
        raise Refused(f"{place.absolute} has been removed meanwhile: nothing was written") from None
    _ensure_regular(place, state)
    if state != expected:
        raise Refused(f"{place.absolute} has been modified meanwhile: nothing was written, read it again")


@contextmanager
def _draft(directory: int, content: bytes, like: FileState | None) -> Iterator[str]:
    """The name of a finished file in the directory, which is gone afterwards unless it was renamed."""
    name, handle = _new_file(directory, NEW_FILE_MODE if like is None else 0o600)
    try:
        with open(handle, "wb", buffering=0) as file:
            if like is not None:
                _make_alike(handle, like)
            _write_all(handle, content)
            os.fsync(file.fileno())
        yield name
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=directory)


def _new_file(directory: int, mode: int) -> tuple[str, int]:
    for number in range(MAX_DRAFTS):
        name = f".txcrush-{number}.tmp"
        with suppress(FileExistsError):
            return name, os.open(name, _CREATE, mode, dir_fd=directory)
    raise Refused(f"the directory holds {MAX_DRAFTS} unfinished files (.txcrush-*.tmp): remove them")


def _make_alike(handle: int, like: FileState) -> None:
    """Owner first: changing it clears the set-user-id bit."""
    own = os.fstat(handle)
    if (own.st_uid, own.st_gid) != (like.uid, like.gid):
        try:
            os.fchown(handle, like.uid, like.gid)
        except PermissionError:
            raise Refused("the file belongs to another user or group, which cannot be kept: not written") from None
    os.fchmod(handle, stat.S_IMODE(like.mode))


def _write_all(handle: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(handle, left[: 1024 * 1024]) :]


def _put(place: Place, directory: int, draft: str, name: str, expected: FileState | None) -> None:
    if expected is not None:
        _ensure_unchanged(place, directory, name, expected)
        os.rename(draft, name, src_dir_fd=directory, dst_dir_fd=directory)
        return
    try:
        os.link(draft, name, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
    except FileExistsError:
        raise Refused(f"{place.absolute} has been made meanwhile: nothing was written, read it first") from None
    except OSError:  # no hard links here
        if _exists(directory, name):
            raise
        os.rename(draft, name, src_dir_fd=directory, dst_dir_fd=directory)


def _exists(directory: int, name: str) -> bool:
    with suppress(FileNotFoundError):
        os.stat(name, dir_fd=directory, follow_symlinks=False)
        return True
    return False


def _sync(directory: int) -> None:
    """Make the rename durable; the walk's descriptor cannot be synced itself. A directory that may not be read is
    synced with its file system, later."""
    with suppress(PermissionError):
        handle = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
