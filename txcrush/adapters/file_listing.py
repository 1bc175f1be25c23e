"""Lists files by a pattern for their names, newest first (`tools.md` 15).

ripgrep sorts by time itself, so only the first of its names are looked at here, however many there are.
"""

import os
from itertools import islice

from msgspec import Struct

from txcrush.adapters.ignore_files import IgnoreFiles, parts_of
from txcrush.adapters.ripgrep import PLAIN, Ripgrep
from txcrush.core.file_patterns import HIDDEN, is_hidden
from txcrush.core.ignoring import NOISY
from txcrush.model.errors import Refused
from txcrush.ports import InThread
from txcrush.wire.ripgrep import NAMES, read_error, read_names

MAX_NAME_BYTES = 16 * 1024 * 1024
MOST_TIED = 20
"""Files as old as the last one shown are looked at up to this many times the limit, to be put in order."""


class Listed(Struct, frozen=True):
    """Names relative to the directory; `is_partial` where the limit was reached."""

    names: tuple[str, ...]
    is_partial: bool = False


class FileListing:
    """Lists the files below directories."""

    def __init__(self, ripgrep: Ripgrep, in_thread: InThread, ignore_files: IgnoreFiles) -> None:
        self._ripgrep = ripgrep
        self._in_thread = in_thread
        self._ignore_files = ignore_files

    async def below(self, directory: str, workspace: str, pattern: str, *, limit: int, timeout_s: float) -> Listed:
        """The files whose path below the directory fits, newest first, ties by path. `workspace` is the real path of
        the workspace's directory. Fails with `Refused`."""
        command = await self._in_thread(_naming, directory, pattern)
        printed = await self._ripgrep.run(command, directory, timeout_s=timeout_s, max_bytes=MAX_NAME_BYTES)
        if printed.is_late:
            raise Refused(f"error finding files: not done after {timeout_s:g} s, use a more specific path or pattern")
        if printed.error and printed.status == 2:
            raise Refused(f"error finding files: {read_error(printed.error)}")
        names = await self._in_thread(self._newest, directory, workspace, printed.output, limit)
        return Listed(tuple(names), len(names) >= limit)

    def _newest(self, directory: str, workspace: str, output: bytes, limit: int) -> list[str]:
        ignoring = self._ignore_files.searched(directory, workspace)
        visible = (
            name
            for name in read_names(output)
            if not is_hidden(name) and not ignoring.hides(parts_of(name), is_directory=False)
        )
        dated: list[tuple[int, str]] = []
        for name in islice(visible, limit * MOST_TIED):
            age = _age(f"{directory}/{name}")
            if age is None:
                continue
            if len(dated) >= limit and age > dated[limit - 1][0]:
                break
            dated.append((age, name))
        return [name for _, name in sorted(dated)[:limit]]


def _age(path: str) -> int | None:
    """Grows with age; None for what is gone."""
    try:
        return -os.lstat(path).st_mtime_ns
    except OSError:
        return None


def _naming(directory: str, pattern: str) -> tuple[str, ...]:
    """The command that names the files; the slash keeps `*.py` to the directory itself."""
    globs = [f"--glob=/{pattern.removeprefix('/')}"]
    globs += [f"--glob=!**/{name}/" for name in sorted(NOISY.union(HIDDEN))]
    crushignore = [f"--ignore-file={name}" for name in (".crushignore",) if os.path.isfile(f"{directory}/{name}")]
    return (*PLAIN, *NAMES, "--files", "--sortr=modified", *globs, *crushignore, "--", "./")
