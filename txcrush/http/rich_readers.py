"""Readers that can come back: ids, comment heartbeats, and text growth in few bytes (`contract.md` 3)."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred, succeed

from txcrush.core.event_ids import EventIds
from txcrush.core.events import Frame
from txcrush.core.observations import StreamFigures
from txcrush.core.observers import OneShot
from txcrush.http.readers import Headers, Reader
from txcrush.ports import Clock
from txcrush.wire.sse import HEARTBEAT, identified, opening

RETRY_MS = 1000
RICH_HEADERS: Headers = (
    (b"Content-Type", b"text/event-stream"),
    (b"Cache-Control", b"no-store, no-transform"),
    (b"X-Accel-Buffering", b"no"),
    (b"Connection", b"close"),
)


class Naming:
    """Frames with their ids. The same bytes go to one reader after the other: they are put together once."""

    def __init__(self) -> None:
        self._bare = self._named = b""
        self._id = ""

    def of(self, event_id: str, data: bytes) -> bytes:
        if data is not self._bare or event_id != self._id:
            self._bare, self._id, self._named = data, event_id, identified(event_id, data)
        return self._named


class _Tail(Struct):
    """What has grown of one message and waits: the places in the queue, and the bytes."""

    places: list[int]
    size: int = 0


class RichReader(Reader):
    """A stream with ids; a `resuming.Reader`. It begins held: what is delivered waits until it goes live.

    With `wants_deltas` what a message has grown by is sent instead of its state, to whoever has had the state before.
    While growth waits, more of it joins the queue, until the whole state is no longer than all that: then that waits
    instead. A state that is more than growth takes the place of all growth before it.
    """

    headers = RICH_HEADERS
    heartbeat = HEARTBEAT

    def __init__(
        self,
        request: Any,
        clock: Clock,
        figures: StreamFigures,
        ids: EventIds,
        naming: Naming,
        *,
        wants_deltas: bool = False,
    ) -> None:
        super().__init__(request, clock, figures)
        self.wants_deltas = wants_deltas
        self._ids = ids
        self._naming = naming
        self._is_live = False
        self._at = 0
        self._held_keys: set[str] = set()
        self._had: dict[str, int] = {}
        self._tails: dict[str, _Tail] = {}
        self._room: OneShot[None] | None = None

    # What brings it up to date

    def begin(self, at: int, frames: Sequence[Frame]) -> None:
        """One write: a client that was cut off has the cursor and what comes with it, or neither."""
        self._take_all()
        self._had.clear()
        self._at = at
        start = opening(self._ids.of(at), RETRY_MS)
        self._write(start + b"".join(self._dressed(frame) for frame in frames))

    def send(self, frame: Frame) -> None:
        if frame.key:
            self._note_state(frame)
        self._write(self._dressed(frame))

    def ready(self) -> Deferred[None]:
        if not self._paused:
            return succeed(None)
        if self._room is None:
            self._room = OneShot()
        return self._room.when()

    def holds(self, key: str) -> bool:
        return key in self._held_keys

    def go_live(self, at: int) -> None:
        if at > self._at:  # the last of what it missed was nothing that is sent
            self._write(identified(self._ids.of(at), b"\n"))
        self._is_live = True
        self._held_keys.clear()
        self._drain()

    # A reader

    def deliver(self, frame: Frame) -> None:
        if frame.key and not self._is_live:
            self._held_keys.add(frame.key)
        super().deliver(self._shortened(frame) if self.wants_deltas else frame)

    def end(self) -> None:
        """What is held back would take the cursor past what was not sent."""
        if not self._is_live:
            self._take_all()
        super().end()

    def resumeProducing(self) -> None:
        super().resumeProducing()
        room, self._room = self._room, None
        if room is not None:
            room.fire(None)

    @property
    def _is_held(self) -> bool:
        return self._paused or not self._is_live

    def _dressed(self, frame: Frame) -> bytes:
        if frame.seq < 0:
            return frame.data
        self._at = frame.seq
        return self._naming.of(self._ids.of(frame.seq), frame.data)

    # Growth

    def _shortened(self, frame: Frame) -> Frame:
        """What has grown, where this reader has had the state before; what it makes needless leaves the queue."""
        if not frame.key:
            return frame
        growth = frame.growth if self._had.get(frame.key) == frame.since else None
        self._note_state(frame)
        if growth is not None and self._may_wait(growth, frame):
            return growth
        for place in self._tails.pop(frame.key, _Tail([])).places:
            self._drop(place)
        return frame

    def _may_wait(self, growth: Frame, whole: Frame) -> bool:
        if not self._is_held:
            return True
        tail = self._tails.setdefault(whole.key, _Tail([]))
        tail.places.append(growth.seq)
        tail.size += len(growth.data)
        return tail.size < len(whole.data)

    def _note_state(self, frame: Frame) -> None:
        """Growth is told from the state that this reader had last; a message that grows no more is forgotten."""
        if frame.open:
            self._had[frame.key] = frame.seq
        else:
            self._had.pop(frame.key, None)

    def _drain(self) -> None:
        super()._drain()
        if not self._queue:
            self._tails.clear()
