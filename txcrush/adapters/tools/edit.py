"""Replaces, inserts or deletes text in one file (`tools.md` 11)."""

from msgspec import Struct
from twisted.internet.defer import Deferred

from txcrush.adapters.places import Place
from txcrush.adapters.tools import specs
from txcrush.adapters.tools.file_changes import Change, FileChanges, Sight, ensure_read, read, seen, well_formed
from txcrush.core.editing.line_endings import restored, to_lf
from txcrush.core.editing.matching import NoReplacement, replaced
from txcrush.core.editing.unified_diff import unified
from txcrush.model.errors import Refused
from txcrush.model.storage import ReadMark
from txcrush.model.tools import ToolOutput, ToolUse
from txcrush.ports import Tool

SPEC = specs.described(
    "edit",
    {
        "file_path": specs.text("The file, absolute or relative to the workspace"),
        "old_string": specs.text("The text to replace, exactly as it stands in the file; empty to create the file"),
        "new_string": specs.text("What takes its place; empty to delete it"),
        "replace_all": specs.boolean("Replace every occurrence instead of the only one (default false)"),
    },
    "file_path",
    "old_string",
    "new_string",
)

CORRECTED = (
    "Note: old_string is not in the file as it was written. The text that differs from it in blanks alone was "
    "replaced, and new_string was indented as the file is. Check the result."
)
MIXED = "Note: this file ends some lines with CRLF and others with LF. Each line kept its own end."


class Arguments(Struct, frozen=True):
    """What the model sends."""

    file_path: str = ""
    old_string: str = ""
    new_string: str = ""
    replace_all: bool = False


class EditMetadata(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What clients draw the call from; empty contents are left out."""

    additions: int
    removals: int
    old_content: str = ""
    new_content: str = ""


class Edits:
    """The `edit` tool."""

    spec = SPEC

    def __init__(self, changes: FileChanges) -> None:
        self._changes = changes

    def run(self, use: ToolUse) -> "Deferred[ToolOutput]":
        """See `ports.Tool`."""
        return Deferred.fromCoroutine(self._run(use))

    async def _run(self, use: ToolUse) -> ToolOutput:
        wanted = specs.arguments(use, Arguments)

        def plan(place: Place, mark: ReadMark | None) -> Change:
            return self._change(wanted, place, mark) if wanted.old_string else self._creation(wanted, place)

        change = await self._changes.planned(use, wanted.file_path, plan)
        return await self._changes.carry_out(use, change)

    def _creation(self, wanted: Arguments, place: Place) -> Change:
        sight = seen(place)
        if sight.state is not None:
            raise Refused(f"file already exists: {place.absolute}")
        metadata = self._metadata("", wanted.new_string, wanted.new_string)
        return Change(
            sight=sight,
            new=wanted.new_string,
            description=f"Create file {place.absolute}",
            shown_old="",
            shown_new=wanted.new_string,
            text=wrapped(f"File created: {place.absolute}"),
            metadata=metadata,
            refused_metadata=metadata,
        )

    def _change(self, wanted: Arguments, place: Place, mark: ReadMark | None) -> Change:
        sight = existing(place, mark)
        before = to_lf(sight.content)
        try:
            after = replaced(before.lf, wanted.old_string, wanted.new_string, replace_all=wanted.replace_all)
        except NoReplacement as error:
            raise Refused(well_formed(str(error))) from error
        if wanted.new_string and after.text == before.lf:
            raise Refused("nothing to change: the file already reads so")
        new = restored(before, after.text)
        deletes = not wanted.new_string
        notes = [CORRECTED] * after.corrected + [MIXED] * before.is_mixed
        done = "Content deleted from file" if deletes else "Content replaced in file"
        old_shown, new_shown = well_formed(before.lf), well_formed(after.text)
        return Change(
            sight=sight,
            new=new,
            description=f"{'Delete content from file' if deletes else 'Replace content in file'} {place.absolute}",
            shown_old=old_shown,
            shown_new=new_shown,
            text=wrapped("\n".join((f"{done}: {place.absolute}", *notes))),
            metadata=self._metadata(old_shown, new_shown, well_formed(new)),
            refused_metadata=self._metadata(old_shown, new_shown, new_shown),
        )

    def _metadata(self, old: str, new: str, kept: str) -> str:
        """`kept` is the new content as it goes to the disk."""
        return self._changes.encode(EditMetadata(**counts(old, new), old_content=old, new_content=kept))


def existing(place: Place, mark: ReadMark | None) -> Sight:
    """The file with its content. Raises `Refused` where it is missing, or the session must read it first."""
    sight = seen(place)
    if sight.state is None:
        raise Refused(f"file not found: {place.absolute}")
    ensure_read(sight, mark)
    return read(sight)


def counts(old: str, new: str) -> dict[str, int]:
    """How many lines come and go."""
    diff = unified(old, new, "")
    return {"additions": diff.additions, "removals": diff.removals}


def wrapped(text: str) -> str:
    return f"<result>\n{text}\n</result>\n"


def _conforms(tool: Edits) -> Tool:
    return tool
