"""Where a path leads that a model has named, and whether anybody must be asked first (`tools.md` 4.1, `contract.md` 6).

Theory. A name is cleaned as text, joined with the workspace's directory, and its symbolic links are resolved once. What
is decided (inside, outside, guarded) is decided for that resolved path, and it is that path which is opened afterwards,
component by component without following a link (`anchored_files`): a link that is swapped in between leads nowhere.

Everything but `Places.named` looks at the disk: call it in a thread.
"""

import os
from collections.abc import Callable, Iterable

from msgspec import Struct

from txcrush.adapters.guarded_places import covers
from txcrush.adapters.private_places import PrivatePlaces
from txcrush.model.errors import Refused

MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 4095
"""What Linux takes; a longer one is refused before anything is asked or opened."""


class Place(Struct, frozen=True, kw_only=True):
    """A file or directory that a model has named, there or not.

    `absolute` is the name, joined and cleaned as text; `real` is where it led when it was looked at, without symbolic
    links, and what is asked for where that lies outside: a grant is of the file, not of a link that may lead elsewhere
    tomorrow. It `is_inside` where both lie in the workspace, `is_guarded` where writing needs somebody's word whatever
    is allowed or skipped, and `is_private` where reading needs it although it is inside.
    """

    absolute: str
    real: str
    is_inside: bool
    is_guarded: bool
    is_private: bool = False


class Places:
    """The places of one workspace. `guarded` are directories and files of the server's and the agent's own, absolute,
    as they are now; `private` knows what is not read unasked."""

    def __init__(
        self, root: str, guarded: Callable[[], Iterable[str]] = tuple, private: PrivatePlaces | None = None
    ) -> None:
        self.root = cleaned(root)
        self._private = private
        self._guarded = guarded

    def named(self, path: str) -> str:
        """The absolute, cleaned path that a name stands for; `~` and `$` are characters like any other. Raises
        `Refused` for what no file can be called. Looks at nothing."""
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
        return Place(
            absolute=absolute,
            real=real,
            is_inside=named_inside and lies_in(real, real_root),
            is_guarded=covers(tuple(self._guarded()), (absolute, real), (self.root, real_root)),
            is_private=self._private is not None and self._private.hold(absolute, real),
        )

    def relative(self, absolute: str) -> str:
        """The path as it is shown in a diff: below the workspace without its directory, never with a leading slash."""
        below = absolute[len(self.root.rstrip("/")) :] if lies_in(absolute, self.root) else absolute
        return below.removeprefix("/")


def cleaned(path: str) -> str:
    """The path without `.`, `..`, doubled and trailing slashes, as text alone. POSIX lets two leading slashes mean
    something else; here they do not."""
    path = os.path.normpath(path)
    return path[1:] if path.startswith("//") else path


def lies_in(path: str, directory: str) -> bool:
    """Whether the path is the directory or below it, component by component. Both are absolute and clean."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")
