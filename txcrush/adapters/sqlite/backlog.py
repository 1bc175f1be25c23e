"""What waits for the disk, and when that is too much."""

from collections.abc import Callable
from dataclasses import dataclass

MIB = 1024 * 1024
FULL_COUNT, FULL_BYTES = 10_000, 128 * MIB
"""Beyond this nothing is taken any more."""

SLOW_COUNT, SLOW_BYTES, SLOW_S = 2_000, 32 * MIB, 10.0
"""Beyond this no new work is begun; what is under way may still write."""


@dataclass
class Backlog:
    """The writes that are not on disk yet. Used on the reactor's thread only; `seconds` is a clock that never jumps."""

    seconds: Callable[[], float]
    count: int = 0
    size: int = 0
    _since: float = 0.0

    def add(self, size: int) -> None:
        """A write of about so many bytes waits."""
        if not self.count:
            self._since = self.seconds()
        self.count += 1
        self.size += size

    def remove(self, count: int, size: int) -> None:
        """So many are settled, which is progress."""
        self.count -= count
        self.size -= size
        self._since = self.seconds()

    @property
    def stalled_s(self) -> float:
        """For how long writes have waited without any progress."""
        return self.seconds() - self._since if self.count else 0.0

    @property
    def is_full(self) -> bool:
        return self.count >= FULL_COUNT or self.size >= FULL_BYTES

    @property
    def is_slow(self) -> bool:
        return self.count >= SLOW_COUNT or self.size >= SLOW_BYTES or self.stalled_s >= SLOW_S
