"""OpenAI Chat Completions, both ways, as bytes and typed values: pure, no I/O.

A chunk is decoded once, straight into Structs (0.2 µs for a text delta). Where servers of this family are known to
differ (tool call pieces without index, arguments as an object) the types are that lenient and no more.
"""

import base64
from collections.abc import Iterator, Mapping

import msgspec
from msgspec import Struct

from txcrush.model.errors import ProviderError
from txcrush.model.messages import FinishReason
from txcrush.model.providers import (
    AssistantTurn,
    FilePart,
    ModelRequest,
    ResultsTurn,
    SystemTurn,
    Turn,
    Usage,
    UserTurn,
)
from txcrush.model.tools import ToolSpec
from txcrush.wire.provider_errors import decoded

DONE = b"[DONE]"

_FINISHES = {
    "stop": FinishReason.END_TURN,
    "length": FinishReason.MAX_TOKENS,
    "tool_calls": FinishReason.TOOL_USE,
    "function_call": FinishReason.TOOL_USE,
    "content_filter": FinishReason.CONTENT_FILTER,
}


class FunctionPiece(Struct, frozen=True):
    """A piece of a call's name and arguments."""

    name: str | None = None
    arguments: str | dict[str, object] | None = None

    @property
    def text(self) -> str:
        """The arguments as the text that they are on the wire, also where a server sends an object."""
        if isinstance(self.arguments, dict):
            return msgspec.json.encode(self.arguments).decode()
        return self.arguments or ""


class CallPiece(Struct, frozen=True):
    """A piece of a tool call; which call it belongs to depends on the server."""

    index: int | None = None
    id: str | None = None
    function: FunctionPiece | None = None


class Delta(Struct, frozen=True):
    """A `delta`, or the `message` of an answer in one piece."""

    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[CallPiece] | None = None


class Choice(Struct, frozen=True):
    """One of the answers; we ask for one."""

    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None


class PromptDetails(Struct, frozen=True):
    """How many tokens of the prompt came from the provider's cache."""

    cached_tokens: float | None = None


class CompletionDetails(Struct, frozen=True):
    """How many tokens of the answer were reasoning."""

    reasoning_tokens: float | None = None


class UsageRow(Struct, frozen=True):
    """Tokens as the server counts them: cached ones inside the prompt's; `cost` is OpenRouter's, in dollars."""

    prompt_tokens: float | None = None
    completion_tokens: float | None = None
    total_tokens: float | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    prompt_cache_hit_tokens: float | None = None
    cost: float | None = None

    def usage(self) -> Usage:
        """Cached tokens are counted apart from the input."""
        prompt, output = _count(self.prompt_tokens), _count(self.completion_tokens)
        details = self.prompt_tokens_details
        cached = _count(details.cached_tokens if details else None) or _count(self.prompt_cache_hit_tokens)
        thought = self.completion_tokens_details
        return Usage(
            input=max(0, prompt - cached),
            output=output,
            total=_count(self.total_tokens) or prompt + output,
            reasoning=_count(thought.reasoning_tokens if thought else None),
            cache_read=cached,
            cost=None if self.cost is None else max(0.0, self.cost),
        )


def _count(tokens: float | None) -> int:
    """A number of tokens, whatever a server made of it: some count in fractions, some below zero."""
    return max(0, round(tokens or 0))


class Chunk(Struct, frozen=True):
    """One event of the stream, or the whole answer of a server that does not stream."""

    choices: list[Choice] | None = None
    usage: UsageRow | None = None
    error: object = None


_decoder = msgspec.json.Decoder(Chunk)
_encoder = msgspec.json.Encoder()


def decode_chunk(data: bytes) -> Chunk:
    """Raises `ProviderError`, not retryable, for what is no JSON or has wrong types."""
    return decoded(_decoder.decode, data)


def finish_reason(reason: str, has_calls: bool) -> FinishReason:
    """Several servers say `stop` where they called tools."""
    finish = _FINISHES.get(reason, FinishReason.UNKNOWN)
    if has_calls and finish in (FinishReason.END_TURN, FinishReason.UNKNOWN):
        return FinishReason.TOOL_USE
    return finish


def encode_request(
    request: ModelRequest,
    *,
    limit_key: str = "max_tokens",
    top_k: bool = True,
    echo_reasoning: bool = False,
    options: Mapping[str, object] | None = None,
    extra_body: Mapping[str, object] | None = None,
) -> bytes:
    """The body of a streaming request. Later wins: our fields, `options`, the request's own options, `extra_body`.

    `limit_key` is what the server calls the token limit; `top_k` says whether it knows that parameter;
    `echo_reasoning` gives the reasoning of calls back to it. Raises `ProviderError` where the conversation cannot be
    encoded.
    """
    body: dict[str, object] = {
        "model": request.model,
        "messages": [message for turn in request.turns for message in _messages(turn, echo_reasoning)],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    sampling = {
        limit_key: request.max_tokens or None,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k if top_k else None,
        "frequency_penalty": request.frequency_penalty,
        "presence_penalty": request.presence_penalty,
    }
    body |= {key: value for key, value in sampling.items() if value is not None}
    if request.tools:
        body |= {"tools": [_tool(spec) for spec in request.tools], "tool_choice": "auto"}
    return _encoded({**body, **(options or {}), **request.options, **(extra_body or {})})


def _encoded(body: dict[str, object]) -> bytes:
    try:
        return _encoder.encode(body)
    except (UnicodeError, TypeError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        kind = type(error).__name__
        raise ProviderError(f"the request cannot be written as JSON ({kind})", title="Invalid Request") from error


def _messages(turn: Turn, echo_reasoning: bool) -> Iterator[dict[str, object]]:
    match turn:
        case SystemTurn(text):
            yield {"role": "system", "content": text}
        case UserTurn(text, files):
            yield {"role": "user", "content": _user_content(text, files) if files else text}
        case AssistantTurn():
            yield from _assistant(turn, echo_reasoning)
        case ResultsTurn(results):
            for result in results:
                yield {"role": "tool", "tool_call_id": result.call_id, "content": result.text}


def _user_content(text: str, files: tuple[FilePart, ...]) -> list[dict[str, object]]:
    parts: list[dict[str, object]] = [{"type": "text", "text": text}] if text else []
    return parts + [_file_part(file) for file in files]


def _file_part(file: FilePart) -> dict[str, object]:
    url = f"data:{file.mime_type};base64,{base64.b64encode(file.data).decode()}"
    if file.mime_type.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": url}}
    return {"type": "file", "file": {"filename": file.filename, "file_data": url}}


def _assistant(turn: AssistantTurn, echo_reasoning: bool) -> Iterator[dict[str, object]]:
    """A turn of nothing but reasoning has no place on this wire."""
    if not turn.text and not turn.calls:
        return
    message: dict[str, object] = {"role": "assistant", "content": turn.text or None}
    if turn.calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments or "{}"}}
            for call in turn.calls
        ]
        if echo_reasoning and turn.reasoning:
            message["reasoning_content"] = turn.reasoning
    yield message


def _tool(spec: ToolSpec) -> dict[str, object]:
    parameters = {"type": "object", "properties": spec.properties, "required": list(spec.required)}
    return {
        "type": "function",
        "function": {"name": spec.name, "description": spec.description, "parameters": parameters},
    }
