"""The `ls` tool (`tools.md` 17)."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from threading import Event

from msgspec import Struct
from twisted.internet.defer import Deferred

from txcrush.adapters.directory_tree import Entry, Tree, TreeWalk
from txcrush.adapters.ignore_files import IgnoreFiles
from txcrush.adapters.places import Place
from txcrush.adapters.tools.gate import Gate
from txcrush.adapters.tools.specs import arguments, described, integer, text
from txcrush.core.expansion import expand
from txcrush.model.config import Config, ListLimits
from txcrush.model.errors import Refused
from txcrush.model.tools import ToolOutput, ToolUse, denied
from txcrush.ports import InThread, Tool
from txcrush.wire.json import encode_text

MAX_ITEMS = 1000
"""Entries that are shown where the configuration sets no limit."""

OUTSIDE = "List directory outside working directory"
MORE = (
    "The directory holds more than {count} entries. The first {count} are shown, those nearest to the top: for more, "
    "name a directory further down, or look for files with glob.\n"
)
SHALLOW = (
    "The directory tree is shown up to a depth of {depth}. Use a higher depth and a specific path to see more levels.\n"
)

_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH|^TXCRUSH_|^CRUSH_", re.IGNORECASE)


class LsCall(Struct):
    path: str = ""
    ignore: tuple[str, ...] | None = None
    depth: int = 0


class LsMetadata(Struct):
    number_of_files: int
    truncated: bool


class Ls:
    """Shows a directory as a tree."""

    spec = described(
        "ls",
        {
            "path": text("The directory to show (default: the working directory)"),
            "ignore": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Leave out entries whose names fit one of these globs",
            },
            "depth": integer("How many levels to show (default: all)"),
        },
    )

    def __init__(
        self,
        gate: Gate,
        ignore_files: IgnoreFiles,
        config: Callable[[], Config],
        environ: Mapping[str, str],
        in_thread: InThread,
    ) -> None:
        self._gate = gate
        self._ignore_files = ignore_files
        self._config = config
        self._environ = environ
        self._in_thread = in_thread

    def run(self, use: ToolUse) -> "Deferred[ToolOutput]":
        """See `ports.Tool`."""
        return Deferred.fromCoroutine(self._run(use))

    async def _run(self, use: ToolUse) -> ToolOutput:
        call = arguments(use, LsCall)
        params: dict[str, object] = {"path": call.path, "ignore": call.ignore, "depth": call.depth}
        path = expanded(call.path, self._environ, self._gate.root)
        place = await self._gate.admits(use, path, action="list", description=OUTSIDE, params=params)
        if place is None:
            return denied()
        stopped = Event()
        try:
            shown: ToolOutput = await self._in_thread(self._shown, place, call, self._limits(), stopped)
            return shown
        finally:
            stopped.set()  # a thread cannot be cancelled, but it asks

    def _limits(self) -> ListLimits:
        tools = self._config().tools
        return (tools and tools.ls) or ListLimits()

    def _shown(self, place: Place, call: LsCall, limits: ListLimits, stopped: Event) -> ToolOutput:
        configured_depth = max(limits.max_depth or 0, 0)
        depth = call.depth if call.depth > 0 else configured_depth
        walk = TreeWalk(
            self._ignore_files.listed(place.real, call.ignore or ()),
            (self._gate.real_root(), place.real),
            max_items=limits.max_items or MAX_ITEMS,
            max_depth=depth,
            is_stopped=stopped.is_set,
        )
        try:
            os.stat(place.real)
            tree = walk.tree(place.real)
        except FileNotFoundError as error:
            raise Refused(f"path does not exist: {place.absolute}") from error
        except OSError as error:
            raise Refused(f"error listing directory: {error.strerror}: {place.absolute}") from error
        notes = [MORE.format(count=len(tree.entries))] if tree.is_partial else []
        notes += [SHALLOW.format(depth=depth)] if configured_depth else []
        metadata = LsMetadata(number_of_files=len(tree.entries), truncated=tree.is_partial)
        return ToolOutput(content="".join((*notes, "\n", *drawn(place.absolute, tree))), metadata=encode_text(metadata))


def expanded(path: str, environ: Mapping[str, str], directory: str) -> str:
    """The path with `~` and variables replaced, as a shell in the directory does it. Only variables that hold absolute
    paths are known, and none that may hold a secret: what the path becomes is told to the model. Raises `Refused`."""
    known = {name: value for name, value in environ.items() if value.startswith("/") and not _SECRET.search(name)}
    known["PWD"] = directory
    if (path == "~" or path.startswith("~/")) and "HOME" in known:
        path = "${HOME}" + path[1:]
    try:
        return expand(path, known) if "$" in path else path
    except ValueError as error:
        raise Refused(str(error)) from error


def drawn(root: str, tree: Tree) -> Iterator[str]:
    """The tree, line by line: two spaces a level, directories with a slash behind them."""
    yield f"- {root.rstrip('/')}/\n"
    for entry in _from_above(tree.entries):
        yield f"{'  ' * len(entry.parts)}- {entry.parts[-1]}{'/' if entry.is_directory else ''}\n"


def _from_above(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Each directory followed by what is in it; entries of one directory keep their order."""
    inside: dict[tuple[str, ...], list[Entry]] = {}
    for entry in entries:
        inside.setdefault(entry.parts[:-1], []).append(entry)
    waiting = list(reversed(inside.get((), ())))
    while waiting:
        entry = waiting.pop()
        yield entry
        waiting += reversed(inside.get(entry.parts, ()))


def _conforms(tool: Ls) -> Tool:
    return tool
