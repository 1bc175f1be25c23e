"""The same bytes for the official `openai` SDK and for our adapter: both must read the same out of them."""

import asyncio
from collections.abc import AsyncIterator
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
from txcrush.model.providers import ModelRequest, UserTurn
from txcrush.testing.model_server import Exchange, ModelServer
from txcrush.testing.recording_sink import RecordingSink

openai = pytest.importorskip("openai", reason="the official SDK is not installed (extra: test)")

FINISHES = {
    FinishReason.END_TURN: "stop",
    FinishReason.TOOL_USE: "tool_calls",
    FinishReason.MAX_TOKENS: "length",
    FinishReason.CONTENT_FILTER: "content_filter",
}


def chunks(*bodies: str) -> bytes:
    head = '"id":"x","object":"chat.completion.chunk","created":1,"model":"m"'
    events = (f"data: {{{head},{body}}}\n\n" for body in bodies)
    return "".join(events).encode() + b"data: [DONE]\n\n"


def choice(delta: str, finish: str = "null") -> str:
    return f'"choices":[{{"index":0,"delta":{{{delta}}},"finish_reason":{finish}}}]'


USAGE = (
    '"choices":[],"usage":{"prompt_tokens":50,"completion_tokens":9,"total_tokens":59,'
    '"prompt_tokens_details":{"cached_tokens":30},"completion_tokens_details":{"reasoning_tokens":4}}'
)
RECORDED = {
    "text": chunks(
        choice('"role":"assistant","content":""'),
        choice('"content":"Grüße, "'),
        choice('"content":"\\ud83d\\ude00\\n\\u0000"'),
        choice("", '"stop"'),
        USAGE,
    ),
    "reasoning": chunks(
        choice('"role":"assistant","content":null,"reasoning_content":"I "'),
        choice('"reasoning_content":"think"'),
        choice('"content":"so"'),
        choice("", '"stop"'),
        USAGE,
    ),
    "calls": chunks(
        choice('"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"c1","type":"function",'
               '"function":{"name":"ls","arguments":""}}]'),
        choice('"tool_calls":[{"index":0,"function":{"arguments":"{\\"path\\""}}]'),
        choice('"tool_calls":[{"index":0,"function":{"arguments":":\\".\\"}"}}]'),
        choice('"tool_calls":[{"index":1,"id":"c2","type":"function","function":{"name":"cat","arguments":"{}"}}]'),
        choice("", '"tool_calls"'),
        USAGE,
    ),
    "length": chunks(choice('"content":"cut"'), choice("", '"length"'), USAGE),
    "filtered": chunks(choice('"content":"x"'), choice("", '"content_filter"')),
    "odd framing": b": ping\r\n\r\n" + chunks(choice('"content":"a"'), choice("", '"stop"')).replace(b"\n", b"\r\n"),
}  # fmt: skip


class Both:
    """One server, asked by both."""

    def __init__(self) -> None:
        self.server = ModelServer.listen(reactor)
        self.builder = ProviderBuilder(reactor, clock=Clock(), environ={}, expand=str, new_id=str)
        self.provider = self.builder(ProviderConfig(id="acme", base_url=self.server.base_url, api_key="sk-test"))

    def answer(self, stream: bytes, size: int) -> None:
        def handler(exchange: Exchange) -> None:
            exchange.head()
            for start in range(0, len(stream), size):
                exchange.chunk(stream[start : start + size])
            exchange.end()

        self.server.handler = handler

    async def ours(self) -> dict[str, Any]:
        sink = RecordingSink()
        reply = await self.provider.stream(ModelRequest(model="m", turns=(UserTurn("hi"),)), sink)
        usage = reply.usage
        return {
            "text": sink.whole_text,
            "reasoning": sink.whole_reasoning,
            "calls": sink.calls,
            "finish": FINISHES[reply.finish],
            "usage": (usage.input + usage.cache_read, usage.output, usage.total, usage.cache_read, usage.reasoning),
        }

    async def theirs(self) -> dict[str, Any]:
        async with openai.AsyncOpenAI(api_key="sk-test", base_url=self.server.base_url, max_retries=0) as client:
            messages = [{"role": "user", "content": "hi"}]
            options = {"include_usage": True}
            stream = await client.chat.completions.create(
                model="m", messages=messages, stream=True, stream_options=options
            )
            return gathered([chunk async for chunk in stream])

    async def close(self) -> None:
        await self.builder.close()
        await self.server.stop()


def gathered(chunks: list[Any]) -> dict[str, Any]:
    """What an application reads out of the SDK's chunks."""
    deltas = [chunk.choices[0] for chunk in chunks if chunk.choices]
    calls: dict[int, list[str]] = {}
    for piece in (piece for each in deltas for piece in each.delta.tool_calls or ()):
        call = calls.setdefault(piece.index, [piece.id, piece.function.name, ""])
        call[2] += piece.function.arguments or ""
    usage = next((chunk.usage for chunk in chunks if chunk.usage), None)
    return {
        "text": "".join(each.delta.content or "" for each in deltas),
        "reasoning": "".join(getattr(each.delta, "reasoning_content", None) or "" for each in deltas),
        "calls": [tuple(call) for call in calls.values()],
        "finish": next(each.finish_reason for each in reversed(deltas) if each.finish_reason),
        "usage": counted(usage) if usage else (0, 0, 0, 0, 0),
    }


def counted(usage: Any) -> tuple[int, ...]:
    return (
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.total_tokens,
        usage.prompt_tokens_details.cached_tokens,
        usage.completion_tokens_details.reasoning_tokens,
    )


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
    for name in ("authorization", "content-type"):
        assert ours.headers[name] == theirs.headers[name]


@pytest_twisted.ensureDeferred
async def test_both_see_the_same_words_in_an_error(both: Both) -> None:
    both.server.handler = lambda exchange: exchange.error(429, "slow down")
    with pytest.raises(ProviderError) as ours:
        await both.ours()
    with pytest.raises(openai.RateLimitError) as theirs:
        await in_asyncio(both.theirs())
    assert (ours.value.status, ours.value.message) == (theirs.value.status_code, theirs.value.body["message"])
