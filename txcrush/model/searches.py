"""What a search of contents has found."""

from msgspec import Struct


class LineMatch(Struct, frozen=True):
    """A matching line: its number, the first match's byte column, both from 1, and its text."""

    number: int
    column: int
    text: str


class FileMatches(Struct, frozen=True):
    """The matching lines of a file, in order. `path` is relative to what was searched, empty for a file itself."""

    path: str
    lines: tuple[LineMatch, ...]
