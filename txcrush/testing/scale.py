"""How much of a long test is run: a short form in every run of the suite, the full form where it is asked for."""

import os

FULL = bool(os.environ.get("TXCRUSH_FULL"))
"""Whether `TXCRUSH_FULL` is set. Read when this is imported: tests run without the variables of whoever runs them."""


def scaled(short: int, full: int) -> int:
    """A count: of repetitions, of clients, of examples."""
    return full if FULL else short
