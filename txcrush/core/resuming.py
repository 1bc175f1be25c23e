"""How a stream takes up where its reader left off: the past from the log, then live, no gap and no duplicate.

Theory. The reader is not subscribed while the log is far ahead of it: pages are read at the reader's own pace, so a
slow one costs nothing but its page. Once it is near it is subscribed; what is published from then on is held back in
its own bounded queue, and the rest up to the number of that moment is read. Then what was held goes out. Every event is
thus sent by exactly one of the two: by number, at most `limit` from the log and more than `limit` live.

A message's state is its row, so a replay sends the row: a later state covers earlier ones. Growing text stands in no
row of the log; its newest published state is sent in its place among the numbers. Nothing is sent that has not been
published: what a page holds beyond that comes live.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from txcrush.core.event_ids import EventIds
from txcrush.core.events import EventLog, Frame, Subscriber
from txcrush.model.errors import CursorTooOld, StorageFailed
from txcrush.model.events import Change, Event, EventKind, LoggedEvent, Reset, ResetReason
from txcrush.model.ids import MessageId
from txcrush.model.messages import Binary, Message, Reasoning, Text, ToolCall, ToolResult
from txcrush.ports import Store

PAGE = 128

log = Logger()


class Reader(Subscriber, Protocol):
    """A reader that is being brought up to date. What is delivered to it before `go_live` it holds back."""

    wants_deltas: bool

    def begin(self, at: int, frames: Sequence[Frame]) -> None:
        """Open the stream: its reader stands at that number, and these come first. What was held back until now is
        dropped: it is told of in another way."""

    def send(self, frame: Frame) -> None:
        """Send this now; `ready` says when it may be followed."""

    def ready(self) -> Deferred[None]:
        """Fires when the reader takes more."""

    def holds(self, key: str) -> bool:
        """Whether something under this key is held back."""

    def go_live(self, at: int) -> None:
        """The reader stands at that number, and has all up to it: what is held back and what comes goes out."""


class Snapshot(Protocol):
    """What a reader is told that cannot go on where it left off."""

    def pending(self) -> Sequence[Event]:
        """What waits for an answer."""

    def sessions(self) -> Sequence[Event]:
        """The newest sessions."""

    def messages(self) -> AsyncIterator[Message]:
        """The messages of active runs."""


class Resuming:
    """One stream on its way to being live."""

    def __init__(self, events: EventLog, ids: EventIds, store: Store, snapshot: Snapshot, reader: Reader) -> None:
        self._events = events
        self._ids = ids
        self._store = store
        self._snapshot = snapshot
        self._reader = reader
        self._has_begun = False

    def start(self, cursor: str) -> Deferred[None]:
        """Bring the reader up to date; an empty cursor: it wants what is pending, and then what comes. Fires when it is
        live, or was ended because the log could not be read. Cancel it when the reader goes."""
        working = Deferred.fromCoroutine(self._brought(cursor))
        return working.addErrback(lambda failure: failure.trap(CancelledError) and None)

    async def _brought(self, cursor: str) -> None:
        try:
            await self._from(cursor)
        except CancelledError:
            raise
        except Exception as error:
            if isinstance(error, StorageFailed):
                log.error("the event log could not be read: {reason}", reason=error.message)
            else:
                log.failure("a stream could not be resumed")
            self._reader.end()

    async def _from(self, cursor: str) -> None:
        if not cursor:
            self._open()
            return
        place = self._ids.placed(cursor, self._events.published)
        if isinstance(place, ResetReason):
            await self._reset(place)
            return
        try:
            await self._replay(place)
        except CursorTooOld:
            await self._reset(ResetReason.TOO_OLD)

    def _open(self) -> None:
        self._hold()
        here = self._events.published
        self._reader.begin(here, self._events.again(self._snapshot.pending()))
        self._reader.go_live(here)

    def _hold(self) -> None:
        self._events.subscribe(self._reader, deltas=self._reader.wants_deltas)

    # Replay

    async def _replay(self, cursor: int) -> None:
        position = await self._approached(cursor)
        self._begin(cursor)
        self._hold()
        limit = self._events.published
        while position < limit:
            page = [event for event in await self._store.events_after(position, PAGE) if event.seq <= limit]
            if not page:
                break
            position = await self._sent(page, position)
        await self._send_grown(position, limit)
        self._reader.go_live(limit)

    async def _approached(self, cursor: int) -> int:
        """Read on until the log is near its end, without holding anything back meanwhile; the number reached."""
        self._events.await_end(self._reader)
        position = cursor
        while position < self._events.published:
            page = await self._store.events_after(position, PAGE)
            self._begin(cursor)
            page = [event for event in page if event.seq <= self._events.published]
            if not page:
                break
            position = await self._sent(page, position)
        return position

    def _begin(self, cursor: int) -> None:
        """The reader keeps its own cursor until it is sent something: cut off before, it must come back with that."""
        if not self._has_begun:
            self._has_begun = True
            self._reader.begin(cursor, ())

    async def _sent(self, page: Sequence[LoggedEvent], position: int) -> int:
        for event in page:
            await self._send_grown(position, event.seq)
            frame = await self._frame(event)
            if frame is not None:
                await self._send(frame)
            position = event.seq
        return position

    async def _send_grown(self, after: int, upto: int) -> None:
        for frame in self._events.grown_between(after, upto):
            await self._send(frame)

    async def _send(self, frame: Frame) -> None:
        self._reader.send(frame)
        await self._reader.ready()

    async def _frame(self, event: LoggedEvent) -> Frame | None:
        """None for a message that is gone, and for one whose newer state is held back already."""
        if event.body:
            return self._events.logged(event)
        if event.change == Change.UPDATED and self._reader.holds(f"{event.kind}:{event.key}"):
            return None
        message = await self._store.message(MessageId(event.key))
        return None if message is None else await self._restated(event.seq, message, event.change)

    async def _restated(self, seq: int | None, message: Message, change: Change) -> Frame:
        event = Event(EventKind.MESSAGE, change, message, key=message.id)
        return self._events.stated(seq, await self._events.prepared(event, _size(message)))

    # Reset

    async def _reset(self, reason: ResetReason) -> None:
        """Say so once, with the number from which on everything comes, then how things stand."""
        self._hold()
        here = self._events.published
        reset = self._events.stated(here, Event(EventKind.RESET, Change.CREATED, Reset(reason)))
        pending = self._events.again(self._snapshot.pending())
        self._reader.begin(here, [reset, *self._events.again(self._snapshot.sessions())])
        await self._reader.ready()
        async for message in self._snapshot.messages():
            if not self._reader.holds(f"{EventKind.MESSAGE}:{message.id}"):
                await self._send(await self._restated(None, message, Change.UPDATED))
        for frame in pending:
            await self._send(frame)
        self._reader.go_live(here)


def _size(message: Message) -> int:
    """About how many characters its event has."""
    return sum(_weight(part) for part in message.parts)


def _weight(part: object) -> int:
    match part:
        case Text():
            return len(part.text)
        case Reasoning():
            return len(part.thinking)
        case ToolCall():
            return len(part.input)
        case ToolResult():
            return len(part.content) + len(part.metadata) + len(part.data)
        case Binary():
            return len(part.data)
        case _:
            return 0
