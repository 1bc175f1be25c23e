"""Figures as a monitoring system takes them."""

from msgspec import Struct


class Sample(Struct, frozen=True):
    """One value. `suffix` is what follows the family's name (`_sum`, `_bucket`, ...), empty where nothing does."""

    value: float
    labels: tuple[tuple[str, str], ...] = ()
    suffix: str = ""


class Family(Struct, frozen=True):
    """The samples of one name. `kind` is `counter`, `gauge` or `histogram`; seconds, bytes."""

    name: str
    kind: str
    help: str
    samples: tuple[Sample, ...]
