"""Numbered migrations: `schema/0001.sql` brings a database from version 0 to 1, and so on.

Each runs in one transaction together with its `user_version`: interrupted anywhere, it did not happen.
"""

import os
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from functools import lru_cache
from importlib import resources

from txcrush import failpoints
from txcrush.adapters.sqlite import crush
from txcrush.adapters.sqlite.failures import primary_code
from txcrush.model.errors import StorageDamaged, StorageFailed

_SCHEMA = "schema"
_PLAUSIBLE = 1_000_000
"""A schema number beyond this is no newer program's but a damaged header's."""


def scripts(schema: str = "schema") -> tuple[str, ...]:
    """The SQL of every migration of a schema, in order."""
    folder = resources.files(__package__).joinpath(schema)
    found = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    return tuple(entry.read_text(encoding="utf-8") for entry in found)


def refuse_unknown(path: str, known: int) -> None:
    """Raise `StorageFailed` for a database of a later or another program, without changing a byte of the directory.

    A database with nothing in its WAL is read as immutable, so that SQLite makes no files of its own. Raises
    `StorageDamaged` or SQLite's errors where the file is none, or not a sound one.
    """
    if not os.path.exists(path):
        return
    has_wal = os.path.exists(f"{path}-wal") and os.path.getsize(f"{path}-wal") > 0
    try:
        _refuse_file(path, known, "mode=ro" if has_wal else "immutable=1")
    except sqlite3.OperationalError as error:
        if primary_code(error) != sqlite3.SQLITE_CANTOPEN:
            raise
        _refuse_file(path, known, "immutable=1")  # no shared memory here: the header has to do


def _refuse_file(path: str, known: int, how: str) -> None:
    connection = sqlite3.connect(f"{uri(path)}?{how}", uri=True)
    try:
        _refuse_unknown(connection, path, known)
    finally:
        connection.close()


def migrate(connection: sqlite3.Connection, path: str, migrations: Sequence[str]) -> None:
    """Bring the database up to date; one that has content is first copied to `PATH.backup-VERSION`.

    The connection is in autocommit mode. Raises `StorageFailed` or SQLite's errors.
    """
    _refuse_unknown(connection, path, len(migrations))
    version = _version(connection)
    if crush.is_crush(connection):
        _back_up(connection, f"{path}.backup-crush")
        _run(connection, 1, crush.adopting(connection, statements(migrations[0])))
        version = 1
    elif 0 < version < len(migrations):
        _back_up(connection, f"{path}.backup-{version}")
    for number, script in enumerate(migrations[version:], version + 1):
        _run(connection, number, statements(script))


def uri(path: str) -> str:
    """The absolute path as an SQLite URI without parameters."""
    return "file://" + path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _refuse_unknown(connection: sqlite3.Connection, path: str, known: int) -> None:
    version, noted = _version(connection), _noted(connection)
    if noted is not None and noted <= known and not noted <= version <= _PLAUSIBLE:
        raise StorageDamaged(f"{path} says that its schema is {version}, and inside that it is {noted}")
    if crush.is_crush(connection):
        return
    if version == 0 and connection.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
        raise StorageFailed(f"{path} is not a database of txcrush: move it away")
    if version > known:
        raise StorageFailed(
            f"{path} was written by a newer txcrush (schema {version}, this program knows {known}): upgrade txcrush"
        )


def check_schema(connection: sqlite3.Connection, migrations: Sequence[str]) -> None:
    """Raise `StorageDamaged` where something of the schema is missing, as it is after damage to a name in it: SQLite's
    own check reads no names. What somebody has added is none of our business."""
    try:
        missing = _expected(tuple(migrations)) - _names(connection)
    except sqlite3.OperationalError as error:
        if primary_code(error) >= 0:
            raise
        raise StorageDamaged(f"the database file is damaged: {error}") from error  # a name that is no text
    if missing:
        raise StorageDamaged(f"the database file is damaged: its schema has no {sorted(missing)[0]}")


@lru_cache(maxsize=4)
def _expected(migrations: tuple[str, ...]) -> frozenset[str]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for script in migrations:
            connection.executescript(script)
        return _names(connection)


def _names(connection: sqlite3.Connection) -> frozenset[str]:
    """Tables with their columns, and whatever else has a name."""
    objects = connection.execute("SELECT type, name FROM sqlite_master").fetchall()
    columns = connection.execute(
        "SELECT master.name, info.name FROM sqlite_master AS master, pragma_table_info(master.name) AS info "
        "WHERE master.type = 'table'"
    ).fetchall()
    return frozenset(" ".join(one) for one in objects) | frozenset(".".join(one) for one in columns)


def note(connection: sqlite3.Connection, version: int) -> None:
    """Write the schema's number into the database too: a damaged header is not taken for a newer program's."""
    connection.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value "
        "WHERE value != excluded.value",
        (_SCHEMA, str(version)),
    )


def _noted(connection: sqlite3.Connection) -> int | None:
    try:
        row = connection.execute("SELECT value FROM meta WHERE key = ?", (_SCHEMA,)).fetchone()
    except sqlite3.OperationalError as error:
        if primary_code(error) != sqlite3.SQLITE_ERROR:
            raise
        return None  # another program's database, or a new one
    return int(row[0]) if row and str(row[0]).isdigit() else None


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _back_up(connection: sqlite3.Connection, target: str) -> None:
    """Copy under another name first: a file called backup is always whole."""
    partial = f"{target}.partial"
    if os.path.exists(partial):
        os.remove(partial)
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    copy = sqlite3.connect(partial)
    try:
        connection.backup(copy)
    finally:
        copy.close()
    failpoints.MIGRATION_COPIED()
    os.replace(partial, target)
    failpoints.MIGRATION_BACKED_UP()


def _run(connection: sqlite3.Connection, number: int, made: Sequence[str]) -> None:
    try:
        for statement in ("BEGIN IMMEDIATE", *made, f"PRAGMA user_version = {number}", "COMMIT"):
            failpoints.MIGRATION_STATEMENT()
            connection.execute(statement)
        failpoints.MIGRATION_DONE()
    except (sqlite3.Error, OSError):
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def statements(script: str) -> list[str]:
    """The statements of a script, each with the comments before it."""
    found, begun = [], ""
    for piece in re.split(r"(?<=;)", script):
        begun += piece
        if sqlite3.complete_statement(begun):
            found.append(begun.strip())
            begun = ""
    return found if not begun.strip() else [*found, begun.strip()]
