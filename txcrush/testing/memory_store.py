"""A store in memory, with the real one's rules and a hand on when its writes become durable."""

from collections import deque
from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from msgspec.structs import replace
from twisted.internet.defer import Deferred

from txcrush.model.desk import DeskEntry, SessionPolicy, Settlement
from txcrush.model.errors import ChangeRefused, CursorTooOld, StorageFailed
from txcrush.model.events import Change, EventKind, LoggedEvent
from txcrush.model.ids import MessageId, RunId, SessionId
from txcrush.model.messages import Message, Role
from txcrush.model.runs import RunRecord
from txcrush.model.sessions import FileVersion, Session
from txcrush.model.storage import (
    AppendEvent,
    BeginRun,
    DeleteMessage,
    DeleteSession,
    EndRun,
    MarkRead,
    PutDeskEntry,
    PutFileVersion,
    PutMessage,
    PutPolicy,
    PutSession,
    ReadMark,
    SkipNumbers,
    StartRun,
    StoreChange,
    StoreHead,
    StoreHealth,
)
from txcrush.ports import Store

K = TypeVar("K")
V = TypeVar("V")


@dataclass
class _Tables:
    """Everything that is durable. Dicts keep the order of insertion, which is the order within a second."""

    sessions: dict[SessionId, Session] = field(default_factory=dict)
    messages: dict[MessageId, Message] = field(default_factory=dict)
    files: dict[str, FileVersion] = field(default_factory=dict)
    reads: dict[tuple[SessionId, str], ReadMark] = field(default_factory=dict)
    runs: dict[RunId, RunRecord] = field(default_factory=dict)
    desk: dict[str, DeskEntry] = field(default_factory=dict)
    policies: dict[SessionId, SessionPolicy] = field(default_factory=dict)
    events: dict[int, LoggedEvent] = field(default_factory=dict)
    skipped: dict[int, SkipNumbers] = field(default_factory=dict)
    last_seq: int = 0
    trimmed_seq: int = 0

    def copy(self) -> "_Tables":
        """For a transaction: the structs inside are frozen, so the dicts are all that changes."""
        return _Tables(**{name: copy(table) for name, table in vars(self).items()})


