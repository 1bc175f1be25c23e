"""Whether a database is sound, asked in bounded time, and where one that is not is put.

Theory. SQLite's `quick_check` reads the whole file, so its time grows with the database. One that was closed cleanly
is looked at for a moment; one whose process died (its WAL is still there) for longer; one that was seen to be damaged
while it was open (a mark beside it says so) as long as it takes. A damaged database is never opened again and never
deleted: it is moved aside with its WAL, under one name, so that SQLite's own tools can still read it.
"""

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime

from twisted.logger import Logger

from txcrush.adapters.sqlite.failures import READING_ERRORS, is_damage, primary_code
from txcrush.adapters.sqlite.migrate import uri

log = Logger()

CLEAN_S = 0.05
UNCLEAN_S = 2.0
SUSPECT_S = 120.0
_HEADER = b"SQLite format 3\0"
_NO_ANSWER = (sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
"""Out of time, held by another process, or on a file system that has no shared memory."""


def mark_suspect(path: str) -> None:
    """Leave word that the database was seen to be damaged, for whoever opens it next."""
    try:
        os.close(os.open(f"{path}-suspect", os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as error:
        log.error("{path} is damaged, and that could not be noted: {error}", path=path, error=error)


def clear_suspicion(path: str) -> None:
    """The database was checked."""
    if _is_suspect(path):
        os.remove(f"{path}-suspect")


def damage(path: str) -> str:
    """What is wrong with the database, in SQLite's words; empty where nothing was found in the time that it is given.

    Raises what else keeps it from being read. Blocks.
    """
    if not _has_bytes(path):
        return ""
    if not _has_known_format(path):
        return "the header names a file format that does not exist"
    limit_s, check = _limit_s(path), "integrity_check" if _is_suspect(path) else "quick_check"
    mode = "rw" if _has_bytes(f"{path}-journal") else "ro"  # what a crash left in a journal must be rolled back first
    with closing(sqlite3.connect(f"{uri(path)}?mode={mode}", uri=True, timeout=0.0)) as connection:
        limit = threading.Timer(limit_s, connection.interrupt)  # no progress handler is called within a table's check
        limit.start()
        try:
            (found,) = connection.execute(f"PRAGMA {check}(1)").fetchone()
        except READING_ERRORS as error:
            found = _found_of(error)
        finally:
            limit.cancel()
            limit.join()
    return "" if found == "ok" else str(found)


def _has_known_format(path: str) -> bool:
    """Legacy or WAL, for writing and reading: SQLite takes any other number for a later one, and never writes then.
    What has no header at all is judged by SQLite."""
    with open(path, "rb") as database:
        header = database.read(20)
    return header[:16] != _HEADER or {*header[18:20]} <= {1, 2}


def _found_of(error: Exception) -> str:
    """What stopped the check, where that is damage; `ok` where it was not the file's fault."""
    if is_damage(error):
        return str(error)
    if primary_code(error) not in _NO_ANSWER:
        raise error
    log.info("the database was not checked to its end: {error}", error=error)
    return "ok"


def move_aside(path: str, now: Callable[[], float]) -> str:
    """Rename the database and its WAL to `PATH.corrupt-TIME`; returns the new name. Shared memory is worthless."""
    stamp = datetime.fromtimestamp(now(), UTC).strftime("%Y%m%dT%H%M%SZ")
    target, number = f"{path}.corrupt-{stamp}", 1
    while os.path.exists(target):
        number += 1
        target = f"{path}.corrupt-{stamp}-{number}"
    for suffix in ("", "-wal", "-journal"):
        if _has_bytes(path + suffix):
            os.replace(path + suffix, target + suffix)
    for suffix in ("-wal", "-journal", "-shm"):
        if os.path.isfile(path + suffix):
            os.remove(path + suffix)
    return target


def _limit_s(path: str) -> float:
    if _is_suspect(path):
        return SUSPECT_S
    return UNCLEAN_S if _has_bytes(f"{path}-wal") or _has_bytes(f"{path}-journal") else CLEAN_S


def _is_suspect(path: str) -> bool:
    return os.path.exists(f"{path}-suspect")


def _has_bytes(path: str) -> bool:
    return os.path.exists(path) and os.path.getsize(path) > 0
