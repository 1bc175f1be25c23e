"""Which of a project's files somebody means who has typed a part of a path."""

from collections.abc import Iterable
from heapq import nsmallest

Rank = tuple[int, int, str]


def best_names(names: Iterable[str], wanted: str, limit: int) -> list[str]:
    """The paths that fit best, the best first, at most `limit`.

    Letters may be left out but not changed, and only capitals in `wanted` insist on being capitals. A file's own name
    counts more than its directories, its beginning more than its middle, a short path more than a long one.
    """
    folds = wanted == wanted.lower()
    ranks = (_rank(name, name.lower() if folds else name, wanted) for name in names)
    return [rank[-1] for rank in nsmallest(limit, (rank for rank in ranks if rank is not None))]


def _rank(name: str, folded: str, wanted: str) -> Rank | None:
    base = folded.rpartition("/")[2]
    if base.startswith(wanted):
        kind = 0
    elif folded.startswith(wanted):
        kind = 1
    elif wanted in base:
        kind = 2
    elif wanted in folded:
        kind = 3
    elif _has_in_order(folded, wanted):
        kind = 4
    else:
        return None
    return kind, len(name), name


def _has_in_order(text: str, letters: str) -> bool:
    at = -1
    for letter in letters:
        at = text.find(letter, at + 1)
        if at < 0:
            return False
    return True
