"""Reads the ignore files of a project and of its user for `core.ignoring`. Everything here blocks: for a thread."""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from txcrush.adapters.bounded_reading import read_regular
from txcrush.adapters.config_paths import places
from txcrush.adapters.places import lies_in
from txcrush.core.ignoring import COMMON, FILE_NAMES, Ignoring, Parts

MAX_BYTES = 256 * 1024
"""Of an ignore file no more than this is read."""

_SECTION = re.compile(r"\s*\[([^\]]*)\]")
_EXCLUDES = re.compile(r"\s*excludesfile\s*=\s*(.*)", re.IGNORECASE)

MakeIgnoring = Callable[..., Ignoring]


class IgnoreFiles:
    """The rules that hold for this user; `environ` says where git's and Crush's own files lie."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def listed(self, directory: str, names: Sequence[str]) -> Ignoring:
        """What a listing of the directory leaves out: all rules from this directory down, what is commonly made by
        programs, and base names that fit one of `names`."""
        return Ignoring(_reader(directory), everywhere=(COMMON, *self._users()), names=names)

    def searched(self, directory: str, workspace: str) -> Ignoring:
        """What a search of the directory leaves out: what the ignore files say, also those of the directories above it
        up to the workspace's. What is commonly made by programs is searched, as ripgrep does."""
        root = workspace if lies_in(directory, workspace) else directory
        return Ignoring(_reader(root), everywhere=self._users(), start=parts_of(os.path.relpath(directory, root)))

    def _users(self) -> tuple[str, ...]:
        return _text(self._git_excludes()), _text(os.path.join(places(self._environ).config_home, "crush", "ignore"))

    def _git_excludes(self) -> str:
        """The file that git's own configuration names, as git finds it without being run."""
        user = places(self._environ)
        found = os.path.join(user.config_home, "git", "ignore")
        own = self._environ.get("GIT_CONFIG_GLOBAL")
        files = (own,) if own else (os.path.join(user.config_home, "git", "config"), f"{user.home}/.gitconfig")
        for value in (value for file in files for value in _excludes_of(_text(file))):
            found = f"{user.home}/{value[2:]}" if value.startswith("~/") else value
        return found if os.path.isabs(found) else ""


def parts_of(relative: str) -> Parts:
    """The segments of a relative path; none for the directory itself."""
    return tuple(part for part in relative.split("/") if part not in ("", "."))


def _reader(root: str) -> Callable[[Parts], str]:
    def read(directory: Parts) -> str:
        texts = (_text(os.path.join(root, *directory, name)) for name in FILE_NAMES)
        return "\n".join(text for text in texts if text)

    return read


def _text(path: str) -> str:
    """The file's text; empty where there is none that can be read."""
    try:
        return read_regular(path, MAX_BYTES).decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def _excludes_of(config: str) -> Iterator[str]:
    section = ""
    for line in config.splitlines():
        heading = _SECTION.match(line)
        section = heading[1].strip().lower() if heading else section
        setting = _EXCLUDES.match(line)
        if setting and section == "core":
            yield setting[1].strip().strip('"')
