"""What the event stream carries: a kind, a change and a payload."""

from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

from txcrush.model.ids import MessageId, RunId, SessionId, WorkspaceId
from txcrush.model.messages import Message
from txcrush.model.permissions import PermissionNotification, PermissionRequest
from txcrush.model.questions import QuestionBatch, QuestionNotification
from txcrush.model.sessions import FileVersion, Session


class Change(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


class EventKind(StrEnum):
    SESSION = "session"
    MESSAGE = "message"
    FILE = "file"
    PERMISSION_REQUEST = "permission_request"
    PERMISSION_NOTIFICATION = "permission_notification"
    QUESTION_BATCH_REQUEST = "question_batch_request"
    QUESTION_BATCH_NOTIFICATION = "question_batch_notification"
    AGENT_EVENT = "agent_event"
    RUN_COMPLETE = "run_complete"
    MCP_EVENT = "mcp_event"
    LSP_EVENT = "lsp_event"
    SKILLS_EVENT = "skills_event"
    CONFIG_CHANGED = "config_changed"
    MESSAGE_DELTA = "message_delta"
    RESET = "reset"


class RunComplete(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The terminal event of a run; the key order is the wire's."""

    session_id: SessionId
    run_id: RunId = RunId("")
    message_id: MessageId
    text: str = ""
    error: str = ""
    cancelled: bool = False


class AgentEventType(StrEnum):
    FINISHED = "agent_finished"
    ERROR = "error"
    STALLED = "stalled"  # ours: the provider has gone quiet; terminals pass it over


class AgentEvent(Struct, frozen=True, kw_only=True):
    """What the agent is at; `progress` is a text for the user."""

    type: AgentEventType
    session_id: SessionId
    error: str = ""
    run_id: RunId = RunId("")
    session_title: str = ""
    progress: str = ""


class ConfigChanged(Struct, frozen=True, omit_defaults=True):
    """Something of the workspace was set. Of a desk's policy the event says what it is now; `session_id` where it is
    that of one session."""

    workspace_id: WorkspaceId
    session_id: SessionId = SessionId("")
    skip: bool | None = None
    unanswered: str = ""


class MessageDelta(Struct, frozen=True):
    """What one part of a message has more than in the state before: `text` goes to the end of its text."""

    message_id: MessageId
    session_id: SessionId
    part: int
    text: str


class ResetReason(StrEnum):
    """Why a stream cannot go on where its reader left off."""

    TOO_OLD = "too_old"
    FOREIGN = "foreign"
    UNKNOWN = "unknown"


class Reset(Struct, frozen=True):
    """The reader has to begin anew: a snapshot follows."""

    reason: ResetReason


Payload: TypeAlias = (
    Session
    | Message
    | FileVersion
    | RunComplete
    | AgentEvent
    | ConfigChanged
    | PermissionRequest
    | PermissionNotification
    | QuestionBatch
    | QuestionNotification
    | MessageDelta
    | Reset
)


class Event(Struct, frozen=True):
    """One event.

    `key` names the thing that changed. `replaceable` events (a growing message) may be replaced by a newer one of the
    same kind and key while they wait for a slow reader; all others reach every reader. `body` is the event's JSON and
    `framed` that as it goes out, where they were made beforehand (`EventLog.prepared`), else empty.
    """

    kind: EventKind
    change: Change
    payload: Payload
    key: str = ""
    replaceable: bool = False
    body: bytes = b""
    framed: bytes = b""


class LoggedEvent(Struct, frozen=True, kw_only=True):
    """An event as the durable log keeps it.

    `seq` strictly increases per data directory, across restarts. `body` is the event's JSON, or empty for a message
    update: its state is the message's own row, so growing text is never stored twice.
    """

    seq: int
    kind: EventKind
    change: Change
    key: str
    body: bytes
    at: int
