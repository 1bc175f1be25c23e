"""A plain line: the small part of the shell's language in which every word means itself.

Words of safe characters, single quotes, double quotes without `$`, backtick and history; commands joined by `|`, `&&`,
`||`, `;` and newlines. Everything else is not plain, and is never judged by what it seems to say. The scanner knows
nothing about bash's grammar on purpose: what it accepts means the same in every shell.
"""

import re
from collections.abc import Iterator

from msgspec import Struct


class Word(Struct, frozen=True):
    """A literal word: its value, and where it stands in the line (characters)."""

    text: str
    start: int
    end: int
    quoted: bool


class PlainLine(Struct, frozen=True):
    """Simple commands and what joins them: `joints[i]` stands behind `commands[i]`."""

    commands: tuple[tuple[Word, ...], ...]
    joints: tuple[str, ...]


_BLANKS = re.compile(r"[ \t]+")
_JOINT = re.compile(r"\|\||&&|[|;]|\n")
_BARE = re.compile(r"[A-Za-z0-9_./:@%+,=^~{}-]+")
_SINGLE = re.compile(r"'([^'\x00-\x08\x0b-\x1f\x7f]*)'")
_DOUBLE = re.compile(r'"((?:[^"\\$`\x00-\x08\x0b-\x1f\x7f]|\\["\\A-Za-z0-9.()|+*?/\[\]{}^-])*)"')
_HISTORY = re.compile(r"!(?![ \t]|$)")
_ESCAPED = re.compile(r'\\(["\\])')
_REFLOG = re.compile(r"@\{[A-Za-z0-9_-]+\}")
_TILDE = re.compile(r"(?<![A-Za-z0-9^~@])~")
_PROGRAM = re.compile(r"[A-Za-z0-9_./+-]+")
_KEYWORDS = frozenset("if then else elif fi for while until do done case esac select function time coproc in".split())


def scan(line: str) -> PlainLine | None:
    """The line as plain words, or None where it is not plain."""
    commands: list[tuple[Word, ...]] = []
    joints: list[str] = []
    words: list[Word] = []
    for token in _tokens(line):
        if isinstance(token, Word):
            words.append(token)
        elif token is None or (not words and token != "\n"):
            return None
        elif words:
            commands.append(tuple(words))
            joints.append(token)
            words = []
    if words:
        commands.append(tuple(words))
    elif not joints or joints[-1] not in (";", "\n"):
        return None
    if not all(_starts_plainly(command) for command in commands):
        return None
    return PlainLine(tuple(commands), tuple(joints))


def _tokens(line: str) -> Iterator[Word | str | None]:
    """Words and joints; None once something is not plain."""
    position = 0
    while position < len(line):
        if blank := _BLANKS.match(line, position):
            position = blank.end()
        elif joint := _JOINT.match(line, position):
            position = joint.end()
            yield joint.group()
        elif word := _word(line, position):
            position = word.end
            yield word
        else:
            yield None
            return


def _word(line: str, start: int) -> Word | None:
    position, values, quoted = start, [], False
    while position < len(line):
        piece = _BARE.match(line, position)
        if piece is not None:
            if not _means_itself(piece.group(), first=position == start):
                return None
            values.append(piece.group())
        elif piece := _SINGLE.match(line, position):
            values.append(piece.group(1))
            quoted = True
        elif piece := _DOUBLE.match(line, position):
            if _HISTORY.search(piece.group(1)):
                return None
            values.append(_ESCAPED.sub(r"\1", piece.group(1)))
            quoted = True
        else:
            break
        position = piece.end()
    if position == start:
        return None
    return Word("".join(values), start, position, quoted)


def _means_itself(bare: str, *, first: bool) -> bool:
    """Whether no tilde, brace, history or (in other shells) `=program` expansion can happen in it."""
    rest = _REFLOG.sub("@", bare)
    if "{" in rest or "}" in rest or _TILDE.search(rest):
        return False
    return not (first and rest.startswith(("^", "=")))


def _starts_plainly(command: tuple[Word, ...]) -> bool:
    """Whether the first word names a program: unquoted, no assignment, no keyword of the shell."""
    first = command[0]
    return not first.quoted and _PROGRAM.fullmatch(first.text) is not None and first.text not in _KEYWORDS
