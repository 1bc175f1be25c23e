"""Walks a directory for a tree of it (`tools.md` 17). Blocks: for a thread.

Level by level, so that where the limit ends the walk what is near the top has been seen. Linked directories are
followed, but not back into themselves, and not out of the directories that the call may see.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from msgspec import Struct

from txcrush.adapters.places import lies_in
from txcrush.core.ignoring import Ignoring, Parts

MAX_ITEMS = 100_000
"""Where no limit is set."""

MAX_ENTRIES = 50_000
"""Of one directory no more entries than this are looked at."""

MAX_LOOKED_AT = 500_000
"""Entries that are looked at in one walk, ignored ones too."""

Identity = tuple[int, int]


class Entry(Struct, frozen=True):
    """A file or directory of the tree; `parts` are its segments below the root."""

    parts: Parts
    is_directory: bool


class Tree(Struct, frozen=True):
    """What was found, parents before their children. `is_partial` where there is more."""

    entries: tuple[Entry, ...]
    is_partial: bool = False


class _Directory(Struct, frozen=True):
    """A directory that is still to be read; `inside` are those that it lies in and itself."""

    path: str
    parts: Parts
    inside: frozenset[Identity]


class TreeWalk:
    """One walk. `seen_below` are the real directories whose insides may be shown; `is_stopped` is asked between
    directories. `max_items` and `max_depth` are without limit where they are negative or 0."""

    def __init__(
        self,
        ignoring: Ignoring,
        seen_below: Sequence[str],
        *,
        max_items: int,
        max_depth: int,
        is_stopped: Callable[[], bool],
    ) -> None:
        self._ignoring = ignoring
        self._seen_below = seen_below
        self._max_items = max_items if 0 < max_items < MAX_ITEMS else MAX_ITEMS
        self._max_depth = max_depth
        self._is_stopped = is_stopped
        self._looked_at = 0
        self._is_partial = False

    def tree(self, root: str) -> Tree:
        """The tree below the directory. Raises OSError where it cannot be read; what cannot be below is empty."""
        found = list(islice(self._entries(root), self._max_items + 1))
        is_partial = self._is_partial or len(found) > self._max_items
        return Tree(tuple(found[: self._max_items]), is_partial)

    def _entries(self, root: str) -> Iterator[Entry]:
        if not os.path.isdir(root):
            return
        level = [_Directory(root, (), frozenset((_identity(root),)))]
        depth = 0
        while level and (self._max_depth <= 0 or depth < self._max_depth):
            below: list[_Directory] = []
            for directory in level:
                yield from self._read(directory, below)
            level, depth = below, depth + 1

    def _read(self, directory: _Directory, below: list[_Directory]) -> Iterator[Entry]:
        """The visible entries of one directory, directories first, then by name; those to be read join `below`."""
        directories, files = self._visible(directory)
        for name in sorted(directories):
            found = Entry((*directory.parts, name), is_directory=True)
            yield found
            below.extend(self._opened(directory, found))
        for name in sorted(files):
            yield Entry((*directory.parts, name), is_directory=False)

    def _visible(self, directory: _Directory) -> tuple[list[str], list[str]]:
        """The names of the directories and of the others, without those that are ignored."""
        names: tuple[list[str], list[str]] = ([], [])
        if self._is_stopped() or self._looked_at > MAX_LOOKED_AT:
            self._is_partial = True
            return names
        try:
            entries = os.scandir(directory.path)
        except OSError:
            if not directory.parts:
                raise
            return names
        with entries:
            for entry in islice(entries, MAX_ENTRIES):
                self._looked_at += 1
                is_directory = _is_directory(entry)
                if not self._ignoring.hides_alone((*directory.parts, entry.name), is_directory=is_directory):
                    names[not is_directory].append(entry.name)
            self._is_partial = self._is_partial or next(entries, None) is not None
        return names

    def _opened(self, directory: _Directory, found: Entry) -> Iterator[_Directory]:
        """The directory, if its inside may be shown."""
        path = os.path.join(directory.path, found.parts[-1])
        try:
            identity = _identity(path)
            real = os.path.realpath(path) if os.path.islink(path) else path
        except OSError:
            return
        may_be_seen = real is path or any(lies_in(real, allowed) for allowed in self._seen_below)
        if may_be_seen and identity not in directory.inside:
            yield _Directory(real, found.parts, directory.inside | {identity})


def _is_directory(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _identity(path: str) -> Identity:
    status = os.stat(path)
    return status.st_dev, status.st_ino
