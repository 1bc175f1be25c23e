"""Output cut to what a terminal shows (`tools.md` 8.5): a pure function on text."""

import re
from bisect import bisect_left, bisect_right

from txcrush.core.cells import beginning, graphemes, width

LIMIT_CELLS = 30_000
HALF_CELLS = LIMIT_CELLS // 2

_TOKEN = re.compile(
    r"""
      (?P<escape> \x1b (?: \[ [0-?]* [ -/]* [@-~]                     # CSI
                         | [\]PX^_] [^\x07\x1b\x9c]* (?: \x07 | \x1b\\ | \x9c )?  # OSC, DCS, SOS, PM, APC
                         | [ -/]* [0-~] )? )
    | (?P<ascii>   [\x20-\x7e]+ (?! [^\x00-\x7f] ) )
    | (?P<control> [\x00-\x1a\x1c-\x1f\x7f]+ )
    | (?P<other>   [\x20-\x7e]? [^\x00-\x7f]+ )
    """,
    re.VERBOSE,
)
_CONTROLS = bytes((*range(0x20), 0x7F))

Token = tuple[str, int, bool]
"""A piece of text, its cells, and whether it is an escape sequence."""


def truncated(head: str, dropped_lines: int = 0, tail: str = "") -> str:
    """The text, or its first and last 15000 cells with the number of lines between them.

    Escape sequences, newlines, tabs and control characters are no cells, a wide character or an emoji is two. Where
    output was let go before it came here, `head` and `tail` are its ends and `dropped_lines` what lay between.
    """
    whole = not (tail or dropped_lines)
    if whole and len(head) <= HALF_CELLS:
        return head
    begin = _cut(head)
    if whole and begin.cells <= LIMIT_CELLS:
        return head
    begun, ended = begin.first(), (begin if whole else _cut(tail)).last()
    lines = head.count("\n") + dropped_lines + tail.count("\n") - begun.count("\n") - ended.count("\n")
    return f"{begun}\n\n... [{max(0, lines)} lines truncated] ...\n\n{ended}"


def _cut(text: str) -> "_Plain | _Rich":
    return _Plain(text) if text.isascii() and "\x1b" not in text else _Rich(text)


class _Plain:
    """ASCII without escape sequences: found by counting what is visible before a place, at memory speed."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._bytes = text.encode("ascii")
        self.cells = self._before(len(text))

    def first(self) -> str:
        places = range(len(self._text) + 1)
        return self._text[: bisect_right(places, HALF_CELLS, key=self._before) - 1]

    def last(self) -> str:
        places = range(1, len(self._text) + 1)
        return self._text[bisect_left(places, self.cells - HALF_CELLS + 1, key=self._before) :]

    def _before(self, place: int) -> int:
        return len(self._bytes[:place].translate(None, _CONTROLS))


class _Rich:
    """Any text, in pieces whose widths add up; no grapheme lies in two of them."""

    def __init__(self, text: str) -> None:
        self._tokens: list[Token] = [_token(found) for found in _TOKEN.finditer(text)]
        self.cells = sum(cells for _, cells, _ in self._tokens)

    def first(self) -> str:
        """Up to the first grapheme that would pass the half; of what follows the escape sequences."""
        kept, room = list[str](), HALF_CELLS
        for text, cells, is_escape in self._tokens:
            if is_escape:
                kept.append(text)
            elif room >= 0:
                fits = cells <= room
                kept.append(text if fits else beginning(text, room))
                room = room - cells if fits else -1
        return "".join(kept)

    def last(self) -> str:
        """From the first grapheme whose end lies in the last half; of what comes before the escape sequences."""
        skip = self.cells - HALF_CELLS
        kept, before = list[str](), 0
        for text, cells, is_escape in self._tokens:
            if is_escape or before > skip:
                kept.append(text)
            elif before + cells > skip:
                kept.append(_beyond(text, skip - before))
            before += cells
        return "".join(kept)


def _token(found: re.Match[str]) -> Token:
    text, kind = found[0], found.lastgroup
    if kind == "ascii":
        return text, len(text), False
    if kind == "other":
        import wcwidth  # on first use: its tables are large

        cells = wcwidth.wcswidth(text)
        return text, cells if cells >= 0 else sum(map(width, graphemes(text))), False
    return text, 0, kind == "escape"


def _beyond(text: str, cells: int) -> str:
    skipped = 0
    for grapheme in graphemes(text):
        cells -= width(grapheme)
        if cells < 0:
            break
        skipped += len(grapheme)
    return text[skipped:]
