"""Server-sent events: the writer of one frame, and an incremental parser that follows WHATWG HTML 9.2 to the letter.

The parser works on bytes: line ends and field names are ASCII, which UTF-8 decoding with replacement never eats, so
data can go to a JSON decoder without a detour through text.
"""

from msgspec import Struct

_BOM = b"\xef\xbb\xbf"
MOST_LINES = 65536
"""Lines of one event: each costs memory beside its text, also an empty one."""

_LONGEST_RETRY = 18
"""Digits of a `retry` that are still a number of milliseconds; longer ones are ignored."""


def frame(json_bytes: bytes) -> bytes:
    """One event of the default type. `json_bytes` holds no line end (JSON escapes them inside strings)."""
    return b"data: " + json_bytes + b"\n\n"


HEARTBEAT = b": hb\n\n"
"""A comment: nothing is dispatched."""


def identified(event_id: str, framed: bytes) -> bytes:
    """The frame under this id, which a client comes back with."""
    return b"id: %s\n%s" % (event_id.encode("ascii"), framed)


def opening(event_id: str, retry_ms: int) -> bytes:
    """What a client is to come back with and after which time, before anything has happened: dispatches nothing."""
    return b"retry: %d\n%s" % (retry_ms, identified(event_id, b"\n"))


class SseEvent(Struct, frozen=True):
    """A dispatched event. `data` is UTF-8 as it came; `text` decodes it as the standard says."""

    data: bytes
    type: str = "message"
    last_event_id: str = ""

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "replace")


class SseTooLong(ValueError):
    """A line, or the data of one event, is longer than the parser's limit."""


class SseParser:
    """Bytes in, events out. `limit` bounds a line and an event's data, in bytes; do not feed a parser that raised.

    `last_event_id` is the cursor to resume with, `retry_ms` the reconnection time the server asked for, or None.
    An event without its closing blank line is never dispatched.
    """

    def __init__(self, limit: int = 16 * 1024 * 1024) -> None:
        self._limit = limit
        self._head: bytes | None = b""
        self._skip_newline = False
        self._pieces: list[bytes] = []
        self._size = 0
        self._data: list[bytes] = []
        self._data_size = 0
        self._type = ""
        self._id = ""
        self.last_event_id = ""
        self.retry_ms: int | None = None

    def feed(self, data: bytes) -> list[SseEvent]:
        """The events that these bytes complete. Raises `SseTooLong`."""
        if self._head is not None:
            data = self._without_bom(self._head + data)
        if self._skip_newline and data:
            self._skip_newline = False
            data = data.removeprefix(b"\n")
        events: list[SseEvent] = []
        for line in self._lines(data):
            event = self._line(line)
            if event is not None:
                events.append(event)
        return events

    def _without_bom(self, data: bytes) -> bytes:
        """Hold the first bytes back until they are known to be a byte order mark or not."""
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._head = data
            return b""
        self._head = None
        return data.removeprefix(_BOM)

    def _lines(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without their ends; the rest is kept."""
        if b"\n" not in data and b"\r" not in data:
            self._keep(data)
            return []
        lines = (b"".join(self._pieces) + data).splitlines(keepends=True)
        self._pieces.clear()
        self._size = 0
        if lines[-1][-1:] not in b"\r\n":
            self._keep(lines.pop())
        else:
            # The line is complete at its CR already; an LF that follows in the next bytes belongs to it.
            self._skip_newline = lines[-1].endswith(b"\r")
        return [line.rstrip(b"\r\n") for line in lines]

    def _keep(self, piece: bytes) -> None:
        if piece:
            self._pieces.append(piece)
            self._size += len(piece)
        self._bound(self._size)

    def _bound(self, size: int) -> None:
        if size > self._limit:
            raise SseTooLong(f"a line of the event stream is longer than {self._limit} bytes")

    def _line(self, line: bytes) -> SseEvent | None:
        if not line:
            return self._dispatch()
        self._bound(len(line))
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._data_size += len(value) + 1
            if len(self._data) > MOST_LINES:
                raise SseTooLong(f"an event of the stream has more than {MOST_LINES} lines")
            self._bound(self._data_size)
        elif name == b"event":
            self._type = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit() and len(value) <= _LONGEST_RETRY:
            self.retry_ms = int(value)
        return None

    def _dispatch(self) -> SseEvent | None:
        self.last_event_id = self._id
        kind, self._type = self._type, ""
        if not self._data:
            return None
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        self._data.clear()
        self._data_size = 0
        return SseEvent(data, kind or "message", self._id)
