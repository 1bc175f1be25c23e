"""The same bytes for the official `anthropic` SDK and for our adapter: both must read the same out of them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from txcrush.adapters.providers import ProviderBuilder
from txcrush.model.config import ProviderConfig
from txcrush.model.errors import ProviderError
from txcrush.model.messages import FinishReason
from txcrush.model.providers import (
    AssistantCall,
    AssistantTurn,
    CallResult,
    FilePart,
    ModelRequest,
    ResultsTurn,
    SystemTurn,
    UserTurn,
)
from txcrush.model.tools import ToolSpec
from txcrush.testing.messages_answer import refuse
from txcrush.testing.model_server import Exchange, ModelServer
from txcrush.testing.recording_sink import RecordingSink

anthropic = pytest.importorskip("anthropic", reason="the official SDK is not installed (extra: test)")

FINISHES = {
    FinishReason.END_TURN: "end_turn",
    FinishReason.TOOL_USE: "tool_use",
    FinishReason.MAX_TOKENS: "max_tokens",
    FinishReason.CONTENT_FILTER: "refusal",
}
HEAD = (
    '{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],'
    '"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":20,"cache_creation_input_tokens":7,'
    '"cache_read_input_tokens":30,"output_tokens":1}}}'
)


def events(*datas: str) -> bytes:
    named = (f"event: {data.split(chr(34))[3]}\ndata: {data}\n\n" for data in (HEAD, *datas))
    return "".join(named).encode()


def block(index: int, start: str, *deltas: str) -> list[str]:
    return [
        f'{{"type":"content_block_start","index":{index},"content_block":{{{start}}}}}',
        *(f'{{"type":"content_block_delta","index":{index},"delta":{{{delta}}}}}' for delta in deltas),
        f'{{"type":"content_block_stop","index":{index}}}',
    ]


def text(index: int, *deltas: str) -> list[str]:
    return block(index, '"type":"text","text":""', *(f'"type":"text_delta","text":"{delta}"' for delta in deltas))


def thinking(index: int, *deltas: str, signature: str = "c2ln") -> list[str]:
    said = [f'"type":"thinking_delta","thinking":"{delta}"' for delta in deltas]
    return block(
        index,
        '"type":"thinking","thinking":"","signature":""',
        *said,
        f'"type":"signature_delta","signature":"{signature}"',
    )


def call(index: int, call_id: str, *pieces: str) -> list[str]:
    said = [f'"type":"input_json_delta","partial_json":"{piece}"' for piece in pieces]
    return block(index, f'"type":"tool_use","id":"{call_id}","name":"ls","input":{{}}', *said)


def end(reason: str, usage: str = '"output_tokens":9') -> list[str]:
    delta = f'"delta":{{"stop_reason":"{reason}","stop_sequence":null}}'
    return [f'{{"type":"message_delta",{delta},"usage":{{{usage}}}}}', '{"type":"message_stop"}']


PING = ['{"type": "ping"}']
RECORDED = {
    "text": events(*text(0, "Grüße, ", "\\ud83d\\ude00\\n\\u0000"), *end("end_turn")),
    "thinking": events(*thinking(0, "I ", "think"), *PING, *text(1, "so"), *end("end_turn")),
    "interleaved": events(*thinking(0, "a"), *text(1, "b"), *thinking(2, "cc"), *call(3, "toolu_1"), *end("tool_use")),
    "omitted": events(*thinking(0), *text(1, "x"), *end("end_turn")),
    "redacted": events(*block(0, '"type":"redacted_thinking","data":"cmVk"'), *text(1, "x"), *end("end_turn")),
    "calls": events(
        *text(0, "Well"), *call(1, "toolu_1", "", '{\\"path\\"', ':\\".\\"}'), *call(2, "toolu_2"), *end("tool_use")
    ),
    "length": events(*text(0, "cut"), *end("max_tokens")),
    "refusal": events(*text(0, "x"), *end("refusal")),
    "usage again": events(*text(0, "x"), *end("end_turn", '"input_tokens":25,"output_tokens":9')),
    "odd framing": b": x\r\n\r\n" + events(*text(0, "a"), *end("end_turn")).replace(b"\n", b"\r\n"),
}  # fmt: skip

TOOL = ToolSpec(name="ls", description="Lists.", properties={"path": {"type": "string"}}, required=("path",))
REQUEST = ModelRequest(
    model="m",
    turns=(
        SystemTurn("Be kind."),
        UserTurn("list this", (FilePart("a.png", "image/png", b"\x89"), FilePart("b.pdf", "application/pdf", b"%"))),
        AssistantTurn("Well", "hm", "c2ln", (AssistantCall("toolu_1", "ls", '{"path": "."}'),)),
        ResultsTurn((CallResult("toolu_1", "ls", "no such", is_error=True),)),
    ),
    tools=(TOOL,),
    max_tokens=900,
    temperature=0.5,
)
CONVERSATION: list[dict[str, Any]] = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "list this"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iQ=="}},
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JQ=="},
                "title": "b.pdf",
            },
        ],
    },
    {
        "role": "assistant",
        "content": [
            {"type": "text", "text": "Well"},
            {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
            {"type": "tool_use", "id": "toolu_1", "name": "ls", "input": {"path": "."}},
        ],
    },
    {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "no such", "is_error": True}],
    },
]


class Both:
    """One server, asked by both."""

    def __init__(self) -> None:
        self.server = ModelServer.listen(reactor)
        self.builder = ProviderBuilder(reactor, clock=Clock(), environ={}, expand=str, new_id=str)
        config = ProviderConfig(id="acme", type="anthropic", base_url=self.server.root_url, api_key="sk-test")
        self.provider = self.builder(config)

    def answer(self, stream: bytes, size: int) -> None:
        def handler(exchange: Exchange) -> None:
            exchange.head()
            for start in range(0, len(stream), size):
                exchange.chunk(stream[start : start + size])
            exchange.end()

        self.server.handler = handler

    async def ours(self, request: ModelRequest = REQUEST) -> dict[str, Any]:
        sink = RecordingSink()
        reply = await self.provider.stream(request, sink)
        usage = reply.usage
        return {
            "text": sink.whole_text,
            "thinking": sink.whole_reasoning,
            "calls": [(call_id, name, arguments) for call_id, name, arguments in sink.calls],
            "finish": FINISHES[reply.finish],
            "usage": (usage.input, usage.output, usage.cache_creation, usage.cache_read),
        }

    async def theirs(self) -> dict[str, Any]:
        async with anthropic.AsyncAnthropic(api_key="sk-test", base_url=self.server.root_url, max_retries=0) as client:
            stream = await client.messages.create(
                model="m",
                max_tokens=900,
                system=[{"type": "text", "text": "Be kind."}],
                messages=CONVERSATION,
                tools=[
                    {
                        "name": "ls",
                        "description": "Lists.",
                        "input_schema": {
                            "type": "object",
                            "properties": {"path": {"type": "string"}},
                            "required": ["path"],
                        },
                    }
                ],
                tool_choice={"type": "auto"},
                stream=True,
                **SAMPLING,
            )
            return gathered([event async for event in stream])

    async def close(self) -> None:
        await self.builder.close()
        await self.server.stop()


SAMPLING: dict[str, Any] = {"extra_body": {"temperature": 0.5}}
"""Newer versions of the SDK have no parameter for it."""


def gathered(events: list[Any]) -> dict[str, Any]:
    """What an application reads out of the SDK's events."""
    deltas = [event.delta for event in events if event.type == "content_block_delta"]
    calls: dict[int, list[str]] = {}
    for event in events:
        if event.type == "content_block_start" and event.content_block.type == "tool_use":
            calls[event.index] = [event.content_block.id, event.content_block.name, ""]
        if event.type == "content_block_delta" and event.delta.type == "input_json_delta":
            calls[event.index][2] += event.delta.partial_json
    last = next(event for event in events if event.type == "message_delta")
    first = next(event for event in events if event.type == "message_start").message.usage
    return {
        "text": "".join(delta.text for delta in deltas if delta.type == "text_delta"),
        "thinking": "".join(delta.thinking for delta in deltas if delta.type == "thinking_delta"),
        "calls": [(call_id, name, arguments or "{}") for call_id, name, arguments in calls.values()],
        "finish": last.delta.stop_reason,
        "usage": (
            last.usage.input_tokens or first.input_tokens,
            last.usage.output_tokens,
            first.cache_creation_input_tokens,
            first.cache_read_input_tokens,
        ),
    }


