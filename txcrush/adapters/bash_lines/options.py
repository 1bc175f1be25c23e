"""Allow lists of options: what a program may be told without asking anybody. What is not listed asks."""

import re
from collections.abc import Callable, Sequence

from msgspec import Struct


class Given(Struct, frozen=True):
    """Arguments that an allow list lets pass: the options' names as written (`n`, `max-depth`), with their values, and
    the operands."""

    options: tuple[tuple[str, str], ...]
    operands: tuple[str, ...]

    def has(self, *names: str) -> bool:
        return any(name in names for name, _ in self.options)


Condition = Callable[[Given], bool]


class Allowance(Struct, frozen=True):
    """What one program, or one subcommand, may be told.

    `letters` are short options without a value, which may be written together; `valued` take one, attached or as the
    next word; `attached` take one only if it is attached. `flags`, `with_value` (`--x=v` or `--x v`) and
    `maybe_value` (`--x` or `--x=v`) are the long ones, without their dashes and never abbreviated. `numeric` allows
    `-5`. `operands` is the most that may follow; each must fully match `operand`, and `condition` has the last word.
    `reads` says that operands are paths whose contents or names are shown.
    """

    letters: str = ""
    valued: str = ""
    attached: str = ""
    flags: frozenset[str] = frozenset()
    with_value: frozenset[str] = frozenset()
    maybe_value: frozenset[str] = frozenset()
    numeric: bool = False
    operands: int = 0
    operand: re.Pattern[str] = re.compile(r".*", re.DOTALL)
    condition: Condition | None = None
    reads: bool = False
    in_order: bool = False
    """Options behind an operand, and `--`, ask: where the program takes them for operands, they would be written."""
    patterns: int = 0
    """Leading operands that are patterns and no paths."""
    names_only: bool = False
    """Of what it reads it shows names, sizes and the like, no contents."""


MANY = 1000
_NUMERIC = re.compile(r"-\d{1,9}")


def stays_inside(word: str) -> bool:
    """Whether a path, taken literally, cannot leave the directory that it starts from."""
    return word != "" and not word.startswith(("/", "~", "-")) and ".." not in word.split("/")


def given_to(allowance: Allowance, arguments: Sequence[str]) -> Given | None:
    """The arguments, taken apart, or None if one of them is not allowed."""
    options: list[tuple[str, str]] = []
    operands: list[str] = []
    rest = list(arguments)
    ended = False
    while rest:
        word = rest.pop(0)
        if ended or not word.startswith("-"):
            operands.append(word)
        elif allowance.in_order and (operands or word == "--"):
            return None
        elif word == "--":
            ended = True
        else:
            taken = _long(allowance, word, rest) if word.startswith("--") else _short(allowance, word, rest)
            if taken is None:
                return None
            options.extend(taken)
    given = Given(tuple(options), tuple(operands))
    return given if _fits(allowance, given) else None


def _fits(allowance: Allowance, given: Given) -> bool:
    if len(given.operands) > allowance.operands or (allowance.condition and not allowance.condition(given)):
        return False
    if not all(allowance.operand.fullmatch(word) for word in given.operands):
        return False
    return not allowance.reads or all(stays_inside(word) for word in given.operands[allowance.patterns :])


def _long(allowance: Allowance, word: str, rest: list[str]) -> list[tuple[str, str]] | None:
    name, equals, value = word[2:].partition("=")
    if equals:
        allowed = name in allowance.with_value or name in allowance.maybe_value
        return [(name, value)] if allowed else None
    if name in allowance.flags or name in allowance.maybe_value:
        return [(name, "")]
    if name in allowance.with_value:
        return _with_next(name, rest)
    return None


def _short(allowance: Allowance, word: str, rest: list[str]) -> list[tuple[str, str]] | None:
    if allowance.numeric and _NUMERIC.fullmatch(word):
        return [("number", word[1:])]
    taken: list[tuple[str, str]] = []
    for place, letter in enumerate(word[1:], start=2):
        if letter in allowance.letters:
            taken.append((letter, ""))
        elif letter in allowance.attached:
            return [*taken, (letter, word[place:])]
        elif letter in allowance.valued:
            last = [(letter, word[place:])] if word[place:] else _with_next(letter, rest)
            return None if last is None else [*taken, *last]
        else:
            return None
    return taken or None


def _with_next(name: str, rest: list[str]) -> list[tuple[str, str]] | None:
    """An option whose value is the next word, which must not look like an option: programs disagree about such."""
    if not rest or rest[0].startswith("-"):
        return None
    return [(name, rest.pop(0))]
