"""Anthropic Messages, what is asked: the body of a request. Pure, no I/O.

The API is strict about the past, and one fault in it makes every later request of the session fail. So this module
builds only what it takes: roles alternate and begin and end with the user; results come first behind the message that
called; ids are legal and unique; there is no empty text; thinking goes back signed or not at all, and stands first
where the model is one that thinks.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence

from txcrush.model.providers import (
    AssistantTurn,
    CallResult,
    FilePart,
    ModelRequest,
    ResultsTurn,
    SystemTurn,
    Turn,
    UserTurn,
)
from txcrush.model.tools import ToolSpec
from txcrush.wire.calls import arguments_object, safe_id, with_legal_calls
from txcrush.wire.messages import thinking_blocks
from txcrush.wire.provider_errors import encoded_request

Block = dict[str, object]

CACHED = {"type": "ephemeral"}
GO_ON = "Go on."
"""What the user says where the past leaves nothing else for them to say."""

NO_OUTPUT = "(no output)"
_IMAGES = frozenset(("image/jpeg", "image/png", "image/gif", "image/webp"))
_PDF = "application/pdf"
_THINKING = ("thinking", "redacted_thinking")
_LEAST_TOP_P = 0.95
"""The smallest `top_p` that is taken while the model thinks."""


def encode_request(
    request: ModelRequest,
    *,
    max_tokens: int,
    thinking_first: bool = True,
    replay_thinking: bool = True,
    sampling: bool = True,
    cache: bool = True,
    options: Mapping[str, object] | None = None,
    extra_body: Mapping[str, object] | None = None,
) -> bytes:
    """The body of a streaming request. Later wins: our fields, `options`, `extra_body`; the request's own options have
    to be in `options` already.

    `max_tokens` counts where the request sets no limit: this wire needs one. Raises `ProviderError` where the
    conversation cannot be encoded.
    """
    marks = cache and request.mark_cache
    body: Block = {
        "model": request.model,
        "max_tokens": request.max_tokens or max_tokens,
        "messages": _conversation(request.turns, marks, thinking_first, replay_thinking),
        "stream": True,
    }
    system = _marked(_system(request.turns), marks)
    if system:
        body["system"] = system
    if sampling:
        wanted = {"temperature": request.temperature, "top_p": request.top_p, "top_k": request.top_k}
        body |= {name: value for name, value in wanted.items() if value is not None}
    if request.tools:
        body |= {"tools": _marked([_tool(spec) for spec in request.tools], marks), "tool_choice": {"type": "auto"}}
    body |= options or {}
    _settle_thinking(body)
    return encoded_request(body | dict(extra_body or {}))


def is_thinking(body: Mapping[str, object]) -> bool:
    """Whether these fields of a body let the model think."""
    thinking = body.get("thinking")
    return isinstance(thinking, dict) and thinking.get("type") in ("enabled", "adaptive")


def _settle_thinking(body: Block) -> None:
    """Thinking and what it does not go with. A past that it cannot go on from is answered without it."""
    if not is_thinking(body):
        return
    thinking = body["thinking"]
    assert isinstance(thinking, dict)
    budget = thinking.get("budget_tokens", 0)
    if thinking["type"] == "enabled" and not _loop_began_with_thinking(body["messages"]):
        del body["thinking"]
        return
    body.pop("temperature", None)
    body.pop("top_k", None)
    top_p, limit = body.get("top_p"), body["max_tokens"]
    if isinstance(top_p, (int, float)) and top_p < _LEAST_TOP_P:
        del body["top_p"]
    if isinstance(budget, int) and isinstance(limit, int) and limit <= budget:
        body["max_tokens"] = budget + limit


def _loop_began_with_thinking(messages: object) -> bool:
    """Whether the tool calls that the model is in the middle of began with a thinking block, if it is in any.

    With a budget, the API insists on that; a model that was changed, or a turn that was cut off, leaves none.
    """
    assert isinstance(messages, list)
    first: Sequence[Block] = ()
    for message in reversed(messages):
        if message["role"] == "assistant":
            first = message["content"]
        elif message["content"][0]["type"] != "tool_result":
            break
    return not first or first[0]["type"] in _THINKING


def _system(turns: Iterable[Turn]) -> list[Block]:
    return [_text(turn.text) for turn in turns if isinstance(turn, SystemTurn) and turn.text.strip()]


def _conversation(turns: Sequence[Turn], marks: bool, thinking_first: bool, replay_thinking: bool) -> list[Block]:
    said = []
    for turn in with_legal_calls(turns, safe_id, unique_throughout=True):
        role, blocks = _blocks(turn, thinking_first, replay_thinking)
        if blocks:
            said.append((role, blocks))
    for _, blocks in said[-2:]:
        _marked(blocks, marks)
    return _alternating(said)


def _alternating(said: Iterable[tuple[str, list[Block]]]) -> list[Block]:
    messages: list[tuple[str, list[Block]]] = [("user", [])]
    for role, blocks in said:
        if messages[-1][0] != role:
            messages.append((role, blocks))
        elif role == "user":
            messages[-1][1].extend(blocks)
        else:  # thinking in the middle of a message would not be taken
            messages[-1][1].extend(block for block in blocks if block["type"] not in _THINKING)
    if messages[-1][0] != "user":
        messages.append(("user", []))
    return [{"role": role, "content": blocks or [_text(GO_ON)]} for role, blocks in messages]


def _blocks(turn: Turn, thinking_first: bool, replay_thinking: bool) -> tuple[str, list[Block]]:
    match turn:
        case UserTurn(text, files):
            return "user", [*([_text(text)] if text.strip() else []), *map(_file, files)]
        case AssistantTurn():
            return "assistant", _assistant(turn, thinking_first, replay_thinking)
        case ResultsTurn(results):
            return "user", [_result(result) for result in results]
        case SystemTurn():
            return "user", []


def _assistant(turn: AssistantTurn, thinking_first: bool, replay_thinking: bool) -> list[Block]:
    """A turn of nothing but thinking has no place on this wire."""
    text = [_text(turn.text.rstrip())] if turn.text.strip() else []
    calls: list[Block] = [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments_object(call.arguments)}
        for call in turn.calls
    ]
    if not text and not calls:
        return []
    thinking = thinking_blocks(turn.reasoning, turn.signature) if replay_thinking else []
    return [*thinking, *text, *calls] if thinking_first else [*text, *thinking, *calls]


def _result(result: CallResult) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": result.call_id, "content": _output(result)}
    return block | ({"is_error": True} if result.is_error else {})


def _output(result: CallResult) -> str | list[Block]:
    """An error without words is refused; other results may be empty."""
    text = result.text if result.text.strip() else ""
    if result.media is None:
        return text or (NO_OUTPUT if result.is_error else "")
    return [*([_text(text)] if text else []), _file(result.media)]


def _file(file: FilePart) -> Block:
    source = {"type": "base64", "media_type": file.mime_type, "data": base64.b64encode(file.data).decode()}
    if file.mime_type in _IMAGES:
        return {"type": "image", "source": source}
    if file.mime_type == _PDF:
        return {"type": "document", "source": source, "title": file.filename or "document.pdf"}
    return _text(f"[{file.filename}: this provider does not take files of type {file.mime_type}]")


def _tool(spec: ToolSpec) -> Block:
    schema = {"type": "object", "properties": spec.properties, "required": list(spec.required)}
    return {"name": spec.name, "description": spec.description, "input_schema": schema}


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _marked(blocks: list[Block], marks: bool) -> list[Block]:
    """The blocks with a cache marker on the last that can carry one."""
    last = next((block for block in reversed(blocks) if block.get("type") not in _THINKING), None)
    if marks and last is not None:
        last["cache_control"] = CACHED
    return blocks
