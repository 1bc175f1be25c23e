"""The end of the log that lies in a workspace's data directory, read backwards (`tools.md` 28.2).

Whoever may write to the project may have put something else there: only a regular file is read that really lies in the
data directory, links resolved, and only so much of it.
"""

import os
from collections.abc import Callable, Iterator
from itertools import islice

from msgspec import Struct

from txcrush.adapters import anchored_files
from txcrush.adapters.places import Place, Places
from txcrush.model.errors import Refused

NAME = "logs/crush.log"
STEP = 8 * 1024
MAX_LINE = 1024 * 1024
"""Bytes; a longer line is passed over."""
MAX_READ = 32 * 1024 * 1024
"""Bytes that are looked through from the end: a log of nothing but bad lines is not searched for ever."""


class LogEnd(Struct, frozen=True):
    """What the end of a log holds: the size of the whole in bytes, and lines, oldest first."""

    size: int
    lines: list[str]


def log_end(data_dir: str, count: int, shown: Callable[[bytes], str | None]) -> LogEnd | None:
    """The last `count` lines of those that `shown` can read; None where there is no log.

    Raises `Refused` for what is no regular file of the data directory, or cannot be read. Blocks: for a thread.
    """
    place = Places(data_dir).resolved(NAME)
    try:
        return _end(place, count, shown)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Refused(f"the log file cannot be read: {error.strerror}") from error


def _end(place: Place, count: int, shown: Callable[[bytes], str | None]) -> LogEnd | None:
    if anchored_files.look(place) is None:
        return None
    if not place.is_inside:
        raise Refused("the log file leads out of the data directory and is not read")
    with anchored_files.opened(place) as (handle, state):
        readable = filter(None, map(shown, lines_backwards(handle, state.size)))
        return LogEnd(state.size, list(islice(readable, count))[::-1])


def lines_backwards(handle: int, size: int) -> Iterator[bytes]:
    """The lines of the file's first `size` bytes, the last first, without empty ones and those that are too long."""
    pieces: list[bytes] = []
    held = 0
    at, stop = size, max(0, size - MAX_READ)
    while at > stop:
        begin = max(stop, at - STEP)
        *lines, rest = reversed(os.pread(handle, at - begin, begin).split(b"\n"))
        at = begin
        for line in lines:
            yield from _whole(line, pieces, held)
            pieces, held = [], 0
        held += len(rest)
        pieces = [*pieces, rest] if held <= MAX_LINE else []
    if at == 0:
        yield from _whole(b"", pieces, held)


def _whole(begin: bytes, pieces: list[bytes], held: int) -> Iterator[bytes]:
    """The line that begins so and goes on with the pieces, the last of which comes first."""
    if held + len(begin) <= MAX_LINE and (line := b"".join((begin, *reversed(pieces))).strip()):
        yield line
