"""Shell wildcards on the names of files: `*`, `?`, `[…]`, `\\`, and `**` between slashes, as git reads them.

Patterns come from projects and from models, so matching takes time linear in pattern times name whatever they hold:
`*a*a*a*a*b`, turned into a plain regular expression, keeps the interpreter (and with it the reactor) for 3 seconds on a
name of 250 letters. Here a name is matched piece by piece, without going back into a piece that has matched, and a path
segment by segment.
"""

import re
from collections.abc import Callable, Sequence

MatchName = Callable[[str], object]
"""Whether a name (one segment of a path) fits; anything true means yes."""

_SPECIAL = re.compile(r"[*?\[\\]")
_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "\\x21-\\x7e",
    "lower": "a-z",
    "print": "\\x20-\\x7e",
    "punct": "\\x21-\\x2f\\x3a-\\x40\\x5b-\\x60\\x7b-\\x7e",
    "space": " \\t-\\r",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}


def is_literal(pattern: str) -> bool:
    """Whether the pattern stands for nothing but itself."""
    return _SPECIAL.search(pattern) is None


def name_matcher(pattern: str) -> MatchName:
    """Matches one name; a pattern that is not well formed matches none."""
    if is_literal(pattern):
        return pattern.__eq__
    try:
        first, *others = _pieces(pattern)
    except ValueError:
        return lambda _: False
    if not others:
        return re.compile(rf"{first}\Z", re.DOTALL).match
    *middle, last = others
    passed = "".join(f"(?>.*?{piece})" for piece in middle if piece)
    return re.compile(rf"{first}{passed}.*{last}\Z", re.DOTALL).match


class PathPattern:
    """A pattern of several segments, relative to some directory."""

    def __init__(self, pattern: str) -> None:
        segments = pattern.split("/")
        if segments[-1] == "**":
            segments.append("*")  # all that is inside, not the directory itself
        self._segments = [None if segment == "**" else name_matcher(segment) for segment in segments]

    def matches(self, parts: Sequence[str]) -> bool:
        """Whether the path, given as its segments, fits as a whole."""
        segments, at, here = self._segments, 0, 0
        again: tuple[int, int] | None = None
        while here < len(parts):
            segment = segments[at] if at < len(segments) else _never
            if segment is None:
                at, again = at + 1, (at + 1, here)
            elif segment(parts[here]):
                at, here = at + 1, here + 1
            elif again is None:
                return False
            else:
                at, here = again[0], again[1] + 1
                again = (at, here)
        return all(segment is None for segment in segments[at:])


def _never(_: str) -> bool:
    return False


def _pieces(pattern: str) -> list[str]:
    """What stands between the stars, as regular expressions of a fixed length. Raises ValueError."""
    pieces, at = [""], 0
    while at < len(pattern):
        if pattern[at] == "*":
            pieces.append("")
            at += 1
            continue
        if pattern[at] == "[":
            piece, at = _bracket(pattern, at + 1)
        elif pattern[at] == "?":
            piece, at = ".", at + 1
        else:
            char, at = _char(pattern, at)
            piece = re.escape(char)
        pieces[-1] += piece
    return pieces


def _char(pattern: str, at: int) -> tuple[str, int]:
    """The character that stands here, perhaps behind a backslash, and where the next begins. Raises ValueError."""
    at += pattern.startswith("\\", at)
    if at >= len(pattern):
        raise ValueError("the pattern ends too early")
    return pattern[at], at + 1


def _bracket(pattern: str, at: int) -> tuple[str, int]:
    """The set of characters that begins here, and where it has ended. Raises ValueError."""
    is_negated = pattern.startswith(("!", "^"), at)
    at += is_negated
    members, first = "", at
    while at == first or not pattern.startswith("]", at):
        member, at = _named_class(pattern, at) if pattern.startswith("[:", at) else _range(pattern, at)
        members += member
    if not members:
        return ("." if is_negated else "(?!)"), at + 1
    return f"[{'^' if is_negated else ''}{members}]", at + 1


def _named_class(pattern: str, at: int) -> tuple[str, int]:
    end = pattern.find(":]", at + 2)
    name = pattern[at + 2 : end]
    if end < 0 or name not in _CLASSES:
        raise ValueError("no such class of characters")
    return _CLASSES[name], end + 2


def _range(pattern: str, at: int) -> tuple[str, int]:
    """`a` or `a-z`; a range that goes down holds nothing."""
    low, at = _char(pattern, at)
    if not pattern.startswith("-", at) or pattern.startswith("]", at + 1):
        return re.escape(low), at
    high, at = _char(pattern, at + 1)
    return (f"{re.escape(low)}-{re.escape(high)}" if low <= high else ""), at
