"""Makes several edits of one file at once (`tools.md` 12)."""

from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import Deferred

from txcrush.adapters import anchored_files
from txcrush.adapters.places import Place
from txcrush.adapters.tools import specs
from txcrush.adapters.tools.edit import CORRECTED, MIXED, counts, existing, wrapped
from txcrush.adapters.tools.file_changes import Change, FileChanges, Sight, well_formed
from txcrush.core.editing.line_endings import restored, to_lf
from txcrush.core.editing.series import Edit, FailedEdit, Series, applied
from txcrush.model.errors import Refused
from txcrush.model.storage import ReadMark
from txcrush.model.tools import ToolOutput, ToolUse
from txcrush.ports import Tool

SPEC = specs.described(
    "multiedit",
    {
        "file_path": specs.text("The file, absolute or relative to the workspace"),
        "edits": {
            "type": "array",
            "description": "The edits, made in this order, each on what the ones before it left",
            "items": {
                "type": "object",
                "properties": {
                    "old_string": specs.text("The text to replace; empty in the first edit alone, to create the file"),
                    "new_string": specs.text("What takes its place"),
                    "replace_all": specs.boolean("Replace every occurrence (default false)"),
                },
                "required": ["old_string", "new_string"],
            },
        },
    },
    "file_path",
    "edits",
)


class Arguments(Struct, frozen=True):
    """What the model sends."""

    file_path: str = ""
    edits: tuple[Edit, ...] = ()


class MultiEditMetadata(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What clients draw the call from; contents have LF line ends, empty ones are left out."""

    additions: int
    removals: int
    old_content: str = ""
    new_content: str = ""
    edits_applied: int
    edits_failed: tuple[FailedEdit, ...] = ()


class MultiEdits:
    """The `multiedit` tool."""

    spec = SPEC

    def __init__(self, changes: FileChanges) -> None:
        self._changes = changes

    def run(self, use: ToolUse) -> "Deferred[ToolOutput]":
        """See `ports.Tool`."""
        return Deferred.fromCoroutine(self._run(use))

    async def _run(self, use: ToolUse) -> ToolOutput:
        wanted = specs.arguments(use, Arguments)
        if wanted.file_path:
            _ensure_usable(wanted.edits)

        def plan(place: Place, mark: ReadMark | None) -> Change:
            creates = not wanted.edits[0].old_string
            return self._creation(wanted, place) if creates else self._change(wanted, place, mark)

        try:
            change = await self._changes.planned(use, wanted.file_path, plan)
        except _NothingDone as nothing:
            return nothing.output
        return await self._changes.carry_out(use, change)

    def _creation(self, wanted: Arguments, place: Place) -> Change:
        sight = seen_nothing(place)
        rest = applied(wanted.edits[0].new_string, wanted.edits[1:], first_index=2)
        series = replace(rest, applied=rest.applied + 1)
        count = _Count(series, len(wanted.edits))
        metadata = self._metadata("", series)
        return Change(
            sight=sight,
            new=series.text,
            description=f"Create file {place.absolute} with {count.edits}{count.failed}",
            shown_old="",
            shown_new=series.text,
            text=_result(f"File created with {count.edits}: {place.absolute}{count.failed_edits}", series),
            metadata=metadata,
            refused_metadata=metadata,
        )

    def _change(self, wanted: Arguments, place: Place, mark: ReadMark | None) -> Change:
        sight = existing(place, mark)
        before = to_lf(sight.content)
        series = applied(before.lf, wanted.edits)
        if series.text == before.lf:
            raise self._nothing_done(series)
        count = _Count(series, len(wanted.edits))
        old = well_formed(before.lf)
        shown = replace(series, text=well_formed(series.text))
        metadata = self._metadata(old, shown)
        said = f"Applied {count.edits} to file: {place.absolute}{count.failed_edits}"
        return Change(
            sight=sight,
            new=restored(before, series.text),
            description=f"Apply {count.edits} to file {place.absolute}{count.failed}",
            shown_old=old,
            shown_new=shown.text,
            text=_result(said, series, *[MIXED] * before.is_mixed),
            metadata=metadata,
            refused_metadata=metadata,
        )

    def _nothing_done(self, series: Series) -> Exception:
        if not series.failed:
            return Refused("nothing to change: the edits leave the file as it is")
        nothing = replace(series, text="", applied=0)
        text = f"nothing was changed: of {len(series.failed)} edits that change something none fits"
        return _NothingDone(ToolOutput(content=text, metadata=self._metadata("", nothing), is_error=True))

    def _metadata(self, old: str, series: Series) -> str:
        failed = tuple(replace(one, error=well_formed(one.error)) for one in series.failed)
        metadata = MultiEditMetadata(
            **counts(old, series.text),
            old_content=old,
            new_content=series.text,
            edits_applied=series.applied,
            edits_failed=failed,
        )
        return self._changes.encode(metadata)


class _NothingDone(Exception):
    """No edit could be made; `output` says why."""

    def __init__(self, output: ToolOutput) -> None:
        super().__init__(output)
        self.output = output


class _Count:
    """How many edits were made of how many, in the words of texts and of questions."""

    def __init__(self, series: Series, total: int) -> None:
        failed = len(series.failed)
        self.edits = f"{series.applied} of {total} edits" if failed else f"{series.applied} edits"
        self.failed = f" ({failed} failed)" if failed else ""
        self.failed_edits = f" ({failed} edit(s) failed)" if failed else ""


def seen_nothing(place: Place) -> Sight:
    """The place, where nothing is. Raises `Refused` where something is, also a directory."""
    state = anchored_files.look(place)
    if state is not None:
        raise Refused(f"file already exists: {place.absolute}")
    return Sight(place=place, state=None)


def _ensure_usable(edits: tuple[Edit, ...]) -> None:
    if not edits:
        raise Refused("edits is empty: give at least one")
    for index, edit in enumerate(edits[1:], 2):
        if not edit.old_string:
            raise Refused(f"edit {index} has an empty old_string: only the first may have one, to create the file")


def _result(text: str, series: Series, *notes: str) -> str:
    return wrapped("\n".join((text, *[CORRECTED] * series.corrected, *notes)))


def _conforms(tool: MultiEdits) -> Tool:
    return tool
