"""What a session has read and what it has changed: the tracker and the history of files (`tools.md` 5, 6)."""

import os.path
from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import DeferredLock
from twisted.logger import Logger

from txcrush import failpoints
from txcrush.core.events import EventLog
from txcrush.core.sessions import Sessions
from txcrush.model.errors import StorageFailed
from txcrush.model.events import Change, Event, EventKind
from txcrush.model.ids import SessionId
from txcrush.model.sessions import FileVersion
from txcrush.model.storage import MarkRead, PutFileVersion, ReadMark
from txcrush.ports import Clock, NewId, Store

NANO = 1_000_000_000
NEVER = "0001-01-01T00:00:00Z"
"""The time of what never was, as the protocol writes it."""

log = Logger()


class Fingerprint(Struct, frozen=True):
    """A file's size in bytes and its time of change in nanoseconds: two states with the same are one."""

    size: int
    mtime_ns: int


class FileTracker:
    """Which files each session of a workspace has read, and when. Paths are absolute; relative ones are taken from
    `root` (D-01)."""

    def __init__(self, store: Store, sessions: Sessions, clock: Clock, root: str) -> None:
        self._store = store
        self._sessions = sessions
        self._clock = clock
        self._root = root

    async def record(self, session_id: SessionId, path: str, fingerprint: Fingerprint | None = None) -> None:
        """The session has read the file, in the state of the fingerprint where one is known. An unknown session and a
        disk that refuses are no errors: the file then counts as not read."""
        if not path or not self._sessions.exists(session_id):
            return
        now = int(self._clock.seconds())
        mark = MarkRead(session_id, self._absolute(path), now)
        if fingerprint is not None:
            mark = replace(mark, size=fingerprint.size, mtime_ns=fingerprint.mtime_ns)
        try:
            await self._store.write(mark)
        except StorageFailed:
            log.failure("the reading of {path} could not be recorded", path=mark.path)

    async def last_read(self, session_id: SessionId, path: str) -> ReadMark | None:
        """The session's latest reading of the file, or None."""
        absolute = self._absolute(path)
        marks = await self._store.read_marks(session_id)
        return next((mark for mark in marks if mark.path == absolute), None)

    async def files(self, session_id: SessionId) -> list[str]:
        """The files that the session has read, latest first."""
        return [mark.path for mark in await self._store.read_marks(session_id)]

    def _absolute(self, path: str) -> str:
        joined = os.path.normpath(os.path.join(self._root, path))
        return joined[1:] if joined.startswith("//") else joined


def timestamp(seconds: float) -> str:
    """The Unix time as RFC 3339, to the second."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_changed(mark: ReadMark, now: Fingerprint) -> bool:
    """Whether the file is another than the one that was read. Where its state was kept that decides, also within one
    second (D-21); else the time of change, in whole seconds."""
    if mark.size >= 0:
        return (mark.size, mark.mtime_ns) != (now.size, now.mtime_ns)
    return now.mtime_ns // NANO > mark.at


class FileHistory:
    """The versions of every file that the sessions of a data directory have changed.

    Version numbers of a path go on across sessions, contents never do (D-17).
    """

    def __init__(self, events: EventLog, clock: Clock, new_id: NewId) -> None:
        self._events = events
        self._clock = clock
        self._new_id = new_id
        self._lock = DeferredLock()

    async def changed(self, session_id: SessionId, path: str, old: str, new: str) -> None:
        """The session has replaced the file's content. The old one is kept first where this session's history does not
        end with it already, once (D-18). Each version is published when it is durable. Fails with `StorageFailed`."""
        await self._lock.acquire()
        try:
            await self._keep(await self._versions(session_id, path, old, new))
            failpoints.FILE_KEPT()
        finally:
            self._lock.release()

    async def versions(self, session_id: SessionId) -> list[FileVersion]:
        """Every version that the session made, by version, then creation."""
        return await self._events.store.file_versions(session_id)

    async def _versions(self, session_id: SessionId, path: str, old: str, new: str) -> list[FileVersion]:
        store = self._events.store
        own = await store.newest_file_version(path, session_id)
        contents = [new] if own is not None and own.content == old else [old, new]
        newest = await store.newest_file_version(path, None)
        following = newest.version + 1 if newest is not None else 0
        numbers = [following, following + 1]
        if own is None:
            numbers = [0, max(following, 1)]
        now = int(self._clock.seconds())
        return [
            FileVersion(
                id=self._new_id(),
                session_id=session_id,
                path=path,
                content=content,
                version=number,
                created_at=now,
                updated_at=now,
            )
            for content, number in zip(contents, numbers, strict=False)
        ]

    async def _keep(self, versions: list[FileVersion]) -> None:
        events = [
            await self._events.prepared(Event(EventKind.FILE, Change.CREATED, version), len(version.content))
            for version in versions
        ]
        await self._events.commit([PutFileVersion(version) for version in versions], events)
