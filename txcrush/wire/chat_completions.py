"""OpenAI Chat Completions, both ways, as bytes and typed values: pure, no I/O.

A chunk is decoded once, straight into Structs (0.2 µs for a text delta). Where servers of this family are known to
differ (tool call pieces without index, arguments as an object) the types are that lenient and no more.
"""

import base64
from collections.abc import Iterator, Mapping

import msgspec
from msgspec import Struct

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
from txcrush.wire.calls import any_id, arguments_text, with_legal_calls
from txcrush.wire.provider_errors import decoded, encoded_request
from txcrush.wire.replies import dollars, finish_of, token_count

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
        prompt, output = token_count(self.prompt_tokens), token_count(self.completion_tokens)
        details = self.prompt_tokens_details
        cached = token_count(details.cached_tokens if details else None) or token_count(self.prompt_cache_hit_tokens)
        thought = self.completion_tokens_details
        return Usage(
            input=max(0, prompt - cached),
            output=output,
            total=token_count(self.total_tokens) or prompt + output,
            reasoning=token_count(thought.reasoning_tokens if thought else None),
            cache_read=cached,
            cost=dollars(self.cost),
        )


class Chunk(Struct, frozen=True):
    """One event of the stream, or the whole answer of a server that does not stream."""

    choices: list[Choice] | None = None
    usage: UsageRow | None = None
    error: object = None


_decoder = msgspec.json.Decoder(Chunk)


def decode_chunk(data: bytes) -> Chunk:
    """Raises `ProviderError`, not retryable, for what is no JSON or has wrong types."""
    return decoded(_decoder.decode, data)


def finish_reason(reason: str, has_calls: bool) -> FinishReason:
    """Why the model stopped."""
    return finish_of(reason, _FINISHES, has_calls=has_calls)


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
    turns = with_legal_calls(request.turns, any_id, unique_throughout=False)
    body: dict[str, object] = {
        "model": request.model,
        "messages": [message for turn in turns for message in _messages(turn, echo_reasoning)],
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
    return encoded_request({**body, **(options or {}), **request.options, **(extra_body or {})})


def _messages(turn: Turn, echo_reasoning: bool) -> Iterator[dict[str, object]]:
    match turn:
        case SystemTurn(text):
            yield {"role": "system", "content": text}
        case UserTurn(text, files) if text or files:
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
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": arguments_text(call.arguments)},
            }
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