@pytest_twisted.async_yield_fixture
async def both() -> AsyncIterator[Both]:
    made = Both()
    yield made
    await made.close()


def in_asyncio(coroutine: Any) -> Deferred[Any]:
    return Deferred.fromFuture(asyncio.ensure_future(coroutine))


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("name", RECORDED)
@pytest_twisted.ensureDeferred
async def test_the_sdk_and_our_adapter_read_the_same(both: Both, name: str, size: int) -> None:
    both.answer(RECORDED[name], size)
    ours, theirs = await both.ours(), await in_asyncio(both.theirs())
    assert ours == theirs


@pytest_twisted.ensureDeferred
async def test_the_sdk_and_our_adapter_send_the_same_request(both: Both) -> None:
    both.answer(RECORDED["text"], 100)
    await both.ours()
    await in_asyncio(both.theirs())
    ours, theirs = both.server.requests
    assert ours.json() == theirs.json()
    assert (ours.method, ours.target) == (theirs.method, theirs.target)
    assert ours.headers["content-type"] == theirs.headers["content-type"]
    # The SDK's first versions send the key and the version of the API as we do, later ones do not.
    assert (ours.headers["x-api-key"], ours.headers["anthropic-version"]) == ("sk-test", "2023-06-01")
    assert theirs.headers["anthropic-version"] >= "2023-06-01"


def refused(exchange: Exchange) -> None:
    refuse(exchange, 429, "rate_limit_error", "slow down")


def broken(exchange: Exchange) -> None:
    exchange.head()
    exchange.chunk(events('{"type":"error","error":{"type":"overloaded_error","message":"slow down"}}'))
    exchange.end()


@pytest.mark.parametrize("answer", [refused, broken])
@pytest_twisted.ensureDeferred
async def test_both_see_the_same_words_in_an_error(both: Both, answer: Callable[[Exchange], None]) -> None:
    both.server.handler = answer
    with pytest.raises(ProviderError) as ours:
        await both.ours()
    with pytest.raises(anthropic.APIStatusError) as theirs:
        await in_asyncio(both.theirs())
    assert ours.value.message == theirs.value.body["error"]["message"]
