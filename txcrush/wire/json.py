"""The one JSON encoder and the typed decoding of request bodies.

Output follows the reference: no blanks, `<`, `>`, `&` and the two Unicode line separators escaped, so that a JSON text
never breaks a line of the event stream. Input follows `contract.md` 6: strict UTF-8, the first value only, the last
duplicate key wins, keys match without regard to case, `null` stands for absent, and whatever else is odd (NaN, depth,
integers beyond 64 bits, lone surrogates, a wrong type) is one error: `DecodeFailed`.
"""

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any, NoReturn, TypeVar, get_args, get_origin

import msgspec
from msgspec import Struct

from txcrush.model.errors import DecodeFailed

MAX_DEPTH = 64
BIG_BODY = 256 * 1024
"""Bytes from which a body is decoded in a thread: 9 MiB take 90 ms."""

_INT64 = range(-(2**63), 2**63)
_ESCAPES = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
)
_encoder = msgspec.json.Encoder()

T = TypeVar("T", bound=Struct)


def encode(value: object) -> bytes:
    """The value as JSON, in the reference's escaping. These characters only ever stand inside strings.

    A lone surrogate becomes U+FFFD, as Go writes it: what a tool has read must not break a stream.
    """
    try:
        text = _encoder.encode(value)
    except UnicodeEncodeError:
        text = _encoder.encode(_without_surrogates(msgspec.to_builtins(value)))
    for plain, escaped in _ESCAPES:
        if plain in text:
            text = text.replace(plain, escaped)
    return text


def encode_body(value: object) -> bytes:
    """A REST body: the JSON and one newline."""
    return encode(value) + b"\n"


def encode_text(value: object) -> str:
    """The value as JSON text, for strings that hold JSON."""
    return encode(value).decode()


def indented(text: str) -> str:
    """The JSON text with a line for each value and sorted keys, for reading; what is no JSON stays as it is."""
    try:
        return json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def indented_in_order(text: str) -> str:
    """The JSON text with a line for each value, keys as they stand. Raises ValueError."""
    return json.dumps(json.loads(text), indent=2, ensure_ascii=False)


def decode_body(raw: bytes, kind: type[T]) -> T:
    """The request body as a `kind`. Raises `DecodeFailed`."""
    try:
        value, _ = _decoder.raw_decode(raw.lstrip(b" \t\r\n").decode("utf-8"))
        _check(value, surrogates=b"\\u" in raw)
        folded = {} if value is None else _fold(value, kind)
        return msgspec.convert(folded, kind)
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise DecodeFailed from error


def parse_object(text: str) -> dict[str, object]:
    """The JSON object that a string holds, lone surrogates replaced. Raises ValueError with the decoder's words."""
    value = _parse(text)
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, got {type(value).__name__}")
    return value


def parse_list(text: str) -> list[object]:
    """The JSON list that a string holds, lone surrogates replaced. Raises ValueError with the decoder's words."""
    value = _parse(text)
    if not isinstance(value, list):
        raise ValueError(f"expected a list, got {type(value).__name__}")
    return value


def _parse(text: str) -> Any:
    try:
        value = _decoder.decode(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    _check(value, surrogates=False)
    return _without_surrogates(value) if "\\u" in text else value


def is_json(text: str) -> bool:
    """Whether the text is one JSON value of any kind."""
    try:
        _decoder.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_decoder = json.JSONDecoder(parse_constant=_refuse)


def _without_surrogates(value: Any) -> Any:
    """The value with U+FFFD in the place of every lone surrogate."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list | tuple):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


def _check(value: object, *, surrogates: bool) -> None:
    """Raise ValueError for what JSON allows and we do not. Walks level by level, so depth costs no stack."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
                below.extend(item if surrogates else ())
            elif isinstance(item, list):
                below.extend(item)
            else:
                _check_scalar(item, surrogates=surrogates)
        if not below:
            return
        level = below
    raise ValueError("nested too deeply")


def _check_scalar(value: object, *, surrogates: bool) -> None:
    if isinstance(value, str):
        if surrogates:
            value.encode()
    elif isinstance(value, int) and value not in _INT64:
        raise ValueError("integer out of range")
    elif isinstance(value, float) and not isfinite(value):
        raise ValueError("number out of range")


def _fold(value: Any, kind: Any) -> Any:
    """Name the keys as the Struct spells them and leave nulls out, down to where the shape is free: there a null is a
    value like any other."""
    value_kind = _struct_inside(kind)
    if value_kind is None or value is None:
        return value
    if isinstance(value, list):
        return [_fold(item, value_kind) for item in value]
    if not isinstance(value, dict):
        return value
    if get_origin(kind) in (dict, Mapping):
        return {key: _fold(item, value_kind) for key, item in value.items()}
    fields = {field.encode_name.casefold(): field for field in msgspec.structs.fields(value_kind)}
    folded = {}
    for key, item in value.items():
        known = fields.get(key.casefold())
        if known is not None and (item is not None or known.type is Any):
            folded[known.encode_name] = _fold(item, known.type)
    return folded


def _struct_inside(kind: Any) -> Any:
    """The Struct that a type is, lists or maps to; None where the type holds none."""
    if isinstance(kind, type) and issubclass(kind, Struct):
        return kind
    inside = [_struct_inside(arg) for arg in get_args(kind)]
    return next((found for found in inside if found is not None), None)


def parse_answer(raw: bytes) -> Any:
    """What a server answered: any JSON value, None for an empty body. Raises ValueError."""
    return json.loads(raw) if raw.strip() else None
