"""The names of a project's files, for whoever types one: ripgrep lists them, a thread looks for the ones that fit."""

from collections.abc import Sequence

from msgspec import Struct
from twisted.internet.defer import Deferred

from txcrush.adapters.ripgrep import PLAIN, Ripgrep
from txcrush.core.name_search import best_names
from txcrush.ports import Clock, FindFileNames, InThread
from txcrush.wire.ripgrep import NAMES, read_names

LIST_FILES = (*PLAIN, *NAMES, "--files", "--", "./")
MAX_BYTES = 16 * 1024 * 1024
TIMEOUT_S = 10.0
KEPT_S = 5.0
"""A list is used again for so long: a name is typed letter by letter."""

KEPT_LISTS = 4


class _List(Struct, frozen=True):
    output: bytes
    read_at: float


class FileNames:
    """A `ports.FindFileNames`. What git would ignore and hidden files are not offered."""

    def __init__(self, ripgrep: Ripgrep, clock: Clock, in_thread: InThread) -> None:
        self._ripgrep = ripgrep
        self._clock = clock
        self._in_thread = in_thread
        self._lists: dict[str, _List] = {}

    def __call__(self, directory: str, wanted: str, limit: int) -> Deferred[Sequence[str]]:
        return Deferred.fromCoroutine(self._find(directory, wanted, limit))

    async def _find(self, directory: str, wanted: str, limit: int) -> Sequence[str]:
        output = await self._listed(directory)
        found: Sequence[str] = await self._in_thread(_matching, output, wanted, limit)
        return found

    async def _listed(self, directory: str) -> bytes:
        known = self._lists.get(directory)
        if known is not None and 0 <= self._clock.seconds() - known.read_at < KEPT_S:
            return known.output
        printed = await self._ripgrep.run(LIST_FILES, directory, timeout_s=TIMEOUT_S, max_bytes=MAX_BYTES)
        self._lists.pop(directory, None)
        self._lists[directory] = _List(printed.output, self._clock.seconds())
        while len(self._lists) > KEPT_LISTS:
            del self._lists[next(iter(self._lists))]
        return printed.output


def _matching(output: bytes, wanted: str, limit: int) -> list[str]:
    """Names that are no text cannot be typed, and are left out."""
    return best_names((name for name in read_names(output) if name.isprintable()), wanted, limit)


def _conforms(names: FileNames) -> FindFileNames:
    """Read by mypy only."""
    return names
