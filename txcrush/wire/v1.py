"""The reference's names and shapes for what the server answers and publishes (`protocol.md` 5, 6, 7).

Fields with a default are left out where they hold it ("omitempty"); fields without one are always there. Fields stand
in wire order: a client may decode an object as it comes.
"""

from msgspec import Struct, field

from txcrush.model.config import Config, Model, SelectedModel
from txcrush.model.events import AgentEvent, Event, EventKind, Payload
from txcrush.model.messages import (
    Binary,
    Finish,
    ImageUrl,
    Message,
    Part,
    Reasoning,
    ShellCommand,
    Text,
    ToolCall,
    ToolResult,
)
from txcrush.model.sessions import FileVersion, Session, Todo
from txcrush.wire.json import encode
from txcrush.wire.large_json import encode_in_steps
from txcrush.wire.sse import frame


class ErrorBody(Struct):
    message: str


class VersionInfo(Struct):
    version: str
    commit: str
    build_id: str
    go_version: str
    platform: str


class SkillState(Struct, omit_defaults=True):
    name: str
    path: str
    state: int
    error: str = ""


class WorkspaceBody(Struct, omit_defaults=True, kw_only=True):
    id: str
    path: str
    yolo: bool = False
    debug: bool = False
    data_dir: str = ""
    version: str = ""
    config: Config
    env: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    skills: tuple[SkillState, ...] = ()


class SessionBody(Struct, omit_defaults=True, kw_only=True):
    id: str
    parent_session_id: str
    title: str
    message_count: int
    prompt_tokens: int
    completion_tokens: int
    summary_message_id: str
    cost: float
    todos: tuple[Todo, ...] = ()
    created_at: int
    updated_at: int
    is_busy: bool
    attached_clients: int


class AgentSessionBody(Struct, kw_only=True):
    """A session of which only three fields are filled; the others are there and zero."""

    id: str
    parent_session_id: str = ""
    title: str
    message_count: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    summary_message_id: str = ""
    cost: float = 0
    created_at: int = 0
    updated_at: int = 0
    attached_clients: int = 0
    is_busy: bool


class ReasoningData(Struct, omit_defaults=True):
    thinking: str
    signature: str
    started_at: int = 0
    finished_at: int = 0


class ImageUrlData(Struct, omit_defaults=True):
    url: str
    detail: str = ""


class BinaryData(Struct):
    path: str = field(name="Path")
    mime_type: str = field(name="MIMEType")
    data: bytes = field(name="Data")


class ToolCallData(Struct, omit_defaults=True):
    id: str
    name: str
    input: str
    finished: bool = False


class ToolResultData(Struct, omit_defaults=True, kw_only=True):
    tool_call_id: str
    name: str
    content: str
    data: str = ""
    mime_type: str = ""
    metadata: str
    is_error: bool


class FinishData(Struct, omit_defaults=True):
    reason: str
    time: int
    message: str = ""
    details: str = ""


class PartBody(Struct):
    """One part of a message; `data` is what `PARTS` says for its type."""

    type: str
    data: object


PARTS: dict[str, type[Struct]] = {
    "text": Text,
    "reasoning": ReasoningData,
    "image_url": ImageUrlData,
    "binary": BinaryData,
    "tool_call": ToolCallData,
    "tool_result": ToolResultData,
    "finish": FinishData,
    "shell_command": ShellCommand,
}


class MessageBody(Struct, omit_defaults=True, kw_only=True):
    parts: list[PartBody]
    id: str
    role: str
    session_id: str
    model: str
    provider: str
    created_at: int
    updated_at: int
    is_summary_message: bool = False


class AgentEventBody(Struct, omit_defaults=True, kw_only=True):
    error: str = ""
    type: str
    message: MessageBody
    run_id: str = ""
    session_id: str = ""
    session_title: str = ""
    progress: str = ""


class FileBody(Struct):
    id: str
    session_id: str
    path: str
    content: str
    version: int
    created_at: int
    updated_at: int


class AgentInfo(Struct):
    is_busy: bool
    is_ready: bool
    model: Model
    model_cfg: SelectedModel


class PolicyBody(Struct):
    """A session's policy of ours, as it holds now."""

    session_id: str
    unanswered: str
    skip: bool


