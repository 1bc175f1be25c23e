"""What a tool is for a model, and what it gives back."""

from msgspec import Struct

from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import ToolCall


class ToolSpec(Struct, frozen=True, kw_only=True):
    """How a tool is offered to a model. `properties` maps a parameter to its JSON-schema fragment."""

    name: str
    description: str
    properties: dict[str, object]
    required: tuple[str, ...] = ()
    parallel: bool = False


class ToolUse(Struct, frozen=True, kw_only=True):
    """One call that is to be run, with what a tool may know about its place."""

    call: ToolCall
    arguments: dict[str, object]
    session_id: SessionId
    message_id: MessageId
    supports_images: bool = False
    model_name: str = ""


class ToolOutput(Struct, frozen=True, kw_only=True):
    """What a tool gives back. `data` is base64 text with its `mime_type`; `stop_turn` ends the turn after this step."""

    content: str
    data: str = ""
    mime_type: str = ""
    metadata: str = ""
    is_error: bool = False
    stop_turn: bool = False


def denied(metadata: str = "") -> ToolOutput:
    """What a call gives that nobody allowed. `metadata` lets clients still draw what was refused."""
    return ToolOutput(content="User denied permission", metadata=metadata, is_error=True, stop_turn=True)
