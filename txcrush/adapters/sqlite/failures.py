"""SQLite's errors as texts that tell the user what to do."""

import sqlite3

from txcrush.model.errors import StorageFailed

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
_PRIMARY = 0xFF  # the low byte of an extended result code is the primary one


def storage_failure(error: Exception) -> StorageFailed:
    """The error for the asker, a new object each time; the cause hangs on it."""
    if isinstance(error, StorageFailed):
        return error
    code = getattr(error, "sqlite_errorcode", None)
    text = _TEXTS.get(code & _PRIMARY) if isinstance(code, int) else None
    failure = StorageFailed(f"{text}: {error}" if text else f"the database failed: {error}")
    failure.__cause__ = error
    return failure


def is_busy(error: sqlite3.Error) -> bool:
    """Somebody else holds the file: worth another try, unlike everything else."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(code, int) and code & _PRIMARY == sqlite3.SQLITE_BUSY
