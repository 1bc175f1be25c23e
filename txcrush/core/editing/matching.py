"""Find and replace in the text of a file, exact first, then with blanks set aside (`tools.md` 11.2, 11.3)."""

from msgspec import Struct

from txcrush.core.editing.hints import hint
from txcrush.core.editing.indentation import reindented, unit_of
from txcrush.core.editing.normalising import Match, normalised_matches

AMBIGUOUS = (
    "old_string appears multiple times in the file: add enough of the lines around it that it fits one place only, or "
    "set replace_all to true"
)
NOT_FOUND = "old_string not found in file: it has to match exactly, blanks and line breaks included"

SHOWN = {
    AMBIGUOUS: (
        "old_string appears multiple times in the file. Please provide more context to ensure a unique match, or set "
        "replace_all to true"
    ),
    NOT_FOUND: "old_string not found in file. Make sure it matches exactly, including whitespace and line breaks",
}
"""The same as clients are shown it, where it stands in metadata: that is protocol, and literal."""


class NoReplacement(ValueError):
    """The text does not hold what is to be replaced, or holds it more than once; in words for the model. `shown` says
    it in the protocol's words."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__("\n\n".join(filter(None, (reason, hint))))
        self.shown = "\n\n".join(filter(None, (SHOWN.get(reason, reason), hint)))


class Replaced(Struct, frozen=True):
    """The new text. It is `corrected` where the old text was found only with blanks set aside."""

    text: str
    corrected: bool = False


def replaced(text: str, old: str, new: str, *, replace_all: bool = False) -> Replaced:
    """The text with `old` replaced, everywhere or in its one place. Raises `NoReplacement`. `old` is not empty; all
    three have LF line ends."""
    first = text.find(old)
    if first >= 0 and replace_all:
        return Replaced(text.replace(old, new))
    if first >= 0:
        if text.rfind(old) != first:
            raise NoReplacement(AMBIGUOUS)
        return Replaced(text[:first] + new + text[first + len(old) :])
    matches = normalised_matches(text, old)
    if len(matches) == 1 or (matches and replace_all):
        return Replaced(_with_lines_replaced(text, old, new, matches), corrected=True)
    raise NoReplacement(NOT_FOUND, hint(text, old))


def _with_lines_replaced(text: str, old: str, new: str, matches: list[Match]) -> str:
    """From the last match backwards, whole lines: the numbers of the earlier ones stay true."""
    lines = text.split("\n")
    unit = unit_of(lines)
    for match in reversed(matches):
        there = slice(match.first, match.last + 1)
        lines[there] = [reindented(new, old, lines[there], unit)]
    return "\n".join(lines)
