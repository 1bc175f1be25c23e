"""The directories that `core.hooksPath` names: git runs what lies there by itself.

Git's configuration files are read as text, without running git: whatever value stands in any of them counts, also one
that a later line or file replaces, and one of a condition that does not hold.
"""

import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from txcrush.adapters.bounded_reading import read_regular

MAX_FILE_BYTES = 1024 * 1024
MAX_DEPTH = 5
MAX_FILES = 50
"""Files that include each other end somewhere."""

_HOOKS = (
    *("applypatch-msg", "pre-applypatch", "post-applypatch", "pre-commit", "pre-merge-commit", "prepare-commit-msg"),
    *("commit-msg", "post-commit", "pre-rebase", "post-checkout", "post-merge", "pre-push", "pre-receive", "update"),
    *("proc-receive", "post-receive", "post-update", "reference-transaction", "push-to-checkout", "pre-auto-gc"),
    *("post-rewrite", "sendemail-validate", "fsmonitor-watchman", "post-index-change"),
)
_SECTION = re.compile(r"\s*\[\s*([\w.-]+)[^\]]*\]")
_VALUE = re.compile(r"\s*(hookspath|path)\s*=\s*(.*)", re.IGNORECASE)
_COMMENT = re.compile(r"\s+[#;].*$")

_Stamp = tuple[int, int, int]


def hook_paths(top: str, env: Mapping[str, str]) -> Iterator[str]:
    """The directories, absolute, for the work tree `top`, with `env` as git's environment; where one holds the work
    tree itself, the hooks in it. Blocks."""
    for directory in _directories(top, env):
        yield directory
        if os.path.commonpath((directory, top)) == directory:
            yield from (os.path.join(directory, name) for name in _HOOKS)


def _directories(top: str, env: Mapping[str, str]) -> Iterator[str]:
    home = env.get("HOME") or "/"
    waiting = [(file, 0) for file in _files(top, home, env)]
    seen: set[str] = set()
    while waiting and len(seen) < MAX_FILES:
        file, depth = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        hooks, included = _settings(file)
        yield from (_located(path, home, top) for path in hooks)
        if depth < MAX_DEPTH:
            waiting += [(_located(path, home, os.path.dirname(file)), depth + 1) for path in included]


def _files(top: str, home: str, env: Mapping[str, str]) -> Iterator[str]:
    git = os.path.join(top, ".git")
    for directory in (git, _pointed_to(git, "gitdir:"), _pointed_to(os.path.join(git, "commondir"), "")):
        if directory:
            yield from (os.path.join(directory, name) for name in ("config", "config.worktree"))
            above = _pointed_to(os.path.join(directory, "commondir"), "")
            yield from ((os.path.join(above, "config"),) if above else ())
    config_home = env.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    yield from (os.path.join(home, ".gitconfig"), os.path.join(config_home, "git", "config"), "/etc/gitconfig")
    if "GIT_CONFIG_GLOBAL" in env:
        yield env["GIT_CONFIG_GLOBAL"]


def _pointed_to(file: str, mark: str) -> str:
    """The directory that a `.git` or `commondir` file names, or nothing."""
    text = _text(file)
    named = text.removeprefix(mark).strip() if text.startswith(mark) else ""
    return os.path.normpath(os.path.join(os.path.dirname(file), named)) if named and "\0" not in named else ""


def _settings(file: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a file sets as hooks directories, and which files it includes."""
    try:
        told = os.stat(file)
    except (OSError, ValueError):
        return (), ()
    return _read(file, (told.st_ino, told.st_size, told.st_mtime_ns))


@lru_cache(maxsize=64)
def _read(file: str, _stamp: _Stamp) -> tuple[tuple[str, ...], tuple[str, ...]]:
    found: dict[str, list[str]] = {"hookspath": [], "path": []}
    section = ""
    for line in _text(file).replace("\\\n", "").splitlines():
        begun = _SECTION.match(line)
        if begun:
            section, line = begun[1].lower(), line[begun.end() :]
        value = _VALUE.match(line)
        if value and (section in ("core", "include", "includeif")):
            found[value[1].lower()].append(_COMMENT.sub("", value[2]).replace('"', "").strip())
    return tuple(filter(None, found["hookspath"])), tuple(filter(None, found["path"]))


def _located(path: str, home: str, directory: str) -> str:
    written = home + path[1:] if path.startswith("~/") else path
    return os.path.normpath(os.path.join(directory, written))


def _text(file: str) -> str:
    try:
        return read_regular(file, MAX_FILE_BYTES).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""
