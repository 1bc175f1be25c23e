"""The `grep` tool (`tools.md` 16)."""

import os
import stat
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import asdict
from twisted.internet.defer import Deferred

from txcrush.adapters.content_search import ContentQuery, ContentSearch, Found
from txcrush.adapters.places import Place
from txcrush.adapters.tools.gate import Gate
from txcrush.adapters.tools.specs import arguments, boolean, described, text
from txcrush.core.match_report import first, report
from txcrush.model.config import Config
from txcrush.model.errors import Refused
from txcrush.model.searches import FileMatches
from txcrush.model.tools import ToolOutput, ToolUse, denied
from txcrush.ports import InThread, Tool
from txcrush.wire.json import encode_text

LIMIT = 100
"""Matches that are shown."""

TIMEOUT_S = 5.0
NS_PER_S = 1e9

OUTSIDE = "Search outside working directory"
NOTHING = "No files found"
PARTIAL = "(There is more than is shown here. Narrow the path, the pattern or the files that are included.)"
LATE = "(The time for searching was up before everything was searched: narrow the path or the files.)"
TOO_LATE = "error searching files: nothing was found before the time was up: narrow the path or the files"


class GrepCall(Struct):
    pattern: str
    path: str = ""
    include: str = ""
    literal_text: bool = False


class GrepMetadata(Struct):
    number_of_matches: int
    truncated: bool


class Grep:
    """Searches the contents of files."""

    spec = described(
        "grep",
        {
            "pattern": text("The regular expression to search for, line by line"),
            "path": text("The directory or file to search in (default: the working directory)"),
            "include": text('Search only files that fit this glob, for example "*.js" or "*.{ts,tsx}"'),
            "literal_text": boolean("Take the pattern as plain text, not as a regular expression"),
        },
        "pattern",
    )

    def __init__(self, gate: Gate, search: ContentSearch, config: Callable[[], Config], in_thread: InThread) -> None:
        self._gate = gate
        self._search = search
        self._config = config
        self._in_thread = in_thread

    def run(self, use: ToolUse) -> "Deferred[ToolOutput]":
        """See `ports.Tool`."""
        return Deferred.fromCoroutine(self._run(use))

    async def _run(self, use: ToolUse) -> ToolOutput:
        call = arguments(use, GrepCall)
        if not call.pattern:
            raise Refused("pattern is required")
        place = await self._gate.admits(
            use, call.path, action="search", description=OUTSIDE, params=asdict(call), shows_contents=True
        )
        if place is None:
            return denied()
        found = await self._found(place, call)
        output: ToolOutput = await self._in_thread(_rendered, found, call.path or place.absolute)
        return output

    async def _found(self, place: Place, call: GrepCall) -> Found:
        query = ContentQuery(pattern=call.pattern, is_literal=call.literal_text, include=call.include)
        timeout_s = self._timeout_s()
        if await self._in_thread(_is_file, place):
            return await self._search.in_file(place.real, query, limit=LIMIT, timeout_s=timeout_s)
        workspace = await self._in_thread(self._gate.real_root)
        return await self._search.below(place.real, workspace, query, limit=LIMIT, timeout_s=timeout_s)

    def _timeout_s(self) -> float:
        limits = self._config().tools
        timeout_ns = limits.grep.timeout if limits and limits.grep else None
        return timeout_ns / NS_PER_S if timeout_ns and timeout_ns > 0 else TIMEOUT_S


def _is_file(place: Place) -> bool:
    """Whether it is a file rather than a directory. Raises `Refused` for what is neither, or not there."""
    try:
        mode = os.stat(place.real).st_mode
    except OSError as error:
        why = "path does not exist" if isinstance(error, FileNotFoundError) else error.strerror
        raise Refused(f"error searching files: {why}: {place.absolute}") from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise Refused(f"error searching files: neither a file nor a directory: {place.absolute}")
    return stat.S_ISREG(mode)


def _rendered(found: Found, root: str) -> ToolOutput:
    if found.is_late and not found.files:
        raise Refused(TOO_LATE)
    files = [FileMatches(_below(root, file.path), file.lines) for file in first(found.files, LIMIT)]
    total = sum(len(file.lines) for file in files)
    lines = list(report(files)) if files else [NOTHING]
    if files and (found.is_partial or found.is_late):
        lines += ["", PARTIAL]
    if found.is_late:
        lines.append(LATE)
    ending = "" if lines == [NOTHING] else "\n"
    metadata = GrepMetadata(number_of_matches=total, truncated=found.is_partial or found.is_late)
    return ToolOutput(content="\n".join(lines) + ending, metadata=encode_text(metadata))


def _below(root: str, path: str) -> str:
    """A found file as it is shown: below the path that was searched, in the spelling of the call."""
    return os.path.normpath(os.path.join(root, path))


def _conforms(tool: Grep) -> Tool:
    return tool
