"""What a line reaches on the disk: the only part of the judgement that looks there. Everything blocks: for a thread."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from txcrush.adapters.bash_lines.contents import Among, Walk
from txcrush.adapters.bash_lines.judgement import Judgement
from txcrush.adapters.bounded_reading import read_regular
from txcrush.adapters.config_paths import DATA_DIRECTORY
from txcrush.adapters.guarded_places import DATA_NAMES, begins, ways
from txcrush.adapters.private_places import PrivatePlaces

MOST_WORDS = 200
MAX_INDEX_BYTES = 64 * 1024 * 1024

_MARKS = re.compile(r"\\\n|[\\'\"]")
_WORD = re.compile(r"[^\s`<>|&;()={},:$]+")
_HOME = re.compile(r"\$HOME\b|\$\{HOME\}|(?<![^\s=:'\"])~(?=/)")
_PREFIXED = (4).to_bytes(4, "big")
"""The version of an index whose paths are not written whole."""


def leads_out(reads: Sequence[str], working_dir: str, root: str) -> bool:
    """Whether a path of `Judgement.reads`, or the working directory itself, lies outside `root` once links are
    followed."""
    top = os.path.realpath(root)
    here = os.path.realpath(working_dir)
    real = (here, *(os.path.realpath(os.path.join(here, path)) for path in reads))
    return any(os.path.commonpath((top, path)) != top for path in real)


class Reach:
    """What lines of a workspace must not reach unasked. `started` are the paths of what is run by itself, `home` is the
    user's directory."""

    def __init__(self, private: PrivatePlaces, started: Callable[[], Iterable[str]], home: str) -> None:
        self._private = private
        self._started = started
        self._home = home

    def shows_private(self, judgement: Judgement, working_dir: str) -> bool:
        """Whether the contents of a private place may be shown."""
        here = os.path.realpath(working_dir)
        for path in judgement.shows:
            written = os.path.normpath(os.path.join(here, path))
            if self._private.hold(written, os.path.realpath(written)):
                return True
        return any(self._comes_by(walk, here) for walk in judgement.walks)

    def names_started(self, line: str, working_dir: str, root: str) -> bool:
        """Whether a word of the line is the path of something that is run by itself."""
        words = list(dict.fromkeys(_WORD.findall(_MARKS.sub("", _HOME.sub(self._in_place, line)))))[:MOST_WORDS]
        roots = ways(root)
        known = [way for path in self._started() for way in ways(path) if not any(begins(one, way) for one in roots)]
        return any(begins(way, one) for word in words for way in _spelled(word, working_dir) for one in known)

    def _in_place(self, _: re.Match[str]) -> str:
        return self._home

    def _comes_by(self, walk: Walk, here: str) -> bool:
        """Whether a walk comes by something private."""
        directory = os.path.realpath(os.path.join(here, walk.path))
        if self._private.linked():
            return True
        if walk.among is Among.FILES:
            return bool(self._private.below(directory))
        top = _work_tree(directory)
        if walk.among is Among.ALL or (walk.among is Among.TRACKED_OR_ALL and top is None):
            return self._private.holds_below(directory)
        return top is not None and self._private.holds_below(top) and self._is_tracked(top)

    def _is_tracked(self, top: str) -> bool:
        """Whether git keeps track of something private; that cannot be ruled out where the index is not plain."""
        try:
            git = _git_directory(top)
            is_split = any(name.startswith("sharedindex.") for name in os.listdir(git))
            index = read_regular(os.path.join(git, "index"), MAX_INDEX_BYTES)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        places = (*self._private.below(top), *(f"{DATA_DIRECTORY}/{name}" for name in DATA_NAMES))
        names = (os.fsencode(place) + end for place in places for end in (b"\0", b"/"))
        is_plain = not is_split and index[4:8] != _PREFIXED and len(index) < MAX_INDEX_BYTES
        return not is_plain or any(name in index for name in names)


def _spelled(word: str, working_dir: str) -> Iterator[tuple[str, ...]]:
    written = os.path.normpath(os.path.join(working_dir, word))
    yield from ways(written)


def _work_tree(directory: str) -> str | None:
    """The nearest directory from here upwards that has a `.git`."""
    above = directory
    while not os.path.lexists(os.path.join(above, ".git")):
        if above == os.path.dirname(above):
            return None
        above = os.path.dirname(above)
    return above


def _git_directory(top: str) -> str:
    git = os.path.join(top, ".git")
    if os.path.isdir(git):
        return git
    named = read_regular(git, 4096).decode("utf-8", "surrogateescape").removeprefix("gitdir:").strip()
    return os.path.join(top, named)
