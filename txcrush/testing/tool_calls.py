"""Calls of a tool, as a model makes them."""

from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import ToolCall
from txcrush.model.tools import ToolUse
from txcrush.wire.json import encode_text


def use_of(name: str, /, *, session: str = "s", **arguments: object) -> ToolUse:
    """A call of this tool with these arguments."""
    call = ToolCall("call_1", name, encode_text(arguments), finished=True)
    return ToolUse(call=call, arguments=arguments, session_id=SessionId(session), message_id=MessageId("m"))
