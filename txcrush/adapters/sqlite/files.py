"""Opening and closing the files of a data directory. Everything here blocks and runs in a thread."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from twisted.logger import Logger

from txcrush import failpoints
from txcrush.adapters.sqlite import crush, migrate, queries
from txcrush.adapters.sqlite.failures import is_busy, storage_failure
from txcrush.adapters.sqlite.lock import DirectoryLock, prepare_directory
from txcrush.model.storage import StoreHead
from txcrush.ports import NewId

log = Logger()

DATABASE_FILE = "txcrush.db"
READERS = 2
_WAL_LIMIT = 16 * 1024 * 1024  # what a checkpoint leaves of the WAL file, in bytes


@dataclass(frozen=True)
class OpenSettings:
    """How a data directory is opened.

    `version` is the program's, for whoever finds the directory locked; `skip_lock` opens without the lock.
    `busy_timeout_s` is how long another process may hold the database. `vfs` names an SQLite VFS, empty for the
    default: `unix-dotfile` serves file systems without locks. `migrations` are the SQL scripts of the schema, None for
    those of the package.
    """

    version: str
    skip_lock: bool = False
    busy_timeout_s: float = 30.0
    vfs: str = ""
    migrations: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Files:
    """An open data directory: its lock (None where locking is skipped), the writing and the reading connections."""

    path: str
    lock: DirectoryLock | None
    writer: sqlite3.Connection
    readers: tuple[sqlite3.Connection, ...]
    head: StoreHead
    journal_mode: str

    def close(self) -> None:
        """Checkpoint, close and unlock; no thread may use a connection any more."""
        try:
            for reader in self.readers:
                reader.close()
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
            files = _open_database(os.path.join(data_dir, DATABASE_FILE), settings, lock, new_id, undo)
        except (sqlite3.Error, OSError) as error:
            raise storage_failure(error) from error
        undo.pop_all()
        return files


def _open_database(
    path: str, settings: OpenSettings, lock: DirectoryLock | None, new_id: NewId, undo: ExitStack
) -> Files:
    migrations = migrate.scripts() if settings.migrations is None else settings.migrations
    crush.copy_beside(path)
    migrate.refuse_unknown(path, len(migrations))
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    failpoints.OPEN_CREATED()
    writer = _connect(path, settings, undo)
    journal_mode = _choose_journal(writer)
    failpoints.OPEN_JOURNAL()
    writer.execute("PRAGMA synchronous = FULL")
    writer.execute("PRAGMA secure_delete = ON")
    writer.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT}")
    migrate.migrate(writer, path, migrations)
    writer.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING",
        (queries.GENERATION, new_id().replace("-", "")),
    )
    failpoints.OPEN_READY()
    readers = tuple(_connect(path, settings, undo) for _ in range(READERS))
    for reader in readers:
        reader.execute("PRAGMA query_only = ON")
    return Files(path, lock, writer, readers, queries.head(writer), journal_mode)


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


def _choose_journal(connection: sqlite3.Connection) -> str:
    """WAL where the file system can, else what it gives. Read back: SQLite declines silently."""
    try:
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        if is_busy(error):
            raise
        log.warn("no WAL on this file system: {error}", error=error)
        connection.execute("PRAGMA journal_mode = DELETE").fetchone()
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    return str(mode)
