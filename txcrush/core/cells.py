"""Text as a terminal shows it: in cells, of which a wide character takes two and a combining or control one none."""

from collections.abc import Iterable

WIDEST = 2
"""Cells that one character takes at most."""


def beginning(text: str, cells: int) -> str:
    """The longest beginning of the text that is no wider than so many cells; what is one character to the eye stays
    whole."""
    if len(text) * WIDEST <= cells:
        return text
    at = 0
    for grapheme in graphemes(text):
        cells -= width(grapheme)
        if cells < 0:
            return text[:at]
        at += len(grapheme)
    return text


def graphemes(text: str) -> Iterable[str]:
    """The characters as the eye counts them."""
    if text.isascii():
        return text
    import wcwidth  # on first use: its tables are large

    return wcwidth.iter_graphemes(text)


def width(grapheme: str) -> int:
    """The cells that one of them takes."""
    import wcwidth

    return wcwidth.width(grapheme, control_codes="ignore")
