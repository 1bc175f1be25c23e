"""Shows a text file with line numbers, or an image (`tools.md` 14)."""

import os
from collections.abc import Callable, Iterator
from threading import Event as Flag

from msgspec import Struct
from twisted.internet.defer import CancelledError, Deferred

from txcrush.adapters import anchored_files
from txcrush.adapters.anchored_files import FileState
from txcrush.adapters.places import Place, Places
from txcrush.adapters.skill_files import BUILTIN, read_builtin
from txcrush.adapters.skill_places import SkillPlaces
from txcrush.adapters.tools import specs
from txcrush.adapters.tools.file_changes import fingerprint, told
from txcrush.adapters.tools.pictures import IMAGE_TYPES, picture
from txcrush.core.editing.sections import MAX_SECTION_BYTES, Section, TooLarge, numbered, section
from txcrush.core.file_records import FileTracker
from txcrush.core.skills import judged
from txcrush.model.errors import Refused
from txcrush.model.permissions import Ask
from txcrush.model.skills import SKILL_FILE, Skill, SkillSource
from txcrush.model.tools import ToolOutput, ToolUse, denied
from txcrush.ports import InThread, Permissions, Tool
from txcrush.wire.front_matter import MAX_HEADER_BYTES, read_header

LINES = 200
SKILL_LINES = 1_000_000
SIMILAR = 3
PIECE_BYTES = 256 * 1024

OUTSIDE = "Read file outside working directory"
PRIVATE = "Read file that may hold keys"

SPEC = specs.described(
    "view",
    {
        "file_path": specs.text("The file, absolute or relative to the workspace"),
        "offset": specs.integer("How many lines to skip (default 0)"),
        "limit": specs.integer(f"How many lines to show (default {LINES})"),
    },
    "file_path",
)


class Arguments(Struct, frozen=True):
    """What the model sends; it is shown to people as it is."""

    file_path: str = ""
    offset: int = 0
    limit: int = 0


