"""Rows and the frozen structs that they hold, both ways. The column order of each `*_COLUMNS` is the row's order."""

from collections.abc import Callable
from typing import Any, TypeAlias

from txcrush.model.desk import DeskEntry, DeskKind, SessionPolicy, Settlement, parse_unanswered
from txcrush.model.errors import StorageFailed
from txcrush.model.events import Change, EventKind, LoggedEvent
from txcrush.model.ids import ClientId, MessageId, RunId, SessionId
from txcrush.model.messages import Message, Role
from txcrush.model.runs import Outcome, Prompt, RunEnd, RunRecord, RunUsage, WhenBusy
from txcrush.model.sessions import FileVersion, Session
from txcrush.model.storage import ReadMark
from txcrush.wire import stored

Row: TypeAlias = tuple[Any, ...]

SESSION_COLUMNS = (
    "id, parent_session_id, title, message_count, prompt_tokens, completion_tokens, summary_message_id, cost, todos, "
    "created_at, updated_at"
)
MESSAGE_COLUMNS = (
    "id, session_id, role, parts, model, provider, created_at, updated_at, is_summary_message, finished_at"
)
FILE_COLUMNS = "id, session_id, path, content, version, created_at, updated_at"
EVENT_COLUMNS = "seq, kind, change, key, body, at"
EVENT_BODY = 4
RUN_COLUMNS = (
    "id, minted, session_id, client_run_id, prompt, attachments, when_busy, position, accepted_at, user_message_id, "
    "began_at, budget"
)
END_COLUMNS = "run_id, outcome, message_id, text, error, reason, source, ended_at, cost, tokens, steps"
DESK_COLUMNS = "id, kind, session_id, tool_call_id, subject, asked_at, outcome, settled_by, client_id, via, settled_at"
POLICY_COLUMNS = "session_id, unanswered, skip"


def session_row(session: Session) -> Row:
    return (
        session.id,
        session.parent_session_id or None,
        session.title,
        session.message_count,
        session.prompt_tokens,
        session.completion_tokens,
        session.summary_message_id or None,
        session.cost,
        stored.encode_todos(session.todos),
        session.created_at,
        session.updated_at,
    )


def session_of(row: Row) -> Session:
    return Session(
        id=SessionId(row[0]),
        parent_session_id=SessionId(row[1] or ""),
        title=row[2],
        message_count=row[3],
        prompt_tokens=row[4],
        completion_tokens=row[5],
        summary_message_id=MessageId(row[6] or ""),
        cost=row[7],
        todos=stored.decode_todos(row[8]),
        created_at=row[9],
        updated_at=row[10],
    )


def message_row(message: Message) -> Row:
    finish = message.finish
    return (
        message.id,
        message.session_id,
        message.role,
        stored.encode_parts(message.parts),
        message.model or None,
        message.provider or None,
        message.created_at,
        message.updated_at,
        message.is_summary_message,
        (finish.time or None) if finish else None,
    )


def message_of(row: Row) -> Message:
    return Message(
        id=MessageId(row[0]),
        session_id=SessionId(row[1]),
        role=known(Role, row[2]),
        parts=stored.decode_parts(row[3]),
        model=row[4] or "",
        provider=row[5] or "",
        created_at=row[6],
        updated_at=row[7],
        is_summary_message=bool(row[8]),
    )


def file_row(version: FileVersion) -> Row:
    return (
        version.id,
        version.session_id,
        version.path,
        version.content,
        version.version,
        version.created_at,
        version.updated_at,
    )


def file_of(row: Row) -> FileVersion:
    return FileVersion(
        id=row[0],
        session_id=SessionId(row[1]),
        path=row[2],
        content=row[3],
        version=row[4],
        created_at=row[5],
        updated_at=row[6],
    )


def read_mark_of(row: Row) -> ReadMark:
    return ReadMark(path=row[0], at=row[1], size=row[2], mtime_ns=row[3])


def event_row(event: LoggedEvent) -> Row:
    return (event.seq, event.kind, event.change, event.key, event.body, event.at)


def event_of(row: Row) -> LoggedEvent:
    return LoggedEvent(
        seq=row[0], kind=known(EventKind, row[1]), change=known(Change, row[2]), key=row[3], body=row[4], at=row[5]
    )


def run_row(record: RunRecord) -> Row:
    prompt = record.prompt
    return (
        record.id,
        record.minted,
        prompt.session_id,
        prompt.run_id,
        prompt.text,
        stored.encode_attachments(prompt.attachments),
        prompt.when_busy,
        record.position,
        record.accepted_at,
        record.user_message_id,
        record.began_at,
        stored.encode_budget(prompt.budget),
    )


def run_of(row: Row) -> RunRecord:
    """The run of a row of `RUN_COLUMNS` followed by `END_COLUMNS` (all NULL where it has not ended)."""
    run, end = row[:12], row[12:]
    return RunRecord(
        id=RunId(run[0]),
        minted=bool(run[1]),
        prompt=Prompt(
            session_id=SessionId(run[2]),
            run_id=RunId(run[3]),
            text=run[4],
            attachments=stored.decode_attachments(run[5]),
            when_busy=known(WhenBusy, run[6]),
            budget=stored.decode_budget(run[11]),
        ),
        position=run[7],
        accepted_at=run[8],
        user_message_id=MessageId(run[9]),
        began_at=run[10],
        end=_end_of(end) if end[0] is not None else None,
    )


def end_row(run_id: RunId, end: RunEnd) -> Row:
    used = end.usage
    said = (run_id, end.outcome, end.message_id, end.text, end.error, end.reason, end.source, end.ended_at)
    return (*said, used.cost, used.tokens, used.steps)


def _end_of(row: Row) -> RunEnd:
    return RunEnd(
        outcome=known(Outcome, row[1]),
        message_id=MessageId(row[2]),
        text=row[3],
        error=row[4],
        reason=row[5],
        source=row[6],
        ended_at=row[7],
        usage=RunUsage(*row[8:11]),
    )


def desk_row(entry: DeskEntry) -> Row:
    return (
        entry.id,
        entry.kind,
        entry.session_id,
        entry.tool_call_id,
        stored.encode_subject(entry.subject),
        entry.asked_at,
        entry.outcome,
        entry.by,
        entry.client_id,
        entry.via,
        entry.settled_at,
    )


def desk_entry_of(row: Row) -> DeskEntry:
    return DeskEntry(
        id=row[0],
        kind=known(DeskKind, row[1]),
        session_id=SessionId(row[2]),
        tool_call_id=row[3],
        subject=stored.decode_subject(row[4]),
        asked_at=row[5],
        outcome=known(Settlement, row[6]),
        by=row[7],
        client_id=ClientId(row[8]),
        via=row[9],
        settled_at=row[10],
    )


def policy_row(policy: SessionPolicy) -> Row:
    unanswered = policy.unanswered
    return (policy.session_id, None if unanswered is None else str(unanswered), policy.skip)


def policy_of(row: Row) -> SessionPolicy:
    unanswered = None if row[1] is None else known(parse_unanswered, row[1])
    return SessionPolicy(SessionId(row[0]), unanswered, bool(row[2]))


def known(kind: Callable[[str], Any], text: str) -> Any:
    """The enum member of a stored word, or what else `kind` makes of it. Raises `StorageFailed` for a word of another
    program."""
    try:
        return kind(text)
    except ValueError as error:
        raise StorageFailed(f"the database holds something unknown: {error}") from error
