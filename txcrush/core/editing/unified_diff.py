"""Unified diffs: making them, and knowing one when one sees it (`tools.md` 7)."""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from txcrush.core.editing.line_diff import Opcode, opcodes
from txcrush.core.editing.narrowing import narrowed

CONTEXT = 3
_NO_NEWLINE = "\\ No newline at end of file\n"


class Diff(Struct, frozen=True):
    """A unified diff, and how many of its lines add and remove; a line that begins with `--` or `++` itself passes for
    a header and is not counted, as clients count."""

    text: str
    additions: int
    removals: int


def unified(old: str, new: str, name: str) -> Diff:
    """The diff of two texts under a file's relative name; empty where they are the same."""
    if old == new:
        return Diff("", 0, 0)
    part = narrowed(old, new, CONTEXT)
    old_lines, new_lines = _lines(part.old), _lines(part.new)
    body = [
        line for group in _groups(old_lines, new_lines) for line in _hunk(group, old_lines, new_lines, part.skipped)
    ]
    additions = sum(line.startswith("+") and not line.startswith("+++") for line in body)
    removals = sum(line.startswith("-") and not line.startswith("---") for line in body)
    return Diff("".join((f"--- a/{name}\n", f"+++ b/{name}\n", *body)), additions, removals)


def is_diff(text: str) -> bool:
    """Whether the text holds a diff: a git header or a hunk, and the lines that name the files."""
    lines = text.splitlines()
    names_files = any(line.startswith(("--- ", "+++ ")) for line in lines)
    return names_files and any(line.startswith(("diff --git ", "@@")) for line in lines)


def _lines(text: str) -> list[str]:
    """Each line with its LF; the last may have none."""
    lines = [line + "\n" for line in text.split("\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def _groups(old: Sequence[str], new: Sequence[str]) -> Iterator[list[Opcode]]:
    """The differences with their context, those together whose contexts touch."""
    codes = opcodes(old, new)
    group: list[Opcode] = []
    for number, (tag, i, j, k, m) in enumerate(codes):
        if tag != "equal":
            group.append((tag, i, j, k, m))
            continue
        if group and (j - i > 2 * CONTEXT or number == len(codes) - 1):
            size = min(CONTEXT, j - i)
            yield [*group, (tag, i, i + size, k, k + size)] if size else group
            group = []
        if number < len(codes) - 1:
            size = j - i if group else min(CONTEXT, j - i)
            group.append((tag, j - size, j, m - size, m))
    if group:
        yield group


def _hunk(group: Sequence[Opcode], old: Sequence[str], new: Sequence[str], skipped: int) -> Iterator[str]:
    first, last = group[0], group[-1]
    before, after = _range(first[1], last[2], skipped), _range(first[3], last[4], skipped)
    yield f"@@ -{before} +{after} @@\n"
    for tag, i, j, k, m in group:
        if tag == "equal":
            yield from _marked(" ", old[i:j])
            continue
        yield from _marked("-", old[i:j])
        yield from _marked("+", new[k:m])


def _range(start: int, stop: int, skipped: int) -> str:
    length, start = stop - start, start + skipped
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"


def _marked(mark: str, lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        if line.endswith("\n"):
            yield mark + line
        else:
            yield f"{mark}{line}\n"
            yield _NO_NEWLINE
