"""Where a path leads that a model has named, and whether anybody must be asked first (`tools.md` 4.1, `contract.md` 6).

Everything but `Places.named` looks at the disk: call it in a thread.
"""

import os

from msgspec import Struct

from txcrush.model.errors import Refused

MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 4095


class Place(Struct, frozen=True, kw_only=True):
    """A file or directory that a model has named, there or not.

    `absolute` is the name, joined and cleaned as text; `real` is where it led when it was looked at, without symbolic
    links. It `is_inside` where both lie in the workspace.
    """

    absolute: str
    real: str
    is_inside: bool


class Places:
    """The places of one workspace."""

    def __init__(self, root: str) -> None:
        self.root = cleaned(root)

    def named(self, path: str) -> str:
        """The absolute, cleaned path that a name stands for. Raises `Refused` for what no file can be called."""
        if "\0" in path:
            raise Refused("a path cannot hold a NUL character")
        joined = cleaned(os.path.join(self.root, path))
        try:
            raw = os.fsencode(joined)
        except UnicodeEncodeError:
            raise Refused("the path holds characters that no file name can have") from None
        if len(raw) > MAX_PATH_BYTES or max(map(len, raw.split(b"/"))) > MAX_NAME_BYTES:
            raise Refused(f"the path is too long: {MAX_PATH_BYTES} bytes at most, {MAX_NAME_BYTES} for each name in it")
        return joined

    def resolved(self, path: str) -> Place:
        """The place that a name stands for. Raises `Refused`. Blocks: for a thread."""
        absolute = self.named(path)
        real, real_root = os.path.realpath(absolute), os.path.realpath(self.root)
        named_inside = lies_in(absolute, self.root) or lies_in(absolute, real_root)
        return Place(absolute=absolute, real=real, is_inside=named_inside and lies_in(real, real_root))


def cleaned(path: str) -> str:
    """The path without `.`, `..`, doubled and trailing slashes, as text alone."""
    path = os.path.normpath(path)
    return path[1:] if path.startswith("//") else path


def lies_in(path: str, directory: str) -> bool:
    """Whether the path is the directory or below it, component by component. Both are absolute and clean."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")
