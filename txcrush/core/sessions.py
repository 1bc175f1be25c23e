"""The sessions of one data directory.

All of them are in memory and this is the only writer (the data directory is locked), so reads need no disk, and a
change is a plain function from one state to the next: nothing can be lost between a read and a save.
"""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from txcrush.core.events import EventLog
from txcrush.model.errors import SessionNotFound, StorageFailed
from txcrush.model.events import Change, Event, EventKind
from txcrush.model.ids import SessionId
from txcrush.model.sessions import Session
from txcrush.model.storage import DeleteSession, PutSession, StoreChange
from txcrush.ports import Clock, NewId


def session_event(session: Session, change: Change = Change.UPDATED) -> Event:
    return Event(EventKind.SESSION, change, session, key=session.id)


class Sessions:
    """Create, read, change and delete sessions; every change but a message count is published."""

    def __init__(self, events: EventLog, clock: Clock, new_id: NewId, stored: Iterable[Session]) -> None:
        self._events = events
        self._clock = clock
        self._new_id = new_id
        self._sessions = {session.id: session for session in stored}

    def get(self, session_id: SessionId) -> Session:
        """Raises `SessionNotFound`."""
        try:
            return self._sessions[session_id]
        except KeyError:
            raise SessionNotFound from None

    def exists(self, session_id: SessionId) -> bool:
        return session_id in self._sessions

    def top_level(self) -> list[Session]:
        """Sessions without a parent, last changed first."""
        tops = [session for session in self._sessions.values() if not session.parent_session_id]
        return sorted(tops, key=lambda session: session.updated_at, reverse=True)

    async def create(
        self, title: str, *, session_id: SessionId | None = None, parent: SessionId | None = None
    ) -> Session:
        """A new session, under an id of its own unless one is given (which must be free)."""
        now = self._now()
        session = Session(
            id=session_id or SessionId(self._new_id()),
            parent_session_id=parent or SessionId(""),
            title=title,
            created_at=now,
            updated_at=now,
        )
        self._sessions[session.id] = session
        try:
            await self._events.commit([PutSession(session)], [session_event(session, Change.CREATED)])
        except CancelledError:  # nobody waits any more, and it is made all the same
            raise
        except BaseException:
            self._sessions.pop(session.id, None)
            raise
        return session

    async def update(self, session_id: SessionId, **changes: object) -> Session:
        """Set the given fields, durably, and publish the session. Raises `SessionNotFound`."""
        before = self.get(session_id)
        session = self.changed(session_id, **changes)
        try:
            await self._events.commit([PutSession(session)], [session_event(session)])
        except StorageFailed:
            self._take_back(before, changes)
            raise
        return session

    def _take_back(self, before: Session, changes: Mapping[str, object]) -> None:
        """The store refused: the fields are what they were, unless somebody has changed them since."""
        now = self._sessions.get(before.id)
        if now is not None:
            kept = {name: getattr(before, name) for name, value in changes.items() if getattr(now, name) == value}
            self._sessions[before.id] = replace(now, **kept)

    def changed(self, session_id: SessionId, **changes: object) -> Session:
        """Set the given fields in memory; the caller commits the session that this returns."""
        session = replace(self.get(session_id), updated_at=self._now(), **changes)
        self._sessions[session_id] = session
        return session

    def counted(self, session_id: SessionId, messages: int) -> list[StoreChange]:
        """Count messages made (or deleted, if negative): what to commit. Nothing for a session that is gone."""
        if session_id not in self._sessions:
            return []
        count = self._sessions[session_id].message_count + messages
        return [PutSession(self.changed(session_id, message_count=count))]

    def delete(self, session_id: SessionId) -> Deferred[None]:
        """Delete the session and what belongs to it. Raises `SessionNotFound`."""
        session = self.get(session_id)
        del self._sessions[session_id]
        deleting = self._events.commit([DeleteSession(session_id)], [session_event(session, Change.DELETED)])
        return deleting.addErrback(self._undelete, session)

    def _undelete(self, failure: Failure, session: Session) -> Failure:
        """The store refused: the session is still there."""
        if failure.check(StorageFailed) is not None:
            self._sessions.setdefault(session.id, session)
        return failure

    def _now(self) -> int:
        return int(self._clock.seconds())
