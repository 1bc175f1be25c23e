"""What can still be read of a damaged database, copied into a new one.

Each table is read from its beginning up to the damage, then from its end back to it. What is left out is the log of
events (its readers start anew) and indexes. Runs without an end are closed as begun, so that nothing starts again
whose end was lost.
"""

import sqlite3
from collections.abc import Callable, Generator, Iterator
from contextlib import closing

from twisted.logger import Logger

from txcrush.adapters.sqlite.failures import READING_ERRORS
from txcrush.adapters.sqlite.migrate import uri

log = Logger()

SALVAGE_S = 20.0
_STEPS = 2000
_TABLES = ("sessions", "messages", "files", "read_files", "runs", "run_ends", "desk", "policies")
_FOUND_SESSIONS = (
    "INSERT INTO sessions (id, title, message_count, updated_at, created_at) "
    "SELECT session_id, 'Recovered session', count(*), max(updated_at), min(created_at) FROM messages "
    "WHERE session_id NOT IN (SELECT id FROM sessions) GROUP BY session_id"
)
_ORPHANS = tuple(
    f"DELETE FROM {table} WHERE {column} NOT IN (SELECT id FROM {owner})"
    for table, column, owner in (
        ("files", "session_id", "sessions"),
        ("read_files", "session_id", "sessions"),
        ("policies", "session_id", "sessions"),
        ("run_ends", "run_id", "runs"),
    )
)
_BEGUN = "UPDATE runs SET began_at = accepted_at + (accepted_at = 0) WHERE began_at = 0"


def salvage(path: str, fresh: sqlite3.Connection, seconds: Callable[[], float]) -> dict[str, int]:
    """Copy rows of the damaged database into the fresh one, in one transaction, for at most `SALVAGE_S`; returns how
    many of each table. `fresh` has the schema and is in autocommit mode. Raises what the fresh database refuses."""
    deadline = seconds() + SALVAGE_S
    fresh.execute("PRAGMA foreign_keys = OFF")
    fresh.execute("BEGIN IMMEDIATE")
    try:
        with closing(sqlite3.connect(f"{uri(path)}?mode=ro", uri=True, timeout=0.0)) as damaged:
            damaged.text_factory = lambda raw: raw.decode("utf-8", "replace")
            damaged.set_progress_handler(lambda: seconds() > deadline, _STEPS)
            counts = {table: _copy(damaged, fresh, table) for table in _TABLES}
        for statement in (_FOUND_SESSIONS, *_ORPHANS, _BEGUN):
            fresh.execute(statement)
        fresh.execute("COMMIT")
    except BaseException:
        if fresh.in_transaction:
            fresh.execute("ROLLBACK")
        raise
    finally:
        fresh.execute("PRAGMA foreign_keys = ON")
    return {table: count for table, count in counts.items() if count}


def _copy(damaged: sqlite3.Connection, fresh: sqlite3.Connection, table: str) -> int:
    """How many rows of the table the fresh database took."""
    wanted, read = _columns(damaged, fresh, table)
    if not wanted:
        return 0
    marks = ", ".join("?" for _ in wanted)
    names = ", ".join(wanted)
    insert = f"INSERT OR IGNORE INTO {table} (rowid, {names}) VALUES (?, {marks})"  # the order of messages is theirs
    count = 0
    for row in _rows(damaged, table, read):
        count += fresh.execute(insert, row).rowcount > 0
    return count


def _rows(damaged: sqlite3.Connection, table: str, names: str) -> Iterator[tuple[object, ...]]:
    """The rows before the damage, in order, then those behind it."""
    seen: set[int] = set()
    for order in ("ASC", "DESC"):
        select = f"SELECT rowid, {names} FROM {table} NOT INDEXED ORDER BY rowid {order}"
        whole = yield from _until_damage(damaged, select, seen)
        if whole:
            return


def _until_damage(
    damaged: sqlite3.Connection, select: str, seen: set[int]
) -> Generator[tuple[object, ...], None, bool]:
    """Rows that were not seen yet; returns whether all the others were reached."""
    try:
        for row in damaged.execute(select):
            if row[0] in seen:
                return True
            seen.add(row[0])
            yield row
    except READING_ERRORS as error:
        log.info("reading on was not possible: {error}", error=error)
        return False
    return True


def _columns(damaged: sqlite3.Connection, fresh: sqlite3.Connection, table: str) -> tuple[list[str], str]:
    """The columns to write, and what to read for them: all by their place where both tables have as many, for a name
    may be what is damaged. None where the damaged one cannot even tell."""
    known = [row[1] for row in fresh.execute(f"PRAGMA table_info({table})")]
    try:
        found = [row[1] for row in damaged.execute(f"PRAGMA table_info({table})")]
    except READING_ERRORS as error:
        log.info("the table {table} is lost: {error}", table=table, error=error)
        return [], ""
    if len(found) == len(known):
        return known, "*"
    both = [name for name in known if name in found]
    return both, ", ".join(both)
