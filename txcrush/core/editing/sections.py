"""The part of a file that is shown: some lines, cut to a width, with their numbers (`tools.md` 14.1).

The bytes come in chunks and are looked at once; only what is shown is kept, so neither a huge file nor a huge line
costs more than a section.
"""

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

MAX_LINE_BYTES = 2000
MAX_SECTION_BYTES = 200 * 1024
_NEWLINE = b"\n"
_KEPT = MAX_LINE_BYTES + 2
"""Bytes of a line that are kept: one more than are shown, and the CR."""


class Section(Struct, frozen=True):
    """Lines of a file, without their ends, and whether others follow."""

    lines: tuple[str, ...]
    has_more: bool

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


class TooLarge(ValueError):
    """The section is larger than may be shown; `size` bytes had been gathered when that was seen."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


def section(chunks: Iterable[bytes], offset: int, limit: int, max_bytes: int | None = MAX_SECTION_BYTES) -> Section:
    """At most `limit` lines after the first `offset`; a file that ends with a newline has one more, empty, line.

    Raises `TooLarge`, and UnicodeDecodeError for lines that are not UTF-8.
    """
    lines: list[str] = []
    size = 0
    for number, raw in enumerate(_lines(chunks, offset)):
        if number == limit:
            return Section(tuple(lines), True)
        line = _shown(raw)
        lines.append(line)
        size += len(line.encode()) + (number > 0)
        if max_bytes is not None and size > max_bytes:
            raise TooLarge(size)
    return Section(tuple(lines), False)


def numbered(lines: Sequence[str], offset: int) -> str:
    """The lines with their numbers, counted from 1, in six columns."""
    return "\n".join(f"{number:6d}|{line}" for number, line in enumerate(lines, offset + 1))


def _shown(raw: bytes) -> str:
    line = raw.removesuffix(b"\r") if len(raw) < _KEPT else raw
    if len(line) <= MAX_LINE_BYTES:
        return line.decode()
    end = MAX_LINE_BYTES
    while end > MAX_LINE_BYTES - 3 and line[end] & 0xC0 == 0x80:  # inside a character
        end -= 1
    return line[:end].decode() + "..."


def _lines(chunks: Iterable[bytes], skipped: int) -> Iterator[bytes]:
    """The lines after the first `skipped`, of each as much as is shown."""
    kept = b""
    for chunk in chunks:
        skipped, shown = _after(chunk, skipped)
        if skipped:
            continue
        *whole, rest = shown.split(_NEWLINE)
        for piece in whole:
            yield (kept + piece[:_KEPT])[:_KEPT]
            kept = b""
        kept = (kept + rest[:_KEPT])[:_KEPT]
    if not skipped:
        yield kept


def _after(chunk: bytes, skipped: int) -> tuple[int, bytes]:
    """How many lines are still to be skipped after this chunk, and what of it comes after those."""
    there = chunk.count(_NEWLINE) if skipped else 0
    if there < skipped:
        return skipped - there, b""
    at = -1
    for _ in range(skipped):
        at = chunk.index(_NEWLINE, at + 1)
    return 0, chunk[at + 1 :]
