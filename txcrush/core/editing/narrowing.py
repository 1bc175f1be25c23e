"""The part in which two texts differ, found without taking them apart: a long text with one change costs as much as a
short one."""

from msgspec import Struct


class Narrowed(Struct, frozen=True):
    """What differs, with whole lines around it; `skipped` lines come before it in both."""

    skipped: int
    old: str
    new: str


def narrowed(old: str, new: str, context: int) -> Narrowed:
    """The differing part, with at least so many lines around it where there are as many."""
    same = _common_start(old, new)
    start = same
    for _ in range(context + 1):
        start = old.rfind("\n", 0, start)
        if start < 0:
            break
    start += 1
    left = _common_end(old, new, min(len(old), len(new)) - same)
    end = len(old) - left
    for _ in range(context + 1):
        found = old.find("\n", end)
        if found < 0:
            end = len(old)
            break
        end = found + 1
    after = len(old) - end
    return Narrowed(old.count("\n", 0, start), old[start:end], new[start : len(new) - after])


def _common_start(old: str, new: str) -> int:
    """How many characters are the same from the start on, by halving."""
    same, end = 0, min(len(old), len(new))
    while same < end:
        middle = (same + end + 1) // 2
        if old[same:middle] == new[same:middle]:
            same = middle
        else:
            end = middle - 1
    return same


def _common_end(old: str, new: str, limit: int) -> int:
    """How many characters, at most `limit`, are the same up to the end."""
    same, end = 0, limit
    while same < end:
        middle = (same + end + 1) // 2
        if old[len(old) - middle : len(old) - same] == new[len(new) - middle : len(new) - same]:
            same = middle
        else:
            end = middle - 1
    return same
