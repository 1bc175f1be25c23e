"""A new database in the place of a damaged one, with what could be read of it.

The new one is made whole beside the old one before anything is renamed: where the disk is full, everything stays as it
was, and an opening that is cut off between the two renames is finished by the next one.
"""

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing

from twisted.logger import Logger

from txcrush.adapters.sqlite import migrate, soundness
from txcrush.adapters.sqlite.failures import READING_ERRORS, primary_code
from txcrush.adapters.sqlite.salvage import salvage

log = Logger()


def replace(
    path: str, schema: Sequence[str], now: Callable[[], float], seconds: Callable[[], float], found: str
) -> str:
    """Put a new database at `path`; returns where the damaged one lies now. `found` is what is wrong with it."""
    fresh = f"{path}.fresh"
    _forget(fresh)
    os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with closing(sqlite3.connect(fresh, isolation_level=None)) as connection:
        migrate.migrate(connection, fresh, schema)
        kept = _salvaged(path, connection, seconds)
        connection.execute("PRAGMA synchronous = FULL")
        migrate.note(connection, len(schema))
    target = soundness.move_aside(path, now)
    os.replace(fresh, path)
    soundness.clear_suspicion(path)
    log.critical(
        "{path} was damaged ({found}): it is now {target}, and a new one holds what could be read of it: {kept}",
        path=path,
        found=found,
        target=target,
        kept=", ".join(f"{count} {table}" for table, count in kept.items()) or "nothing",
    )
    return target


def finish(path: str, now: Callable[[], float]) -> None:
    """Finish what an interrupted `replace` left. A WAL without its database must not be played into another one."""
    if os.path.exists(path):
        return
    if os.path.exists(f"{path}-wal") or os.path.exists(f"{path}-journal"):
        log.warn("{path} is gone, its log is not: it is moved aside", path=path)
        soundness.move_aside(path, now)
    if os.path.exists(f"{path}.fresh") and not os.path.exists(f"{path}.fresh-journal"):
        os.replace(f"{path}.fresh", path)


def _salvaged(path: str, fresh: sqlite3.Connection, seconds: Callable[[], float]) -> dict[str, int]:
    """Where even opening it is not possible, nothing is salvaged."""
    try:
        return salvage(path, fresh, seconds)
    except READING_ERRORS as error:
        if primary_code(error) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise
        log.error("nothing of {path} could be salvaged: {error}", path=path, error=error)
        return {}


def _forget(path: str) -> None:
    for name in (path, f"{path}-journal", f"{path}-wal", f"{path}-shm"):
        if os.path.exists(name):
            os.remove(name)
