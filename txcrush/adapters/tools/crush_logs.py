"""The `crush_logs` tool: the end of the log in the workspace's data directory (`tools.md` 28.2)."""

from collections.abc import Callable

from msgspec import Struct
from twisted.internet.defer import Deferred

from txcrush.adapters.log_file import LogEnd, log_end
from txcrush.adapters.tools import specs
from txcrush.model.tools import ToolOutput, ToolUse
from txcrush.ports import InThread, Tool
from txcrush.wire.log_lines import shown_line

LINES, MAX_LINES = 50, 100

SPEC = specs.described(
    "crush_logs", {"lines": specs.integer(f"How many entries to show (default {LINES}, at most {MAX_LINES})")}
)


class Arguments(Struct, frozen=True):
    lines: int = 0


class CrushLogs:
    """The tool. `redact` takes known secrets out of a text."""

    spec = SPEC

    def __init__(self, data_dir: str, in_thread: InThread, redact: Callable[[str], str]) -> None:
        self._data_dir = data_dir
        self._in_thread = in_thread
        self._redact = redact

    def run(self, use: ToolUse) -> "Deferred[ToolOutput]":
        """See `ports.Tool`."""
        return Deferred.fromCoroutine(self._run(specs.arguments(use, Arguments)))

    async def _run(self, wanted: Arguments) -> ToolOutput:
        count = min(wanted.lines, MAX_LINES) if wanted.lines > 0 else LINES
        end = await self._in_thread(log_end, self._data_dir, count, shown_line)
        return ToolOutput(content=self._redact(_report(end)))


def _report(end: LogEnd | None) -> str:
    if end is None:
        return "No log file found"
    if not end.size:
        return "Log file is empty"
    return "\n".join(end.lines) or "The log file holds no entry that can be read"


def _conforms(tool: CrushLogs) -> Tool:
    return tool
