"""Opening and closing the files of a data directory. Everything here blocks and runs in a thread."""

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from dataclasses import replace as changed

from twisted.logger import Logger

from txcrush import failpoints
from txcrush.adapters.sqlite import crush, migrate, queries, replacement, soundness
from txcrush.adapters.sqlite.failures import READING_ERRORS, is_damage, primary_code, storage_failure
from txcrush.adapters.sqlite.lock import DirectoryLock, prepare_directory
from txcrush.adapters.sqlite.wal import KEEP_BYTES
from txcrush.model.errors import StorageDamaged
from txcrush.model.storage import StoreHead
from txcrush.ports import NewId

log = Logger()

DATABASE_FILE = "txcrush.db"
READERS = 2
_CLOSE_WAIT_MS = 500
_NO_SHARED_MEMORY = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR)
READ_BUSY_S = 5.0
"""Seconds that a read waits for another process that holds the database."""


@dataclass(frozen=True)
class OpenSettings:
    """How a data directory is opened.

    `version` is the program's, for whoever finds the directory locked; `skip_lock` opens without the lock.
    `busy_timeout_s` is how long another process may hold the database. `vfs` names an SQLite VFS, empty for the
    default: `unix-dotfile` serves file systems without locks. `migrations` are the SQL scripts of the schema, None for
    those of the package. `seconds` is a clock that never jumps.
    """

    version: str
    skip_lock: bool = False
    busy_timeout_s: float = 30.0
    vfs: str = ""
    migrations: tuple[str, ...] | None = None
    seconds: Callable[[], float] = time.monotonic

    @property
    def schema(self) -> tuple[str, ...]:
        """The scripts that apply."""
        return migrate.scripts() if self.migrations is None else self.migrations


@dataclass(frozen=True)
class Files:
    """An open data directory: its lock (None where locking is skipped), the writing and the reading connections.

    `moved_aside` is where a damaged database was put, empty where there was none.
    """

    path: str
    lock: DirectoryLock | None
    writer: sqlite3.Connection
    readers: tuple[sqlite3.Connection, ...]
    head: StoreHead
    journal_mode: str
    busy_timeout_s: float
    moved_aside: str = ""

    def close(self) -> None:
        """Checkpoint, close and unlock; no thread may use a connection any more."""
        try:
            for reader in self.readers:
                reader.close()
            self.writer.execute(f"PRAGMA busy_timeout = {_CLOSE_WAIT_MS}")
            failpoints.CLOSE_CHECKPOINT()
            self.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error as error:
            log.warn("the WAL of {path} stays for the next start: {error}", path=self.path, error=error)
        finally:
            self.writer.close()
            if self.lock is not None:
                self.lock.release()


def open_files(data_dir: str, settings: OpenSettings, now: Callable[[], float], new_id: NewId) -> Files:
    """Create, lock, migrate and open. Raises `StorageFailed`, with everything closed again."""
    prepare_directory(data_dir)
    with ExitStack() as undo:
        lock = None if settings.skip_lock else DirectoryLock.take(data_dir, settings.version, now)
        if lock is not None:
            undo.callback(lock.release)
        try:
            files = _open_sound(os.path.join(data_dir, DATABASE_FILE), settings, lock, now, new_id, undo)
        except (*READING_ERRORS, OSError) as error:
            raise storage_failure(error) from error
        undo.pop_all()
        return files


def _open_sound(
    path: str,
    settings: OpenSettings,
    lock: DirectoryLock | None,
    now: Callable[[], float],
    new_id: NewId,
    undo: ExitStack,
) -> Files:
    """Open the database, or a new one in its place where it is damaged. Only who holds the lock may do that."""
    replacement.finish(path, now)
    crush.copy_beside(path)
    try:
        migrate.refuse_unknown(path, len(settings.schema))
        found = soundness.damage(path)
        if not found:
            return _open_alone(path, settings, lock, new_id, undo)
    except (*READING_ERRORS, StorageDamaged) as error:
        if not is_damage(error) or lock is None:
            raise
        found = str(error)
    if lock is None:
        raise StorageDamaged(f"the database file is damaged: {found}")
    aside = replacement.replace(path, settings.schema, now, settings.seconds, found)
    return changed(_open_alone(path, settings, lock, new_id, undo), moved_aside=aside)


