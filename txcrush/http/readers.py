"""The readers of the event stream, each with a bounded queue of its own (`contract.md` 3, `protocol.md` 7).

Theory. The answer is close-delimited: Klein and Twisted would chunk it, and the reference's client never recovers from
a chunked stream that was cut. So the headers are written by hand, the frames go out raw, and the end is a FIN.

The reader is a push producer: the transport says when the client's side is full. Then frames queue. A newer state of a
message replaces one that still waits, so a slow reader skips frames but never meaning. Only a reader whose queue stays
over its bound for a while is given up; it can come back. One that takes nothing at all for a while is gone.
"""

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.logger import Logger
from twisted.web.http import datetimeToString
from zope.interface import implementer

from txcrush.core.events import Frame
from txcrush.core.observations import StreamFigures
from txcrush.http.sending import Sender
from txcrush.ports import Clock

HEARTBEAT_S = 15.0
STALLED_BEATS = 4
"""A reader that has taken nothing through so many heartbeats is cut off: after 45 to 60 seconds."""

QUEUE_BYTES = 1024 * 1024
OVERFLOW_S = 5.0
HARD_BYTES = 64 * QUEUE_BYTES
HARD_FRAMES = 20_000
"""Beyond these nobody waits for the 5 seconds: memory comes first."""

FLUSH_S = 5.0

Headers = Sequence[tuple[bytes, bytes]]
PLAIN_HEADERS: Headers = (
    (b"Content-Type", b"text/event-stream"),
    (b"Cache-Control", b"no-cache"),
    (b"X-Accel-Buffering", b"no"),  # else nginx keeps even the head until its buffer is full: tried
    (b"Connection", b"close"),
)

log = Logger()


@implementer(IPushProducer)
class Reader:
    """One open stream, as the reference's client reads it; a `Subscriber` of the event log."""

    headers = PLAIN_HEADERS
    heartbeat = b"\n"
    """The reference's client skips it without a word."""

    def __init__(self, request: Any, clock: Clock, figures: StreamFigures) -> None:
        self._figures = figures
        self._request = request
        self._clock = clock
        self._sender = Sender(request.channel.transport)
        self._queue: dict[object, Frame] = {}
        self._queued_bytes = 0
        self._paused = False
        self._ended: Deferred[None] = Deferred(lambda _: self._close())
        self._heartbeat: IDelayedCall | None = None
        self._overflow: IDelayedCall | None = None
        self._silent_beats = 0
        self._unsent = 0

    def run(self) -> Deferred[None]:
        """Write the headers; fires when the stream has ended."""
        write_head(self._request, self.headers)
        self._sender.watch_peer()
        self._request.registerProducer(self, True)
        self._beat_later()
        return self._ended

    # What the log says

    def deliver(self, frame: Frame) -> None:
        if self._is_held:
            self._enqueue(frame)
        else:
            self._write(self._dressed(frame))

    def end(self) -> None:
        """Send what is queued and end cleanly; nobody waits for a reader that does not read."""
        for frame in self._take_all():
            self._write(self._dressed(frame))
        self._finish()

    # What the transport says

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self._drain()

    def stopProducing(self) -> None:
        self._paused = True

    # The queue

    @property
    def queued_bytes(self) -> int:
        """What waits for the client to read."""
        return self._queued_bytes

    @property
    def _is_held(self) -> bool:
        """Whether what comes has to wait."""
        return self._paused

    def _enqueue(self, frame: Frame) -> None:
        """Queue the frame in its order; it takes the place of nothing but an older state of the same message."""
        if frame.key:
            self._drop(frame.key)
        self._queue[frame.key if frame.replaceable else frame.seq] = frame
        self._queued_bytes += len(frame.data)
        if (self._queued_bytes > HARD_BYTES and len(self._queue) > 1) or len(self._queue) > HARD_FRAMES:
            self._give_up()
        elif self._is_over() and self._overflow is None:
            self._overflow = self._clock.callLater(OVERFLOW_S, self._give_up)

    def _drop(self, place: object) -> None:
        """Take the frame that waits in that place away, if there is one."""
        older = self._queue.pop(place, None)
        if older is not None:
            self._queued_bytes -= len(older.data)
            self._figures.coalesced.add()

    def _is_over(self) -> bool:
        """An otherwise empty queue may hold one frame of any size."""
        return len(self._queue) > 1 and (self._queued_bytes > QUEUE_BYTES or len(self._queue) > HARD_FRAMES)

    def _drain(self) -> None:
        while self._queue and not self._is_held:
            self._write(self._dressed(self._take_first()))
        if not self._is_over():
            self._stop_overflow()

    def _take_first(self) -> Frame:
        frame = self._queue.pop(next(iter(self._queue)))
        self._queued_bytes -= len(frame.data)
        return frame

    def _take_all(self) -> list[Frame]:
        frames, self._queue, self._queued_bytes = list(self._queue.values()), {}, 0
        return frames

    def _give_up(self) -> None:
        self._stop_overflow()
        self._figures.given_up.add()
        log.info("a reader of the event stream is too slow: ended, it can resume")
        self._take_all()
        self._finish()

    # Writing

    def _dressed(self, frame: Frame) -> bytes:
        """The bytes of the frame for this reader."""
        return frame.data

    def _write(self, data: bytes) -> None:
        if not self._ended.called:
            self._sender.write(data)

    def _beat_later(self) -> None:
        self._heartbeat = self._clock.callLater(HEARTBEAT_S, self._beat)

    def _beat(self) -> None:
        if self._is_gone():
            self._figures.given_up.add()
            log.info("a reader of the event stream takes nothing any more: cut off, it can resume")
            self._finish(at_once=True)
            return
        if not self._paused:
            self._write(self.heartbeat)
        self._beat_later()

    def _is_gone(self) -> bool:
        """Whether nothing was taken for so long that there can be nobody at the other end."""
        unsent, before = self._sender.unsent, self._unsent
        self._unsent = unsent
        takes = not self._paused or (0 < unsent < before)
        self._silent_beats = 0 if takes else self._silent_beats + 1
        return self._silent_beats >= STALLED_BEATS

    def _finish(self, *, at_once: bool = False) -> None:
        """The clean end: what is written still goes out, for a while, and then a FIN. `at_once`: a cut."""
        if not self._ended.called:
            self._close()
            channel = self._request.channel
            self._request.unregisterProducer()
            if at_once:
                _abort_if_open(channel)
            else:
                self._clock.callLater(FLUSH_S, _abort_if_open, channel)
            if not self._ended.called:  # an aborted connection may have said so
                self._ended.callback(None)

    def _close(self) -> None:
        for timer in (self._heartbeat, self._overflow):
            if timer is not None and timer.active():
                timer.cancel()
        self._queue.clear()

    def _stop_overflow(self) -> None:
        timer, self._overflow = self._overflow, None
        if timer is not None and timer.active():
            timer.cancel()


def write_head(request: Any, headers: Headers) -> None:
    """The head of the answer, by hand: nothing is chunked, and the end of the connection is the end of the body."""
    request.startedWriting = 1
    request.channel.persistent = False
    request.channel.writeHeaders(b"HTTP/1.1", b"200", b"OK", [(b"Date", datetimeToString()), *headers])


def _abort_if_open(channel: Any) -> None:
    """What a reader did not take in time is given up with the connection."""
    if channel.transport is not None:
        channel.transport.abortConnection()
