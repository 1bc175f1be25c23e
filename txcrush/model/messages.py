"""Messages and their parts, as `agent.md` 4 and 13 describe them. Times are Unix seconds, 0 where unset."""

from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from txcrush.model.ids import MessageId, SessionId


class Role(StrEnum):
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"
    SYSTEM = "system"


class FinishReason(StrEnum):
    """Why a message is finished. `STOP` stands on every message that is not an assistant's."""

    END_TURN = "end_turn"
    MAX_TOKENS = "max_tokens"
    TOOL_USE = "tool_use"
    CANCELED = "canceled"
    ERROR = "error"
    CONTENT_FILTER = "content_filter"
    UNKNOWN = "unknown"
    STOP = "stop"


class Text(Struct, frozen=True):
    text: str


class Reasoning(Struct, frozen=True):
    """What the model thought. The last three fields are the provider's own and never leave the server."""

    thinking: str
    signature: str = ""
    started_at: int = 0
    finished_at: int = 0
    thought_signature: str = ""
    tool_id: str = ""
    responses_data: dict[str, object] | None = None


class ImageUrl(Struct, frozen=True):
    url: str
    detail: str = ""


class Binary(Struct, frozen=True):
    """An attachment, text or image."""

    path: str
    mime_type: str
    data: bytes


class ToolCall(Struct, frozen=True):
    """`input` is a string that holds a JSON object; it is empty while the call is still being written."""

    id: str
    name: str
    input: str = ""
    provider_executed: bool = False
    finished: bool = False


class ToolResult(Struct, frozen=True):
    """`data` is base64 text; `metadata` a string that holds JSON, or empty."""

    tool_call_id: str
    name: str
    content: str
    data: str = ""
    mime_type: str = ""
    metadata: str = ""
    is_error: bool = False


class Finish(Struct, frozen=True):
    reason: FinishReason
    time: int
    message: str = ""
    details: str = ""


class ShellCommand(Struct, frozen=True):
    command: str
    output: str
    exit_code: int


Part: TypeAlias = Text | Reasoning | ImageUrl | Binary | ToolCall | ToolResult | Finish | ShellCommand


class Message(Struct, frozen=True):
    """One message of a session; an assistant's has its finish part last, once it is finished."""

    id: MessageId
    session_id: SessionId
    role: Role
    parts: tuple[Part, ...]
    model: str = ""
    provider: str = ""
    created_at: int = 0
    updated_at: int = 0
    is_summary_message: bool = False

    @property
    def text(self) -> str:
        """The first text part, or nothing."""
        return next((part.text for part in self.parts if isinstance(part, Text)), "")

    @property
    def finish(self) -> Finish | None:
        return next((part for part in self.parts if isinstance(part, Finish)), None)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        return tuple(part for part in self.parts if isinstance(part, ToolCall))

    def with_parts(self, parts: tuple[Part, ...], now_s: int) -> "Message":
        return replace(self, parts=parts, updated_at=now_s)