class MemoryStore:
    """One data directory.

    Deferreds fire at once, unless `hold` was called: then writes, and the reads behind them, wait for `release`. A
    closed store that is asked for its `head` is open again, as its data directory would be. `condition` is what it says
    of its health.
    """

    def __init__(self, generation: str = "memory") -> None:
        self._generation = generation
        self._tables = _Tables()
        self._held = False
        self._waiting: deque[tuple[Callable[[], Any], Deferred[Any]]] = deque()
        self._failures: deque[StorageFailed] = deque()
        self._is_closed = False
        self.writes = 0
        self.condition = StoreHealth(journal_mode="memory")

    # What tests do.

    def hold(self) -> None:
        """From now on nothing becomes durable and nothing is answered."""
        self._held = True

    def release(self, count: int | None = None) -> None:
        """Let the oldest `count` held calls happen, or all of them and every later one."""
        while self._waiting and (count is None or count > 0):
            work, deferred = self._waiting.popleft()
            count = None if count is None else count - 1
            _answer(deferred, work)
        self._held = count is not None

    @property
    def held(self) -> int:
        """How many calls wait for `release`."""
        return len(self._waiting)

    def fail_next(self, error: StorageFailed) -> None:
        """The next write that happens (that nothing else is to fail) changes nothing and fails so."""
        self._failures.append(error)

    def crash(self) -> None:
        """The process is killed: what was held never happens, and nobody is told."""
        self._waiting.clear()
        self._held = False
        self._failures.clear()
        self._is_closed = True

    def trim(self, seq: int) -> None:
        """Retention removes the events up to this number."""
        self._tables.events = {number: event for number, event in self._tables.events.items() if number > seq}
        self._tables.trimmed_seq = seq

    # The port.

    def head(self) -> StoreHead:
        self._is_closed = False
        position = max((record.position for record in self._tables.runs.values()), default=0)
        tables = self._tables
        skipped = tuple(one for one in tables.skipped.values() if one.upto > tables.trimmed_seq)
        return StoreHead(generation=self._generation, seq=tables.last_seq, position=position, skipped=skipped)

    def health(self) -> StoreHealth:
        return self.condition

    def write(self, *changes: StoreChange) -> "Deferred[None]":
        return self._do(partial(self._transaction, partial(_apply_all, changes=changes)))

    def accept_run(self, record: RunRecord) -> "Deferred[RunRecord | None]":
        return self._do(partial(self._transaction, partial(_accept, record=record)))

    def run(self, run_id: RunId) -> "Deferred[RunRecord | None]":
        return self._do(lambda: self._tables.runs.get(run_id))

    def unfinished_runs(self) -> "Deferred[list[RunRecord]]":
        return self._do(lambda: sorted(_unfinished(self._tables), key=lambda record: record.position))

    def runs(
        self, session_id: SessionId | None, before: RunId, limit: int, *, is_ended: bool | None = None
    ) -> "Deferred[list[RunRecord]]":
        def read() -> list[RunRecord]:
            last = self._tables.runs[before].position if before in self._tables.runs else None
            found = sorted(self._tables.runs.values(), key=lambda one: -one.position)
            return [
                one
                for one in found
                if (last is None or one.position < last)
                and session_id in (None, one.prompt.session_id)
                and is_ended in (None, one.end is not None)
            ][:limit]

        return self._do(read)

    def sessions(self) -> "Deferred[list[Session]]":
        return self._do(lambda: list(self._tables.sessions.values()))

    def messages(self, session_id: SessionId) -> "Deferred[list[Message]]":
        return self._do(lambda: [one for one in self._in_order() if one.session_id == session_id])

    def unfinished_messages(self) -> "Deferred[list[Message]]":
        return self._do(lambda: [one for one in self._in_order() if one.role == Role.ASSISTANT and one.finish is None])

    def user_messages(self, session_id: SessionId | None) -> "Deferred[list[Message]]":
        return self._do(
            lambda: [
                one
                for one in reversed(self._in_order())
                if one.role == Role.USER and session_id in (None, one.session_id)
            ]
        )

    def message(self, message_id: MessageId) -> "Deferred[Message | None]":
        return self._do(lambda: self._tables.messages.get(message_id))

    def file_versions(self, session_id: SessionId) -> "Deferred[list[FileVersion]]":
        def read() -> list[FileVersion]:
            found = [one for one in self._tables.files.values() if one.session_id == session_id]
            return sorted(found, key=lambda one: (one.version, one.created_at))

        return self._do(read)

    def newest_file_version(self, path: str, session_id: SessionId | None) -> "Deferred[FileVersion | None]":
        def read() -> FileVersion | None:
            files = self._tables.files.values()
            found = [one for one in files if one.path == path and session_id in (None, one.session_id)]
            return max(reversed(found), key=lambda one: (one.version, one.created_at), default=None)

        return self._do(read)

    def read_marks(self, session_id: SessionId) -> "Deferred[list[ReadMark]]":
        def read() -> list[ReadMark]:
            found = [mark for (owner, _), mark in self._tables.reads.items() if owner == session_id]
            return sorted(found, key=lambda mark: (-mark.at, mark.path))

        return self._do(read)

    def desk_entry(self, entry_id: str) -> "Deferred[DeskEntry | None]":
        return self._do(lambda: self._tables.desk.get(entry_id))

    def desk_entries(self, session_id: SessionId | None, before: str, limit: int) -> "Deferred[list[DeskEntry]]":
        def read() -> list[DeskEntry]:
            ids = list(self._tables.desk)
            ids = ids[: ids.index(before)] if before in ids else ids
            entries = (self._tables.desk[entry_id] for entry_id in reversed(ids))
            return [one for one in entries if session_id in (None, one.session_id)][:limit]

        return self._do(read)

    def pending_desk_entries(self) -> "Deferred[list[DeskEntry]]":
        return self._do(lambda: [one for one in self._tables.desk.values() if one.outcome is Settlement.PENDING])

    def policies(self) -> "Deferred[list[SessionPolicy]]":
        return self._do(lambda: list(self._tables.policies.values()))

    def events_after(self, seq: int, limit: int) -> "Deferred[list[LoggedEvent]]":
        def read() -> list[LoggedEvent]:
            if seq < self._tables.trimmed_seq:
                raise CursorTooOld
            return [self._tables.events[number] for number in sorted(self._tables.events) if number > seq][:limit]

        return self._do(read)

    def close(self) -> "Deferred[None]":
        if self._is_closed:
            return self._do(lambda: None, even_closed=True)
        closing = self._do(lambda: None)
        self._is_closed = True
        return closing

    # The rules.

    def _do(self, work: Callable[[], Any], *, even_closed: bool = False) -> "Deferred[Any]":
        deferred: Deferred[Any] = Deferred(lambda _: None)
        if self._is_closed and not even_closed:
            deferred.errback(StorageFailed("the database is closed"))
        elif self._held:
            self._waiting.append((work, deferred))
        else:
            _answer(deferred, work)
        return deferred

    def _transaction(self, work: Callable[[_Tables], Any]) -> Any:
        if self._failures:
            raise self._failures.popleft()
        tables = self._tables.copy()
        result = work(tables)
        self._tables = tables
        self.writes += 1
        return result

    def _in_order(self) -> list[Message]:
        return list(self._tables.messages.values())


