"""The store of a data directory, on SQLite.

Theory. All writes go through one thread in the order of their calls, and all that queued up is one commit. Reads run
on other threads. A read sees every write called before it: where such a write is still under way, the read waits
behind it in the writer's queue, for a while, else it goes to the readers at once. The reactor's thread never touches
the disk. What waits for a disk that does not answer is bounded: new runs are refused first, then everything.
"""

from collections.abc import Callable
from functools import partial
from os.path import abspath
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

from txcrush import failpoints
from txcrush.adapters.sqlite import queries
from txcrush.adapters.sqlite.answers import answer, asker
from txcrush.adapters.sqlite.backlog import Backlog
from txcrush.adapters.sqlite.changes import accept_run, apply_changes, weight
from txcrush.adapters.sqlite.condition import Condition
from txcrush.adapters.sqlite.failures import storage_failure
from txcrush.adapters.sqlite.files import Files, OpenSettings, open_files
from txcrush.adapters.sqlite.readers import Query, Readers
from txcrush.adapters.sqlite.retention import Retention
from txcrush.adapters.sqlite.wal import WalBound
from txcrush.adapters.sqlite.writer import Work, Writer
from txcrush.core.observations import DatabaseFigures, Databases
from txcrush.model.desk import DeskEntry, SessionPolicy
from txcrush.model.errors import StorageBusy, StorageFailed
from txcrush.model.events import LoggedEvent
from txcrush.model.ids import MessageId, RunId, SessionId
from txcrush.model.messages import Message
from txcrush.model.runs import RunRecord
from txcrush.model.sessions import FileVersion, Session
from txcrush.model.storage import ReadMark, StoreChange, StoreHead, StoreHealth
from txcrush.ports import NewId, OpenStore, Store

LOG_BYTES = 64 * 1024 * 1024
LOG_AGE_S = 7 * 24 * 3600
"""What is kept of the event log where nothing else is asked for."""

READS_LIMIT = 10_000
READ_WAIT_S = 5.0
"""Seconds that a read waits for the writes before it; then its asker is told."""


