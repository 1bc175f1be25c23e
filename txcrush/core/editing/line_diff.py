"""Which lines two texts have in common."""

from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import TypeAlias

Opcode: TypeAlias = tuple[str, int, int, int, int]
"""`("equal" | "replace" | "delete" | "insert", old from, old to, new from, new to)`, as in difflib."""

MANY_LINES = 5000
"""From here on lines that stand everywhere (braces, blanks) are no landmarks any more."""

MAX_PAIRS = 2_000_000
"""Pairs of equal lines that are compared; with more of them the part between the first and the last difference counts
as replaced."""


def opcodes(old: Sequence[str], new: Sequence[str]) -> list[Opcode]:
    """How the old lines become the new ones, in order, without a gap."""
    before = _common(old, new)
    after = _common(old[before:][::-1], new[before:][::-1])
    old_end, new_end = len(old) - after, len(new) - after
    codes: list[Opcode] = [("equal", 0, before, 0, before)] if before else []
    codes += [
        (tag, i + before, j + before, k + before, m + before)
        for tag, i, j, k, m in _middle(old[before:old_end], new[before:new_end])
    ]
    return codes + ([("equal", old_end, len(old), new_end, len(new))] if after else [])


def _common(old: Sequence[str], new: Sequence[str]) -> int:
    """How many lines are the same from the start on."""
    for number, (left, right) in enumerate(zip(old, new, strict=False)):
        if left != right:
            return number
    return min(len(old), len(new))


def _middle(old: Sequence[str], new: Sequence[str]) -> list[Opcode]:
    if not old and not new:
        return []
    if not old or not new or _pairs(old, new) > MAX_PAIRS:
        tag = "insert" if not old else "replace" if new else "delete"
        return [(tag, 0, len(old), 0, len(new))]
    many = max(len(old), len(new)) > MANY_LINES
    return list(SequenceMatcher(None, old, new, autojunk=many).get_opcodes())


def _pairs(old: Sequence[str], new: Sequence[str]) -> int:
    there = Counter(new)
    popular = len(new) // 100 + 1 if max(len(old), len(new)) > MANY_LINES else len(new)
    return sum(there[line] for line in old if there[line] <= popular)
