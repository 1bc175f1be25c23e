"""Connections that have shown no token yet: how many of one address there may be, and which is the oldest."""

from collections.abc import Hashable
from typing import Generic, TypeVar

C = TypeVar("C", bound=Hashable)


class Strangers(Generic[C]):
    """Connections in the order of their arrival. `most` bounds those of one address, None for no bound.

    Whoever goes over the bound takes the place of the oldest of the same address. To refuse the newest instead would
    let one program that opens connections and says nothing lock everybody behind its address out, and all programs of
    this machine share one.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._address_of: dict[C, str] = {}
        self._of_address: dict[str, dict[C, None]] = {}

    def __len__(self) -> int:
        return len(self._address_of)

    def add(self, connection: C, address: str) -> C | None:
        """Note a connection; the one that has to go for it, if any. That one is not forgotten yet."""
        neighbours = self._of_address.setdefault(address, {})
        crowding = next(iter(neighbours)) if self._most is not None and len(neighbours) >= self._most else None
        self._address_of[connection] = address
        neighbours[connection] = None
        return crowding

    def forget(self, connection: C) -> None:
        """It has shown a token, or is gone. Unknown ones are none of ours."""
        address = self._address_of.pop(connection, None)
        if address is None:
            return
        neighbours = self._of_address[address]
        del neighbours[connection]
        if not neighbours:
            del self._of_address[address]

    def oldest(self) -> C | None:
        """The one that has been a stranger for longest."""
        return next(iter(self._address_of), None)
