"""Finds the newest files that hold a pattern, and their matching lines (`tools.md` 16).

Two runs of ripgrep. The first names the files that match at all (it leaves each at its first match); the newest of them
that are not ignored are taken in a thread; the second reads the lines of those few. So what is kept and parsed here is
bounded by what is shown, however much matches, and the newest really come first.
"""

import os
from bisect import insort

from msgspec import Struct

from txcrush.adapters.ignore_files import IgnoreFiles, parts_of
from txcrush.adapters.places import lies_in
from txcrush.adapters.private_places import PrivatePlaces
from txcrush.adapters.ripgrep import PLAIN, Printed, Ripgrep
from txcrush.core.ignoring import NOISY, Ignoring
from txcrush.model.errors import Refused
from txcrush.model.searches import FileMatches
from txcrush.ports import Clock, InThread
from txcrush.wire.ripgrep import CUT_LINES, MATCHES, NAMES, read_error, read_matches, read_names

_LATE_S = 5.0
MAX_NAME_BYTES = 64 * 1024 * 1024
MAX_MATCH_BYTES = 64 * 1024 * 1024
"""101 files with 101 lines of 4 KiB each stay below it."""

BAD_REQUEST = 2
"""The exit status of a run that failed, in whole or in part."""


class ContentQuery(Struct, frozen=True, kw_only=True):
    """What is searched for. `include` is a glob for the files, or empty."""

    pattern: str
    is_literal: bool = False
    include: str = ""


class Found(Struct, frozen=True):
    """The newest files' matches; `is_partial` where there are more, `is_late` where the time was up before the end."""

    files: tuple[FileMatches, ...]
    is_partial: bool = False
    is_late: bool = False


class ContentSearch:
    """Searches below directories, and single files. `workspace` is the real path of the workspace's directory. What is
    private in a directory is left out, unless the directory is private itself: whoever searches it has been asked."""

    def __init__(
        self,
        ripgrep: Ripgrep,
        clock: Clock,
        in_thread: InThread,
        ignore_files: IgnoreFiles,
        private: PrivatePlaces | None = None,
    ) -> None:
        self._private = private
        self._ripgrep = ripgrep
        self._clock = clock
        self._in_thread = in_thread
        self._ignore_files = ignore_files

    async def below(
        self, directory: str, workspace: str, query: ContentQuery, *, limit: int, timeout_s: float
    ) -> Found:
        """The matches below the directory, newest file first, ties by path. More than `limit` lines are found where
        there are more, but no file has more than one beyond it. Fails with `Refused`."""
        began = self._clock.seconds()
        command = await self._in_thread(_naming, directory, query)
        named = await self._ripgrep.run(command, directory, timeout_s=timeout_s, max_bytes=MAX_NAME_BYTES)
        _check(named, query)
        newest = await self._in_thread(self._newest, directory, workspace, query, named.output, limit + 1)
        found = await self._lines(directory, newest, query, limit, _left(timeout_s, self._clock.seconds() - began))
        is_partial = len(newest) > limit or found.is_partial or named.is_cut
        return Found(found.files, is_partial, named.is_late or found.is_late)

    async def in_file(self, path: str, query: ContentQuery, *, limit: int, timeout_s: float) -> Found:
        """The matches in one file, whatever it is called."""
        directory, name = os.path.split(path)
        found = await self._lines(directory, [name], query, limit, timeout_s)
        files = tuple(FileMatches("", file.lines) for file in found.files)
        return Found(files, found.is_partial, found.is_late)

    async def _lines(
        self, directory: str, names: list[str], query: ContentQuery, limit: int, timeout_s: float
    ) -> Found:
        if not names:
            return Found(())
        command = (*PLAIN, *MATCHES, *CUT_LINES, f"--max-count={limit + 1}", "--no-mmap", *_pattern(query))
        files = [f"./{name}" for name in names]
        printed = await self._ripgrep.run((*command, *files), directory, timeout_s=timeout_s, max_bytes=MAX_MATCH_BYTES)
        _check(printed, query)
        matches = await self._in_thread(read_matches, printed.output)
        by_name = {file.path: file for file in matches}
        ordered = tuple(by_name[name] for name in names if name in by_name)
        return Found(ordered, printed.is_cut or sum(len(file.lines) for file in ordered) > limit, printed.is_late)

    def _kept_back(self, directory: str) -> tuple[tuple[str, ...], frozenset[tuple[int, int]]]:
        """What is private below the directory, relative to it; and the numbers of private files with many names."""
        if self._private is None or self._private.hold(directory):
            return (), frozenset()
        return self._private.below(directory), self._private.linked()

    def _newest(self, directory: str, workspace: str, query: ContentQuery, output: bytes, count: int) -> list[str]:
        """The newest files that are not ignored, at most `count`, newest first, ties by name.

        No more than these are ever sorted: sorting 100,000 names holds the interpreter, and the reactor, for 100 ms.
        """
        ignoring = self._ignore_files.searched(directory, workspace)
        hidden, linked = self._kept_back(directory)
        newest: list[tuple[int, str]] = []
        for name in read_names(output):
            if hidden and _lies_in_one(name, hidden):
                continue
            dated = _dated(directory, name, linked)
            is_old = dated is not None and len(newest) == count and dated > newest[-1]
            if dated is None or is_old or not _is_searched(ignoring, name, query):
                continue
            insort(newest, dated)
            del newest[count:]
        return [name for _, name in newest]


