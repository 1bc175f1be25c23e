"""Whether a provider would take a request: the rules that both wires enforce on a conversation, as a checker.

`accepts` says what is wrong with a body, nothing where all is well. It knows no more than the body, and shares no code
with what builds bodies. What it checks is what the APIs answer 400 to: calls without results and results without
calls, empty texts, wrong order of roles and blocks, ids and names of the wrong form, thinking without its signature.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from txcrush.wire.json import parse_object

Body = Mapping[str, Any]

_SAFE = re.compile(r"[a-zA-Z0-9_-]+")
_THINKING = ("thinking", "redacted_thinking")
_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_MOST_MARKERS = 4
_LEAST_BUDGET = 1024


def accepts(body: Body) -> list[str]:
    """Everything that the provider would refuse in this request, in words; the wire is told by the body itself."""
    return accepts_chat(body) if _is_chat(body) else accepts_messages(body)


def _is_chat(body: Body) -> bool:
    roles = {message["role"] for message in body["messages"]}
    return "stream_options" in body or bool(roles & {"system", "developer", "tool"})


# OpenAI Chat Completions


def accepts_chat(body: Body) -> list[str]:
    """The rules of Chat Completions."""
    return [*_chat_order(body["messages"]), *_chat_tools(body)]


def _chat_order(messages: Sequence[Body]) -> Iterator[str]:
    """Every call is answered by a tool message before anybody else speaks, and nothing else is."""
    open_calls: list[str] = []
    for place, message in enumerate(messages):
        role, at = message["role"], f"messages.{place}"
        if role == "tool":
            if message["tool_call_id"] in open_calls:
                open_calls.remove(message["tool_call_id"])
            else:
                yield f"{at}: a tool message answers no call before it: {message['tool_call_id']!r}"
            if not isinstance(message["content"], str):
                yield f"{at}: the content of a tool message is no text"
            continue
        if open_calls:
            yield f"{at}: calls were not answered before it: {open_calls}"
        open_calls = [call["id"] for call in message.get("tool_calls", ())]
        yield from _chat_message(message, at)
    if open_calls:
        yield f"the last calls were not answered: {open_calls}"
    if not any(message["role"] != "system" for message in messages):
        yield "nobody says anything"


def _chat_message(message: Body, at: str) -> Iterator[str]:
    calls = message.get("tool_calls")
    if calls is not None and not calls:
        yield f"{at}: tool_calls is empty"
    if not message.get("content") and not calls:
        yield f"{at}: a message of {message['role']} without content"
    if calls and message["role"] != "assistant":
        yield f"{at}: {message['role']} makes calls"
    yield from _ids([call["id"] for call in calls or ()], at)
    for call in calls or ():
        yield from _name(call["function"]["name"], at)
        yield from _chat_arguments(call["function"]["arguments"], at)


def _chat_arguments(arguments: object, at: str) -> Iterator[str]:
    try:
        if not isinstance(arguments, str):
            raise ValueError("no text")
        parse_object(arguments)
    except ValueError as error:
        yield f"{at}: the arguments of a call are no JSON object in a string: {error}"


def _chat_tools(body: Body) -> Iterator[str]:
    if "tools" in body and not body["tools"]:
        yield "tools is empty"
    for tool in body.get("tools", ()):
        yield from _name(tool["function"]["name"], "tools")


# Anthropic Messages


def accepts_messages(body: Body) -> list[str]:
    """The rules of Anthropic Messages."""
    messages = body["messages"]
    return [
        *_fields(body),
        *_roles(messages),
        *_blocks(messages),
        *_exchanges(messages),
        *_thinking(body, messages),
        *_markers(body),
    ]


def _fields(body: Body) -> Iterator[str]:
    limit = body.get("max_tokens")
    if not isinstance(limit, int) or limit < 1:
        yield "max_tokens is missing or below 1"
    if isinstance(body.get("system"), list):
        yield from _texts(body["system"], "system")
    if "tools" in body and not body["tools"]:
        yield "tools is empty"
    for tool in body.get("tools", ()):
        yield from _name(tool["name"], "tools")
        if tool["input_schema"].get("type") != "object":
            yield f"tools: the schema of {tool['name']} is of no object"


def _roles(messages: Sequence[Body]) -> Iterator[str]:
    roles = [message["role"] for message in messages]
    if not roles or roles[0] != "user":
        yield "the first message is not the user's"
    if roles and roles[-1] != "user":
        yield "the last message is not the user's"
    if set(roles) - {"user", "assistant"}:
        yield f"roles: {roles}"
    for place, (role, after) in enumerate(pairwise(roles)):
        if role == after:
            yield f"messages.{place + 1}: {after} speaks twice"


def _blocks(messages: Sequence[Body]) -> Iterator[str]:
    for place, message in enumerate(messages):
        at, content = f"messages.{place}", message["content"]
        if not content:
            yield f"{at}: no content"
            continue
        yield from _texts(content, at)
        allowed = _OF_ASSISTANT if message["role"] == "assistant" else _OF_USER
        yield from (f"{at}: {block['type']} of {message['role']}" for block in content if block["type"] not in allowed)
        for block in content:
            yield from _block(block, at)


_OF_ASSISTANT = ("text", "tool_use", *_THINKING)
_OF_USER = ("text", "image", "document", "tool_result")


def _block(block: Body, at: str) -> Iterator[str]:
    match block["type"]:
        case "tool_use":
            yield from _name(block["name"], at)
            if not isinstance(block["input"], dict):
                yield f"{at}: the input of a call is no object"
        case "tool_result":
            yield from _output(block, at)
        case "thinking":
            if not block.get("signature"):
                yield f"{at}: thinking without a signature"
        case "redacted_thinking":
            if not block.get("data"):
                yield f"{at}: redacted thinking without data"
        case "image":
            if block["source"]["media_type"] not in _IMAGES:
                yield f"{at}: an image of type {block['source']['media_type']}"
        case "document":
            if block["source"]["media_type"] != "application/pdf":
                yield f"{at}: a document of type {block['source']['media_type']}"


def _output(block: Body, at: str) -> Iterator[str]:
    content = block.get("content", "")
    if block.get("is_error") and not content:
        yield f"{at}: an error without content"
    if isinstance(content, str):
        if content and not content.strip():
            yield f"{at}: a result of blanks"
        return
    yield from _texts(content, at)
    for inner in content:
        if inner["type"] not in ("text", "image", "document"):
            yield f"{at}: {inner['type']} in a result"
        yield from _block(inner, at)


def _texts(blocks: Iterable[Body], at: str) -> Iterator[str]:
    if any(block["type"] == "text" and not block["text"].strip() for block in blocks):
        yield f"{at}: a text without anything but blanks"


def _exchanges(messages: Sequence[Body]) -> Iterator[str]:
    """The calls of a message are answered at the beginning of the next, each once, and nothing else is."""
    seen: list[str] = []
    asked: list[str] = []
    for place, message in enumerate(messages):
        at, content = f"messages.{place}", message["content"]
        answered = [block["tool_use_id"] for block in content if block["type"] == "tool_result"]
        if sorted(answered) != sorted(asked):
            yield f"{at}: calls {asked}, results {answered}"
        if any(block["type"] != "tool_result" for block in content[: len(answered)]):
            yield f"{at}: something stands before the results"
        asked = [block["id"] for block in content if block["type"] == "tool_use"]
        seen += asked
        yield from (f"{at}: the id {one!r}" for one in asked if not _SAFE.fullmatch(one))
    if asked:
        yield f"the last calls were not answered: {asked}"
    yield from _ids(seen, "messages")


def _thinking(body: Body, messages: Sequence[Body]) -> Iterator[str]:
    thinking = body.get("thinking") or {"type": "disabled"}
    if thinking["type"] not in ("enabled", "adaptive"):
        return
    limit = body.get("max_tokens", 0)
    if thinking["type"] == "enabled" and not _LEAST_BUDGET <= thinking["budget_tokens"] < limit:
        yield f"a budget of {thinking['budget_tokens']} tokens in a limit of {limit}"
    if "top_k" in body or body.get("temperature", 1) != 1 or body.get("top_p", 1) < 0.95:
        yield "sampling parameters while thinking"
    for place, message in enumerate(messages):
        kinds = [block["type"] in _THINKING for block in message["content"]]
        if any(kinds) and not kinds[0]:
            yield f"messages.{place}: thinking that does not come first"
        if kinds and kinds[-1]:
            yield f"messages.{place}: thinking comes last"
    if thinking["type"] == "enabled" and _loop_without_thinking(messages):
        yield "the tool calls under way did not begin with thinking"


def _loop_without_thinking(messages: Sequence[Body]) -> bool:
    """Whether what was said since the user last spoke without a result begins with anything but thinking."""
    plain = (
        place
        for place, message in enumerate(messages)
        if message["role"] == "user" and _first_type(message) != "tool_result"
    )
    since = messages[max(plain, default=-1) + 1 :]
    return bool(since) and _first_type(since[0]) not in _THINKING


def _first_type(message: Body) -> str:
    return message["content"][0]["type"] if message["content"] else ""


def _markers(body: Body) -> Iterator[str]:
    blocks = [*_list(body.get("system")), *body.get("tools", ())]
    for message in body["messages"]:
        blocks += message["content"]
    marked = [block for block in blocks if "cache_control" in block]
    if len(marked) > _MOST_MARKERS:
        yield f"{len(marked)} cache markers"
    if any(block.get("type") in _THINKING for block in marked):
        yield "a cache marker on thinking"


# Both


def _list(blocks: object) -> list[Body]:
    return blocks if isinstance(blocks, list) else []


def _ids(ids: Sequence[str], at: str) -> Iterator[str]:
    if "" in ids:
        yield f"{at}: a call without an id"
    if len(set(ids)) < len(ids):
        yield f"{at}: an id twice: {ids}"


def _name(name: str, at: str) -> Iterator[str]:
    if not _SAFE.fullmatch(name) or len(name) > 64:
        yield f"{at}: the name {name!r}"
