"""A keyboard whose lines a test types."""

from typing import Any


class TypedReactor:
    """What a `Keyboard` needs of a reactor; a test calls its `doRead`."""

    def __init__(self) -> None:
        self.readers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        if reader in self.readers:
            self.readers.remove(reader)
