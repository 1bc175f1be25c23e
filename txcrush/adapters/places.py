"""Where a path leads, seen from a workspace."""

import os

from msgspec import Struct

_GUARDED = ("crush.json", ".crush.json", "crushrc")


class Place(Struct, frozen=True, kw_only=True):
    """A path and what it means. `absolute` is lexical; `real` has its symlinks resolved."""

    absolute: str
    real: str
    is_inside: bool
    is_guarded: bool


class Places:
    """The places of one workspace, whose directory is `root`. Blocking: for threads."""

    def __init__(self, root: str) -> None:
        self._root = root

    def resolved(self, path: str) -> Place:
        """Relative paths start at the workspace. Raises ValueError for what is no path."""
        absolute = os.path.normpath(os.path.join(self._root, path))
        real = os.path.realpath(absolute)
        inside = _is_below(absolute, self._root) and _is_below(real, os.path.realpath(self._root))
        guarded = os.path.basename(real) in _GUARDED or bool({".git", ".crush"} & set(real.split(os.sep)))
        return Place(absolute=absolute, real=real, is_inside=inside, is_guarded=guarded)


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)
