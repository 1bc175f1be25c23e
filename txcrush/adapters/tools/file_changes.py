"""What the tools that change a file have in common: look at it, ask, replace it, record what was done.

A tool plans a `Change` from a `Sight` in a thread; `carry_out` does the rest.
"""

from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct
from twisted.internet.defer import Deferred

from txcrush import failpoints
from txcrush.adapters import anchored_files
from txcrush.adapters.anchored_files import FileState
from txcrush.adapters.places import Place, Places
from txcrush.core.file_records import NANO, NEVER, FileHistory, FileTracker, Fingerprint, is_changed, timestamp
from txcrush.core.observers import ended
from txcrush.model.errors import Refused
from txcrush.model.permissions import Ask
from txcrush.model.storage import ReadMark
from txcrush.model.tools import ToolOutput, ToolUse, denied
from txcrush.ports import InThread, Permissions

MAX_FILE_BYTES = 16 * 1024 * 1024
"""The largest file that is changed. Both its contents are shown to clients, stored and logged, which costs about ten
times its size for a moment."""

T = TypeVar("T")


class Sight(Struct, frozen=True, kw_only=True):
    """A file as a tool finds it; `state` is None where there is none. `content` is its text, bytes that are not UTF-8
    kept as lone surrogates."""

    place: Place
    state: FileState | None
    content: str = ""


class Change(Struct, frozen=True, kw_only=True):
    """What is to be done to a file, and what is said of it.

    `new` is what goes to the disk. `shown_old` and `shown_new` are what is put to people. `text` and `metadata` are the
    result, `refused_metadata` that of a denial.
    """

    sight: Sight
    new: str
    description: str
    shown_old: str
    shown_new: str
    text: str
    metadata: str
    refused_metadata: str


class FileChanges:
    """Changes files of one workspace. `encode` makes JSON text."""

    def __init__(
        self,
        places: Places,
        in_thread: InThread,
        permissions: Permissions,
        tracker: FileTracker,
        history: FileHistory,
        encode: Callable[[object], str],
    ) -> None:
        self.places = places
        self.encode = encode
        self._in_thread = in_thread
        self._permissions = permissions
        self._tracker = tracker
        self._history = history

    async def planned(self, use: ToolUse, path: str, plan: Callable[[Place, ReadMark | None], Change]) -> Change:
        """The change that `plan` makes, in a thread, of the place and of when this session last read it."""
        if not path:
            raise Refused("file_path is required")
        absolute = self.places.named(path)
        mark = await self._tracker.last_read(use.session_id, absolute)
        planned: Change = await self._in_thread(told, absolute, lambda: plan(self.places.resolved(path), mark))
        return planned

    async def carry_out(self, use: ToolUse, change: Change) -> ToolOutput:
        """Ask, and if it is granted replace the file and record it. What has begun is finished, also when the call is
        cancelled meanwhile."""
        if not await self._permissions.ask(self._ask(use, change)):
            return denied(change.refused_metadata)
        await ended(Deferred.fromCoroutine(self._replace(use, change)))
        return ToolOutput(content=change.text, metadata=change.metadata)

    def _ask(self, use: ToolUse, change: Change) -> Ask:
        place = change.sight.place
        params: dict[str, object] = {"file_path": place.absolute}
        if change.shown_old:
            params["old_content"] = change.shown_old
        if change.shown_new:
            params["new_content"] = change.shown_new
        return Ask(
            session_id=use.session_id,
            tool_call_id=use.call.id,
            tool_name=use.call.name,
            action="write",
            description=change.description,
            path=self.places.root if place.is_inside else place.real,
            params=params,
            guarded=place.is_guarded,
        )

    async def _replace(self, use: ToolUse, change: Change) -> None:
        sight = change.sight
        place = sight.place
        failpoints.FILE_REPLACING()
        state: FileState = await self._in_thread(
            told,
            place.absolute,
            lambda: anchored_files.replace(place, change.new.encode("utf-8", "surrogateescape"), sight.state),
        )
        failpoints.FILE_REPLACED()
        old, new = await self._in_thread(lambda: (well_formed(sight.content), well_formed(change.new)))
        await self._history.changed(use.session_id, place.absolute, old, new)
        await self._tracker.record(use.session_id, place.absolute, fingerprint(state))


def seen(place: Place) -> Sight:
    """What is there, without its content. Raises `Refused` for a directory."""
    state = anchored_files.look(place)
    if state is not None and state.is_directory:
        raise Refused(f"path is a directory, not a file: {place.absolute}")
    return Sight(place=place, state=state)


def read(sight: Sight) -> Sight:
    """The same file with its content."""
    content, state = anchored_files.read_whole(sight.place, MAX_FILE_BYTES)
    return Sight(place=sight.place, state=state, content=content.decode("utf-8", "surrogateescape"))


def told(path: str, work: Callable[[], T]) -> T:
    """What the work gives; what the disk refuses becomes words for the model."""
    try:
        return work()
    except OSError as error:
        raise Refused(f"{path}: {error.strerror or error}") from error


def ensure_read(sight: Sight, mark: ReadMark | None) -> None:
    """Raise `Refused` for a file that the session has not read, or that has changed since."""
    if mark is None:
        raise Refused("this session has not read the file yet: look at it with view, then edit it")
    if is_stale(sight, mark):
        path = sight.place.absolute
        raise Refused(f"{path} is not as this session last read it ({times(sight, mark)}): read it again")


def is_stale(sight: Sight, mark: ReadMark) -> bool:
    """Whether the file is another than the one that was read."""
    return sight.state is not None and is_changed(mark, fingerprint(sight.state))


def times(sight: Sight, mark: ReadMark | None) -> str:
    """When the file was changed and when it was read."""
    assert sight.state is not None
    modified = timestamp(sight.state.mtime_ns // NANO)
    return f"mod time: {modified}, last read: {timestamp(mark.at) if mark else NEVER}"


def fingerprint(state: FileState) -> Fingerprint:
    return Fingerprint(state.size, state.mtime_ns)


def well_formed(text: str) -> str:
    """The text with U+FFFD for what was not UTF-8: neither the database nor JSON takes the bytes."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