class ViewMetadata(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What clients draw the call from."""

    file_path: str
    content: str
    resource_type: str = ""
    resource_name: str = ""
    resource_description: str = ""


class _Shown(Struct, frozen=True):
    """What a thread has read; `state` is that of a text that counts as read."""

    output: ToolOutput
    state: FileState | None = None


class View:
    """The `view` tool. `encode` makes JSON text."""

    spec = SPEC

    def __init__(
        self,
        places: Places,
        skills: SkillPlaces,
        in_thread: InThread,
        permissions: Permissions,
        tracker: FileTracker,
        encode: Callable[[object], str],
    ) -> None:
        self._places = places
        self._skills = skills
        self._in_thread = in_thread
        self._permissions = permissions
        self._tracker = tracker
        self._encode = encode

    def run(self, use: ToolUse) -> "Deferred[ToolOutput]":
        """See `ports.Tool`."""
        return Deferred.fromCoroutine(self._run(use))

    async def _run(self, use: ToolUse) -> ToolOutput:
        wanted = specs.arguments(use, Arguments)
        if not wanted.file_path:
            raise Refused("file_path is required")
        if wanted.file_path.startswith(BUILTIN):
            output: ToolOutput = await self._in_thread(self._builtin, wanted)
            return output
        place, is_skill = await self._in_thread(told, self._places.named(wanted.file_path), lambda: self._seen(wanted))
        asks = place.is_private or not (place.is_inside or is_skill)
        if asks and not await self._permissions.ask(_ask(use, wanted, place)):
            return denied()
        shown = await self._shown(use, wanted, place, is_skill)
        if shown.state is not None:
            await self._tracker.record(use.session_id, place.absolute, fingerprint(shown.state))
        return shown.output

    def _seen(self, wanted: Arguments) -> tuple[Place, bool]:
        place = self._places.resolved(wanted.file_path)
        return place, self._skills.hold(place)

    async def _shown(self, use: ToolUse, wanted: Arguments, place: Place, is_skill: bool) -> _Shown:
        given_up = Flag()
        try:
            shown: _Shown = await self._in_thread(
                told, place.absolute, lambda: self._read(use, wanted, place, is_skill, given_up)
            )
        except CancelledError:
            given_up.set()
            raise
        return shown

    def _read(self, use: ToolUse, wanted: Arguments, place: Place, is_skill: bool, given_up: Flag) -> _Shown:
        state = anchored_files.look(place)
        if state is None:
            raise Refused(_missing(place))
        if state.is_directory:
            raise Refused(f"Path is a directory, not a file: {place.absolute}")
        extension = os.path.splitext(place.absolute)[1].lower()
        if extension in IMAGE_TYPES:
            return _Shown(picture(use, place, IMAGE_TYPES[extension]))
        return self._text(wanted, place, is_skill, given_up)

    def _text(self, wanted: Arguments, place: Place, is_skill: bool, given_up: Flag) -> _Shown:
        with anchored_files.opened(place) as (handle, state):
            section = _section(_pieces(handle, given_up), wanted, is_whole=is_skill)
            head = os.pread(handle, MAX_HEADER_BYTES, 0) if is_skill else b""
        metadata = _metadata(place.absolute, section, head)
        return _Shown(self._output(wanted, section, metadata), state)

    def _builtin(self, wanted: Arguments) -> ToolOutput:
        try:
            content = read_builtin(wanted.file_path)
        except FileNotFoundError:
            raise Refused(f"Builtin file not found: {wanted.file_path}") from None
        section = _section(iter((content,)), wanted, is_whole=True)
        return self._output(wanted, section, _metadata(wanted.file_path, section, content))

    def _output(self, wanted: Arguments, section: Section, metadata: ViewMetadata) -> ToolOutput:
        offset = max(wanted.offset, 0)
        text = f"<file>\n{numbered(section.lines, offset)}"
        if section.has_more:
            text += f"\n\n(more lines follow; to read on, give offset {offset + len(section.lines)})"
        return ToolOutput(content=f"{text}\n</file>\n", metadata=self._encode(metadata))


def _ask(use: ToolUse, wanted: Arguments, place: Place) -> Ask:
    return Ask(
        session_id=use.session_id,
        tool_call_id=use.call.id,
        tool_name=SPEC.name,
        action="read",
        description=f"{PRIVATE if place.is_private else OUTSIDE}: {place.absolute}",
        path=place.real,
        params={"file_path": wanted.file_path, "offset": wanted.offset, "limit": wanted.limit},
    )


def _section(chunks: Iterator[bytes], wanted: Arguments, *, is_whole: bool) -> Section:
    """What is asked for. A skill is shown whole, whatever its size, where nothing else is said."""
    limit = wanted.limit if wanted.limit > 0 else SKILL_LINES if is_whole else LINES
    try:
        return section(chunks, max(wanted.offset, 0), limit, None if is_whole else MAX_SECTION_BYTES)
    except TooLarge as error:
        raise Refused(
            f"Content section is too large ({error.size} bytes): {MAX_SECTION_BYTES} bytes are shown at most, read "
            "fewer lines at a time"
        ) from None
    except UnicodeDecodeError:
        raise Refused("The file is not UTF-8 text") from None


def _pieces(handle: int, given_up: Flag) -> Iterator[bytes]:
    while piece := os.read(handle, PIECE_BYTES):
        yield piece
        if given_up.is_set():
            return


def _metadata(path: str, section: Section, head: bytes) -> ViewMetadata:
    """`head` is the beginning of a file that may be a skill."""
    metadata = ViewMetadata(file_path=path, content=section.text)
    if os.path.basename(path) != SKILL_FILE:
        return metadata
    try:
        skill = judged(path, SkillSource.USER, read_header(head))
    except ValueError:
        return metadata
    if not isinstance(skill, Skill):
        return metadata
    return ViewMetadata(
        file_path=path,
        content=section.text,
        resource_type="skill",
        resource_name=skill.name,
        resource_description=skill.description,
    )


def _missing(place: Place) -> str:
    """What the model is told, with the names in the directory that are like the one it asked for."""
    directory, name = os.path.split(place.absolute)
    asked = name.lower()
    found = [
        os.path.join(directory, other)
        for other in anchored_files.names_beside(place)
        if asked in other.lower() or other.lower() in asked
    ]
    text = f"File not found: {place.absolute}"
    return "\n".join((f"{text}\n\nNames like it in that directory:", *found[:SIMILAR])) if found else text


def _conforms(tool: View) -> Tool:
    return tool