def _open_alone(path: str, settings: OpenSettings, lock: DirectoryLock | None, new_id: NewId, undo: ExitStack) -> Files:
    """Open the database, or leave nothing of it open; where the file system has no shared memory, without WAL."""
    try:
        files = _open_whole(path, settings, lock, new_id, undo)
    except sqlite3.OperationalError as error:
        if primary_code(error) not in _NO_SHARED_MEMORY or not os.path.isfile(path):
            raise
        log.warn("no WAL on this file system: {error}", error=error)
        _leave_wal(path)
        files = _open_whole(path, settings, lock, new_id, undo, wal=False)
    soundness.clear_suspicion(path)
    return files


def _open_whole(
    path: str, settings: OpenSettings, lock: DirectoryLock | None, new_id: NewId, undo: ExitStack, *, wal: bool = True
) -> Files:
    with ExitStack() as own:
        files = _open_database(path, settings, lock, new_id, own, wal=wal)
        undo.push(own.pop_all())
    return files


def _open_database(
    path: str, settings: OpenSettings, lock: DirectoryLock | None, new_id: NewId, undo: ExitStack, *, wal: bool = True
) -> Files:
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    failpoints.OPEN_CREATED()
    writer = _connect(path, settings, undo)
    journal_mode = _choose_journal(writer, wal=wal)
    failpoints.OPEN_JOURNAL()
    writer.execute("PRAGMA synchronous = FULL")
    writer.execute("PRAGMA secure_delete = ON")
    writer.execute(f"PRAGMA journal_size_limit = {KEEP_BYTES}")
    migrate.migrate(writer, path, settings.schema)
    migrate.check_schema(writer, settings.schema)
    migrate.note(writer, len(settings.schema))
    writer.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING",
        (queries.GENERATION, new_id().replace("-", "")),
    )
    failpoints.OPEN_READY()
    readers = tuple(_connect(path, settings, undo) for _ in range(READERS))
    for reader in readers:
        reader.execute("PRAGMA query_only = ON")
        reader.execute(f"PRAGMA busy_timeout = {int(min(READ_BUSY_S, settings.busy_timeout_s) * 1000)}")
    return Files(path, lock, writer, readers, queries.head(writer), journal_mode, settings.busy_timeout_s)


def _connect(path: str, settings: OpenSettings, undo: ExitStack) -> sqlite3.Connection:
    """A connection in autocommit mode that whichever one thread may use."""
    address = migrate.uri(path) + (f"?vfs={settings.vfs}" if settings.vfs else "")
    connection = sqlite3.connect(
        address, uri=True, timeout=settings.busy_timeout_s, isolation_level=None, check_same_thread=False
    )
    undo.callback(connection.close)
    for pragma in ("page_size = 4096", "foreign_keys = ON", "temp_store = MEMORY", "cache_size = -8000"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _choose_journal(connection: sqlite3.Connection, *, wal: bool) -> str:
    """WAL where the file system can, else what it gives. Read back: SQLite declines silently."""
    if wal:
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if mode != "wal":
        log.warn("the database is kept with a rollback journal ({mode}): slower, and as safe", mode=mode)
    return str(mode)


def _leave_wal(path: str) -> None:
    """A database that was in WAL mode elsewhere can be read here only by who holds it alone from the first: then its
    index of the WAL lies in memory. Once it is out of WAL mode everybody can."""
    with closing(sqlite3.connect(path, isolation_level=None)) as alone:
        alone.execute("PRAGMA locking_mode = EXCLUSIVE").fetchone()
        alone.execute("PRAGMA journal_mode = DELETE").fetchone()
