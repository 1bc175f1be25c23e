"""JSON in short steps is the same JSON."""

import pytest
from msgspec import Struct

from txcrush.wire.json import encode, encode_text
from txcrush.wire.large_json import STEP, encode_in_steps, encode_text_in_steps


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
