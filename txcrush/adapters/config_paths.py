"""Where configuration lies: the user's directories, and the files of a project up to its boundary."""

import os
import stat
from collections.abc import Iterator, Mapping

from msgspec import Struct

from txcrush.core.expansion import expand

FILE_NAME = "crush.json"
SCRIPT_NAME = "crushrc"
DATA_DIRECTORY = ".crush"

_PROJECT_NAMES = ("crush.json", ".crush.json", "crushrc", ".crushrc")
"""In one directory, a later name beats an earlier one."""


class Places(Struct, frozen=True):
    """The user's directories: `config_dir` is hand-edited, `data_dir` is written by programs."""

    home: str
    config_home: str
    config_dir: str
    data_dir: str


class ProjectSources(Struct, frozen=True):
    """A project's files, lowest priority first; `scripts` are the ones that are no JSON."""

    files: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()


def places(env: Mapping[str, str]) -> Places:
    """The user's directories by the environment."""
    home = env.get("HOME") or "/"
    config_home = env.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    data_home = env.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")
    return Places(
        home=home,
        config_home=config_home,
        config_dir=env.get("CRUSH_GLOBAL_CONFIG") or os.path.join(config_home, "crush"),
        data_dir=env.get("CRUSH_GLOBAL_DATA") or os.path.join(data_home, "crush"),
    )


def located(written: str, home: str, env: Mapping[str, str]) -> str:
    """A path as a configuration means it: `~` is the home directory, one that begins with `$` is expanded. What cannot
    be expanded stays as it is written."""
    if written == "~" or written.startswith("~/"):
        written = home + written[1:]
    if not written.startswith("$"):
        return written
    try:
        return expand(written, env)
    except ValueError:
        return written


def in_work_tree(path: str) -> bool:
    """Whether the directory lies in a git work tree."""
    return _git_root(path) is not None


def project_boundary(path: str) -> str:
    """The top of the git work tree that holds the directory, symbolic links resolved; without one, the directory."""
    return _git_root(path) or os.path.realpath(path)


def project_sources(path: str, boundary: str) -> ProjectSources:
    """The configuration files from the boundary down to the directory.

    Files of another owner than the directory's, and files that may not be looked at, are passed over. Where looking
    fails for another reason there are none at all.
    """
    found: list[str] = []
    try:
        owner = os.stat(path).st_uid
        for directory in reversed(list(_upwards(path, boundary))):
            names = (os.path.join(directory, name) for name in _PROJECT_NAMES)
            found.extend(name for name in names if _is_owned(name, owner))
    except OSError:
        return ProjectSources()
    scripts = tuple(name for name in found if name.endswith(SCRIPT_NAME))
    return ProjectSources(tuple(name for name in found if not name.endswith(SCRIPT_NAME)), scripts)


def project_candidates(path: str, boundary: str) -> list[str]:
    """Where configuration files of the project may lie, lowest priority first, whether or not there are any."""
    names = [name for name in _PROJECT_NAMES if not name.endswith(SCRIPT_NAME)]
    return [os.path.join(directory, name) for directory in reversed(list(_upwards(path, boundary))) for name in names]


def nearest_data_directory(path: str, boundary: str, home: str) -> str:
    """The nearest `.crush` up to the boundary, never the home directory's own nor another owner's; else the
    directory's own, which need not exist."""
    own = os.path.join(path, DATA_DIRECTORY)
    try:
        owner = os.stat(path).st_uid
        for directory in _upwards(path, boundary):
            candidate = os.path.join(directory, DATA_DIRECTORY)
            is_home = os.path.realpath(directory) == os.path.realpath(home)
            if not is_home and os.path.isdir(candidate) and _is_owned(candidate, owner):
                return candidate
    except OSError:
        return own
    return own


def _git_root(path: str) -> str | None:
    """As `git rev-parse --show-toplevel`, without running it: git refuses a work tree of somebody else's."""
    path = os.path.realpath(path)
    for directory in _parents(path):
        try:
            mark = os.lstat(os.path.join(directory, ".git"))
            if stat.S_ISREG(mark.st_mode) or os.path.exists(os.path.join(directory, ".git", "HEAD")):
                return directory if mark.st_uid == os.stat(path).st_uid else None
        except OSError:
            continue
    return None


def _parents(path: str) -> Iterator[str]:
    """The directory and all above it."""
    while True:
        yield path
        above = os.path.dirname(path)
        if above == path:
            return
        path = above


def _upwards(path: str, boundary: str) -> Iterator[str]:
    """The directory and those above it up to the boundary. Reached through a link past its boundary, only itself."""
    way = []
    for directory in _parents(path):
        way.append(directory)
        if os.path.realpath(directory) == boundary:
            return iter(way)
    return iter(way[:1])


def _is_owned(path: str, owner: int) -> bool:
    try:
        return os.stat(path).st_uid == owner
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return False
