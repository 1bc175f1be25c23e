"""The indentation of a piece of text, and moving text to another (`tools.md` 11.3)."""

from collections.abc import Iterable, Sequence

TAB = "\t"
BLANKS = " \t"


def unit_of(lines: Iterable[str]) -> str:
    """One step of indentation: a tab where any line is indented with one, else the smallest number of leading spaces,
    else nothing. Blank lines say nothing."""
    smallest = ""
    for line in lines:
        blanks = leading(line)
        if not blanks or len(blanks) == len(line):
            continue
        if TAB in blanks:
            return TAB
        if not smallest or len(blanks) < len(smallest):
            smallest = blanks
    return smallest


def depth_of(line: str, unit: str) -> int:
    """How many steps the line is indented: its tabs, or its spaces divided by the unit's."""
    if not unit:
        return 0
    blanks = leading(line)
    return blanks.count(TAB) if unit == TAB else blanks.count(" ") // len(unit)


def leading(line: str) -> str:
    """The blanks that the line begins with."""
    return line[: len(line) - len(line.lstrip(BLANKS))]


def reindented(new: str, old: str, matched: Sequence[str], file_unit: str) -> str:
    """`new` as it is to stand in the place of the `matched` lines of a file whose unit is `file_unit`; `old` is how its
    writer saw those lines."""
    if not file_unit:
        return new
    old_lines, new_lines = old.split("\n"), new.split("\n")
    source = unit_of(old_lines) or unit_of(new_lines) or file_unit
    offset = depth_of(_first_said(matched), file_unit) - depth_of(_first_said(old_lines), source)
    if source == file_unit and offset == 0:
        return new
    return "\n".join(_moved(line, source, file_unit, offset) for line in new_lines)


def _moved(line: str, source: str, file_unit: str, offset: int) -> str:
    if not line.strip():
        return line
    return file_unit * max(depth_of(line, source) + offset, 0) + line.lstrip(BLANKS)


def _first_said(lines: Iterable[str]) -> str:
    return next((line for line in lines if line.strip()), "")
