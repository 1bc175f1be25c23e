"""The server's register, on SQLite: `server.db` in the state directory.

Theory. It is small and seldom written: one connection, opened at the first call, used by one thread of the pool at a
time, in the order of the calls. Other servers of the user may have it open too, so each call is one short transaction.
A register that cannot be read is moved aside: it is worth less than a server that starts.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any, TypeAlias, TypeVar

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

from txcrush.adapters.sqlite import migrate
from txcrush.adapters.sqlite.failures import storage_failure
from txcrush.model.ids import WorkspaceId
from txcrush.model.register import Listed
from txcrush.ports import InThread, Register
from txcrush.wire.stored import decode_strings, encode_strings

REGISTER_FILE = "server.db"
BUSY_S = 5.0
SCHEMA = "register_schema"

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_COLUMNS = "data_dir, path, workspace_id, debug, channels, attempts, error, failing_since"
_ADD = (
    "INSERT INTO unfinished (data_dir, path, workspace_id, debug, channels) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (data_dir) DO UPDATE SET path = excluded.path, workspace_id = excluded.workspace_id, "
    "debug = excluded.debug, channels = excluded.channels"
)
_SKIPPED = (
    "UPDATE unfinished SET error = :error, "
    "failing_since = CASE failing_since WHEN 0 THEN :at ELSE failing_since END WHERE data_dir = :data_dir"
)
_FAILED = _SKIPPED.replace("SET ", "SET attempts = 0, ", 1)
_OPENED = "UPDATE unfinished SET attempts = 0, error = '', failing_since = 0 WHERE data_dir = ?"

T = TypeVar("T")
Work: TypeAlias = Callable[[sqlite3.Connection], T]

log = Logger()


class SqliteRegister:
    """A `Register` in a directory, which is made where it is missing."""

    def __init__(self, state_dir: str, in_thread: InThread) -> None:
        self._path = os.path.join(os.path.abspath(state_dir), REGISTER_FILE)
        self._in_thread = in_thread
        self._turn = DeferredLock()
        self._connection: sqlite3.Connection | None = None

    def entries(self) -> "Deferred[list[Listed]]":
        return self._do(_entries)

    def add(self, entry: Listed) -> "Deferred[None]":
        channels = encode_strings(entry.channels)
        row = (entry.data_dir, entry.path, entry.workspace_id, entry.debug, channels)
        return self._execute(_ADD, row)

    def attempt(self, data_dir: str) -> "Deferred[None]":
        return self._execute("UPDATE unfinished SET attempts = attempts + 1 WHERE data_dir = ?", (data_dir,))

    def opened(self, data_dir: str) -> "Deferred[None]":
        return self._execute(_OPENED, (data_dir,))

    def failed(self, data_dir: str, error: str, at: int) -> "Deferred[None]":
        return self._execute(_FAILED, {"data_dir": data_dir, "error": error, "at": at})

    def skipped(self, data_dir: str, error: str, at: int) -> "Deferred[None]":
        return self._execute(_SKIPPED, {"data_dir": data_dir, "error": error, "at": at})

    def remove(self, data_dir: str) -> "Deferred[None]":
        return self._execute("DELETE FROM unfinished WHERE data_dir = ?", (data_dir,))

    def close(self) -> "Deferred[None]":
        done: Deferred[None] = self._turn.run(self._in_thread, self._close)
        return done

    def _execute(self, statement: str, values: Any) -> "Deferred[None]":
        def work(connection: sqlite3.Connection) -> None:
            connection.execute(statement, values)

        return self._do(work)

    def _do(self, work: Work[T]) -> "Deferred[T]":
        done: Deferred[T] = self._turn.run(self._in_thread, self._done, work)
        return done

    def _done(self, work: Work[T]) -> T:
        try:
            return work(self._open())
        except (sqlite3.Error, OSError) as error:
            raise storage_failure(error) from error

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            try:
                self._connection = _connected(self._path)
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
                    raise
                self._move_aside(error)
                self._connection = _connected(self._path)
        return self._connection

    def _move_aside(self, error: Exception) -> None:
        log.error("the register {path} is damaged and moved aside: {error}", path=self._path, error=error)
        for suffix in ("-wal", "-shm", ""):
            if os.path.exists(self._path + suffix):
                os.replace(self._path + suffix, f"{self._path}.damaged{suffix}")

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _connected(path: str) -> sqlite3.Connection:
    """The register, up to date; only its owner can read it."""
    migrations = migrate.scripts(SCHEMA)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    os.chmod(path, 0o600)
    connection = sqlite3.connect(
        migrate.uri(path), uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute("PRAGMA synchronous = FULL")
        migrate.migrate(connection, path, migrations)
    except BaseException:
        connection.close()
        raise
    return connection


def _entries(connection: sqlite3.Connection) -> list[Listed]:
    with closing(connection.execute(f"SELECT {_COLUMNS} FROM unfinished ORDER BY number")) as found:
        return [_listed(row) for row in found]


def _listed(row: tuple[Any, ...]) -> Listed:
    return Listed(
        data_dir=row[0],
        path=row[1],
        workspace_id=WorkspaceId(row[2]),
        debug=bool(row[3]),
        channels=decode_strings(row[4]),
        attempts=row[5],
        error=row[6],
        failing_since=row[7],
    )


def _conforms(register: SqliteRegister) -> Register:
    """Read by mypy only: the adapter fits its port."""
    return register
