"""How much a connection may ask for, and how often a token may be guessed."""

import math
from collections.abc import Callable

from msgspec import Struct

MIB = 1024 * 1024


class Limits(Struct, frozen=True, kw_only=True):
    """The bounds of one listening port. Sizes are bytes, durations seconds.

    `max_strangers` counts the connections of one address that have not shown a token yet.

    The idle time is longer than the 90 s after which Go's connection pool lets go of a connection by itself: a server
    that closes first can lose the race with a request that is just being written.
    """

    max_body: int = 10 * MIB
    max_header_block: int = 16 * 1024
    max_headers: int = 100
    max_connections: int = 16384
    max_strangers: int = 1024
    header_deadline_s: float = 10.0
    body_grace_s: float = 10.0
    min_body_rate: float = 1024.0
    idle_s: float = 180.0
    drain_bytes: int = 256 * 1024
    drain_s: float = 2.0
    flush_s: float = 60.0

    def body_is_too_slow(self, received: int, elapsed_s: float) -> bool:
        """Whether `received` bytes in `elapsed_s` seconds are fewer than the minimum rate asks for."""
        return elapsed_s >= self.body_grace_s and received < self.min_body_rate * elapsed_s


OWN_FILES = 40
"""Descriptors that connections never take: those of databases, providers, tools and the server itself."""


def limits_within(files: int) -> Limits:
    """The limits of a process that may have so many files open."""
    return Limits(max_connections=max(8, min(Limits().max_connections, files - OWN_FILES)))


class FailedLogins:
    """Counts wrong tokens by address.

    A right token always passes, also from an address that guessed too often: everybody on this machine shares one
    loopback address, and 256 bits are not guessed. What the limit saves is the work and the log.
    """

    def __init__(
        self, seconds: Callable[[], float], *, allowed: int = 10, window_s: float = 60.0, max_addresses: int = 1024
    ) -> None:
        self._seconds = seconds
        self._allowed = allowed
        self._window_s = window_s
        self._max_addresses = max_addresses
        self._windows: dict[str, tuple[float, int]] = {}

    def failed(self, address: str) -> int:
        """Note a wrong token; 0, or the whole seconds after which the address may try again."""
        now = self._seconds()
        opened, count = self._windows.pop(address, (now, 0))
        if now - opened >= self._window_s:
            opened, count = now, 0
        while len(self._windows) >= self._max_addresses:
            del self._windows[next(iter(self._windows))]
        self._windows[address] = (opened, min(count + 1, self._allowed + 1))
        return max(1, math.ceil(opened + self._window_s - now)) if count >= self._allowed else 0
