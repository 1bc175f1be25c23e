"""Anthropic Messages, what comes back: the events of a stream as typed values. Pure, no I/O.

The seal. A message of ours has one reasoning part with one signature, while this wire may send several thinking blocks,
each with a signature of its own, and redacted ones without any text. A provider refuses them unless they come back
exactly as they were. So where there is more than one plain block, `Seal` writes all of them into the one signature:
a JSON list of how many characters of the reasoning each block had and what sealed it.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from txcrush.model.messages import FinishReason
from txcrush.model.providers import Usage
from txcrush.wire.provider_errors import decoded
from txcrush.wire.replies import finish_of, token_count

_FINISHES = {
    "end_turn": FinishReason.END_TURN,
    "stop_sequence": FinishReason.END_TURN,
    "pause_turn": FinishReason.END_TURN,
    "max_tokens": FinishReason.MAX_TOKENS,
    "model_context_window_exceeded": FinishReason.MAX_TOKENS,
    "tool_use": FinishReason.TOOL_USE,
    "refusal": FinishReason.CONTENT_FILTER,
}


class Block(Struct, frozen=True):
    """A content block, as it begins in a stream or whole."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: dict[str, Any] | None = None


class Delta(Struct, frozen=True):
    """What is added to a block, or to the message (`stop_reason`)."""

    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None


class OutputDetails(Struct, frozen=True):
    thinking_tokens: float | None = None


class UsageRow(Struct, frozen=True):
    """Tokens so far: those written to and read from the cache are not in `input_tokens`, thinking is in the output."""

    input_tokens: float | None = None
    cache_creation_input_tokens: float | None = None
    cache_read_input_tokens: float | None = None
    output_tokens: float | None = None
    output_tokens_details: OutputDetails | None = None

    def then(self, later: "UsageRow") -> "UsageRow":
        """These counts with what a later event says of them."""
        said = {name: value for name in self.__struct_fields__ if (value := getattr(later, name)) is not None}
        return replace(self, **said)

    def usage(self) -> Usage:
        """The counts in our terms."""
        details = self.output_tokens_details
        counts = {
            "input": token_count(self.input_tokens),
            "output": token_count(self.output_tokens),
            "cache_creation": token_count(self.cache_creation_input_tokens),
            "cache_read": token_count(self.cache_read_input_tokens),
        }
        thought = token_count(details.thinking_tokens if details else None)
        return Usage(**counts, total=sum(counts.values()), reasoning=thought)


class Message(Struct, frozen=True):
    """The head of a streamed message, or a whole one."""

    content: list[Block] | None = None
    stop_reason: str | None = None
    usage: UsageRow | None = None
    error: object = None


class Event(Struct, frozen=True):
    """One event of a stream."""

    type: str = ""
    index: int = 0
    message: Message | None = None
    content_block: Block | None = None
    delta: Delta | None = None
    usage: UsageRow | None = None
    error: object = None


class Sealed(Struct, frozen=True, omit_defaults=True):
    """One thinking block: so many characters of the reasoning, and its signature; or the `data` of a redacted one."""

    size: int = 0
    signature: str = ""
    data: str = ""


_event = msgspec.json.Decoder(Event)
_message = msgspec.json.Decoder(Message)
_seal = msgspec.json.Decoder(list[Sealed])


def decode_event(data: bytes) -> Event:
    """Raises `ProviderError`, not retryable, for what is no JSON or has wrong types."""
    return decoded(_event.decode, data)


def decode_message(body: bytes) -> Message:
    """The whole answer of a server that does not stream. Raises like `decode_event`."""
    return decoded(_message.decode, body)


def finish_reason(reason: str, has_calls: bool) -> FinishReason:
    """Why the model stopped."""
    return finish_of(reason, _FINISHES, has_calls=has_calls)


def arguments_of(block: Block) -> str:
    """The arguments of a call that came with the block itself, as text."""
    return msgspec.json.encode(block.input or {}).decode()


def seal(blocks: Sequence[Sealed]) -> str:
    """The one signature of a message's thinking blocks: the only block's own, or all of them as JSON."""
    if len(blocks) == 1 and not blocks[0].data:
        return blocks[0].signature
    return msgspec.json.encode(blocks).decode() if any(one.signature or one.data for one in blocks) else ""


def thinking_blocks(reasoning: str, signature: str) -> list[dict[str, object]]:
    """The blocks that a seal stands for, ready to be sent back; those without a signature are left out."""
    if not signature.startswith("["):
        return [_thinking(reasoning, signature)] if signature else []
    try:
        sealed = _seal.decode(signature)
    except msgspec.MsgspecError:
        return []
    return _unsealed(reasoning, sealed) if sum(one.size for one in sealed) == len(reasoning) else []


def _unsealed(reasoning: str, sealed: Sequence[Sealed]) -> list[dict[str, object]]:
    blocks: list[dict[str, object]] = []
    start = 0
    for one in sealed:
        text = reasoning[start : start + one.size]
        start += one.size
        if one.data:
            blocks.append({"type": "redacted_thinking", "data": one.data})
        elif one.signature:
            blocks.append(_thinking(text, one.signature))
    return blocks


def _thinking(text: str, signature: str) -> dict[str, object]:
    return {"type": "thinking", "thinking": text, "signature": signature}
