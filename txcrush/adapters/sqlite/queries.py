"""What is read, as model structs. Called on a reader's or the writer's thread."""

from collections.abc import Callable, Iterable
from sqlite3 import Connection
from typing import Any, TypeVar

from twisted.logger import Logger

from txcrush.adapters.sqlite import rows
from txcrush.model.desk import DeskEntry, SessionPolicy
from txcrush.model.errors import CursorTooOld, StorageFailed
from txcrush.model.events import LoggedEvent
from txcrush.model.ids import MessageId, RunId, SessionId
from txcrush.model.messages import Message
from txcrush.model.runs import RunRecord
from txcrush.model.sessions import FileVersion, Session
from txcrush.model.storage import ReadMark, SkipNumbers, StoreHead

T = TypeVar("T")

log = Logger()

_SESSIONS = f"SELECT {rows.SESSION_COLUMNS} FROM sessions"
_MESSAGES = f"SELECT {rows.MESSAGE_COLUMNS} FROM messages"
_IN_ORDER = "ORDER BY rowid"  # not by time: a clock that is set back while a run goes on would mix its messages
_NEWEST_FIRST = "ORDER BY rowid DESC"
_FILES = f"SELECT {rows.FILE_COLUMNS} FROM files WHERE session_id = ? ORDER BY version, created_at, rowid"
_READ_MARKS = "SELECT path, read_at, size, mtime_ns FROM read_files WHERE session_id = ? ORDER BY read_at DESC, path"
_EVENTS = f"SELECT {rows.EVENT_COLUMNS} FROM events WHERE seq > ? ORDER BY seq LIMIT ?"
_RUNS = f"SELECT {rows.RUN_COLUMNS}, {rows.END_COLUMNS} FROM runs LEFT JOIN run_ends ON run_id = id"

_RUNS_PAGE = (
    f"{_RUNS} WHERE (:session_id IS NULL OR session_id = :session_id) "
    "AND (:is_ended IS NULL OR (run_id IS NOT NULL) = :is_ended) "
    "AND position < coalesce((SELECT position FROM runs WHERE id = :before), 9223372036854775807) "
    "ORDER BY position DESC LIMIT :limit"
)

_DESK = f"SELECT {rows.DESK_COLUMNS} FROM desk"
_DESK_PAGE = (
    f"{_DESK} WHERE (:session_id IS NULL OR session_id = :session_id) "
    "AND number < coalesce((SELECT number FROM desk WHERE id = :before), 9223372036854775807) "
    "ORDER BY number DESC LIMIT :limit"
)
_POLICIES = f"SELECT {rows.POLICY_COLUMNS} FROM policies"

GENERATION = "generation"
LAST_SEQ = "last_seq"
TRIMMED_SEQ = "trimmed_seq"
SKIPPED = "skipped:"
"""Begins the keys of `meta` that tell which numbers were left out: the last before them, with the last of them."""

_PAGE_BYTES = 1024 * 1024
"""An answer holds no further event once it has this much, so that a reader of the log costs no more."""


def head(connection: Connection) -> StoreHead:
    """Where the data directory stands."""
    (seq,) = connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()
    (position,) = connection.execute("SELECT coalesce(max(position), 0) FROM runs").fetchone()
    skipped = _skipped(connection)
    seqs = [seq, int(meta(connection, LAST_SEQ) or 0), *(one.upto for one in skipped)]
    generation = meta(connection, GENERATION) or ""
    return StoreHead(generation=generation, seq=max(seqs), position=position, skipped=skipped)


def _skipped(connection: Connection) -> tuple[SkipNumbers, ...]:
    found = connection.execute(
        "SELECT CAST(substr(key, ?) AS INTEGER), CAST(value AS INTEGER) FROM meta WHERE key GLOB ? ORDER BY 1",
        (len(SKIPPED) + 1, f"{SKIPPED}*"),
    )
    return tuple(SkipNumbers(after, upto) for after, upto in found)


def meta(connection: Connection, key: str) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return row[0] if row else None


def run(connection: Connection, run_id: RunId) -> RunRecord | None:
    row = connection.execute(f"{_RUNS} WHERE id = ?", (run_id,)).fetchone()
    return rows.run_of(row) if row else None


def unfinished_runs(connection: Connection) -> list[RunRecord]:
    return _readable(rows.run_of, connection.execute(f"{_RUNS} WHERE run_id IS NULL ORDER BY position"))


