"""Text with its blanks set aside (`tools.md` 11.3)."""

from msgspec import Struct


class Match(Struct, frozen=True):
    """Lines of a file, by index, both included."""

    first: int
    last: int


def normalised(text: str) -> str:
    """The words of each line, one space apart."""
    return "\n".join(" ".join(line.split()) for line in text.split("\n"))


def normalised_matches(text: str, old: str) -> list[Match]:
    """Where `old` stands in the text with blanks set aside: whole lines, from the first, none overlapping another."""
    sought = normalised(old)
    if not sought.strip():
        return []
    within = normalised(text)
    height = sought.count("\n")
    matches: list[Match] = []
    at, line, counted = within.find(sought), 0, 0
    while at >= 0:
        end = at + len(sought)
        is_whole = (at == 0 or within[at - 1] == "\n") and (end == len(within) or within[end] == "\n")
        if is_whole:
            line, counted = line + within.count("\n", counted, at), at
            matches.append(Match(line, line + height))
        at = within.find(sought, end if is_whole else at + 1)
    return matches
