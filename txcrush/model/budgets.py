"""What one run may use."""

from typing import TypeVar

from msgspec import Struct

N = TypeVar("N", int, float)


class Budget(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Limits of one run; None is none. `cost` is US dollars, `tokens` those of all requests, `steps` how often a model
    is asked, `seconds` wall time from the beginning of the turn."""

    cost: float | None = None
    tokens: int | None = None
    steps: int | None = None
    seconds: float | None = None

    def within(self, other: "Budget") -> "Budget":
        """The lower of each."""
        return Budget(
            cost=_lower(self.cost, other.cost),
            tokens=_lower(self.tokens, other.tokens),
            steps=_lower(self.steps, other.steps),
            seconds=_lower(self.seconds, other.seconds),
        )

    @property
    def is_empty(self) -> bool:
        """Whether nothing is limited."""
        return self == UNLIMITED


UNLIMITED = Budget()


def _lower(one: N | None, other: N | None) -> N | None:
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)
