"""Creates or overwrites a whole file (`tools.md` 13)."""

from msgspec import Struct
from twisted.internet.defer import Deferred

from txcrush.adapters.places import Place
from txcrush.adapters.tools import specs
from txcrush.adapters.tools.file_changes import Change, FileChanges, Sight, is_stale, read, seen, times, well_formed
from txcrush.core.editing.unified_diff import unified
from txcrush.model.errors import Refused
from txcrush.model.storage import ReadMark
from txcrush.model.tools import ToolOutput, ToolUse
from txcrush.ports import Tool

SPEC = specs.described(
    "write",
    {
        "file_path": specs.text("The file, absolute or relative to the workspace"),
        "content": specs.text("All that the file is to hold"),
    },
    "file_path",
    "content",
)


class Arguments(Struct, frozen=True):
    """What the model sends."""

    file_path: str = ""
    content: str = ""


class WriteMetadata(Struct, frozen=True, kw_only=True):
    """What clients draw the call from."""

    diff: str
    additions: int
    removals: int


class Write:
    """The `write` tool."""

    spec = SPEC

    def __init__(self, changes: FileChanges) -> None:
        self._changes = changes

    def run(self, use: ToolUse) -> "Deferred[ToolOutput]":
        """See `ports.Tool`."""
        return Deferred.fromCoroutine(self._run(use))

    async def _run(self, use: ToolUse) -> ToolOutput:
        wanted = specs.arguments(use, Arguments)
        change = await self._changes.planned(
            use, wanted.file_path, lambda place, mark: self._change(wanted, place, mark)
        )
        return await self._changes.carry_out(use, change)

    def _change(self, wanted: Arguments, place: Place, mark: ReadMark | None) -> Change:
        sight = seen(place)
        if sight.state is not None:
            _ensure_current(sight, mark)
            sight = read(sight)
            if sight.content == wanted.content:
                raise Refused(f"{place.absolute} holds exactly this content already: nothing was written")
        old = well_formed(sight.content)
        diff = unified(old, wanted.content, self._changes.places.relative(place.absolute))
        metadata = WriteMetadata(diff=diff.text, additions=diff.additions, removals=diff.removals)
        encoded = self._changes.encode(metadata)
        return Change(
            sight=sight,
            new=wanted.content,
            description=f"Create file {place.absolute}",
            shown_old=old,
            shown_new=wanted.content,
            text=f"<result>\nFile successfully written: {place.absolute}\n</result>",
            metadata=encoded,
            refused_metadata=encoded,
        )


def _ensure_current(sight: Sight, mark: ReadMark | None) -> None:
    """Raise `Refused` where the session does not know what it would overwrite."""
    if mark is None or is_stale(sight, mark):
        path = sight.place.absolute
        raise Refused(
            f"{path} is not as this session last read it ({times(sight, mark)}): read it before you overwrite it"
        )


def _conforms(tool: Write) -> Tool:
    return tool
