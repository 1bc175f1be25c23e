"""The event stream as a client reads it: one envelope after the other."""

from collections import deque
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from txcrush.wire.json import parse_object
from txcrush.wire.sse import SseParser


class StreamedEvent(Struct, frozen=True):
    """What happened: `kind` (`message`, `run_complete`, ...), `change` (`created`, ...) and the payload."""

    kind: str
    change: str
    payload: dict[str, Any]


class EventStream(Protocol):
    """A body of events. What has come waits here until it is asked for; the transport is paused while much waits."""

    transport: Any
    MUCH = 1000

    def __init__(self) -> None:
        self._parser = SseParser()
        self._events: deque[StreamedEvent] = deque()
        self._asker: Deferred[StreamedEvent | None] | None = None
        self._ended = False
        self._paused = False

    def next(self) -> "Deferred[StreamedEvent | None]":
        """The next event, or None once the stream has ended. One asker at a time; it may be cancelled."""
        asker: Deferred[StreamedEvent | None] = Deferred(lambda _: self._forget())
        if self._events:
            asker.callback(self._take())
        elif self._ended:
            asker.callback(None)
        else:
            self._asker = asker
        return asker

    def close(self) -> None:
        """Read no more."""
        if not self._ended:
            self.transport.stopProducing()

    def dataReceived(self, data: bytes) -> None:
        self._events.extend(_streamed(event.data) for event in self._parser.feed(data))
        self._tell()
        if len(self._events) > self.MUCH and not self._paused:
            self._paused = True
            self.transport.pauseProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002  # however it ended
        self._ended = True
        self._tell()

    def _take(self) -> StreamedEvent:
        event = self._events.popleft()
        if self._paused and not self._events:
            self._paused = False
            self.transport.resumeProducing()
        return event

    def _tell(self) -> None:
        if self._asker is not None and (self._events or self._ended):
            asker, self._asker = self._asker, None
            asker.callback(self._take() if self._events else None)

    def _forget(self) -> None:
        self._asker = None


def _streamed(data: bytes) -> StreamedEvent:
    envelope: dict[str, Any] = parse_object(data.decode("utf-8", "replace"))
    inner = envelope["payload"]
    return StreamedEvent(envelope["type"], inner["type"], inner["payload"])