class Inner(Struct):
    """What changed. `type` comes before `payload`: the real client keeps what it decoded before a failure."""

    type: str
    payload: object


class Envelope(Struct):
    type: str
    payload: Inner


NO_MODEL = Model(
    id="",
    name="",
    cost_per_1m_in=0,
    cost_per_1m_out=0,
    cost_per_1m_in_cached=0,
    cost_per_1m_out_cached=0,
    context_window=0,
    default_max_tokens=0,
    can_reason=False,
    supports_attachments=False,
)
NOT_READY = AgentInfo(False, False, NO_MODEL, SelectedModel(model="", provider=""))
_NO_MESSAGE = MessageBody(parts=[], id="", role="", session_id="", model="", provider="", created_at=0, updated_at=0)


def part_body(part: Part) -> PartBody:
    """One part of a message. What only the provider understands stays inside."""
    match part:
        case Text():
            return PartBody("text", part)
        case Reasoning():
            data = ReasoningData(part.thinking, part.signature, part.started_at, part.finished_at)
            return PartBody("reasoning", data)
        case ImageUrl():
            return PartBody("image_url", ImageUrlData(part.url, part.detail))
        case Binary():
            return PartBody("binary", BinaryData(part.path, part.mime_type, part.data))
        case ToolCall():
            return PartBody("tool_call", ToolCallData(part.id, part.name, part.input, part.finished))
        case ToolResult():
            return PartBody("tool_result", _tool_result(part))
        case Finish():
            return PartBody("finish", FinishData(part.reason, part.time, part.message, part.details))
        case ShellCommand():
            return PartBody("shell_command", part)


def _tool_result(part: ToolResult) -> ToolResultData:
    return ToolResultData(
        tool_call_id=part.tool_call_id,
        name=part.name,
        content=part.content,
        data=part.data,
        mime_type=part.mime_type,
        metadata=part.metadata,
        is_error=part.is_error,
    )


def message_body(message: Message) -> MessageBody:
    return MessageBody(
        parts=[part_body(part) for part in message.parts],
        id=message.id,
        role=message.role,
        session_id=message.session_id,
        model=message.model,
        provider=message.provider,
        created_at=message.created_at,
        updated_at=message.updated_at,
        is_summary_message=message.is_summary_message,
    )


def session_body(session: Session, *, is_busy: bool = False, attached_clients: int = 0) -> SessionBody:
    """A session; in events the last two are always false and 0 (R-SESS-03)."""
    return SessionBody(
        id=session.id,
        parent_session_id=session.parent_session_id,
        title=session.title,
        message_count=session.message_count,
        prompt_tokens=session.prompt_tokens,
        completion_tokens=session.completion_tokens,
        summary_message_id=session.summary_message_id,
        cost=session.cost,
        todos=session.todos,
        created_at=session.created_at,
        updated_at=session.updated_at,
        is_busy=is_busy,
        attached_clients=attached_clients,
    )


def file_body(version: FileVersion) -> FileBody:
    return FileBody(
        version.id,
        version.session_id,
        version.path,
        version.content,
        version.version,
        version.created_at,
        version.updated_at,
    )


def encode_event(event: Event) -> bytes:
    """The event's JSON, without a newline: the bytes that the log keeps and every subscriber gets."""
    return encode(_envelope(event))


def encode_big_event(event: Event) -> tuple[bytes, bytes]:
    """The same in short steps, for a thread, and its frame. A message's is its frame alone: the log keeps no body of
    it."""
    envelope = _envelope(event)
    body = b"" if event.kind == EventKind.MESSAGE else encode_in_steps(envelope)
    return body, encode_in_steps(envelope, *frame(b"|").split(b"|"))


def _envelope(event: Event) -> Envelope:
    return Envelope(event.kind, Inner(event.change, _payload(event.payload)))


def _payload(payload: Payload) -> object:
    match payload:
        case Message():
            return message_body(payload)
        case Session():
            return session_body(payload)
        case FileVersion():
            return file_body(payload)
        case AgentEvent():
            return AgentEventBody(
                error=payload.error,
                type=payload.type,
                message=_NO_MESSAGE,
                run_id=payload.run_id,
                session_id=payload.session_id,
                session_title=payload.session_title,
                progress=payload.progress,
            )
        case _:
            return payload
