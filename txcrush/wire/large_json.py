"""JSON of values that hold very long texts, made in short steps.

A thread that encodes 10 MB in one call holds the interpreter for 15 to 30 ms, and the reactor with it, whatever thread
it is. Here no step takes more than a few. The bytes are those of `json.encode`.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from txcrush.wire.json import encode

STEP = 128 * 1024
"""Characters, or bytes, of one step."""

_encoder = msgspec.json.Encoder()


def encode_in_steps(value: object, before: bytes = b"", after: bytes = b"") -> bytes:
    """The same as `json.encode`, with something put before and after it."""
    return b"".join((before, *_pieces(value), after))


def encode_text_in_steps(value: object) -> str:
    """The same as `json.encode_text`."""
    return "".join(piece.decode() for piece in _pieces(value))


_NAME = "\x00txcrush long text\x00"
_MARK = _encoder.encode(_NAME)


def _pieces(value: object) -> Iterator[bytes]:
    """The JSON in pieces, none of which ends inside a character."""
    shell, texts = _taken_out(msgspec.to_builtins(value))
    outside = encode(shell).split(_MARK) if texts else [encode(value)]
    yield outside[0]
    for text, rest in zip(texts, outside[1:], strict=True):
        yield from _text_pieces(text)
        yield rest


def _taken_out(value: object) -> tuple[object, list[str]]:
    """The value with a mark in the place of each long text, and these texts in the order in which they come."""
    texts: list[str] = []

    def without(item: Any) -> Any:
        if isinstance(item, str) and (len(item) > STEP or item == _NAME):
            texts.append(item)
            return _NAME
        if isinstance(item, dict):
            return {key: without(inner) for key, inner in item.items()}
        return [without(inner) for inner in item] if isinstance(item, list | tuple) else item

    return without(value), texts


def _text_pieces(text: str) -> Iterator[bytes]:
    yield b'"'
    for at in range(0, len(text), STEP):
        yield encode(text[at : at + STEP])[1:-1]
    yield b'"'
