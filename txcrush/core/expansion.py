"""`$VAR` expansion of configuration values: the body of a here-document, without running anything.

There is no word splitting and no globbing; quotes are ordinary characters. Command substitution is refused: whether a
file may run programs is a question of trust that is not answered here.
"""

import re
from collections.abc import Mapping

MAX_REASON_BYTES = 512
MAX_NESTING = 64

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-+?]")
_UNPRINTABLE = re.compile(r"[^\t\n\x20-\x7e]")


class _Refused(Exception):
    """Why a template cannot be expanded, in words that hold no variable's value."""


def expand(value: str, env: Mapping[str, str]) -> str:
    """The value with its variables replaced; an unset variable is empty text.

    Knows `$VAR`, `${VAR}`, `${VAR:-word}`, `${VAR-word}`, `${VAR:+word}`, `${VAR+word}`, `${VAR:?text}`, `${VAR?text}`,
    and the escapes `\\$`, `` \\` `` and `\\\\`. Raises ValueError with the text `resolving "TEMPLATE": REASON`, which
    quotes what the user wrote and never what came of it.
    """
    try:
        if value == "$":
            raise _Refused("invalid value format: $")
        return _Template(value, env).expanded()
    except _Refused as refusal:
        reason = _UNPRINTABLE.sub("?", str(refusal))[:MAX_REASON_BYTES]
        raise ValueError(f"resolving {quoted(value)}: {reason}") from None


def quoted(text: str) -> str:
    """The text in double quotes, on one line."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


class _Template:
    """One reading of a template, from left to right.

    Words that are not used (`word` of a `${VAR:-word}` whose VAR is set) are read too, to find their end: `_skipping`
    counts the depth of such words, and nothing in them can fail for lack of a variable.
    """

    def __init__(self, text: str, env: Mapping[str, str]) -> None:
        self._text = text
        self._env = env
        self._at = 0
        self._nesting = 0
        self._skipping = 0

    def expanded(self) -> str:
        pieces = []
        while self._at < len(self._text):
            pieces.append(self._piece())
        return "".join(pieces)

    def _piece(self) -> str:
        char = self._text[self._at]
        if char == "\\":
            return self._escape()
        if char == "`":
            raise _Refused("command substitution with backquotes is not supported, use a variable")
        if char == "$":
            return self._dollar()
        self._at += 1
        return char

    def _escape(self) -> str:
        escaped = self._text[self._at + 1 : self._at + 2]
        literal = "$`\\}" if self._nesting else "$`\\"
        if escaped == "\n":
            self._at += 2
            return ""
        if escaped and escaped in literal:
            self._at += 2
            return escaped
        self._at += 1
        return "\\"

    def _dollar(self) -> str:
        rest = self._text[self._at + 1 : self._at + 3]
        if rest == "((":
            raise _Refused("arithmetic $((...)) is not supported")
        if rest.startswith("("):
            raise _Refused("command substitution $(...) is not supported, use a variable")
        if rest.startswith("{"):
            return self._braced()
        name = _NAME.match(self._text, self._at + 1)
        if name is None:
            self._at += 1
            return "$"
        self._at = name.end()
        return self._env.get(name[0], "")

    def _braced(self) -> str:
        start = self._at
        name = _NAME.match(self._text, start + 2)
        if name is None:
            raise _Refused(f"bad substitution at {self._position(start)}")
        self._at = name.end()
        if self._text.startswith("}", self._at):
            self._at += 1
            return self._env.get(name[0], "")
        operator = _OPERATOR.match(self._text, self._at)
        if operator is None:
            unended = self._at == len(self._text)
            raise self._unended(start) if unended else _Refused(f"this form of ${{{name[0]}...}} is not supported")
        self._at = operator.end()
        return self._chosen(name[0], operator[0], start)

    def _chosen(self, name: str, operator: str, start: int) -> str:
        """The value or the word, by the operator; a colon makes an empty value count as unset."""
        value = self._env.get(name)
        is_set = bool(value) if operator.startswith(":") else value is not None
        kind = operator[-1]
        if kind == "?":
            written = self._word(start, used=False)[1]
            if not is_set and not self._skipping:
                raise _Refused(f"{name}: {written or 'parameter null or not set'}")
            return value or ""
        word, _ = self._word(start, used=is_set == (kind == "+"))
        if kind == "+":
            return word if is_set else ""
        return (value or "") if is_set else word

    def _word(self, start: int, *, used: bool) -> tuple[str, str]:
        """The word up to the closing brace, expanded, and as it is written."""
        self._nesting += 1
        self._skipping += not used
        if self._nesting > MAX_NESTING:
            raise _Refused("nested too deeply")
        first, pieces = self._at, []
        while not self._text.startswith("}", self._at):
            if self._at >= len(self._text):
                raise self._unended(start)
            pieces.append(self._piece())
        written = self._text[first : self._at]
        self._at += 1
        self._nesting -= 1
        self._skipping -= not used
        return "".join(pieces), written

    def _unended(self, start: int) -> _Refused:
        return _Refused(f"parse: {self._position(start)}: reached EOF without matching ${{ with }}")

    def _position(self, at: int) -> str:
        line_start = self._text.rfind("\n", 0, at) + 1
        return f"{self._text.count(chr(10), 0, at) + 1}:{at - line_start + 1}"
