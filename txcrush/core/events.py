"""The event log of a data directory: write, then publish, in one total order.

Theory. Every event gets its number when it is handed in. What must be durable before anybody sees it goes to the store
in the same transaction as the rows that it tells of, and waits in the outbox until that is on disk; growing text does
not wait for the disk, but it waits for its turn. So subscribers see events strictly in the order of their numbers, and
a promise that a client has read is a promise that the disk holds. An event becomes bytes once; the log keeps those
bytes and every subscriber gets them.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from txcrush.core.growth import States
from txcrush.core.observations import StreamFigures
from txcrush.core.observers import OneShot
from txcrush.model.events import Change, Event, EventKind, LoggedEvent
from txcrush.model.messages import Message
from txcrush.model.storage import AppendEvent, StoreChange
from txcrush.ports import Clock, EncodeEvent, Store

BIG_EVENT = 64 * 1024
"""Characters from which an event is encoded in a thread: 5 MB of source text take 30 to 60 ms."""

EncodeApart = Callable[[Event], Deferred[tuple[bytes, bytes]]]
"""Gives, from a thread, what the log keeps of an event (nothing of a message, whose state is its row) and its frame."""

log = Logger()


class Frame(Struct, frozen=True):
    """An event as it goes out.

    A frame supersedes what is still queued under its key; only a `replaceable` one may be superseded itself. It is
    `open` where it is a state of a message that will change again. `growth` says the same to whoever has had the state
    number `since`, in fewer bytes: it is what to send instead, and stands in no frame while nobody wants it. What is
    sent again to a new stream has a number below 0, which nobody is told.
    """

    seq: int
    data: bytes
    key: str = ""
    replaceable: bool = False
    open: bool = False
    since: int = 0
    growth: "Frame | None" = None


class Subscriber(Protocol):
    """Somebody who reads the stream. Neither call may raise or wait."""

    def deliver(self, frame: Frame) -> None:
        """Take the frame: write it, queue it, or give the reader up."""

    def end(self) -> None:
        """Nothing more comes: end the stream cleanly."""


@dataclass
class _Batch:
    """Events that become visible together, once their write is durable."""

    frames: Sequence[Frame]
    ready: bool = False
    before: Callable[[], None] | None = None
    lost: bool = False


@dataclass
class EventLog:
    """One data directory's events, its subscribers and its store. `encode_apart` does the work of `encode` and
    `frame` in a thread. `seq` is the last number given, `published` the last that subscribers have been told."""

    store: Store
    encode: EncodeEvent
    frame: Callable[[bytes], bytes]
    clock: Clock
    seq: int
    encode_apart: EncodeApart | None = None
    figures: StreamFigures = field(default_factory=StreamFigures)
    _outbox: deque[_Batch] = field(default_factory=deque)
    _shown: dict[str, _Batch] = field(default_factory=dict)
    _subscribers: dict[Subscriber, None] = field(default_factory=dict)
    _coming: dict[Subscriber, None] = field(default_factory=dict)
    _want_deltas: set[Subscriber] = field(default_factory=set)
    _states: States = field(default_factory=States)
    _growing: dict[str, Frame] = field(default_factory=dict)
    _sent_again: int = 0
    published: int = field(init=False)
    _draining: bool = False
    _drained: OneShot[None] | None = None

    def __post_init__(self) -> None:
        self.published = self.seq

    async def prepared(self, event: Event, size: int) -> Event:
        """The event, encoded beforehand where it is big: `size` is about its characters. Whoever has one prepares it
        before `commit`, which numbers and encodes at once."""
        if size < BIG_EVENT or self.encode_apart is None:
            return event
        body, framed = await self.encode_apart(event)
        return replace(event, body=body, framed=framed)

    def commit(
        self,
        changes: Sequence[StoreChange],
        events: Sequence[Event] = (),
        before_publish: Callable[[], None] | None = None,
    ) -> Deferred[None]:
        """Make the changes durable, then publish the events.

        `before_publish` is called in between. Fires when that is done; fails with `StorageFailed` where the store
        refused, and then nothing was published. Who cancels the Deferred stops waiting; the write and the
        publication go on.
        """
        frames, logged = [], []
        for event in events:
            frame, body = self._frame(event)
            frames.append(frame)
            logged.append(AppendEvent(self._logged(event, frame.seq, body)))
        batch = _Batch(frames, before=before_publish)
        if frames or before_publish is not None:
            self._outbox.append(batch)
        asker: Deferred[None] = Deferred()
        written = self.store.write(*changes, *logged)
        written.addBoth(self._settle, batch)
        written.addCallbacks(asker.callback, asker.errback)
        return asker

    def show(self, event: Event) -> None:
        """Publish without waiting for the disk, in its turn: growing text, whose rows follow on their own timer.

        Text that waits behind a write replaces an older state of it that waits there too."""
        frame, _ = self._frame(event)
        if frame.replaceable and frame.key and self._outbox:
            older = self._shown.get(frame.key)
            if older is not None:
                older.frames = ()
            batch = self._shown[frame.key] = _Batch([frame], ready=True)
            if self._outbox[-1] is older:
                self._outbox.pop()
        else:
            batch = _Batch([frame], ready=True)
        self._outbox.append(batch)
        self._drain()

    def tell(self, event: Event) -> LoggedEvent:
        """Publish, in its turn, what the disk has refused; returns what the log is to keep of it later."""
        frame, body = self._frame(event)
        self._outbox.append(_Batch([frame], ready=True))
        self._drain()
        return self._logged(event, frame.seq, body)

    def await_end(self, subscriber: Subscriber) -> None:
        """The subscriber will subscribe once it has caught up: until then it is told of the end only."""
        self._coming[subscriber] = None

    def subscribe(self, subscriber: Subscriber, *, deltas: bool = False) -> None:
        """Everything published from now on goes to the subscriber. With `deltas` frames tell what has grown, too."""
        self._coming.pop(subscriber, None)
        self._subscribers[subscriber] = None
        if deltas:
            self._want_deltas.add(subscriber)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        self._subscribers.pop(subscriber, None)
        self._coming.pop(subscriber, None)
        self._want_deltas.discard(subscriber)

    def again(self, events: Sequence[Event]) -> list[Frame]:
        """What a new reader is sent of what has been published already. No two of these have one number."""
        return [self._once_more(self.frame(event.body or self.encode(event))) for event in events]

    def _once_more(self, data: bytes) -> Frame:
        self._sent_again -= 1
        return Frame(self._sent_again, data)

    def logged(self, event: LoggedEvent) -> Frame:
        """The frame of a logged event whose body the log holds."""
        return Frame(event.seq, self.frame(event.body))

    def stated(self, seq: int | None, event: Event) -> Frame:
        """Something for one new reader, such as a message as it is now, under the number of what it has missed; None:
        sent again."""
        data = event.framed or self.frame(self.encode(event))
        return self._once_more(data) if seq is None else Frame(seq, data, _key(event))

    def grown_between(self, after: int, upto: int) -> list[Frame]:
        """Of messages whose latest published state is growing text, which no row of the log tells of: those states, if
        they were published under a number between these two, in order."""
        return [frame for frame in self._growing.values() if after < frame.seq <= upto]

    @property
    def subscribers(self) -> int:
        return len(self._subscribers)

    @property
    def queued_bytes(self) -> int:
        """What waits in the queues of slow readers."""
        return sum(getattr(one, "queued_bytes", 0) for one in self._subscribers)

    def when_drained(self) -> Deferred[None]:
        """Fires when everything handed in so far is published."""
        if self._drained is None:
            self._drained = OneShot()
        drained = self._drained.when()
        self._note_drained()
        return drained

    def end(self) -> None:
        """End every stream."""
        subscribers = [*self._subscribers, *self._coming]
        self._subscribers, self._coming = {}, {}
        self._want_deltas.clear()
        for subscriber in subscribers:
            try:
                subscriber.end()
            except Exception:
                self._give_up(subscriber)

    def _frame(self, event: Event) -> tuple[Frame, bytes]:
        self.seq += 1
        body, data = event.body, event.framed
        if not data:
            body = self.encode(event)
            data = self.frame(body)
        return self._placed(event, data), body

    def _placed(self, event: Event, data: bytes) -> Frame:
        """The event's frame. A message's tells whether it is growing, and by what."""
        if not isinstance(event.payload, Message):
            return Frame(self.seq, data)
        since, delta = self._states.step(self.seq, event.payload, event.change)
        growth = None
        if delta is not None and self._want_deltas:
            told = Event(EventKind.MESSAGE_DELTA, Change.UPDATED, delta)
            growth = Frame(self.seq, self.frame(self.encode(told)))
        is_open = self._states.is_open(event.payload.id)
        return Frame(self.seq, data, _key(event), event.replaceable, is_open, since, growth)

    def _logged(self, event: Event, seq: int, body: bytes) -> LoggedEvent:
        """A message's state is its row: the log keeps only that it changed."""
        in_row = event.kind == EventKind.MESSAGE and event.change != Change.DELETED
        return LoggedEvent(
            seq=seq,
            kind=event.kind,
            change=event.change,
            key=event.key,
            body=b"" if in_row else body,
            at=int(self.clock.seconds()),
        )

    def _settle(self, result: Failure | None, batch: _Batch) -> Failure | None:
        batch.ready, batch.lost = True, result is not None
        self._drain()
        return result

    def _drain(self) -> None:
        """Publish what is ready. What is handed in meanwhile waits for its turn, and is published here too."""
        if self._draining:
            return
        self._draining = True
        try:
            while self._outbox and self._outbox[0].ready:
                self._release(self._outbox.popleft())
        finally:
            self._draining = False
        if not self._outbox:
            self._shown.clear()
        self._note_drained()

    def _release(self, batch: _Batch) -> None:
        if batch.lost:
            return
        if batch.before is not None:
            batch.before()
        for frame in batch.frames:
            self._publish(frame)

    def _publish(self, frame: Frame) -> None:
        self.published = frame.seq
        if frame.key:
            self._growing.pop(frame.key, None)  # the newest goes to the end: the order is that of the numbers
            if frame.replaceable:
                self._growing[frame.key] = frame
        for subscriber in tuple(self._subscribers):
            if subscriber in self._subscribers:
                try:
                    subscriber.deliver(frame)
                except Exception:
                    self._give_up(subscriber)

    def _give_up(self, subscriber: Subscriber) -> None:
        """Nobody's failure is the next one's: who breaks the rule and raises hears no more."""
        log.failure("a subscriber failed and is given up")
        self.unsubscribe(subscriber)

    def _note_drained(self) -> None:
        if self._drained is not None and not self._outbox and not self._draining:
            drained, self._drained = self._drained, None
            drained.fire(None)


def _key(event: Event) -> str:
    return f"{event.kind}:{event.key}" if event.kind == EventKind.MESSAGE else ""
