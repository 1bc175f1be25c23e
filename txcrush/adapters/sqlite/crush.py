"""Databases that Crush has written: adopted where one stands under our name, copied where it stands beside.

Crush's tables are ours, but for what only we have and for its triggers, which count what we count ourselves. Its own
file is never changed. What cannot be read is no reason not to start: it is none of our data.
"""

import os
import re
import sqlite3
from collections.abc import Sequence

from twisted.logger import Logger

from txcrush import failpoints
from txcrush.model.errors import StorageFailed

log = Logger()

FILE = "crush.db"
NEWEST = 20260127000000
"""The last version of Crush's schema that is known here; it is also the first that has all its tables."""

_CREATES = re.compile(r"CREATE (?:TABLE|INDEX|VIEW) (\w+)")


def is_crush(connection: sqlite3.Connection) -> bool:
    """Whether Crush has written this database, and we have not adopted it. Raises `StorageFailed` where its schema is
    another than the one that is known."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version or "goose_db_version" not in _names(connection, "table"):
        return False
    applied = connection.execute("SELECT max(version_id) FROM goose_db_version WHERE is_applied").fetchone()[0] or 0
    if applied != NEWEST:
        age = "a newer" if applied > NEWEST else "an older"
        raise StorageFailed(f"{age} Crush has written the database: its schema is {applied}, known here is {NEWEST}")
    return True


def adopting(connection: sqlite3.Connection, first: Sequence[str]) -> list[str]:
    """The statements that bring Crush's database to our first version, whose own statements are `first`."""
    there = {*_names(connection, "table"), *_names(connection, "index"), *_names(connection, "view")}
    made = [statement for statement in first if (found := _CREATES.search(statement)) and found[1] not in there]
    return [*(f'DROP TRIGGER "{name}"' for name in _names(connection, "trigger")), *made]


def copy_beside(path: str) -> None:
    """Where our database is not there yet and Crush's is, begin with a copy of it. Blocks."""
    source = os.path.join(os.path.dirname(path), FILE)
    if os.path.exists(path) or not os.path.exists(source):
        return
    try:
        _copy(source, path)
    except (sqlite3.Error, OSError, StorageFailed) as error:
        log.warn("the sessions in {source} stay where they are: {error}", source=source, error=error)
    else:
        log.info("the sessions of {source} are here too from now on", source=source)


def _copy(source: str, path: str) -> None:
    """Under another name first: what has our name is always whole."""
    partial = f"{path}.partial"
    if os.path.exists(partial):
        os.remove(partial)
    address = "file://" + source.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    theirs = sqlite3.connect(f"{address}?mode=ro", uri=True)
    try:
        if not is_crush(theirs):
            raise StorageFailed("it is no database of Crush")
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        copy = sqlite3.connect(partial)
        try:
            theirs.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE").fetchone()
        finally:
            copy.close()
    finally:
        theirs.close()
    failpoints.CRUSH_COPIED()
    os.replace(partial, path)


def _names(connection: sqlite3.Connection, kind: str) -> list[str]:
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = ? ORDER BY name", (kind,))
    return [str(name) for (name,) in found]