def _dated(directory: str, name: str, kept_back: frozenset[tuple[int, int]]) -> tuple[int, str] | None:
    """The file as it is ordered, newest first, ties by name; None for one that is gone, or is kept back."""
    try:
        told = os.lstat(f"{directory}/{name}")
    except OSError:
        return None
    return None if kept_back and (told.st_dev, told.st_ino) in kept_back else (-told.st_mtime_ns, name)


def _lies_in_one(name: str, places: tuple[str, ...]) -> bool:
    return any(lies_in(name, place) for place in places)


def _naming(directory: str, query: ContentQuery) -> tuple[str, ...]:
    """The command that names the files with a match."""
    globs = [f"--glob={query.include}"] if query.include else []
    globs += [f"--glob=!**/{name}/" for name in sorted(NOISY) if query.include or not name.startswith(".")]
    crushignore = [f"--ignore-file={name}" for name in (".crushignore",) if os.path.isfile(f"{directory}/{name}")]
    return (*PLAIN, *NAMES, "--files-with-matches", *globs, *crushignore, *_pattern(query), "./")


def _pattern(query: ContentQuery) -> tuple[str, ...]:
    """The pattern as an argument that cannot be taken for an option (D-04), and the end of the options."""
    literal = ("--fixed-strings",) if query.is_literal else ()
    return (*literal, "-e", query.pattern, "--")


def _is_searched(ignoring: Ignoring, name: str, query: ContentQuery) -> bool:
    """Whether the file is neither hidden nor ignored: a glob overrides both for ripgrep (D-05). One that begins with a
    dot asks for hidden files."""
    parts = parts_of(name)
    visible = parts[:-1] if query.include.rpartition("/")[2].startswith(".") else parts
    is_hidden = any(part.startswith(".") for part in visible)
    return not is_hidden and not ignoring.hides(parts, is_directory=False)


def _check(printed: Printed, query: ContentQuery) -> None:
    """Raise `Refused` where ripgrep did not understand."""
    if printed.status != BAD_REQUEST or not printed.error:
        return
    why = read_error(printed.error)
    if query.include and "glob" in why:
        raise Refused(f"error searching files: invalid include pattern: {why}")
    raise Refused(f"error searching files: invalid regex pattern: {why}: `{query.pattern}`")


def _left(timeout_s: float, elapsed_s: float) -> float:
    """What is left of the time; all of it where the clock was set meanwhile."""
    was_set = not 0.0 <= elapsed_s <= timeout_s + _LATE_S
    return timeout_s if was_set else max(timeout_s - elapsed_s, 0.5)
