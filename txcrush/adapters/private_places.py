"""What is not read without somebody's word, although it may lie in a workspace: where keys are kept.

That is the data directory, whose configuration holds the keys that were set over HTTP; the server's register and token;
the user's configuration; and, for a workspace that is a home directory or above it, what programs keep there of keys,
what shells read, and what was typed. One rule for `view`, `grep`, shell lines and context files; names alone (`ls`,
`glob`) are no secret. Names are compared as `guarded_places` does it, and a file with several names is known by each.
"""

import os
import stat
from collections.abc import Iterator
from functools import cached_property

from txcrush.adapters.config_paths import DATA_DIRECTORY, places
from txcrush.adapters.fetch_directories import PREFIX
from txcrush.adapters.guarded_places import DATA_NAMES, SHELL_NAMES, OwnPlaces, begins, folded, ways
from txcrush.model.addresses import default_state_dir

_OPEN = frozenset(("skills", "commands", "agents"))
"""What people put into a data directory for the model to read."""

_KEYS = ("crush.json", "crushrc")
_OF_HOME = (
    *(".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".password-store", ".local/share/keyrings"),
    *(".config/gcloud", ".config/gh", ".config/hub", ".config/doctl", ".config/rclone", ".config/op"),
    *(".netrc", "_netrc", ".authinfo", ".git-credentials", ".config/git/credentials", ".pgpass", ".my.cnf"),
    *(".npmrc", ".yarnrc.yml", ".pypirc", ".gem/credentials", ".cargo/credentials", ".cargo/credentials.toml"),
    *(".config/pip/pip.conf", ".pip/pip.conf", ".m2/settings.xml", ".gradle/gradle.properties", ".s3cfg", ".boto"),
    *(".claude.json", ".claude/.credentials.json", ".codex/auth.json", ".gemini", ".local/share/opencode"),
    *(".bash_history", ".zsh_history", ".history", ".python_history", ".node_repl_history", ".sqlite_history"),
    *(".psql_history", ".mysql_history", ".local/share/fish/fish_history", ".zsh_sessions"),
)
_OF_SYSTEM = ("/proc", "/run/secrets", "/etc/shadow")

Way = tuple[str, ...]


class PrivatePlaces:
    """Those of the workspace whose directory is `root` and whose data directory is `data_dir`.

    Everything looks at the disk: call it in a thread. A private directory that holds the whole workspace hides nothing
    of it but the files that are known to hold keys.
    """

    def __init__(self, root: str, data_dir: str, own: OwnPlaces) -> None:
        self._root = root
        self._data_dirs = tuple(dict.fromkeys(filter(None, (data_dir, os.path.join(root, DATA_DIRECTORY)))))
        self._own = own

    def hold(self, *spellings: str) -> bool:
        """Whether the place, of which these are absolute spellings, is private, or lies in what is."""
        return any(self._is_private(spelling) or self._is_key_file(spelling) for spelling in spellings)

    def below(self, directory: str) -> tuple[str, ...]:
        """The private places that are there below a directory (its real path), relative to it, but those in a
        directory that is called `.crush`."""
        found = {os.path.relpath(path, directory) for path in self._there() if path.startswith(_inside(directory))}
        return tuple(sorted(path for path in found if DATA_DIRECTORY not in folded(path)))

    def holds_below(self, directory: str) -> bool:
        """Whether anything private is there below the directory (its real path), whatever it is called."""
        return any(path.startswith(_inside(directory)) for path in self._there())

    def linked(self) -> frozenset[tuple[int, int]]:
        """Device and number of the files with keys that have another name somewhere, which may be anywhere."""
        told = filter(None, map(_told, self._key_files))
        return frozenset((one.st_dev, one.st_ino) for one in told if _has_more_names(one))

    def _is_private(self, spelling: str) -> bool:
        parts = folded(spelling)
        if any(parts[: len(way)] == way for way in self._file_ways):
            return True
        if any(begins(parts, way) and not _is_open(parts[len(way) :]) for way in self._directory_ways):
            return True
        return _is_by_name(parts, max((len(way) for way in self._root_ways if begins(parts, way)), default=0))

    def _is_key_file(self, spelling: str) -> bool:
        told = _told(spelling)
        return told is not None and _has_more_names(told) and (told.st_dev, told.st_ino) in self.linked()

    def _there(self) -> Iterator[str]:
        for path in (*self._key_files, *self._directories):
            if os.path.exists(path):
                yield os.path.realpath(path)

    @cached_property
    def _key_files(self) -> tuple[str, ...]:
        user = places(self._own.env)
        directories = (*self._data_dirs, user.config_dir, user.data_dir)
        token_files = filter(None, (self._own.token_file, *(os.path.join(path, "token") for path in self._state_dirs)))
        named = (os.path.join(directory, name) for directory in directories for name in _KEYS)
        data = (os.path.join(directory, name) for directory in self._data_dirs for name in DATA_NAMES)
        return (*named, *data, *token_files)

    @cached_property
    def _directories(self) -> tuple[str, ...]:
        user = places(self._own.env)
        of_home = (os.path.join(user.home, name) for name in (*_OF_HOME, *SHELL_NAMES))
        own = (*self._data_dirs, user.data_dir, *self._state_dirs)
        return (*own, *of_home, *_OF_SYSTEM)

    @property
    def _state_dirs(self) -> set[str]:
        """This server's, and the usual one: another server may keep its token there."""
        return {self._own.state_dir or default_state_dir(self._own.env), default_state_dir(self._own.env)}

    @cached_property
    def _file_ways(self) -> list[Way]:
        return [way for path in self._key_files for way in ways(path)]

    @cached_property
    def _root_ways(self) -> list[Way]:
        return ways(self._root)

    @cached_property
    def _directory_ways(self) -> list[Way]:
        found = (way for path in self._directories for way in ways(path))
        return [way for way in found if not any(begins(root, way) for root in self._root_ways)]


def _is_by_name(parts: Way, root_length: int) -> bool:
    """Whether the path leads into some data directory, be it another workspace's: what is the server's own there, and
    below the root everything that is not known to be people's."""
    for place, part in enumerate(parts):
        if part != DATA_DIRECTORY:
            continue
        rest = parts[place + 1 :]
        if (rest and rest[0] in DATA_NAMES) or (place >= root_length and not _is_open(rest)):
            return True
    return False


def _is_open(rest: Way) -> bool:
    """Whether what follows a data directory's own path is read by anybody."""
    return rest != () and (rest[0] in _OPEN or rest[0].startswith(PREFIX))


def _inside(directory: str) -> str:
    return directory.rstrip("/") + "/"


def _has_more_names(told: os.stat_result) -> bool:
    return told.st_nlink > 1 and stat.S_ISREG(told.st_mode)


def _told(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return None
