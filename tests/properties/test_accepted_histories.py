"""Whatever a session holds, the next request to the model is one that both providers take (issue 4, point 10)."""

import base64
import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from txcrush.core import history
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import (
    Binary,
    Finish,
    FinishReason,
    Message,
    Part,
    Reasoning,
    Role,
    ShellCommand,
    Text,
    ToolCall,
    ToolResult,
)
from txcrush.model.providers import ModelRequest, SystemTurn, Turn
from txcrush.model.tools import ToolSpec
from txcrush.testing.accepted import accepts, accepts_chat, accepts_messages
from txcrush.wire import chat_completions, messages_request

SUMMARY = MessageId("m3")
TOOL = ToolSpec(name="ls", description="Lists.", properties={})

blanks = st.sampled_from(["", " ", "\n\n", "\t"])
texts = st.one_of(blanks, st.text(max_size=8), st.just(" said \n"))
ids = st.sampled_from(["", "c1", "c2", "functions.ls:0", "call/é", "call_é", "c1_2"])
names = st.sampled_from(["ls", "", "no.such tool", "mcp_a_b", "x" * 70])
arguments = st.one_of(
    st.sampled_from(
        ["", "{}", '{"path": ".", "n": 1e3}', "[1]", "null", "{nope", '{"a": "\\ud83d"}', '{"\\uDe00": 1}']
    ),
    st.text(max_size=6),
)
seals = st.sampled_from(
    ["", "c2ln", '[{"size":2,"signature":"x"},{"data":"r"}]', '[{"size":99,"signature":"x"}]', "[nope", "[]"]
)
images = st.sampled_from(["image/png", "image/tiff", "application/pdf", "text/plain", "audio/wav", ""])

calls = st.builds(ToolCall, id=ids, name=names, input=arguments, finished=st.booleans())
results = st.builds(
    ToolResult,
    tool_call_id=ids,
    name=names,
    content=texts,
    data=st.sampled_from(["", "nonsense", base64.b64encode(b"png").decode()]),
    mime_type=images,
    is_error=st.booleans(),
)
finishes = st.sampled_from(list(FinishReason)).map(lambda reason: Finish(reason, 0))
reasonings = st.builds(Reasoning, thinking=st.sampled_from(["", "hm", " "]), signature=seals)
said_by_user = st.one_of(
    st.builds(Text, texts),
    st.builds(Binary, path=texts, mime_type=images, data=st.binary(max_size=3)),
    st.builds(ShellCommand, texts, texts, st.integers(0, 2)),
)


def message(role: Role, parts: Sequence[Part], provider: str) -> Message:
    return Message(MessageId(""), SessionId("s"), role, tuple(parts), provider=provider)


providers = st.sampled_from(["anthropic", "other", ""])
messages = st.one_of(
    st.builds(message, st.just(Role.USER), st.lists(said_by_user, max_size=3), st.just("")),
    st.builds(
        message,
        st.just(Role.ASSISTANT),
        st.lists(st.one_of(st.builds(Text, texts), reasonings, calls, finishes), max_size=5),
        providers,
    ),
    st.builds(message, st.just(Role.TOOL), st.lists(results, max_size=3), st.just("")),
    st.builds(message, st.just(Role.SYSTEM), st.lists(st.builds(Text, texts), max_size=1), st.just("")),
)


@st.composite
def conversations(draw: st.DrawFn) -> list[Turn]:
    """A stored session, as a turn would tell it to the model, with its system prompt and a new prompt."""
    stored = draw(st.lists(messages, max_size=8))
    named = [
        Message(MessageId(f"m{number}"), one.session_id, one.role, one.parts, provider=one.provider)
        for number, one in enumerate(stored)
    ]
    summary = draw(st.sampled_from([MessageId(""), SUMMARY]))
    past = history.past_turns(
        history.after_summary(named, summary),
        summary_id=summary,
        provider=draw(st.sampled_from(["anthropic", "other"])),
        supports_images=draw(st.booleans()),
    )
    prompt = history.prompt_turn(draw(st.sampled_from(["go on", "", " "])), (), supports_images=True)
    opening: list[Turn] = draw(st.sampled_from([[], [SystemTurn("Be kind.")], [SystemTurn(" "), SystemTurn("x")]]))
    reminder = draw(st.sampled_from([[], [history.REMINDER]]))
    return [*opening, *reminder, *past, prompt]


def decoded(body: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(body)
    json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate is refused with all that surrounds it
    return value


@settings(max_examples=150, deadline=None)
@given(conversations(), st.booleans(), st.booleans())
def test_any_stored_conversation_is_accepted_by_chat_completions(turns: list[Turn], echo: bool, tools: bool) -> None:
    request = ModelRequest(model="m", turns=(*turns, history.REMINDER), tools=(TOOL,) if tools else ())
    body = decoded(chat_completions.encode_request(request, echo_reasoning=echo))
    assert accepts_chat(body) == accepts(body) == []


thinking = st.sampled_from(
    [{}, {"thinking": {"type": "enabled", "budget_tokens": 2000}}, {"thinking": {"type": "adaptive"}}]
)


@settings(max_examples=300, deadline=None)
@given(conversations(), thinking, st.booleans(), st.booleans(), st.sampled_from([0, 100, 9000]))
def test_any_stored_conversation_is_accepted_by_anthropic_messages(
    turns: list[Turn], controls: dict[str, object], first: bool, replay: bool, limit: int
) -> None:
    request = ModelRequest(
        model="m",
        turns=tuple(turns),
        tools=(TOOL,),
        max_tokens=limit,
        temperature=0.5,
        top_p=0.9,
        top_k=3,
        mark_cache=True,
    )
    body = decoded(
        messages_request.encode_request(
            request, max_tokens=4096, thinking_first=first or bool(controls), replay_thinking=replay, options=controls
        )
    )
    assert accepts_messages(body) == accepts(body) == []
