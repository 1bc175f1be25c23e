"""JSON in short steps is the same JSON."""

import pytest
from msgspec import Struct

from txcrush.model.events import Change, Event, EventKind
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import Message, Role, ToolResult
from txcrush.model.sessions import FileVersion
from txcrush.wire.json import encode, encode_text
from txcrush.wire.large_json import STEP, encode_in_steps, encode_text_in_steps
from txcrush.wire.sse import frame
from txcrush.wire.stored import decode_parts, encode_parts
from txcrush.wire.v1 import encode_big_event, encode_event


class Shape(Struct, omit_defaults=True, rename="camel"):
    first_text: str = ""
    data: bytes = b""
    more: dict[str, object] = {}


LONG = 'é"<&>\u2028\n\\\ud800 😀 ' * (STEP // 4)
VALUES = [
    Shape(first_text="short <b>"),
    Shape(first_text=LONG, more={"<key>": [LONG, 1, None, {"a": (LONG, "b")}]}),
    Shape(data=b"\xff" * STEP * 2),
    {"a": "\x00txcrush long text\x00", "b": LONG, "c": ""},
    LONG,
    [],
]


@pytest.mark.parametrize("number", range(len(VALUES)))
def test_it_is_what_is_encoded_at_once(number: int) -> None:
    value = VALUES[number]
    assert encode_in_steps(value) == encode(value)
    assert encode_text_in_steps(value) == encode_text(value)


def test_a_text_of_wide_characters_is_cut_between_them() -> None:
    for text in ("€" * STEP * 3, "a" + "😀" * STEP * 2, "x" * (STEP - 1) + "\u2028" * STEP):
        assert encode_in_steps([text]) == encode([text])
        assert encode_text_in_steps([text]) == encode_text([text])


def test_a_big_event_goes_out_as_a_small_one_does() -> None:
    version = FileVersion(id="f", session_id=SessionId("s"), path="/a", content=LONG)
    told = Event(EventKind.FILE, Change.CREATED, version)
    assert encode_big_event(told) == (encode_event(told), frame(encode_event(told)))
    message = Message(MessageId("m"), SessionId("s"), Role.TOOL, (ToolResult("c", "edit", "ok", metadata=LONG),))
    said = Event(EventKind.MESSAGE, Change.CREATED, message)
    assert encode_big_event(said) == (b"", frame(encode_event(said)))


def test_long_parts_are_stored_as_short_ones_are() -> None:
    parts = (ToolResult("c", "edit", LONG.replace("\ud800", ""), metadata="<b>"),)
    assert decode_parts(encode_parts(parts)) == parts