def _answer(deferred: "Deferred[Any]", work: Callable[[], Any]) -> None:
    """Do the work, whoever still waits for it."""
    try:
        result = work()
    except (StorageFailed, CursorTooOld) as error:
        if not deferred.called:
            deferred.errback(error)
        return
    if not deferred.called:
        deferred.callback(result)


def _accept(tables: _Tables, record: RunRecord) -> RunRecord | None:
    existing = tables.runs.get(record.id)
    if existing is None:
        _require(all(other.position != record.position for other in tables.runs.values()), "UNIQUE runs.position")
        tables.runs[record.id] = replace(record, end=None)
    return existing


def _unfinished(tables: _Tables) -> Iterable[RunRecord]:
    return (record for record in tables.runs.values() if record.end is None)


def _apply_all(tables: _Tables, changes: Iterable[StoreChange]) -> None:
    for change in changes:
        _apply(tables, change)


def _apply(tables: _Tables, change: StoreChange) -> None:
    match change:
        case PutSession(session):
            counts = (session.message_count, session.prompt_tokens, session.completion_tokens, session.cost)
            _require(min(counts) >= 0, "CHECK sessions")
            tables.sessions[session.id] = session
        case DeleteSession(session_id):
            _delete_session(tables, session_id)
        case PutMessage(message):
            _require(message.session_id in tables.sessions, "FOREIGN KEY messages.session_id")
            tables.messages[message.id] = message
        case DeleteMessage(message_id):
            tables.messages.pop(message_id, None)
        case StartRun(run_id, user_message_id):
            tables.runs[run_id] = replace(_known_run(tables, run_id), user_message_id=user_message_id)
        case BeginRun(run_id, at):
            record = _known_run(tables, run_id)
            tables.runs[run_id] = replace(record, began_at=record.began_at or at)
        case EndRun(run_id, end):
            record = _known_run(tables, run_id)
            _require(record.end is None, "UNIQUE run_ends.run_id")
            tables.runs[run_id] = replace(record, end=end, prompt=replace(record.prompt, attachments=()))
        case AppendEvent(event):
            _append(tables, event)
        case SkipNumbers(after, upto):
            tables.skipped[after] = change
            tables.last_seq = max(tables.last_seq, upto)
        case PutFileVersion(version):
            _put_file(tables, version)
        case MarkRead():
            _mark_read(tables, change)
        case PutDeskEntry(entry):
            tables.desk[entry.id] = entry
        case PutPolicy(policy):
            _require(policy.session_id in tables.sessions, "FOREIGN KEY policies.session_id")
            tables.policies[policy.session_id] = policy


def _mark_read(tables: _Tables, change: MarkRead) -> None:
    known = change.session_id in tables.sessions and change.path != ""
    _require(known, "FOREIGN KEY read_files.session_id")
    before = tables.reads.get((change.session_id, change.path))
    at = max(change.at, before.at if before else change.at)
    tables.reads[change.session_id, change.path] = ReadMark(change.path, at, change.size, change.mtime_ns)


def _delete_session(tables: _Tables, session_id: SessionId) -> None:
    tables.sessions.pop(session_id, None)
    tables.messages = _kept(tables.messages, lambda one: one.session_id != session_id)
    tables.files = _kept(tables.files, lambda one: one.session_id != session_id)
    tables.policies.pop(session_id, None)
    tables.reads = {key: mark for key, mark in tables.reads.items() if key[0] != session_id}


def _append(tables: _Tables, event: LoggedEvent) -> None:
    _require(event.seq not in tables.events, "UNIQUE events.seq")
    identity = (event.kind, event.change, event.key)
    if identity[:2] == (EventKind.MESSAGE, Change.UPDATED):
        tables.events = _kept(tables.events, lambda one: (one.kind, one.change, one.key) != identity)
    tables.events[event.seq] = event
    tables.last_seq = max(tables.last_seq, event.seq)


def _put_file(tables: _Tables, version: FileVersion) -> None:
    _require(version.session_id in tables.sessions, "FOREIGN KEY files.session_id")
    place = (version.path, version.session_id, version.version)
    others = (one for one in tables.files.values() if one.id != version.id)
    _require(all((one.path, one.session_id, one.version) != place for one in others), "UNIQUE files")
    tables.files[version.id] = version


def _known_run(tables: _Tables, run_id: RunId) -> RunRecord:
    record = tables.runs.get(run_id)
    if record is None:
        raise ChangeRefused(f"the database refused the change: there is no run {run_id}")
    return record


def _kept(table: dict[K, V], keep: Callable[[V], bool]) -> dict[K, V]:
    return {key: row for key, row in table.items() if keep(row)}


def _require(holds: bool, constraint: str) -> None:
    if not holds:
        raise ChangeRefused(f"the database refused the change: {constraint} constraint failed")


def _conforms(store: MemoryStore) -> Store:
    """Read by mypy only: the fake fits its port."""
    return store
