"""The event stream as a client reads it: one envelope after the other."""

from collections import deque
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from txcrush.wire.json import parse_object
from txcrush.wire.sse import SseParser

SILENCE_S = 60.0
"""Seconds without a byte after which a stream counts as lost: the server lets itself be heard every 15."""


class StreamedEvent(Struct, frozen=True):
    """What happened: `kind` (`message`, `run_complete`, ...), `change` (`created`, ...) and the payload."""

    kind: str
    change: str
    payload: dict[str, Any]


class EventStream(Protocol):
    """A body of events. What has come waits here until it is asked for; the transport is paused while much waits.

    `cursor` is where to go on once everything that has come was asked for, or empty.
    """

    transport: Any
    MUCH = 1000

    def __init__(self, clock: IReactorTime) -> None:
        self.cursor = ""
        self._parser = SseParser()
        self._events: deque[StreamedEvent] = deque()
        self._asker: Deferred[StreamedEvent | None] | None = None
        self._ended = False
        self._paused = False
        self._silence: IDelayedCall = clock.callLater(SILENCE_S, self.close)

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
        """Read no more: the stream has ended."""
        if not self._ended:
            self._end()
            self.transport.stopProducing()

    def dataReceived(self, data: bytes) -> None:
        if self._ended:
            return
        self._silence.reset(SILENCE_S)
        try:
            self._take_in(data)
        except (ValueError, KeyError, TypeError):
            self.close()  # no stream of events: what it was is read with GET
            return
        self._tell()
        if len(self._events) > self.MUCH and not self._paused:
            self._paused = True
            self.transport.pauseProducing()

    def _take_in(self, data: bytes) -> None:
        for event in self._parser.feed(data):
            self._events.append(_streamed(event.data))
            self.cursor = event.last_event_id
        self.cursor = self._parser.last_event_id

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002  # however it ended
        if not self._ended:
            self._end()

    def _end(self) -> None:
        self._ended = True
        if self._silence.active():
            self._silence.cancel()
        self._tell()

    def _take(self) -> StreamedEvent:
        event = self._events.popleft()
        if self._paused and not self._events and not self._ended:
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
