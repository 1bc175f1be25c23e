"""Tables of words are written as text: one reads them, and a change of one word is one word in a diff."""


def listed(text: str) -> tuple[str, ...]:
    """The words of a text, in order."""
    return tuple(text.split())


def named(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())
