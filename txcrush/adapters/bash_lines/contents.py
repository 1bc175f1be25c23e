"""Which files a command of the read-only list shows the contents of: those it is given, and those it finds."""

from collections.abc import Sequence
from enum import Enum

from msgspec import Struct

from txcrush.adapters.bash_lines.options import Given
from txcrush.adapters.bash_lines.scanning import Word

_RECURSIVE = frozenset(("egrep", "fgrep", "grep"))
_NOT_THERE = {
    **dict.fromkeys(_RECURSIVE, "'--exclude-dir=.[cC][rR][uU][sS][hH]'"),
    "rg": "'--iglob=!.crush'",
}
"""What keeps a search out of data directories. ripgrep takes it last, whatever other globs say."""


class Among(Enum):
    """What a walk comes by: all files but those in data directories; what git keeps track of in a repository, and
    outside of one nothing, or all; all files in any case."""

    FILES = "files"
    TRACKED = "tracked"
    TRACKED_OR_ALL = "tracked or all"
    ALL = "all"


class Walk(Struct, frozen=True):
    """A search through what is below `path`. Hidden names count, whatever the program says: an ignore file of a
    stranger's (`!.config`) shows them to ripgrep."""

    path: str
    among: Among = Among.FILES


def walked_by(program: str, given: Given, reads: Sequence[str]) -> tuple[Walk, ...]:
    """Where the program looks for files by itself, data directories left out."""
    if program == "rg" or (program in _RECURSIVE and given.has("r", "recursive")):
        return tuple(map(Walk, reads or (".",)))
    return ()


def shown_by(reads: tuple[str, ...], walks: Sequence[Walk]) -> tuple[str, ...]:
    """The paths whose contents are shown."""
    return reads or tuple(walk.path for walk in walks)


def without_data_directories(line: str, program: str, command: Sequence[Word]) -> str:
    """The command, told to keep out of data directories."""
    ending = next((word.start for word in command[1:] if word.text == "--"), command[-1].end)
    return f"{line[command[0].start : ending].rstrip()} {_NOT_THERE[program]} {line[ending : command[-1].end]}".rstrip()
