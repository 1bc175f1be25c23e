"""The Anthropic Messages adapter against a scripted server on real sockets.

What both adapters share (sockets, limits, proxies, garbage) is told in `test_chat_completions.py`; here is what this
wire has of its own, and that the shared part is in place.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import CancelledError
from twisted.internet.task import deferLater

from txcrush.adapters.providers.builder import NO_CACHE_MARKERS
from txcrush.model.config import Model, ProviderConfig
from txcrush.model.errors import ProviderError
from txcrush.model.messages import FinishReason
from txcrush.model.providers import AssistantTurn, ModelReply, ModelRequest, SystemTurn, Usage, UserTurn
from txcrush.model.tools import ToolSpec
from txcrush.testing.messages_answer import MessagesAnswer, refuse
from txcrush.testing.model_server import Exchange
from txcrush.testing.provider_rig import KEY, REQUEST, ProviderRig
from txcrush.testing.recording_sink import RecordingSink
from txcrush.wire.json import encode

Write = Callable[[MessagesAnswer], object]


class Rig(ProviderRig):
    kind = "anthropic"

    async def sent(self, request: ModelRequest = REQUEST, **config: Any) -> Exchange:
        """The request as it came, answered with a word."""
        asked = self.ask(request, **config)
        exchange = await self.server.next_request()
        MessagesAnswer(exchange).reply("x")
        await asked
        return exchange

    async def replies(self, write: Write) -> ModelReply:
        """How a request ends whose answer is written so."""
        asked = self.ask()
        answer = MessagesAnswer(await self.server.next_request())
        answer.begin()
        write(answer)
        answer.exchange.end()
        return await asked


@pytest_twisted.async_yield_fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig(reactor)
    yield made
    await made.close()


def a_model(model_id: str, **fields: Any) -> Model:
    known = {"cost_per_1m_in": 0, "cost_per_1m_out": 0, "cost_per_1m_in_cached": 0, "cost_per_1m_out_cached": 0}
    rest = {"context_window": 1, "default_max_tokens": 7000, "can_reason": True, "supports_attachments": False}
    return Model(**({"id": model_id, "name": ""} | known | rest | fields))


# What is sent


@pytest_twisted.ensureDeferred
async def test_what_is_sent(rig: Rig) -> None:
    exchange = await rig.sent(
        extra_headers={"X-Team": "red", "user-agent": "mine"}, extra_body={"metadata": {"user_id": "u"}}
    )
    headers = exchange.headers
    assert (exchange.method, exchange.target) == ("POST", "/v1/messages")
    assert (headers["x-api-key"], headers["anthropic-version"]) == (KEY, "2023-06-01")
    assert "authorization" not in headers
    assert "anthropic-beta" not in headers
    assert (headers["x-session-id"], headers["x-session-affinity"]) == ("a1b2", "a1b2")
    assert (headers["accept-encoding"], headers["content-type"]) == ("identity", "application/json")
    assert (headers["x-team"], headers["user-agent"]) == ("red", "mine")
    assert exchange.json() == {
        "model": "m",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "stream": True,
        "metadata": {"user_id": "u"},
    }


@pytest_twisted.ensureDeferred
async def test_the_key_goes_where_the_provider_wants_it(rig: Rig) -> None:
    bearer = (await rig.sent(api_key="Bearer abcdefgh")).headers
    assert (bearer["authorization"], "x-api-key" in bearer) == ("Bearer abcdefgh", False)
    for provider_id in ("minimax", "minimax-china"):
        headers = (await rig.sent(id=provider_id)).headers
        assert (headers["authorization"], "x-api-key" in headers) == (f"Bearer {KEY}", False)
    assert not {"authorization", "x-api-key"} & set((await rig.sent(api_key="")).headers)


@pytest.mark.parametrize(
    ("base", "target"),
    [
        ("", "/v1/messages"),
        ("/", "/v1/messages"),
        ("/v1", "/v1/messages"),
        ("/v1/", "/v1/messages"),
        ("/anthropic", "/anthropic/v1/messages"),
        ("/anthropic/v1?k=v", "/anthropic/v1/messages?k=v"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_the_address_is_right_whether_or_not_the_base_names_the_version(rig: Rig, base: str, target: str) -> None:
    assert (await rig.sent(base_url=rig.server.root_url + base)).target == target


@pytest_twisted.ensureDeferred
async def test_a_limit_is_always_sent(rig: Rig) -> None:
    models = (a_model("m"),)
    assert (await rig.sent(models=models)).json()["max_tokens"] == 7000
    asked = ModelRequest(model="m", turns=REQUEST.turns, max_tokens=40)
    assert (await rig.sent(asked, models=models)).json()["max_tokens"] == 40


@pytest_twisted.ensureDeferred
async def test_one_model_of_opencode_speaks_this_wire(rig: Rig) -> None:
    entry = {"id": "opencode-go", "type": "openai-compat", "base_url": f"{rig.server.root_url}/zen/v1"}
    exchange = await rig.sent(ModelRequest(model="qwen3.7-max", turns=REQUEST.turns), **entry)
    assert exchange.target == "/zen/v1/messages"
    asked = rig.ask(**entry)
    exchange = await rig.server.next_request()
    exchange.reply("x")
    await asked
    assert exchange.target == "/zen/v1/chat/completions"


@pytest_twisted.ensureDeferred
async def test_thinking_brings_its_beta_header_behind_the_users_own(rig: Rig) -> None:
    thinks = ModelRequest(model="claude-sonnet-4-5", turns=REQUEST.turns, think=True, temperature=0.5, top_k=4)
    exchange = await rig.sent(thinks)
    assert exchange.headers["anthropic-beta"] == "interleaved-thinking-2025-05-14"
    assert exchange.json()["thinking"] == {"type": "enabled", "budget_tokens": 2000}
    assert not {"temperature", "top_k"} & set(exchange.json())
    exchange = await rig.sent(thinks, extra_headers={"Anthropic-Beta": "context-1m-2025-08-07"})
    assert exchange.headers["anthropic-beta"] == "context-1m-2025-08-07,interleaved-thinking-2025-05-14"
    exchange = await rig.sent(thinks, extra_headers={"Anthropic-Beta": "interleaved-thinking-2025-05-14"})
    assert exchange.headers["anthropic-beta"] == "interleaved-thinking-2025-05-14"


MARKED = ModelRequest(
    model="m",
    turns=(SystemTurn("prefix"), SystemTurn("system"), UserTurn("a"), AssistantTurn("b"), UserTurn("c")),
    tools=(ToolSpec(name="a", description="", properties={}), ToolSpec(name="b", description="", properties={})),
    mark_cache=True,
)


@pytest_twisted.ensureDeferred
async def test_the_ends_of_what_comes_again_are_marked_for_the_cache(rig: Rig) -> None:
    body = (await rig.sent(MARKED)).json()
    blocks = [*body["system"], *body["tools"], *(message["content"][0] for message in body["messages"])]
    assert ["cache_control" in block for block in blocks] == [False, True, False, True, False, True, True]


@pytest_twisted.ensureDeferred
async def test_cache_markers_can_be_forbidden() -> None:
    rig = Rig(reactor, environ={NO_CACHE_MARKERS: "true"})
    assert b"cache_control" not in (await rig.sent(MARKED)).body
    await rig.close()


# What comes back


@pytest_twisted.ensureDeferred
async def test_text_and_usage_of_a_plain_answer(rig: Rig) -> None:
    asked = rig.ask()
    answer = MessagesAnswer(await rig.server.next_request())
    answer.begin(input_tokens=20, cache_creation_input_tokens=7, cache_read_input_tokens=30)
    answer.text("Hel", "lo")
    answer.stop()
    answer.finish(output_tokens=9, output_tokens_details={"thinking_tokens": 2})
    answer.done()
    usage = Usage(input=20, output=9, total=66, reasoning=2, cache_creation=7, cache_read=30)
    assert await asked == ModelReply(finish=FinishReason.END_TURN, usage=usage)
    assert rig.sink.said == [("text", "Hel"), ("text", "lo")]


@pytest_twisted.ensureDeferred
async def test_thinking_ends_with_its_signature_before_the_text_and_before_a_call(rig: Rig) -> None:
    def write(answer: MessagesAnswer) -> None:
        answer.thinking("I ", "think", signature="c2ln")
        answer.event("ping")
        answer.text("so")
        answer.stop()
        answer.call("toolu_1", "ls", '{"path":', '"."}')
        answer.stop()
        answer.call("toolu_2", "ls")
        answer.stop()
        answer.finish("tool_use")
        answer.event("message_stop")

    assert (await rig.replies(write)).finish is FinishReason.TOOL_USE
    assert rig.sink.said == [
        ("reasoning", "I "),
        ("reasoning", "think"),
        ("reasoning_ended", "c2ln"),
        ("text", "so"),
        ("tool_started", "toolu_1", "ls"),
        ("tool_call", "toolu_1", "ls", '{"path":"."}'),
        ("tool_started", "toolu_2", "ls"),
        ("tool_call", "toolu_2", "ls", "{}"),
    ]


@pytest_twisted.ensureDeferred
async def test_blocks_that_are_redacted_or_many_are_sealed_together(rig: Rig) -> None:
    def write(answer: MessagesAnswer) -> None:
        answer.block(type="redacted_thinking", data="cmVk")
        answer.stop()
        answer.thinking("a", signature="s1")
        answer.text("b")
        answer.stop()
        answer.thinking("cc", signature="s2")
        answer.finish()
        answer.event("message_stop")

    await rig.replies(write)
    seals = [said[1] for said in rig.sink.said if said[0] == "reasoning_ended"]
    assert seals[-1] == '[{"data":"cmVk"},{"size":1,"signature":"s1"},{"size":2,"signature":"s2"}]'
    assert rig.sink.said[0] == ("reasoning", "")


@pytest_twisted.ensureDeferred
async def test_blocks_that_no_server_ends_are_ended_by_what_follows(rig: Rig) -> None:
    """Servers that only resemble the original leave out the ends of blocks, and the beginnings of text."""

    def write(answer: MessagesAnswer) -> None:
        answer.event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "hm"})
        answer.event("content_block_delta", index=1, delta={"type": "text_delta", "text": "so"})
        answer.block(type="tool_use", id="", name="ls", input={"path": "."})
        answer.block(type="tool_use", id="c", name="ls", input={})
        answer.block(type="tool_use", id="c", name="ls", input={})
        answer.finish("end_turn")

    assert (await rig.replies(write)).finish is FinishReason.TOOL_USE
    assert rig.sink.said[:3] == [("reasoning", "hm"), ("reasoning_ended", ""), ("text", "so")]
    assert rig.sink.calls == [("call_minted", "ls", '{"path":"."}'), ("c", "ls", "{}"), ("call_minted", "ls", "{}")]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", FinishReason.END_TURN),
        ("stop_sequence", FinishReason.END_TURN),
        ("max_tokens", FinishReason.MAX_TOKENS),
        ("model_context_window_exceeded", FinishReason.MAX_TOKENS),
        ("refusal", FinishReason.CONTENT_FILTER),
        ("pause_turn", FinishReason.END_TURN),
        ("compaction", FinishReason.UNKNOWN),
    ],
)
@pytest_twisted.ensureDeferred
async def test_why_it_stopped(rig: Rig, reason: str, finish: FinishReason) -> None:
    assert (await rig.replies(lambda answer: answer.finish(reason))).finish is finish


@pytest_twisted.ensureDeferred
async def test_an_answer_in_one_piece_is_taken_too(rig: Rig) -> None:
    asked = rig.ask()
    content = [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "text", "text": "ok"},
        {"type": "tool_use", "id": "c1", "name": "ls", "input": {"path": "."}},
    ]
    usage = {"input_tokens": 3, "output_tokens": 4}
    message = {"type": "message", "content": content, "stop_reason": "tool_use", "usage": usage}
    (await rig.server.next_request()).answer(200, encode(message))
    assert await asked == ModelReply(finish=FinishReason.TOOL_USE, usage=Usage(input=3, output=4, total=7))
    assert rig.sink.said[:3] == [("reasoning", "hm"), ("reasoning_ended", "c2ln"), ("text", "ok")]
    assert rig.sink.calls == [("c1", "ls", '{"path":"."}')]


@pytest_twisted.ensureDeferred
async def test_a_connection_is_used_again(rig: Rig) -> None:
    for _ in range(3):
        await rig.sent()
        await deferLater(reactor, 0)
    assert rig.server.connections == 1


# Errors


@pytest_twisted.ensureDeferred
async def test_promise_21_statuses_carry_the_providers_words_and_its_wish(rig: Rig) -> None:
    error = await rig.fails(lambda exchange: refuse(exchange, 429, "rate_limit_error", "slow down", Retry_After="7"))
    assert (error.status, error.title, error.message) == (429, "Too Many Requests", "slow down")
    assert (error.retryable, error.retry_after_s) == (True, 7)
    error = await rig.fails(lambda exchange: refuse(exchange, 529, "overloaded_error", "Overloaded"))
    assert (error.title, error.retryable) == ("Provider Overloaded", True)
    error = await rig.fails(lambda exchange: refuse(exchange, 400, "invalid_request_error", "prompt is too long"))
    assert (str(error), error.retryable) == ("bad request: prompt is too long", False)


@pytest_twisted.ensureDeferred
async def test_promise_24_a_key_that_the_provider_quotes_is_not_shown(rig: Rig) -> None:
    error = await rig.fails(lambda exchange: refuse(exchange, 401, "authentication_error", f"invalid x-api-key {KEY}"))
    assert (error.message, error.retryable) == ("invalid x-api-key [redacted]", False)


@pytest.mark.parametrize(
    ("kind", "title", "retryable"),
    [
        ("overloaded_error", "Provider Overloaded", True),
        ("api_error", "Provider Error", True),
        ("rate_limit_error", "Rate Limit Exceeded", True),
        ("invalid_request_error", "Provider Error", False),
    ],
)
@pytest_twisted.ensureDeferred
async def test_promise_21_an_error_inside_the_stream(rig: Rig, kind: str, title: str, retryable: bool) -> None:
    def broken(exchange: Exchange) -> None:
        answer = MessagesAnswer(exchange)
        answer.begin()
        answer.text("x")
        answer.error(kind, "try later")

    error = await rig.fails(broken)
    assert (error.title, error.message, error.retryable) == (title, "try later", retryable)
    assert rig.sink.whole_text == "x"
    await rig.server.requests[0].when_gone()


@pytest_twisted.ensureDeferred
async def test_a_stream_that_ends_too_early_is_a_transport_error(rig: Rig) -> None:
    def early(exchange: Exchange) -> None:
        answer = MessagesAnswer(exchange)
        answer.begin()
        answer.call("c1", "ls", '{"pa')
        exchange.end()

    error = await rig.fails(early)
    assert (error.title, error.retryable) == ("Stream Transport Error", True)
    assert rig.sink.calls == []


@pytest.mark.parametrize(
    "data",
    [
        b"data: {nope\n\n",
        b'data: {"type":7}\n\n',
        b'data: {"type":"content_block_delta","delta":{"text":[1]}}\n\n',
        b'{"type":"message"}',
        b"<!doctype html><p>sign in",
    ],
)
@pytest_twisted.ensureDeferred
async def test_promise_22_garbage_ends_the_request_cleanly(rig: Rig, data: bytes) -> None:
    def garbage(exchange: Exchange) -> None:
        exchange.head()
        exchange.chunk(data)
        exchange.end()

    error = await rig.fails(garbage)
    assert (error.title, error.retryable) == ("Invalid Response", False)


# Silence and cancelling


@pytest_twisted.ensureDeferred
async def test_promise_19_pings_do_not_prolong_the_wait_and_text_does(rig: Rig) -> None:
    asked = rig.ask()
    answer = MessagesAnswer(await rig.server.next_request())
    answer.begin()
    answer.text("x")
    await rig.said(1)
    rig.clock.pump([15, 284])
    answer.delta("text_delta", text="y")
    await rig.said(2)
    rig.clock.pump([15, 284])
    assert not asked.called
    answer.event("ping")
    other = rig.builder(ProviderConfig(id="other", type="anthropic", base_url=rig.server.root_url))
    turn = other.stream(REQUEST, RecordingSink())
    MessagesAnswer(await rig.server.next_request()).reply("through the same reactor")
    await turn
    rig.clock.advance(1)
    with pytest.raises(ProviderError) as caught:
        await asked
    assert (caught.value.title, caught.value.retryable) == ("Stream Stalled", False)
    await answer.exchange.when_gone()


@pytest_twisted.ensureDeferred
async def test_promise_18_cancel_in_the_middle_closes_the_connection_and_the_sink_hears_nothing_more(rig: Rig) -> None:
    asked = rig.ask()
    answer = MessagesAnswer(await rig.server.next_request())
    answer.begin()
    answer.call("c1", "ls", '{"pa')
    await rig.said(1)
    asked.cancel()
    with pytest.raises(CancelledError):
        await asked
    await answer.exchange.when_gone()
    assert rig.sink.said == [("tool_started", "c1", "ls")]
    assert rig.clock.getDelayedCalls() == []