class SqliteStore:
    """One open data directory. The methods are called on the reactor's thread."""

    def __init__(
        self,
        reactor: Any,
        files: Files,
        retention: Retention,
        released: Callable[[], None],
        seconds: Callable[[], float],
        figures: DatabaseFigures,
    ) -> None:
        """`reactor` is an `IReactorThreads` and an `IReactorTime`; `seconds` is a clock that never jumps."""
        self._reactor = reactor
        self._files = files
        self._retention = retention
        self._released = released
        self._condition = Condition(files.path, retention.now)
        self._backlog = Backlog(seconds)
        figures.stalled_s = lambda: self._backlog.stalled_s
        wal = WalBound(files.writer, files.path, files.busy_timeout_s)
        call, about = reactor.callFromThread, self._condition
        self._writer = Writer(files.writer, call, retention, about, wal, self._backlog, f"write {files.path}", figures)
        self._readers = Readers(files.readers, call, about, f"read {files.path}")
        self._reading = 0
        self._closed = False
        self._is_released = False
        self._closers: list[Deferred[None]] = []
        try:
            self._writer.start()
            self._readers.start()
        except RuntimeError:  # the system has no more threads for us
            self._writer.stop()
            self._readers.stop()
            raise

    @property
    def journal_mode(self) -> str:
        """`wal`, or what the file system gave instead."""
        return self._files.journal_mode

    def head(self) -> StoreHead:
        return self._files.head

    def health(self) -> StoreHealth:
        return StoreHealth(
            failing_since=self._condition.failing_since,
            reason=self._condition.reason,
            stalled_s=self._backlog.stalled_s,
            waiting=self._backlog.count,
            waiting_bytes=self._backlog.size,
            journal_mode=self._files.journal_mode,
            moved_aside=self._files.moved_aside,
        )

    def write(self, *changes: StoreChange) -> "Deferred[None]":
        return self._write(partial(self._apply, changes=changes), weight(changes))

    def accept_run(self, record: RunRecord) -> "Deferred[RunRecord | None]":
        if not self._closed and self._backlog.is_slow:
            deferred = asker()
            deferred.errback(StorageBusy())
            return deferred
        prompt = record.prompt
        size = len(prompt.text) + sum(len(file.content) for file in prompt.attachments)
        return self._write(partial(accept_run, record=record), size)

    def run(self, run_id: RunId) -> "Deferred[RunRecord | None]":
        return self._read(partial(queries.run, run_id=run_id))

    def unfinished_runs(self) -> "Deferred[list[RunRecord]]":
        return self._read(queries.unfinished_runs)

    def runs(
        self, session_id: SessionId | None, before: RunId, limit: int, *, is_ended: bool | None = None
    ) -> "Deferred[list[RunRecord]]":
        return self._read(partial(queries.runs, session_id=session_id, before=before, limit=limit, is_ended=is_ended))

    def sessions(self) -> "Deferred[list[Session]]":
        return self._read(queries.sessions)

    def messages(self, session_id: SessionId) -> "Deferred[list[Message]]":
        return self._read(partial(queries.messages, session_id=session_id))

    def unfinished_messages(self) -> "Deferred[list[Message]]":
        return self._read(queries.unfinished_messages)

    def user_messages(self, session_id: SessionId | None) -> "Deferred[list[Message]]":
        return self._read(partial(queries.user_messages, session_id=session_id))

    def message(self, message_id: MessageId) -> "Deferred[Message | None]":
        return self._read(partial(queries.message, message_id=message_id))

    def file_versions(self, session_id: SessionId) -> "Deferred[list[FileVersion]]":
        return self._read(partial(queries.file_versions, session_id=session_id))

    def newest_file_version(self, path: str, session_id: SessionId | None) -> "Deferred[FileVersion | None]":
        return self._read(partial(queries.newest_file_version, path=path, session_id=session_id))

    def read_marks(self, session_id: SessionId) -> "Deferred[list[ReadMark]]":
        return self._read(partial(queries.read_marks, session_id=session_id))

    def desk_entry(self, entry_id: str) -> "Deferred[DeskEntry | None]":
        return self._read(partial(queries.desk_entry, entry_id=entry_id))

    def desk_entries(self, session_id: SessionId | None, before: str, limit: int) -> "Deferred[list[DeskEntry]]":
        return self._read(partial(queries.desk_entries, session_id=session_id, before=before, limit=limit))

    def pending_desk_entries(self) -> "Deferred[list[DeskEntry]]":
        return self._read(queries.pending_desk_entries)

    def policies(self) -> "Deferred[list[SessionPolicy]]":
        return self._read(queries.policies)

    def events_after(self, seq: int, limit: int) -> "Deferred[list[LoggedEvent]]":
        return self._read(partial(queries.events_after, seq=seq, limit=limit))

    def close(self) -> "Deferred[None]":
        """Finish what is queued, checkpoint, close and unlock. Closing twice waits for the same end."""
        deferred = asker()
        if self._is_released:
            deferred.callback(None)
            return deferred
        self._closers.append(deferred)
        if not self._closed:
            self._closed = True
            shutting = deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._shut)
            shutting.addBoth(self._settle_close)
        return deferred

    def _shut(self) -> None:
        """Writer first: it passes the last reads on to the readers."""
        self._writer.stop_and_join()
        self._readers.stop_and_join()
        failpoints.CLOSE_JOINED()
        self._files.close()

    def _settle_close(self, result: Failure | None) -> None:
        self._is_released = True
        self._released()
        outcome = result.value if isinstance(result, Failure) else None
        closers, self._closers = self._closers, []
        answer((closer, outcome) for closer in closers)

    def _apply(self, connection: Any, changes: tuple[StoreChange, ...]) -> None:
        apply_changes(connection, changes)
        self._retention.note(changes)

    def _write(self, work: Work, size: int = 0) -> "Deferred[Any]":
        deferred = asker()
        if not self._refused(deferred, is_full=self._backlog.is_full):
            self._writer.write(work, deferred, size)
        return deferred

    def _read(self, query: Query) -> "Deferred[Any]":
        deferred = asker()
        if self._refused(deferred, is_full=self._reading >= READS_LIMIT):
            return deferred
        self._reading += 1
        if self._backlog.count:
            limit = self._reactor.callLater(READ_WAIT_S, self._give_up, deferred)
            self._writer.after_all(partial(self._readers.read, query, deferred))
            return deferred.addBoth(self._count_read, limit)
        self._readers.read(query, deferred)
        return deferred.addBoth(self._count_read)

    def _give_up(self, deferred: "Deferred[Any]") -> None:
        answer([(deferred, StorageBusy())])

    def _count_read(self, result: Any, limit: IDelayedCall | None = None) -> Any:
        self._reading -= 1
        if limit is not None and limit.active():
            limit.cancel()
        return result

    def _refused(self, deferred: "Deferred[Any]", *, is_full: bool) -> bool:
        """Fail the Deferred where nothing more can be taken."""
        if self._closed:
            deferred.errback(StorageFailed("the database is closed"))
        elif is_full:
            deferred.errback(StorageBusy("the database cannot keep up: too many requests are waiting for the disk"))
        return deferred.called


