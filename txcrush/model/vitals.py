"""How the process and its disks are, and what is wrong."""

from enum import StrEnum

from msgspec import Struct


class Disk(Struct, frozen=True):
    """The file system that a directory lies on, in bytes; `free` is what our user may still write."""

    path: str
    free: int
    total: int


class Vitals(Struct, frozen=True):
    """The process at one moment. `file_limit` 0 means that nobody could tell; `processes` are all its descendants."""

    resident_bytes: int = 0
    open_files: int = 0
    file_limit: int = 0
    processes: int = 0
    disks: tuple[Disk, ...] = ()


class Severity(StrEnum):
    """`ERROR`: requests fail or will soon. `WARNING`: somebody should look at it."""

    WARNING = "warning"
    ERROR = "error"


class Problem(Struct, frozen=True):
    """Something that is wrong: a stable `code`, what it is, and what to do about it."""

    code: str
    severity: Severity
    message: str
    action: str
