"""What each change does to the tables. Called on the writer's thread, inside a transaction."""

from collections.abc import Callable, Iterable
from sqlite3 import Connection
from typing import Any

from txcrush.adapters.sqlite import rows
from txcrush.adapters.sqlite.queries import SKIPPED, run
from txcrush.model.errors import ChangeRefused
from txcrush.model.events import Change, EventKind
from txcrush.model.runs import RunRecord
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
    SkipNumbers,
    StartRun,
    StoreChange,
)


def _insert(table: str, columns: str) -> str:
    return f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' for _ in columns.split(','))})"


def _upsert(table: str, columns: str) -> str:
    """Unlike REPLACE this keeps the rowid, which is the order within a second, and cascades to nothing."""
    updates = ", ".join(f"{name} = excluded.{name}" for name in columns.split(", ")[1:])
    return f"{_insert(table, columns)} ON CONFLICT (id) DO UPDATE SET {updates}"


_PUT_SESSION = _upsert("sessions", rows.SESSION_COLUMNS)
_PUT_MESSAGE = _upsert("messages", rows.MESSAGE_COLUMNS)
_PUT_FILE = _upsert("files", rows.FILE_COLUMNS)
_PUT_DESK_ENTRY = _upsert("desk", rows.DESK_COLUMNS)
_PUT_POLICY = (
    f"{_insert('policies', rows.POLICY_COLUMNS)} "
    "ON CONFLICT (session_id) DO UPDATE SET unanswered = excluded.unanswered, skip = excluded.skip"
)
_MARK_READ = (
    "INSERT INTO read_files (session_id, path, read_at, size, mtime_ns) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (path, session_id) DO UPDATE SET "
    "read_at = max(read_at, excluded.read_at), size = excluded.size, mtime_ns = excluded.mtime_ns"
)
_INSERT_RUN = _insert("runs", rows.RUN_COLUMNS)
_START_RUN = "UPDATE runs SET user_message_id = ? WHERE id = ?"
_BEGIN_RUN = "UPDATE runs SET began_at = CASE began_at WHEN 0 THEN ? ELSE began_at END WHERE id = ?"
_INSERT_END = _insert("run_ends", rows.END_COLUMNS)
_DROP_ATTACHMENTS = "UPDATE runs SET attachments = NULL WHERE id = ? AND attachments IS NOT NULL"
_FORGET_UPDATES = "DELETE FROM events WHERE kind = ? AND key = ? AND change = ?"
_PUT_META = "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
_INSERT_EVENT = _insert("events", rows.EVENT_COLUMNS)


_ROW_BYTES = 200
_LONG_FIELDS = ("text", "thinking", "input", "content", "metadata", "output", "data")


def apply_changes(connection: Connection, changes: Iterable[StoreChange]) -> None:
    """Make the changes, in order. Raises `ChangeRefused` or SQLite's errors; the caller rolls back."""
    for change in changes:
        _APPLY[type(change)](connection, change)


def weight(changes: Iterable[StoreChange]) -> int:
    """About how many bytes of memory the changes hold while they wait."""
    return sum(_weight(change) for change in changes)


def _weight(change: StoreChange) -> int:
    match change:
        case PutMessage(message):
            return _ROW_BYTES + sum(_part_weight(part) for part in message.parts)
        case AppendEvent(event):
            return _ROW_BYTES + len(event.body)
        case PutFileVersion(version):
            return _ROW_BYTES + len(version.content)
    return _ROW_BYTES


def _part_weight(part: object) -> int:
    return sum(len(getattr(part, name, "")) for name in _LONG_FIELDS)


def accept_run(connection: Connection, record: RunRecord) -> RunRecord | None:
    """Insert the run, or give the record that has its id already."""
    existing = run(connection, record.id)
    if existing is None:
        connection.execute(_INSERT_RUN, rows.run_row(record))
    return existing


def _put_session(connection: Connection, change: PutSession) -> None:
    connection.execute(_PUT_SESSION, rows.session_row(change.session))


def _delete_session(connection: Connection, change: DeleteSession) -> None:
    connection.execute("DELETE FROM sessions WHERE id = ?", (change.session_id,))


def _put_message(connection: Connection, change: PutMessage) -> None:
    connection.execute(_PUT_MESSAGE, rows.message_row(change.message))


def _delete_message(connection: Connection, change: DeleteMessage) -> None:
    connection.execute("DELETE FROM messages WHERE id = ?", (change.message_id,))


def _start_run(connection: Connection, change: StartRun) -> None:
    _update_run(connection, _START_RUN, change.user_message_id, change.run_id)


def _begin_run(connection: Connection, change: BeginRun) -> None:
    _update_run(connection, _BEGIN_RUN, change.at, change.run_id)


def _update_run(connection: Connection, statement: str, value: object, run_id: str) -> None:
    if connection.execute(statement, (value, run_id)).rowcount != 1:
        raise ChangeRefused(f"the database refused the change: there is no run {run_id}")


def _end_run(connection: Connection, change: EndRun) -> None:
    connection.execute(_INSERT_END, rows.end_row(change.run_id, change.end))
    connection.execute(_DROP_ATTACHMENTS, (change.run_id,))


def _append_event(connection: Connection, change: AppendEvent) -> None:
    event = change.event
    if event.kind == EventKind.MESSAGE and event.change == Change.UPDATED:
        connection.execute(_FORGET_UPDATES, (event.kind, event.key, event.change))
    connection.execute(_INSERT_EVENT, rows.event_row(event))


def _skip_numbers(connection: Connection, change: SkipNumbers) -> None:
    connection.execute(_PUT_META, (f"{SKIPPED}{change.after}", str(change.upto)))


def _put_file_version(connection: Connection, change: PutFileVersion) -> None:
    connection.execute(_PUT_FILE, rows.file_row(change.version))


def _mark_read(connection: Connection, change: MarkRead) -> None:
    connection.execute(_MARK_READ, (change.session_id, change.path, change.at, change.size, change.mtime_ns))


def _put_desk_entry(connection: Connection, change: PutDeskEntry) -> None:
    connection.execute(_PUT_DESK_ENTRY, rows.desk_row(change.entry))


def _put_policy(connection: Connection, change: PutPolicy) -> None:
    connection.execute(_PUT_POLICY, rows.policy_row(change.policy))


_APPLY: dict[type, Callable[[Connection, Any], None]] = {
    PutSession: _put_session,
    DeleteSession: _delete_session,
    PutMessage: _put_message,
    DeleteMessage: _delete_message,
    StartRun: _start_run,
    BeginRun: _begin_run,
    EndRun: _end_run,
    AppendEvent: _append_event,
    SkipNumbers: _skip_numbers,
    PutFileVersion: _put_file_version,
    MarkRead: _mark_read,
    PutDeskEntry: _put_desk_entry,
    PutPolicy: _put_policy,
}