class OpenSqliteStore:
    """Opens data directories; a relative and an absolute path are one directory, which is open at most once.

    `now` tells Unix time. The log of events is kept for `log_bytes` or `log_age_s`, whichever comes first.
    """

    def __init__(
        self,
        reactor: IReactorThreads,
        now: Callable[[], float],
        new_id: NewId,
        settings: OpenSettings,
        log_bytes: int = LOG_BYTES,
        log_age_s: int = LOG_AGE_S,
        databases: Databases | None = None,
    ) -> None:
        self._reactor = reactor
        self._now = now
        self._new_id = new_id
        self._settings = settings
        self._log_bytes = log_bytes
        self._log_age_s = log_age_s
        self._open: set[str] = set()
        self._databases = databases or Databases()

    def __call__(self, data_dir: str) -> "Deferred[Store]":
        deferred = asker()
        directory = abspath(data_dir)
        if directory in self._open:
            deferred.errback(StorageFailed(f"data directory already in use by this crush process: {directory}"))
            return deferred
        self._open.add(directory)
        opening = deferToThreadPool(
            self._reactor,
            self._reactor.getThreadPool(),
            open_files,
            directory,
            self._settings,
            self._now,
            self._new_id,
        )
        opening.addCallbacks(
            self._opened, self._failed, callbackArgs=(directory, deferred), errbackArgs=(directory, deferred)
        )
        return deferred

    def _opened(self, files: Files, directory: str, deferred: "Deferred[Store]") -> None:
        retention = Retention(self._log_bytes, self._log_age_s, self._now)
        figures = self._databases.opened(directory)
        figures.moved_aside = files.moved_aside
        released = partial(self._released, directory)
        try:
            store = SqliteStore(self._reactor, files, retention, released, self._settings.seconds, figures)
        except RuntimeError as error:
            files.close()
            self._failed(Failure(storage_failure(error)), directory, deferred)
            return
        if deferred.called:  # the asker has gone: nobody else would ever close it
            store.close()
        else:
            deferred.callback(store)

    def _released(self, directory: str) -> None:
        self._databases.closed(directory)
        self._open.discard(directory)

    def _failed(self, failure: Failure, directory: str, deferred: "Deferred[Store]") -> None:
        self._released(directory)
        answer([(deferred, failure.value)])


def _conforms(store: SqliteStore, opener: OpenSqliteStore) -> tuple[Store, OpenStore]:
    """Read by mypy only: the adapter fits its ports."""
    return store, opener
