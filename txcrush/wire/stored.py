"""The JSON that lies in storage: message parts, todos, attachments and the owner of a lock file.

Parts are `{"type": T, "data": D}` as `agent.md` 4.2 lists them. What cannot be read back raises `StorageFailed`.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec
from msgspec import Struct, field

from txcrush.model.budgets import Budget
from txcrush.model.errors import StorageFailed
from txcrush.model.messages import (
    Binary,
    Finish,
    ImageUrl,
    Part,
    Reasoning,
    ShellCommand,
    Text,
    ToolCall,
    ToolResult,
)
from txcrush.model.runs import Attachment
from txcrush.model.sessions import Todo
from txcrush.wire.json import encode_text
from txcrush.wire.large_json import STEP, encode_text_in_steps

T = TypeVar("T")


class LockOwner(Struct, frozen=True):
    """Who holds a data directory; `started_at` is RFC 3339 in UTC."""

    pid: int
    version: str
    started_at: str


class _Reasoning(Struct, omit_defaults=True):
    thinking: str
    signature: str
    thought_signature: str
    tool_id: str
    responses_data: dict[str, object] | None
    started_at: int = 0
    finished_at: int = 0


class _ImageUrl(Struct, omit_defaults=True):
    url: str
    detail: str = ""


class _Binary(Struct):
    path: str = field(name="Path")
    mime_type: str = field(name="MIMEType")
    data: bytes = field(name="Data")


class _Finish(Struct, omit_defaults=True):
    reason: str
    time: int
    message: str = ""
    details: str = ""


class _Tagged(Struct):
    type: str
    data: object


class _Untagged(Struct):
    type: str
    data: msgspec.Raw


def _tag_reasoning(part: Reasoning) -> _Tagged:
    stored = _Reasoning(
        thinking=part.thinking,
        signature=part.signature,
        thought_signature=part.thought_signature,
        tool_id=part.tool_id,
        responses_data=part.responses_data,
        started_at=part.started_at,
        finished_at=part.finished_at,
    )
    return _Tagged("reasoning", stored)


def _tag(part: Part) -> _Tagged:
    match part:
        case Text():
            return _Tagged("text", part)
        case Reasoning():
            return _tag_reasoning(part)
        case ImageUrl():
            return _Tagged("image_url", _ImageUrl(part.url, part.detail))
        case Binary():
            return _Tagged("binary", _Binary(part.path, part.mime_type, part.data))
        case ToolCall():
            return _Tagged("tool_call", part)
        case ToolResult():
            return _Tagged("tool_result", part)
        case Finish():
            return _Tagged("finish", _Finish(part.reason, part.time, part.message, part.details))
        case ShellCommand():
            return _Tagged("shell_command", part)


def _binary(raw: msgspec.Raw) -> Binary:
    stored = _binary_decoder.decode(raw)
    return Binary(stored.path, stored.mime_type, stored.data)


_binary_decoder = msgspec.json.Decoder(_Binary)
_untag: dict[str, Callable[[msgspec.Raw], Part]] = {
    "text": msgspec.json.Decoder(Text).decode,
    "reasoning": msgspec.json.Decoder(Reasoning).decode,
    "image_url": msgspec.json.Decoder(ImageUrl).decode,
    "binary": _binary,
    "tool_call": msgspec.json.Decoder(ToolCall).decode,
    "tool_result": msgspec.json.Decoder(ToolResult).decode,
    "finish": msgspec.json.Decoder(Finish).decode,
    "shell_command": msgspec.json.Decoder(ShellCommand).decode,
}
_encoder = msgspec.json.Encoder()
_parts_decoder = msgspec.json.Decoder(list[_Untagged])
_todos_decoder = msgspec.json.Decoder(tuple[Todo, ...])
_attachments_decoder = msgspec.json.Decoder(tuple[Attachment, ...])
_budget_decoder = msgspec.json.Decoder(Budget)
_subject_decoder = msgspec.json.Decoder(dict[str, object])
_owner_decoder = msgspec.json.Decoder(LockOwner)
_strings_decoder = msgspec.json.Decoder(tuple[str, ...])


def encode_parts(parts: Iterable[Part]) -> str:
    """The parts of a message as the `parts` column holds them."""
    tagged = [_tag(part) for part in parts]
    if any(_is_long(part.data) for part in tagged):
        return encode_text_in_steps(tagged)
    return _encoder.encode(tagged).decode()


def _is_long(part: object) -> bool:
    """Whether encoding the part at once would hold the interpreter, and the reactor with it."""
    return any(len(getattr(part, name, "")) > STEP for name in ("text", "content", "metadata", "output"))


def decode_parts(text: str) -> tuple[Part, ...]:
    """The parts of a stored message. One part of an unknown type fails the whole message."""
    return tuple(_decode_part(part) for part in _decode("message parts", _parts_decoder, text))


def _decode_part(part: _Untagged) -> Part:
    untag = _untag.get(part.type)
    if untag is None:
        raise StorageFailed(f"a stored message part has the unknown type {part.type!r}")
    try:
        return untag(part.data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StorageFailed(f"a stored {part.type} part cannot be read: {error}") from error


def encode_todos(todos: tuple[Todo, ...]) -> str | None:
    """The todo list of a session, None when it is empty."""
    return _encoder.encode(todos).decode() if todos else None


def decode_todos(text: str | None) -> tuple[Todo, ...]:
    return _decode("todos", _todos_decoder, text) if text else ()


def encode_attachments(attachments: tuple[Attachment, ...]) -> str | None:
    """The attachments of a prompt, their content in base64; None when there are none."""
    return _encoder.encode(attachments).decode() if attachments else None


def decode_attachments(text: str | None) -> tuple[Attachment, ...]:
    return _decode("attachments", _attachments_decoder, text) if text else ()


def encode_budget(budget: Budget) -> str | None:
    """The limits of a run; None when there are none."""
    return None if budget.is_empty else _encoder.encode(budget).decode()


def decode_budget(text: str | None) -> Budget:
    return _decode("budget", _budget_decoder, text) if text else Budget()


def encode_subject(subject: dict[str, object]) -> str:
    """What an entry of the desk's book is about."""
    return encode_text(subject)


def decode_subject(text: str) -> dict[str, object]:
    return _decode("desk entry", _subject_decoder, text)


def encode_strings(values: tuple[str, ...]) -> str:
    """A list of texts."""
    return _encoder.encode(values).decode()


def decode_strings(text: str) -> tuple[str, ...]:
    return _decode("list", _strings_decoder, text)


def encode_lock_owner(owner: LockOwner) -> bytes:
    """The content of a lock file: indented JSON and a newline."""
    return msgspec.json.format(_encoder.encode(owner), indent=2) + b"\n"


def decode_lock_owner(raw: bytes) -> LockOwner:
    return _decode("lock file", _owner_decoder, raw)


def _decode(what: str, decoder: msgspec.json.Decoder[T], raw: str | bytes) -> T:
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StorageFailed(f"stored {what} cannot be read: {error}") from error
