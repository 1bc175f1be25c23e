"""Sessions and the todo list that lives on them."""

from enum import StrEnum

from msgspec import Struct

from txcrush.model.ids import MessageId, SessionId


class TodoStatus(StrEnum):
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"


class Todo(Struct, frozen=True):
    content: str
    status: TodoStatus
    active_form: str


class Session(Struct, frozen=True, kw_only=True):
    """One conversation.

    `prompt_tokens` and `completion_tokens` are the sizes of the latest model request (a gauge, not a sum); `cost` is
    the sum in US dollars. Times are Unix seconds. A child session (of a sub-agent) has a `parent_session_id`.
    """

    id: SessionId
    parent_session_id: SessionId = SessionId("")
    title: str = ""
    message_count: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    summary_message_id: MessageId = MessageId("")
    cost: float = 0.0
    todos: tuple[Todo, ...] = ()
    created_at: int = 0
    updated_at: int = 0


class FileVersion(Struct, frozen=True, kw_only=True):
    """One stored version of a file that a session changed; version 0 is the first."""

    id: str
    session_id: SessionId
    path: str
    content: str
    version: int = 0
    created_at: int = 0
    updated_at: int = 0