def runs(
    connection: Connection, session_id: SessionId | None, before: RunId, limit: int, is_ended: bool | None
) -> list[RunRecord]:
    wanted = {"session_id": session_id, "before": before, "limit": limit, "is_ended": is_ended}
    return [rows.run_of(row) for row in connection.execute(_RUNS_PAGE, wanted)]


def sessions(connection: Connection) -> list[Session]:
    return _readable(rows.session_of, connection.execute(_SESSIONS))


def messages(connection: Connection, session_id: SessionId) -> list[Message]:
    found = connection.execute(f"{_MESSAGES} WHERE session_id = ? {_IN_ORDER}", (session_id,))
    return _readable(rows.message_of, found)


def unfinished_messages(connection: Connection) -> list[Message]:
    indexed = f"{_MESSAGES} INDEXED BY idx_messages_unfinished"  # of a million, none or a few
    found = connection.execute(f"{indexed} WHERE role = 'assistant' AND finished_at IS NULL {_IN_ORDER}")
    return _readable(rows.message_of, found)


def user_messages(connection: Connection, session_id: SessionId | None) -> list[Message]:
    where = "role = 'user'" if session_id is None else "role = 'user' AND session_id = :session_id"
    found = connection.execute(f"{_MESSAGES} WHERE {where} {_NEWEST_FIRST}", {"session_id": session_id})
    return _readable(rows.message_of, found)


def message(connection: Connection, message_id: MessageId) -> Message | None:
    row = connection.execute(f"{_MESSAGES} WHERE id = ?", (message_id,)).fetchone()
    return rows.message_of(row) if row else None


def file_versions(connection: Connection, session_id: SessionId) -> list[FileVersion]:
    return [rows.file_of(row) for row in connection.execute(_FILES, (session_id,))]


def newest_file_version(connection: Connection, path: str, session_id: SessionId | None) -> FileVersion | None:
    where = "path = :path" if session_id is None else "path = :path AND session_id = :session_id"
    newest = f"SELECT {rows.FILE_COLUMNS} FROM files WHERE {where} ORDER BY version DESC, created_at DESC, rowid DESC"
    found = connection.execute(f"{newest} LIMIT 1", {"path": path, "session_id": session_id}).fetchone()
    return rows.file_of(found) if found else None


def read_marks(connection: Connection, session_id: SessionId) -> list[ReadMark]:
    return [rows.read_mark_of(row) for row in connection.execute(_READ_MARKS, (session_id,))]


def desk_entry(connection: Connection, entry_id: str) -> DeskEntry | None:
    row = connection.execute(f"{_DESK} WHERE id = ?", (entry_id,)).fetchone()
    return rows.desk_entry_of(row) if row else None


def desk_entries(connection: Connection, session_id: SessionId | None, before: str, limit: int) -> list[DeskEntry]:
    found = connection.execute(_DESK_PAGE, {"session_id": session_id, "before": before, "limit": limit})
    return _readable(rows.desk_entry_of, found)


def pending_desk_entries(connection: Connection) -> list[DeskEntry]:
    return _readable(rows.desk_entry_of, connection.execute(f"{_DESK} WHERE outcome = 'pending' ORDER BY number"))


def policies(connection: Connection) -> list[SessionPolicy]:
    return _readable(rows.policy_of, connection.execute(_POLICIES))


def events_after(connection: Connection, seq: int, limit: int) -> list[LoggedEvent]:
    """Reads the events before the mark: retention that comes in between is noticed, never overlooked."""
    found = _page(connection.execute(_EVENTS, (seq, limit)))
    if seq < int(meta(connection, TRIMMED_SEQ) or 0):
        raise CursorTooOld
    return [rows.event_of(row) for row in found]


def _readable(made_of: Callable[[rows.Row], T], found: Iterable[rows.Row]) -> list[T]:
    """What the rows hold. One that cannot be read (SQLite has no checksums: a damaged text is found here at the
    earliest) is left out and logged, for the others are worth no less."""
    made = []
    for row in found:
        try:
            made.append(made_of(row))
        except (StorageFailed, TypeError, ValueError, AttributeError) as error:
            log.error("the row {id} cannot be read and is left out: {error}", id=row[0], error=error)
    return made


def _page(cursor: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows until there are enough bytes in them; one of any size."""
    taken, size = [], 0
    for row in cursor:
        taken.append(row)
        size += len(row[rows.EVENT_BODY])
        if size >= _PAGE_BYTES:
            break
    return taken
