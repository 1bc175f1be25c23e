"""Keeps the write-ahead log small.

SQLite checkpoints by itself after a thousand pages, but starts the log anew only at a moment without readers: reads
that overlap each other would let it grow without end. So a log that has grown large is checkpointed with readers made
to wait for a moment. Runs on the writer's thread, after the askers have their answers.
"""

import os
import sqlite3

from twisted.logger import Logger

log = Logger()

KEEP_BYTES = 16 * 1024 * 1024
"""What a checkpoint leaves of the file, and the size from which one is made."""

_STEP_BYTES = 4 * 1024 * 1024
_WAIT_MS = 250


class WalBound:
    """Checkpoints the log of one database, whose writing connection this is."""

    def __init__(self, connection: sqlite3.Connection, path: str, busy_timeout_s: float) -> None:
        self._connection = connection
        self._wal = f"{path}-wal"
        self._busy_timeout_ms = int(busy_timeout_s * 1000)
        self._due_bytes = KEEP_BYTES

    def keep(self) -> None:
        """Start the log anew where it has grown; where a reader holds it for long, again later."""
        try:
            size = os.stat(self._wal).st_size
        except OSError:  # not in WAL mode, or it has just been removed: there is nothing to bound
            return
        if size < self._due_bytes:
            return
        try:
            (blocked, _, _) = self._restart()
        except sqlite3.Error as error:
            log.warn("the WAL could not be checkpointed: {error}", error=error)
            blocked = True
        self._due_bytes = size + _STEP_BYTES if blocked else KEEP_BYTES

    def _restart(self) -> tuple[int, int, int]:
        self._connection.execute(f"PRAGMA busy_timeout = {_WAIT_MS}")
        try:
            blocked, pages, done = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {self._busy_timeout_ms}")
        return blocked, pages, done
