"""SQLite's errors as texts that tell the user what to do."""

import sqlite3

from txcrush.model.errors import ChangeRefused, StorageBusy, StorageDamaged, StorageFailed

_TEXTS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_BUSY: "the database is locked by another process",
    sqlite3.SQLITE_LOCKED: "the database is locked",
    sqlite3.SQLITE_CORRUPT: "the database file is damaged",
    sqlite3.SQLITE_NOTADB: "the file is not a database",
    sqlite3.SQLITE_READONLY: "the database is read-only",
    sqlite3.SQLITE_CANTOPEN: "the database file cannot be opened",
    sqlite3.SQLITE_PERM: "access to the database is denied",
    sqlite3.SQLITE_IOERR: "the disk refused to read or write the database",
    sqlite3.SQLITE_CONSTRAINT: "the database refused the change",
}
_KINDS: dict[int, type[StorageFailed]] = {
    sqlite3.SQLITE_BUSY: StorageBusy,
    sqlite3.SQLITE_LOCKED: StorageBusy,
    sqlite3.SQLITE_CORRUPT: StorageDamaged,
    sqlite3.SQLITE_NOTADB: StorageDamaged,
    sqlite3.SQLITE_CONSTRAINT: ChangeRefused,
}
READING_ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What reading a damaged file may raise."""

_OF_THE_DISK = frozenset(_TEXTS) - {sqlite3.SQLITE_CONSTRAINT}
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_PRIMARY = 0xFF  # the low byte of an extended result code is the primary one


def storage_failure(error: Exception) -> StorageFailed:
    """The error for the asker, a new object each time; the cause hangs on it."""
    if isinstance(error, StorageFailed):
        return error
    code = sqlite3.SQLITE_CORRUPT if isinstance(error, UnicodeDecodeError) else primary_code(error)
    text = _TEXTS.get(code)
    failure = _KINDS.get(code, StorageFailed)(f"{text}: {error}" if text else f"the database failed: {error}")
    failure.__cause__ = error
    return failure


def is_busy(error: BaseException) -> bool:
    """Somebody else holds the file: worth another try, unlike everything else."""
    return primary_code(error) == sqlite3.SQLITE_BUSY


def is_damage(error: BaseException) -> bool:
    """The file holds something that is no database, or no longer a sound one. Where the damage is in the schema, not
    even SQLite's message about it can be decoded."""
    return isinstance(error, (StorageDamaged, UnicodeDecodeError)) or primary_code(error) in _DAMAGED


def is_of_the_disk(failure: StorageFailed) -> bool:
    """Whether it was the disk, the file or another process, and not what was to be written."""
    return primary_code(failure.__cause__) in _OF_THE_DISK


def primary_code(error: BaseException | None) -> int:
    """SQLite's result code without its extension; -1 for what is none of its errors."""
    code = getattr(error, "sqlite_errorcode", None)
    return code & _PRIMARY if isinstance(code, int) else -1
