"""The one thread that writes, in the order of the calls.

Whatever queued up while the disk was busy becomes one transaction with one commit, reported with one call to the
reactor. Where something in a group fails, the group is rolled back and each write is tried alone, so that a write only
ever fails by its own fault; only another process that holds the database fails all of them at once, for each would wait
as long again. `backlog` is what bounds the queue: whoever adds to it asks before.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeAlias

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from txcrush import failpoints
from txcrush.adapters.sqlite.answers import CallFromThread, answer
from txcrush.adapters.sqlite.backlog import Backlog
from txcrush.adapters.sqlite.condition import Condition
from txcrush.adapters.sqlite.failures import is_busy, storage_failure
from txcrush.adapters.sqlite.retention import Retention
from txcrush.adapters.sqlite.wal import WalBound
from txcrush.core.observations import DatabaseFigures

log = Logger()

GROUP_LIMIT = 256

Work: TypeAlias = Callable[[sqlite3.Connection], Any]
"""Changes rows inside a transaction that it neither begins nor ends; may be called twice if its group fails."""


@dataclass(frozen=True, eq=False)
class _Write:
    work: Work
    deferred: "Deferred[Any]"
    size: int


@dataclass(frozen=True, eq=False)
class _Barrier:
    then: Callable[[], None]


class _Stop:
    """The end of the queue."""


_STOP: Final = _Stop()
_Item: TypeAlias = _Write | _Barrier | _Stop


class Writer:
    """A FIFO of writes and its thread. The methods are called on the reactor's thread."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        call_from_thread: CallFromThread,
        retention: Retention,
        condition: Condition,
        wal: WalBound,
        backlog: Backlog,
        name: str,
        figures: DatabaseFigures,
    ) -> None:
        self._connection = connection
        self._call_from_thread = call_from_thread
        self._retention = retention
        self._condition = condition
        self._wal = wal
        self._backlog = backlog
        self._figures = figures
        self._queue: SimpleQueue[_Item] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def write(self, work: Work, deferred: "Deferred[Any]", size: int) -> None:
        """Do the work in a transaction, then fire the Deferred with its result once that is on disk. `size` is about
        what it holds, in bytes."""
        self._backlog.add(size)
        self._figures.waiting += 1
        self._queue.put(_Write(work, deferred, size))

    def after_all(self, then: Callable[[], None]) -> None:
        """Call `then`, on the writer's thread, once every write so far is settled."""
        self._queue.put(_Barrier(then))

    def stop_and_join(self) -> None:
        """Write what is queued, then end the thread. Blocks: not for the reactor's thread."""
        self.stop()
        self._thread.join()

    def stop(self) -> None:
        """Let the thread end, if it was ever started."""
        self._queue.put(_STOP)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            group = self._gather()
            stopping = group[-1] is _STOP
            writes = [item for item in group if isinstance(item, _Write)]
            began = time.perf_counter()
            results = commit_group(self._connection, [write.work for write in writes]) if writes else []
            for item in group:
                if isinstance(item, _Barrier):
                    item.then()
            if writes:
                self._condition.wrote(results)
                self._call_from_thread(self._settle, writes, results, time.perf_counter() - began)
                self._trim()
                self._wal.keep()

    def _gather(self) -> list[_Item]:
        """What is queued, at least one item, at most a group; nothing follows a stop."""
        group = [self._queue.get()]
        while len(group) < GROUP_LIMIT and group[-1] is not _STOP:
            try:
                group.append(self._queue.get_nowait())
            except Empty:
                break
        return group

    def _settle(self, writes: Sequence[_Write], results: Sequence[Any], seconds: float) -> None:
        self._backlog.remove(len(writes), sum(write.size for write in writes))
        self._figures.settled(len(writes), seconds, self._condition.reason)
        answer((write.deferred, result) for write, result in zip(writes, results, strict=True))

    def _trim(self) -> None:
        if not self._retention.is_due:
            return
        failpoints.WRITER_TRIMMING()
        (result,) = commit_group(self._connection, [self._retention.trim])
        if isinstance(result, Exception):
            log.warn("the event log could not be trimmed: {error}", error=result)


def commit_group(connection: sqlite3.Connection, works: Sequence[Work]) -> list[Any]:
    """One transaction for all, or, where that fails, one for each. A failed work's result is its `StorageFailed`."""
    try:
        return _transaction(connection, works)
    except Exception as error:  # whatever it is, it is that write's answer and the thread lives on
        _roll_back(connection)
        if len(works) == 1 or is_busy(error):
            return [storage_failure(error) for _ in works]
    return [result for work in works for result in commit_group(connection, [work])]


def _transaction(connection: sqlite3.Connection, works: Sequence[Work]) -> list[Any]:
    connection.execute("BEGIN IMMEDIATE")
    failpoints.WRITER_GROUP()
    results = [work(connection) for work in works]
    failpoints.WRITER_COMMIT()
    connection.execute("COMMIT")
    failpoints.WRITER_COMMITTED()
    return results


def _roll_back(connection: sqlite3.Connection) -> None:
    """SQLite rolls back by itself on some errors; then there is nothing to do."""
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        log.error("rolling back failed: {error}", error=error)
