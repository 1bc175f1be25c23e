"""What a model is told that looked for text which is not there (`tools.md` 11.4).

Hints stand in metadata too, which is protocol: they are worded as the reference words them.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

from txcrush.core.editing.indentation import leading
from txcrush.core.editing.normalising import normalised_matches

MAX_COMPARISONS = 5_000_000
"""Pairs of equal lines that are looked at; a file that has more gets no hint. They take about a second."""

SHOWN_LINES = 400
"""Lines of the file that a hint shows at most."""

_LEGEND = "(→ = tab, · = space)."


def hint(text: str, old: str) -> str:
    """What of the text comes nearest to `old`, with its blanks made visible; empty where nothing does."""
    lines = text.split("\n")
    matches = normalised_matches(text, old)
    if matches:
        first, last = matches[0].first, matches[0].last
        return (
            "A whitespace-normalized match was found, so the text exists but with different whitespace (tabs vs "
            f"spaces, or different indentation).\nActual file content (lines {first + 1}-{last + 1}):\n"
            f"{_shown(lines, first, last)}Use the exact whitespace shown above {_LEGEND}"
        )
    return _closest(lines, _trimmed(old.split("\n")))


def visible(line: str) -> str:
    """The line with its tabs and its leading spaces made visible."""
    blanks = leading(line)
    return blanks.replace(" ", "·").replace("\t", "→") + line[len(blanks) :].replace("\t", "→")


def _closest(lines: Sequence[str], old: Sequence[str]) -> str:
    if not old:
        return ""
    score, first = _best_window([line.strip() for line in lines], [line.strip() for line in old])
    if score == 0 or score < (len(old) + 1) // 2:
        return ""
    last = first + len(old) - 1
    around = max(first - 1, 0), min(last + 1, len(lines) - 1)
    return (
        f"No exact match found. Closest match at lines {first + 1}-{last + 1} ({score}/{len(old)} lines match after "
        f"trimming whitespace):\n{_shown(lines, *around)}Use the exact text shown above {_LEGEND}"
    )


def _best_window(lines: Sequence[str], old: Sequence[str]) -> tuple[int, int]:
    """How many lines agree in the best place for `old`, and the earliest such place."""
    if _pairs(lines, old) > MAX_COMPARISONS:
        return 0, 0
    places: defaultdict[str, list[int]] = defaultdict(list)
    for number, line in enumerate(lines):
        places[line].append(number)
    scores: Counter[int] = Counter()
    for number, line in enumerate(old):
        scores.update(place - number for place in places.get(line, ()))
    fitting = [(score, -first) for first, score in scores.items() if 0 <= first <= len(lines) - len(old)]
    score, first = max(fitting, default=(0, 0))
    return score, -first


def _pairs(lines: Sequence[str], old: Sequence[str]) -> int:
    there = Counter(lines)
    return sum(there[line] for line in old)


def _trimmed(lines: Sequence[str]) -> Sequence[str]:
    """Without the blank lines at both ends."""
    said = [number for number, line in enumerate(lines) if line.strip()]
    return lines[said[0] : said[-1] + 1] if said else ()


def _shown(lines: Sequence[str], first: int, last: int) -> str:
    end = min(last, first + SHOWN_LINES - 1)
    shown = "".join(f"{number + 1:6d}|{visible(lines[number])}\n" for number in range(first, end + 1))
    return shown if end == last else f"{shown}[{last - end} more lines]\n"
