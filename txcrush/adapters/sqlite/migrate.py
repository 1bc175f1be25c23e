"""Numbered migrations: `schema/0001.sql` brings a database from version 0 to 1, and so on.

Each runs in one transaction together with its `user_version`: interrupted anywhere, it did not happen.
"""

import os
import re
import sqlite3
from collections.abc import Sequence
from importlib import resources

from txcrush import failpoints
from txcrush.adapters.sqlite import crush
from txcrush.model.errors import StorageFailed


def scripts(schema: str = "schema") -> tuple[str, ...]:
    """The SQL of every migration of a schema, in order."""
    folder = resources.files(__package__).joinpath(schema)
    found = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    return tuple(entry.read_text(encoding="utf-8") for entry in found)


def refuse_unknown(path: str, known: int) -> None:
    """Raise `StorageFailed` for a database of a later or another program, without changing a byte of the directory.

    A database with nothing in its WAL is read as immutable, so that SQLite makes no files of its own.
    """
    if not os.path.exists(path):
        return
    has_wal = os.path.exists(f"{path}-wal") and os.path.getsize(f"{path}-wal") > 0
    connection = sqlite3.connect(f"{uri(path)}?{'mode=ro' if has_wal else 'immutable=1'}", uri=True)
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
    version = _version(connection)
    if crush.is_crush(connection):
        return
    if version == 0 and connection.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
        raise StorageFailed(f"{path} is not a database of txcrush: move it away")
    if version > known:
        raise StorageFailed(
            f"{path} was written by a newer txcrush (schema {version}, this program knows {known}): upgrade txcrush"
        )


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
