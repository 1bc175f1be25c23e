"""What is never written without somebody's word, whatever is allowed or skipped (`promises.md` 48).

That is the server's and the agent's own configuration, its data, its skills and the scripts of its hooks, what git runs
by itself, and what the user's shells and logins read. Names are compared without regard to letter case and to what some
file systems ignore in a name, so that no look-alike slips through on a disk that takes it for the real thing.
"""

import os
import shlex
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from msgspec import Struct

from txcrush.adapters.config_paths import DATA_DIRECTORY, located, places, project_boundary
from txcrush.adapters.git_hooks import hook_paths
from txcrush.core.config_defaults import PROJECT_SKILLS
from txcrush.model.config import Config

_CONFIG_NAMES = frozenset(("crush.json", ".crush.json", "crushrc", ".crushrc", ".gitconfig"))
"""Read from any directory that is or may become a workspace."""

_GIT = ".git"
_GIT_LOOK_ALIKES = frozenset((_GIT, "git~1"))
_GIT_RUNS = ("config", "config.worktree", "hooks", "commondir", "gitdir", "HEAD", "modules", "worktrees")
"""What decides which programs git starts, in a git directory of any name."""

DATA_NAMES = ("txcrush.db", "txcrush.db-wal", "txcrush.db-shm", "txcrush.lock", "crush.json", "init", "logs")

SHELL_NAMES = (
    *(".profile", ".bashrc", ".bash_profile", ".bash_login", ".bash_logout", ".bash_aliases", ".inputrc"),
    *(".zshrc", ".zshenv", ".zprofile", ".zlogin", ".zlogout", ".kshrc", ".cshrc", ".tcshrc", ".login"),
    *(".config/fish", ".pam_environment", ".xprofile", ".xsessionrc", ".xinitrc"),
)
"""What shells and logins of the user's read, below the home directory."""

_STARTED_NAMES = (".ssh", ".config/environment.d", ".config/autostart", ".config/systemd/user")
"""What else there starts programs, or lets somebody in."""

_FOLDED_PATHS = 2048


class OwnPlaces(Struct, frozen=True, kw_only=True):
    """Directories of the server's own: `state_dir` holds its register and token, `token_file` is a token that lies
    elsewhere (or empty), `env` is the server's environment."""

    state_dir: str
    token_file: str
    env: Mapping[str, str]


def guarded_paths(root: str, data_dir: str, config: Config, own: OwnPlaces) -> Iterator[str]:
    """The directories and files that are guarded in a workspace, absolute. Looks at the disk."""
    user = places(own.env)
    yield from (user.config_dir, user.data_dir, os.path.join(user.config_home, "git"))
    yield from filter(None, (own.state_dir, own.token_file))
    yield from _data(root, data_dir)
    for top in {root, project_boundary(root)}:
        yield from (os.path.join(top, *name.split("/")) for name in PROJECT_SKILLS)
        yield from _git_paths(top)
    yield from started_paths(root, own.env)
    yield from (located(path, user.home, own.env) for path in config.options.skills_paths)
    yield from _hook_scripts(root, config.hooks)


def started_paths(root: str, env: Mapping[str, str]) -> Iterator[str]:
    """What is run by itself, though no configuration of ours says so: hooks of git's in a directory of their own, and
    what shells and logins of the user's read. Looks at the disk."""
    for top in {root, project_boundary(root)}:
        yield from hook_paths(top, env)
    home = places(env).home
    yield from (os.path.join(home, name) for name in (*SHELL_NAMES, *_STARTED_NAMES))


def covers(guarded: Sequence[str], spellings: Iterable[str], roots: Sequence[str]) -> bool:
    """Whether a place, of which all spellings are given, is guarded. A guarded directory that holds a whole workspace
    of `roots` guards nothing."""
    folded_roots = [folded(root) for root in roots]
    known = [way for path in guarded for way in ways(path) if not any(begins(root, way) for root in folded_roots)]
    for spelling in spellings:
        parts = folded(spelling)
        if any(begins(parts, way) for way in known) or _is_by_name(parts) or _is_in_git_directory(spelling):
            return True
    return False


@lru_cache(maxsize=_FOLDED_PATHS)
def folded(path: str) -> tuple[str, ...]:
    """The components of a path as the most forgiving file system compares them."""
    return tuple(_folded_name(part) for part in path.split("/") if part)


def _folded_name(name: str) -> str:
    visible = "".join(char for char in unicodedata.normalize("NFKC", name) if unicodedata.category(char) != "Cf")
    return unicodedata.normalize("NFKC", visible.casefold()).rstrip(". ") or name


def begins(parts: tuple[str, ...], way: tuple[str, ...]) -> bool:
    """Whether the folded path is the other one, or lies below it."""
    return parts[: len(way)] == way


def ways(path: str) -> list[tuple[str, ...]]:
    """The path, folded, as it is written and as it is on the disk; nothing for one that is not absolute. Blocks."""
    if not os.path.isabs(path) or "\0" in path:
        return []
    written, real = os.path.normpath(path), os.path.realpath(path)
    return [folded(written)] if real == written else [folded(written), folded(real)]


def _is_by_name(parts: tuple[str, ...]) -> bool:
    return parts[-1:] != () and (parts[-1] in _CONFIG_NAMES or not _GIT_LOOK_ALIKES.isdisjoint(parts))


def _is_in_git_directory(path: str) -> bool:
    """Whether the path is what git would run by itself, in a git directory that has another name: a bare repository,
    or one that a `.git` file points to."""
    above = path.rstrip("/")
    while above not in ("", "/"):
        above, name = os.path.split(above)
        if _folded_name(name) in _GIT_RUNS_FOLDED and _is_git_directory(above):
            return True
    return False


_GIT_RUNS_FOLDED = frozenset(_folded_name(name) for name in _GIT_RUNS)


def _is_git_directory(path: str) -> bool:
    has_objects = os.path.isdir(os.path.join(path, "objects")) and os.path.isdir(os.path.join(path, "refs"))
    return os.path.isfile(os.path.join(path, "HEAD")) and (has_objects or os.path.isfile(f"{path}/commondir"))


def _data(root: str, data_dir: str) -> Iterator[str]:
    """The data directory; where a whole workspace lies in it, the server's files there alone."""
    yield from (data_dir, os.path.join(root, DATA_DIRECTORY))
    yield from (os.path.join(data_dir, name) for name in DATA_NAMES)


def _git_paths(top: str) -> Iterator[str]:
    """Links in `.git` lead elsewhere: what they lead to is guarded as well."""
    return (os.path.join(top, _GIT, name) for name in _GIT_RUNS)


def _hook_scripts(root: str, hooks: Mapping[str, object]) -> Iterator[str]:
    """The files that hook commands name."""
    for command in _commands(hooks):
        for word in _words(command):
            path = os.path.join(root, word)
            if "\0" not in word and os.path.isfile(path):
                yield path


def _commands(value: object) -> Iterator[str]:
    """Every `command` in a configuration section, however deep."""
    if isinstance(value, Mapping):
        command = value.get("command")
        if isinstance(command, str):
            yield command
        for inner in value.values():
            yield from _commands(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _commands(inner)


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command, comments=True)
    except ValueError:
        return command.split()
