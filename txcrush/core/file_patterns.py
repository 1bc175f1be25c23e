"""Patterns that name files, as the model writes them (`tools.md` 4.3, 4.4)."""

import posixpath
import re

HIDDEN = (
    ".crush",
    "node_modules",
    "vendor",
    "dist",
    "build",
    "target",
    ".git",
    ".idea",
    ".vscode",
    "__pycache__",
    "bin",
    "obj",
    "out",
    "coverage",
    "logs",
    "generated",
    "bower_components",
    "jspm_packages",
)
"""Files in directories of these names are not listed, unless the search begins inside one."""

_HIDDEN = frozenset(HIDDEN)
_WILD = re.compile(r"[*?\[{\\]")


def split(pattern: str) -> tuple[str, str]:
    """The directory that the pattern begins with literally, and what is matched below it."""
    segments = pattern.split("/")
    first_wild = next((at for at, segment in enumerate(segments) if _WILD.search(segment)), None)
    if first_wild is None:
        return posixpath.split(pattern.rstrip("/"))
    prefix = "/".join(segments[:first_wild])
    return prefix or ("/" if first_wild else ""), "/".join(segments[first_wild:])


def is_hidden(path: str) -> bool:
    """Whether a file is not to be listed, by its path below the search root: a dot-file, in a hidden directory, or in
    one of a name that says that its files are made."""
    return any(part in _HIDDEN or (part.startswith(".") and part != ".") for part in path.split("/"))
