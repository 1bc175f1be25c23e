"""Any JSON goes out without harm to a stream, and whatever comes in is a value or `DecodeFailed`."""

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Struct

from txcrush.model.errors import DecodeFailed
from txcrush.model.events import Change, Event, EventKind
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import Message, Role, ToolResult
from txcrush.wire.json import MAX_DEPTH, decode_body, encode, parse_object
from txcrush.wire.requests import Answer, CreateSession, Grant, PutSession, SetConfig, SetModel, SubmitPrompt
from txcrush.wire.sse import SseParser, frame
from txcrush.wire.v1 import encode_event

KINDS: list[type[Struct]] = [Answer, CreateSession, Grant, PutSession, SetConfig, SetModel, SubmitPrompt]
HARMFUL = [b"<", b">", b"&", b"\xe2\x80\xa8", b"\xe2\x80\xa9"]
KEYS = ["title", "PROMPT", "attachments", "content", "todos", "status", "permission", "params", "yes", "notes", "cost"]

any_text = st.text(st.one_of(st.characters(), st.sampled_from("<>&\u2028\u2029\ud800\udfff\r\n\0")))
clean_text = st.text(st.characters(codec="utf-8"))
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    any_text,
)


def trees(leaves: st.SearchStrategy[Any], keys: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.recursive(leaves, lambda below: st.one_of(st.lists(below), st.dictionaries(keys, below)), max_leaves=20)


values = trees(scalars, any_text)
finite = st.floats(allow_nan=False, allow_infinity=False)
int64 = st.integers(-(2**63), 2**63 - 1)
clean_values = trees(st.one_of(st.none(), st.booleans(), int64, finite, clean_text), clean_text)
bodies = st.one_of(
    st.binary(),
    any_text.map(lambda text: text.encode("utf-8", "surrogatepass")),
    trees(scalars, st.one_of(st.sampled_from(KEYS), any_text)).map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.sampled_from(KEYS), values).map(lambda value: json.dumps(value).encode()),
)


def harmless(text: bytes) -> bool:
    return not any(bad in text for bad in HARMFUL) and all(byte >= 0x20 for byte in text)


@given(values)
def test_p29_the_output_never_breaks_a_line_or_a_page(value: Any) -> None:
    assert harmless(encode(value))


@given(clean_values)
def test_p29_the_output_parses_back_equal(value: Any) -> None:
    text = encode(value)
    assert harmless(text)
    assert json.loads(text) == value


@given(any_text)
def test_promise_14_what_is_no_unicode_is_replaced_and_the_rest_stays(text: str) -> None:
    replaced = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert json.loads(encode(text)) == replaced
    assert encode(replaced) == encode(text)


@given(st.binary())
def test_promise_14_bytes_of_a_tool_never_break_an_event_or_its_frame(output: bytes) -> None:
    result = ToolResult("c", "bash", output.decode("utf-8", "surrogateescape"))
    message = Message(MessageId("m"), SessionId("s"), Role.TOOL, (result,))
    body = encode_event(Event(EventKind.MESSAGE, Change.CREATED, message))
    (event,) = SseParser().feed(frame(body))
    payload: Any = parse_object(event.text)["payload"]
    shown = payload["payload"]["parts"][0]["data"]["content"]
    assert shown == "".join("�" if "\udc80" <= char <= "\udcff" else char for char in result.content)


@given(bodies, st.sampled_from(KINDS))
@example(b"[" * 100_000, CreateSession)
@example(b'{"title":' * 100_000, CreateSession)
@example(b'{"value":' + b"9" * 5_000 + b"}", SetConfig)
@example(b'{"' + b"k" * 2**20 + b'":"' + b"v" * 2**20 + b'"}', CreateSession)
def test_p59_any_body_is_a_value_or_decode_failed(raw: bytes, kind: type[Struct]) -> None:
    try:
        value = decode_body(raw, kind)
    except DecodeFailed as failed:
        assert failed.message == "failed to decode request"
    else:
        assert isinstance(value, kind)
        encode(value)


@given(st.dictionaries(st.sampled_from(KEYS), clean_values), clean_text)
def test_p59_what_is_right_is_taken_as_it_is(others: dict[str, Any], title: str) -> None:
    body = encode({**others, "TITLE": title, "title": title})
    assert decode_body(body, CreateSession).title == title


@given(clean_values)
def test_a_free_value_comes_in_unchanged(value: Any) -> None:
    assert decode_body(encode({"value": value}), SetConfig).value == value


@given(st.integers(1, 2 * MAX_DEPTH), st.sampled_from(["list", "object"]))
def test_p59_depth_counts_lists_and_objects_alike(depth: int, kind: str) -> None:
    opening, closing = ("[", "]") if kind == "list" else ('{"a":', "}")
    raw = f'{{"value":{opening * (depth - 1)}1{closing * (depth - 1)}}}'.encode()
    try:
        decode_body(raw, SetConfig)
        taken = True
    except DecodeFailed:
        taken = False
    assert taken == (depth <= MAX_DEPTH)


@given(st.one_of(any_text, values.map(json.dumps)))
def test_promise_14_a_text_is_an_object_or_a_value_error(text: str) -> None:
    try:
        value = parse_object(text)
    except ValueError:
        return
    assert isinstance(value, dict)
    encode(value).decode()
