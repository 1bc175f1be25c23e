"""What a client reads of the server's answers and events: the fields that it needs, under the wire's names.

Unknown fields are ignored, so that a client also reads what a newer server sends.
"""

from typing import TypeVar

import msgspec
from msgspec import Struct

T = TypeVar("T")


class Unreadable(ValueError):
    """The server sent something that is not what was asked for."""


class ErrorReply(Struct, frozen=True):
    message: str = ""


class VersionReply(Struct, frozen=True):
    version: str = ""
    build_id: str = ""


class WorkspaceReply(Struct, frozen=True):
    id: str
    path: str = ""


class SessionReply(Struct, frozen=True):
    """A session; `updated_at` is in Unix seconds."""

    id: str
    title: str = ""
    parent_session_id: str = ""
    is_busy: bool = False
    attached_clients: int = 0
    message_count: int = 0
    updated_at: int = 0


class AgentReply(Struct, frozen=True):
    is_busy: bool = False
    is_ready: bool = False


class PartData(Struct, frozen=True):
    """The fields of every kind of part; those of another kind are empty."""

    text: str = ""
    thinking: str = ""
    id: str = ""
    name: str = ""
    input: str = ""
    finished: bool = False
    tool_call_id: str = ""
    content: str = ""
    is_error: bool = False
    reason: str = ""
    message: str = ""
    details: str = ""


class PartReply(Struct, frozen=True):
    type: str
    data: PartData = PartData()


class MessageReply(Struct, frozen=True):
    """A message in one of its states."""

    id: str
    role: str = ""
    session_id: str = ""
    parts: tuple[PartReply, ...] | None = ()
    is_summary_message: bool = False

    def of(self, kind: str) -> tuple[PartData, ...]:
        """The data of its parts of one kind, in order."""
        return tuple(part.data for part in self.parts or () if part.type == kind)

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.of("text"))


class RunCompleteReply(Struct, frozen=True):
    session_id: str = ""
    run_id: str = ""
    message_id: str = ""
    text: str = ""
    error: str = ""
    cancelled: bool = False


class PermissionReply(Struct, frozen=True):
    """A request for a permission, whole: it is sent back with the answer."""

    id: str = ""
    session_id: str = ""
    tool_call_id: str = ""
    tool_name: str = ""
    description: str = ""
    action: str = ""
    params: msgspec.Raw = msgspec.Raw(b"null")
    path: str = ""


EventReply = MessageReply | RunCompleteReply | SessionReply | PermissionReply


class _Inner(Struct, frozen=True):
    payload: msgspec.Raw
    type: str = ""


class _Envelope(Struct, frozen=True):
    type: str
    payload: _Inner


_KINDS: dict[str, type[EventReply]] = {
    "message": MessageReply,
    "run_complete": RunCompleteReply,
    "session": SessionReply,
    "permission_request": PermissionReply,
}


def read(raw: bytes | msgspec.Raw, kind: type[T]) -> T:
    """The answer as a `kind`. Raises `Unreadable`."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(str(error)) from error


def read_event(data: bytes) -> EventReply | None:
    """What an event tells; None for a deletion and for kinds that a client has no use for. Raises `Unreadable`."""
    envelope = read(data, _Envelope)
    kind = _KINDS.get(envelope.type)
    if kind is None or envelope.payload.type == "deleted":
        return None
    return read(envelope.payload.payload, kind)


def error_text(raw: bytes) -> str:
    """The message of an error's body; empty where it holds none."""
    try:
        return read(raw, ErrorReply).message
    except Unreadable:
        return ""
