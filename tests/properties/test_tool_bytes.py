"""Whatever bytes a program writes: what is kept of them is text, and its event is whole JSON in one frame."""

from hypothesis import given, settings
from hypothesis import strategies as st

from txcrush.adapters.tools.truncation import truncated
from txcrush.core.kept_output import KeptOutput, whole
from txcrush.model.events import Change, Event, EventKind
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import Finish, FinishReason, Message, Role, ToolResult
from txcrush.testing.scale import scaled
from txcrush.wire import stored
from txcrush.wire.json import parse_object
from txcrush.wire.sse import SseParser, frame
from txcrush.wire.v1 import encode_event

AWKWARD = (
    b"\xff", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\0", b"\r", b"\n",
    b"\r\n", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"data: x\n\n", b"\x1b[31m", "é😀".encode(), b'"\\', b"\x85",
)  # fmt: skip
chunks = st.lists(st.one_of(st.sampled_from(AWKWARD), st.binary(max_size=12)), max_size=30)


def shown(text: str) -> str:
    """The text of a tool's result as a client of the event stream gets it."""
    parts = (ToolResult("c1", "bash", text), Finish(FinishReason.STOP, 0))
    message = Message(MessageId("m"), SessionId("s"), Role.TOOL, parts, created_at=1, updated_at=1)
    body = encode_event(Event(EventKind.MESSAGE, Change.CREATED, message))
    (event,) = SseParser().feed(frame(body))
    assert event.data == body
    content: str = parse_object(event.data.decode())["payload"]["payload"]["parts"][0]["data"]["content"]
    return content


@settings(max_examples=scaled(500, 10_000))
@given(chunks, st.integers(1, 40))
def test_promise_14_bytes_of_any_kind_never_break_an_event(output: list[bytes], kept_bytes: int) -> None:
    kept = KeptOutput(kept_bytes)
    for chunk in output:
        kept.take(chunk)
    text = truncated(*kept.parts)
    text.encode()
    assert shown(text) == text
    (part,) = stored.decode_parts(stored.encode_parts((ToolResult("c1", "bash", text),)))
    assert isinstance(part, ToolResult) and part.content == text


@settings(max_examples=scaled(200, 2_000))
@given(st.text(st.characters(codec="utf-8"), max_size=60), st.integers(1, 20))
def test_promise_14_whole_characters_are_never_split(text: str, kept_bytes: int) -> None:
    kept = KeptOutput(kept_bytes)
    for byte in text.encode():
        kept.take(bytes([byte]))
    assert "\ufffd" not in whole(kept.parts).replace("\ufffd" if "\ufffd" in text else "", "")
