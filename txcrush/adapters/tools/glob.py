"""The `glob` tool (`tools.md` 15)."""

import os
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import asdict
from twisted.internet.defer import Deferred

from txcrush.adapters.file_listing import FileListing, Listed
from txcrush.adapters.places import Place
from txcrush.adapters.tools.gate import Gate
from txcrush.adapters.tools.specs import arguments, described, text
from txcrush.core.file_patterns import split
from txcrush.model.config import Config
from txcrush.model.errors import Refused
from txcrush.model.tools import ToolOutput, ToolUse, denied
from txcrush.ports import InThread, Tool
from txcrush.wire.json import encode_text

LIMIT = 100
"""Files that are shown."""

TIMEOUT_S = 30.0
NS_PER_S = 1e9

OUTSIDE = "List files outside working directory"
NOTHING = "No files found"
PARTIAL = f"(There may be more than these {LIMIT}, the newest. Narrow the path or the pattern.)"


class GlobCall(Struct):
    pattern: str
    path: str = ""


class GlobMetadata(Struct):
    number_of_files: int
    truncated: bool


class Glob:
    """Finds files by their names."""

    spec = described(
        "glob",
        {
            "pattern": text('The pattern that paths must fit, for example "**/*.py" or "src/{a,b}/*.ts"'),
            "path": text("The directory to look in (default: the working directory)"),
        },
        "pattern",
    )

    def __init__(self, gate: Gate, listing: FileListing, config: Callable[[], Config], in_thread: InThread) -> None:
        self._gate = gate
        self._listing = listing
        self._config = config
        self._in_thread = in_thread

    def run(self, use: ToolUse) -> "Deferred[ToolOutput]":
        """See `ports.Tool`."""
        return Deferred.fromCoroutine(self._run(use))

    async def _run(self, use: ToolUse) -> ToolOutput:
        call = arguments(use, GlobCall)
        if not call.pattern:
            raise Refused("pattern is required")
        prefix, rest = split(call.pattern)
        root = os.path.join(call.path, prefix)
        place = await self._gate.admits(use, root, action="list", description=OUTSIDE, params=asdict(call))
        if place is None:
            return denied()
        await self._in_thread(_check, place)
        workspace = await self._in_thread(self._gate.real_root)
        listed = await self._listing.below(place.real, workspace, rest, limit=LIMIT, timeout_s=self._timeout_s())
        return _rendered(listed, root if call.path else place.absolute)

    def _timeout_s(self) -> float:
        limits = self._config().tools
        timeout_ns = limits.glob.timeout if limits and limits.glob else None
        return timeout_ns / NS_PER_S if timeout_ns and timeout_ns > 0 else TIMEOUT_S


def _check(place: Place) -> None:
    """Raise `Refused` for what is no directory. Blocks."""
    if not os.path.isdir(place.real):
        why = "not a directory" if os.path.exists(place.real) else "path does not exist"
        raise Refused(f"error finding files: {why}: {place.absolute}")


def _rendered(listed: Listed, root: str) -> ToolOutput:
    """The files below the directory in the spelling of the call: absolute where that was."""
    lines = [os.path.normpath(os.path.join(root, name)) for name in listed.names] or [NOTHING]
    if listed.is_partial:
        lines += ["", PARTIAL]
    metadata = GlobMetadata(number_of_files=len(listed.names), truncated=listed.is_partial)
    return ToolOutput(content="\n".join(lines), metadata=encode_text(metadata))


def _conforms(tool: Glob) -> Tool:
    return tool
