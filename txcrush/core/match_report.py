"""How the model is shown what a search of contents has found (`tools.md` 16)."""

from collections.abc import Iterator, Sequence

from txcrush.core.cells import beginning
from txcrush.model.searches import FileMatches

MAX_CELLS = 500
"""A line is shown up to this display width."""

_ELLIPSIS = "..."


def first(files: Sequence[FileMatches], limit: int) -> list[FileMatches]:
    """The files' first matches, at most so many in all."""
    kept: list[FileMatches] = []
    for file in files:
        if limit <= 0:
            break
        kept.append(FileMatches(file.path, file.lines[:limit]))
        limit -= len(file.lines)
    return kept


def report(files: Sequence[FileMatches]) -> Iterator[str]:
    """The text, line by line."""
    yield f"Found {sum(len(file.lines) for file in files)} matches"
    for number, file in enumerate(files):
        if number:
            yield ""
        yield f"{file.path}:"
        for line in file.lines:
            yield f"  Line {line.number}, Char {line.column}: {cut(line.text.strip(), MAX_CELLS)}"


def cut(text: str, cells: int) -> str:
    """The text, no wider than so many cells: what is too long ends in three dots. Control characters take no room."""
    return text if beginning(text, cells) == text else beginning(text, cells - len(_ELLIPSIS)) + _ELLIPSIS
