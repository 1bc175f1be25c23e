"""What is kept of a stream of output that may have no end (`tools.md` D-27)."""

KEPT_BYTES = 128 * 1024
"""Kept of the beginning, and again of the end: several times what is ever shown of either."""


Parts = tuple[str, int, str]
"""The beginning, the lines let go, the end. Where nothing was let go, the beginning is all of it."""


def whole(parts: Parts) -> str:
    """The parts as one text, with a note where lines were let go."""
    head, dropped_lines, tail = parts
    return f"{head}\n\n... [{dropped_lines} lines truncated] ...\n\n{tail}" if tail else head


class KeptOutput:
    """The first and the last bytes of a stream, and how many lines were let go between them."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept = kept_bytes
        self._head = bytearray()
        self._tail = bytearray()
        self._closed = False
        self.dropped_lines = 0
        self.dropped_bytes = 0

    def take(self, data: bytes) -> None:
        """More output; a `TakeBytes`."""
        if self._closed:
            return
        room = self._kept - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        if len(self._tail) > 2 * self._kept:
            self._trim()

    def close(self) -> None:
        """Nobody will read it any more: forget it, and whatever still comes."""
        self._closed = True
        self._head, self._tail = bytearray(), bytearray()

    @property
    def parts(self) -> Parts:
        """What there is now, whole characters only."""
        self._trim()
        if not self.dropped_bytes:
            return _text(self._head + self._tail), 0, ""
        return _text(_without_cut_end(self._head)), self.dropped_lines, _text(_without_cut_start(self._tail))

    def _trim(self) -> None:
        excess = len(self._tail) - self._kept
        if excess > 0:
            self.dropped_bytes += excess
            self.dropped_lines += self._tail.count(b"\n", 0, excess)
            del self._tail[:excess]


def _text(data: bytearray) -> str:
    return data.decode("utf-8", "replace")


def _without_cut_start(data: bytearray) -> bytearray:
    """Without the rest of a character that begins before."""
    start = 0
    while start < min(3, len(data)) and data[start] & 0xC0 == 0x80:
        start += 1
    return data[start:]


def _without_cut_end(data: bytearray) -> bytearray:
    """Without the first bytes of a character that ends behind."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 != 0x80:
            length = 1 if byte < 0xC0 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return data[:-back] if length > back else data
    return data
