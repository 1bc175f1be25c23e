"""Counters and histograms: plain numbers, bounded in count, that cost a dictionary look-up to change.

Theory. Whoever does the work adds to them as it goes; a scrape reads them. The number of label sets has a bound, since
some labels name what users and models invent: beyond it everything counts as `other`, and nothing is lost in the sum.
"""

from bisect import bisect_left
from collections.abc import Sequence

from txcrush.model.metrics import Family, Sample

SERIES = 200
"""Label sets that one name keeps apart."""

OTHER = "other"
LONGEST_LABEL = 100
SECONDS = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

Labels = tuple[str, ...]


class _Series:
    """Which label sets there are."""

    def __init__(self, name: str, help: str, labels: Labels, limit: int) -> None:
        self.name = name
        self.help = help
        self.labels = labels
        self._limit = limit

    def known(self, values: Labels, kept: int) -> Labels:
        """The label values of a set that is new, or those of the rest where too many are kept."""
        if len(values) != len(self.labels):
            raise ValueError(f"{self.name} has {len(self.labels)} labels, not {len(values)}")
        return values if kept < self._limit else (OTHER,) * len(self.labels)

    def pairs(self, values: Labels) -> tuple[tuple[str, str], ...]:
        shown = (value[:LONGEST_LABEL] for value in values)
        return tuple(zip(self.labels, shown, strict=True))


class Tally:
    """A counter for each set of label values."""

    def __init__(self, name: str, help: str, labels: Labels = (), *, limit: int = SERIES) -> None:
        self._series = _Series(name, help, labels, limit)
        self._counts: dict[Labels, float] = {} if labels else {(): 0.0}

    def add(self, *values: str, by: float = 1.0) -> None:
        """Count `by` more of what these label values name."""
        if values not in self._counts:
            values = self._series.known(values, len(self._counts))
        self._counts[values] = self._counts.get(values, 0.0) + by

    def value(self, *values: str) -> float:
        """What has been counted under these label values."""
        return self._counts.get(values, 0.0)

    def family(self) -> Family:
        samples = tuple(Sample(count, self._series.pairs(values)) for values, count in self._counts.items())
        return Family(self._series.name, "counter", self._series.help, samples)


class Spread:
    """A histogram for each set of label values; `bounds` are the upper ends of its buckets."""

    def __init__(
        self, name: str, help: str, labels: Labels = (), *, bounds: Sequence[float] = SECONDS, limit: int = SERIES
    ) -> None:
        self._series = _Series(name, help, labels, limit)
        self._bounds = tuple(bounds)
        self._buckets: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}
        if not labels:
            self._begin(())

    def observe(self, value: float, *values: str) -> None:
        """Count one value under these label values."""
        if values not in self._buckets:
            values = self._series.known(values, len(self._buckets))
            if values not in self._buckets:
                self._begin(values)
        self._buckets[values][bisect_left(self._bounds, value)] += 1
        self._sums[values] += value

    def count(self, *values: str) -> int:
        """How many values were observed under these label values."""
        return sum(self._buckets.get(values, ()))

    def total(self, *values: str) -> float:
        """Their sum."""
        return self._sums.get(values, 0.0)

    def family(self) -> Family:
        samples = tuple(sample for values in self._buckets for sample in self._samples(values))
        return Family(self._series.name, "histogram", self._series.help, samples)

    def _begin(self, values: Labels) -> None:
        self._buckets[values] = [0] * (len(self._bounds) + 1)
        self._sums[values] = 0.0

    def _samples(self, values: Labels) -> list[Sample]:
        pairs = self._series.pairs(values)
        samples, count = [], 0
        for bound, more in zip((*map(str, self._bounds), "+Inf"), self._buckets[values], strict=True):
            count += more
            samples.append(Sample(count, (*pairs, ("le", bound)), "_bucket"))
        return [*samples, Sample(self._sums[values], pairs, "_sum"), Sample(count, pairs, "_count")]
