"""The Chat Completions adapter against a scripted server on real sockets."""

import gc
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.logger import LogLevel, capturedLogs

from txcrush.adapters.providers import Limits
from txcrush.model.config import Model, ProviderConfig
from txcrush.model.errors import ConfigInvalid, ProviderError
from txcrush.model.messages import FinishReason
from txcrush.model.providers import ModelReply, ModelRequest, Usage, UserTurn
from txcrush.testing.model_server import Exchange
from txcrush.testing.provider_rig import KEY, REQUEST, ProviderRig
from txcrush.testing.recording_sink import RecordingSink
from txcrush.wire.json import encode


@pytest_twisted.async_yield_fixture
async def rig() -> AsyncIterator[ProviderRig]:
    made = ProviderRig(reactor)
    yield made
    await made.close()


def streamed(*parts: bytes) -> Callable[[Exchange], None]:
    """An answer of these bytes, ended cleanly."""

    def answer(exchange: Exchange) -> None:
        exchange.head()
        for part in parts:
            exchange.chunk(part)
        exchange.end()

    return answer


@pytest_twisted.ensureDeferred
async def test_text_and_usage_of_a_plain_answer(rig: ProviderRig) -> None:
    asked = rig.ask()
    (await rig.server.next_request()).reply("Hel", "lo", prompt=100, completion=20)
    reply = await asked
    assert rig.sink.said == [("text", "Hel"), ("text", "lo")]
    assert reply == ModelReply(finish=FinishReason.END_TURN, usage=Usage(input=100, output=20, total=120))


@pytest_twisted.ensureDeferred
async def test_what_is_sent(rig: ProviderRig) -> None:
    asked = rig.ask(extra_headers={"X-Team": "red", "user-agent": "mine", "X-None": ""}, extra_body={"seed": 7})
    exchange = await rig.server.next_request()
    exchange.reply("x")
    await asked
    headers = exchange.headers
    assert (exchange.method, exchange.target) == ("POST", "/v1/chat/completions")
    assert headers["authorization"] == f"Bearer {KEY}"
    assert (headers["x-session-id"], headers["x-session-affinity"]) == ("a1b2", "a1b2")
    assert (headers["accept-encoding"], headers["content-type"]) == ("identity", "application/json")
    assert (headers["x-team"], headers["user-agent"]) == ("red", "mine")
    assert "x-none" not in headers
    assert exchange.json()["seed"] == 7
    assert exchange.json()["stream"] is True


@pytest_twisted.ensureDeferred
async def test_without_a_key_there_is_no_authorization_and_a_bearer_key_goes_as_it_is(rig: ProviderRig) -> None:
    for key, sent in (("", None), ("Bearer abcdefgh", "Bearer abcdefgh")):
        asked = rig.ask(api_key=key)
        exchange = await rig.server.next_request()
        exchange.reply("x")
        await asked
        assert exchange.headers.get("authorization") == sent
        assert exchange.headers["user-agent"].startswith("txcrush/")


@pytest_twisted.ensureDeferred
async def test_reasoning_ends_before_the_text_and_before_a_call(rig: ProviderRig) -> None:
    asked = rig.ask()
    exchange = await rig.server.next_request()
    exchange.head()
    exchange.delta(role="assistant", content="", reasoning_content="I ")
    exchange.delta(reasoning="think", reasoning_content=None)
    exchange.delta(content="so")
    exchange.delta(reasoning="more")
    exchange.delta(tool_calls=[{"index": 0, "id": "c1", "function": {"name": "ls", "arguments": ""}}])
    exchange.finish("tool_calls")
    exchange.done()
    assert (await asked).finish is FinishReason.TOOL_USE
    assert rig.sink.said == [
        ("reasoning", "I "),
        ("reasoning", "think"),
        ("reasoning_ended", ""),
        ("text", "so"),
        ("reasoning", "more"),
        ("reasoning_ended", ""),
        ("tool_started", "c1", "ls"),
        ("tool_call", "c1", "ls", "{}"),
    ]


def piece(index: int | None = None, call_id: str | None = None, **function: Any) -> dict[str, Any]:
    fields = {"index": index, "id": call_id, "function": function}
    return {name: value for name, value in fields.items() if value is not None}


CALLS = [("c1", "ls", '{"path":"."}'), ("c2", "cat", '{"f":1}')]


@pytest.mark.parametrize(
    "pieces",
    [
        [
            piece(0, "c1", name="ls", arguments=""),
            piece(0, arguments='{"path":'),
            piece(0, arguments='"."}'),
            piece(1, "c2", name="cat", arguments='{"f":1}'),
        ],
        [piece(0, "c1", name="ls", arguments='{"path":"."}'), piece(0, "c2", name="cat", arguments='{"f":1}')],
        [piece(None, "c1", name="ls", arguments='{"path":"."}'), piece(None, "c2", name="cat", arguments='{"f":1}')],
        [
            piece(0, "c1", name="ls", arguments='{"path"'),
            piece(0, "c1", name="ls", arguments=':"."}'),
            piece(1, "c2", name="cat"),
            piece(1, "c2", arguments='{"f":1}'),
        ],
        [
            piece(None, "c1", name="ls"),
            piece(None, None, arguments='{"path":"."}'),
            piece(None, "c2", name="cat", arguments={"f": 1}),
        ],
        [
            piece(0, "c1"),
            piece(0, name="ls", arguments='{"path":"."}'),
            piece(1, "c2", name="cat", arguments='{"f":1}'),
        ],
    ],
    ids=["standard", "index 0 for all", "no index", "repeated ids", "neither behind the first", "name later"],
)
@pytest_twisted.ensureDeferred
async def test_tool_calls_are_put_together_whatever_the_server_leaves_out(rig: ProviderRig, pieces: list[Any]) -> None:
    asked = rig.ask()
    exchange = await rig.server.next_request()
    exchange.head()
    for each in pieces:
        exchange.delta(tool_calls=[each])
    exchange.finish("stop")
    exchange.done()
    reply = await asked
    assert rig.sink.calls == CALLS
    assert [said[1] for said in rig.sink.said if said[0] == "tool_started"] == ["c1", "c2"]
    assert reply.finish is FinishReason.TOOL_USE


@pytest_twisted.ensureDeferred
async def test_a_call_without_an_id_or_with_one_twice_gets_one_of_its_own(rig: ProviderRig) -> None:
    asked = rig.ask()
    exchange = await rig.server.next_request()
    exchange.head()
    exchange.delta(tool_calls=[piece(0, None, name="ls"), piece(1, "c", name="ls"), piece(2, "c", name="ls")])
    exchange.finish("tool_calls")
    exchange.done()
    await asked
    assert [call[0] for call in rig.sink.calls] == ["call_minted", "c", "call_minted"]


@pytest_twisted.ensureDeferred
async def test_a_call_is_complete_when_the_next_one_begins(rig: ProviderRig) -> None:
    rig.ask().addErrback(lambda failure: failure.trap(CancelledError))
    exchange = await rig.server.next_request()
    exchange.head()
    exchange.delta(tool_calls=[piece(0, "c1", name="ls")])
    exchange.delta(tool_calls=[piece(1, "c2", name="cat")])
    await rig.said(3)
    assert [said[:2] for said in rig.sink.said] == [("tool_started", "c1"), ("tool_call", "c1"), ("tool_started", "c2")]


@pytest_twisted.ensureDeferred
async def test_an_answer_in_one_piece_is_taken_too(rig: ProviderRig) -> None:
    asked = rig.ask()
    call = {"id": "c1", "type": "function", "function": {"name": "ls", "arguments": "{}"}}
    message = {"role": "assistant", "content": "ok", "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    exchange = await rig.server.next_request()
    exchange.head(content_type="application/json")
    exchange.chunk(b"\n \n")
    exchange.chunk(encode({"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}))
    exchange.end()
    reply = await asked
    assert (rig.sink.whole_text, rig.sink.calls) == ("ok", [("c1", "ls", "{}")])
    assert reply == ModelReply(finish=FinishReason.TOOL_USE, usage=Usage(input=3, output=4, total=7))


@pytest_twisted.ensureDeferred
async def test_an_answer_without_done_ends_with_its_body(rig: ProviderRig) -> None:
    asked = rig.ask()
    exchange = await rig.server.next_request()
    exchange.send(b"HTTP/1.1 200 OK\r\n\r\n")
    exchange.send(b'data: {"choices":[{"delta":{"content":"x"},"finish_reason":"length"}]}\r\n\r\n')
    exchange.close()
    assert (await asked).finish is FinishReason.MAX_TOKENS


@pytest_twisted.ensureDeferred
async def test_a_connection_is_used_again(rig: ProviderRig) -> None:
    for _ in range(3):
        asked = rig.ask()
        (await rig.server.next_request()).reply("x")
        await asked
        # One turn of the reactor: the answer is given at [DONE], the connection is kept behind the end of the body.
        await deferLater(reactor, 0)
    assert rig.server.connections == 1


@pytest_twisted.ensureDeferred
async def test_closing_the_builder_closes_the_kept_connections(rig: ProviderRig) -> None:
    asked = rig.ask()
    exchange = await rig.server.next_request()
    exchange.reply("x")
    await asked
    gone = exchange.when_gone()
    await rig.builder.close()
    await gone


@pytest_twisted.ensureDeferred
async def test_a_request_on_a_kept_connection_that_breaks_is_not_sent_twice(rig: ProviderRig) -> None:
    asked = rig.ask()
    (await rig.server.next_request()).reply("x")
    await asked
    error = await rig.fails(lambda exchange: exchange.drop())
    assert (error.title, error.retryable) == ("Stream Transport Error", True)
    assert len(rig.server.requests) == 2


@pytest_twisted.ensureDeferred
async def test_a_server_that_never_closes_behind_done_is_cut_off(rig: ProviderRig) -> None:
    asked = rig.ask()
    exchange = await rig.server.next_request()
    exchange.head()
    exchange.finish()
    exchange.chunk(b"data: [DONE]\n\n")
    await asked
    rig.clock.advance(1)
    await exchange.when_gone()


# Errors


@pytest_twisted.ensureDeferred
async def test_promise_21_statuses_carry_the_providers_words_and_its_wish(rig: ProviderRig) -> None:
    error = await rig.fails(lambda exchange: exchange.error(429, "slow down", Retry_After="7"))
    assert (error.status, error.title, error.message) == (429, "Too Many Requests", "slow down")
    assert (error.retryable, error.retry_after_s) == (True, 7)
    error = await rig.fails(lambda exchange: exchange.error(503, "busy", RETRY_AFTER_MS="250"))
    assert (error.retryable, error.retry_after_s) == (True, 0.25)
    error = await rig.fails(lambda exchange: exchange.error(529, "full", retry_after="Tue, 14 Nov 2023 22:13:50 GMT"))
    assert (error.title, error.retry_after_s) == ("Provider Overloaded", 30)
    error = await rig.fails(lambda exchange: exchange.error(400, "bad"))
    assert (str(error), error.retryable, error.retry_after_s) == ("bad request: bad", False, None)


@pytest_twisted.ensureDeferred
async def test_promise_24_a_key_that_the_provider_quotes_is_not_shown(rig: ProviderRig) -> None:
    quoted = f"Incorrect API key provided: {KEY}; team hunter22hunter22"
    extra = {"X-Secret": "hunter22hunter22"}
    with capturedLogs() as logs:
        error = await rig.fails(lambda exchange: exchange.error(401, quoted), extra_headers=extra)
    assert error.message == "Incorrect API key provided: [redacted]; team [redacted]"
    error = await rig.fails(streamed(f'data: {{"error":{{"message":"{KEY}"}}}}\n\n'.encode()))
    assert error.message == "[redacted]"
    assert KEY not in repr(logs)


@pytest_twisted.ensureDeferred
async def test_an_error_inside_the_stream(rig: ProviderRig) -> None:
    broken = b'data: {"error":{"type":"overloaded_error","message":"try later"}}\n\n'
    error = await rig.fails(streamed(b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n', broken))
    assert (error.title, error.message, error.retryable) == ("Provider Overloaded", "try later", True)
    assert rig.sink.whole_text == "x"
    error = await rig.fails(lambda exchange: exchange.answer(200, b'{"error":{"code":502,"message":"upstream"}}'))
    assert (error.status, error.retryable) == (502, True)


@pytest_twisted.ensureDeferred
async def test_a_stream_that_ends_too_early_is_a_transport_error(rig: ProviderRig) -> None:
    text = b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'

    def dropped(exchange: Exchange) -> None:
        exchange.head()
        exchange.chunk(text)
        rig.sink.when_said(2).addCallback(lambda _: exchange.drop())

    def half_a_chunk(exchange: Exchange) -> None:
        exchange.head()
        exchange.send(b"40\r\ndata: ")
        exchange.close()

    for answer in (streamed(text), dropped, half_a_chunk, streamed(), lambda exchange: exchange.close()):
        error = await rig.fails(answer)
        assert (error.title, error.retryable, error.status) == ("Stream Transport Error", True, 0)


@pytest.mark.parametrize(
    "parts",
    [
        [b"data: {nope\n\n"],
        [b'data: {"choices":7}\n\n'],
        [b'data: {"choices":[{"delta":{"content":[1]}}]}\n\n'],
        [b"<!doctype html><p>sign in"],
        [b"{nope"],
        [b'{"object":"list"}'],
        [b"[1,2]"],
    ],
)
@pytest_twisted.ensureDeferred
async def test_promise_22_garbage_ends_the_request_cleanly(rig: ProviderRig, parts: list[bytes]) -> None:
    error = await rig.fails(streamed(*parts))
    assert (error.title, error.retryable) == ("Invalid Response", False)
    assert error.message


@pytest_twisted.ensureDeferred
async def test_promise_22_no_http_at_all_ends_the_request_cleanly(rig: ProviderRig) -> None:
    for garbage in (
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\nx: y\r\n\r\n",
    ):
        error = await rig.fails(lambda exchange, data=garbage: (exchange.send(data), exchange.close()))  # type: ignore[misc]
        assert (error.title, error.retryable) == ("Stream Transport Error", True)


@pytest_twisted.ensureDeferred
async def test_promise_22_an_encoding_that_was_not_asked_for_is_refused(rig: ProviderRig) -> None:
    def zipped(exchange: Exchange) -> None:
        exchange.head(Content_Encoding="gzip")
        exchange.chunk(b"\x1f\x8b\x08")

    asked = rig.fails(zipped)
    error = await asked
    assert (error.title, "gzip" in error.message) == ("Invalid Response", True)
    await rig.server.requests[0].when_gone()


def endless(exchange: Exchange, data: bytes) -> None:
    """Write again whenever the client has taken what was written, until it goes away."""
    transport = exchange._connection.transport

    class Pull:
        def resumeProducing(self) -> None:
            transport.write(data)

        def stopProducing(self) -> None:
            transport.unregisterProducer()

    transport.registerProducer(Pull(), False)


@pytest_twisted.ensureDeferred
async def test_promise_22_a_line_without_end_is_cut_off_at_the_limit() -> None:
    rig = ProviderRig(reactor, Limits(line_bytes=100_000))

    def answer(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\n\r\ndata: ")
        endless(exchange, b"x" * 65536)

    error = await rig.fails(answer)
    assert (error.title, error.retryable) == ("Invalid Response", False)
    assert "longer than 100000 bytes" in error.message
    await rig.server.requests[0].when_gone()
    await rig.close()


@pytest_twisted.ensureDeferred
async def test_promise_22_headers_without_end_are_cut_off(rig: ProviderRig) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\n")
        endless(exchange, b"x-header: y\r\n" * 5000)

    error = await rig.fails(answer)
    assert (error.title, error.retryable) == ("Stream Transport Error", True)


@pytest_twisted.ensureDeferred
async def test_promise_22_an_error_body_without_end_is_read_up_to_the_limit(rig: ProviderRig) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 500 Oops\r\n\r\n")
        endless(exchange, b"x" * 65536)

    error = await rig.fails(answer)
    assert (error.status, error.message) == (500, "x" * 500)
    await rig.server.requests[0].when_gone()


@pytest_twisted.ensureDeferred
async def test_promise_23_names_that_do_not_resolve_and_ports_where_nobody_listens(rig: ProviderRig) -> None:
    with pytest.raises(ProviderError) as caught:
        await rig.ask(base_url="http://nowhere.invalid/v1")
    assert (caught.value.title, caught.value.retryable) == ("Host Not Found", True)
    port = rig.server.port
    await rig.server.stop()
    with pytest.raises(ProviderError) as caught:
        await rig.ask(base_url=f"http://127.0.0.1:{port}/v1")
    assert (caught.value.title, caught.value.retryable) == ("Connection Refused", True)


@pytest_twisted.ensureDeferred
async def test_promise_23_a_server_that_speaks_no_tls_is_a_typed_error(rig: ProviderRig) -> None:
    class Plain(Protocol):
        def connectionMade(self) -> None:
            self.transport.write(b"220 ready\r\n")

    port: Any = reactor.listenTCP(0, Factory.forProtocol(Plain), interface="127.0.0.1")  # type: ignore[attr-defined]
    with pytest.raises(ProviderError) as caught:
        await rig.ask(base_url=f"https://127.0.0.1:{port.getHost().port}/v1")
    assert (caught.value.title, caught.value.retryable) == ("TLS Error", True)
    await port.stopListening()


# The idle limit


@pytest_twisted.ensureDeferred
async def test_promise_18_a_stalled_stream_is_logged_at_15_s_and_ended_at_the_limit(rig: ProviderRig) -> None:
    asked = rig.ask()
    exchange = await rig.server.next_request()
    exchange.head()
    exchange.delta(tool_calls=[piece(0, "c1", name="ls", arguments='{"pa')])
    await rig.said(1)
    with capturedLogs() as logs:
        rig.clock.advance(14.9)
        assert logs == []
        rig.clock.advance(0.2)
    assert [(log["log_level"], "stalled" in log["log_format"]) for log in logs] == [(LogLevel.warn, True)]
    rig.clock.advance(284)
    assert not asked.called
    rig.clock.advance(1)
    with pytest.raises(ProviderError) as caught:
        await asked
    assert (caught.value.title, caught.value.retryable) == ("Stream Stalled", False)
    await exchange.when_gone()
    assert rig.sink.calls == []


@pytest_twisted.ensureDeferred
async def test_promise_18_a_server_that_never_answers_is_ended_at_the_limit(rig: ProviderRig) -> None:
    asked = rig.ask()
    exchange = await rig.server.next_request()
    rig.clock.pump([15, 284])
    assert not asked.called
    rig.clock.advance(1)
    with pytest.raises(ProviderError) as caught:
        await asked
    assert caught.value.title == "Stream Stalled"
    await exchange.when_gone()


@pytest_twisted.ensureDeferred
async def test_promise_19_keep_alive_bytes_do_not_prolong_the_wait_and_text_does(rig: ProviderRig) -> None:
    asked = rig.ask()
    exchange = await rig.server.next_request()
    exchange.head()
    for count in range(1, 4):
        exchange.text("x")
        await rig.said(count)
        rig.clock.pump([15, 200])
    assert not asked.called
    exchange.text("y")
    await rig.said(4)
    rig.clock.pump([15, 184])
    exchange.chunk(b": ping\n\ndata: {}\n\n\n\n")
    exchange.event({"choices": [{"delta": {"role": "assistant", "content": ""}}]})
    exchange.chunk(b'data: {"choices":[{"delta":{"content":""}}]}\n\n')
    await Deferred.fromCoroutine(round_trip(rig))
    rig.clock.advance(100)
    rig.clock.advance(1)
    with pytest.raises(ProviderError):
        await asked


async def round_trip(rig: ProviderRig) -> None:
    """Another request, through the same reactor, so that what was written before has arrived."""
    other = rig.builder(ProviderConfig(id="other", base_url=rig.server.base_url)).stream(REQUEST, RecordingSink())
    (await rig.server.next_request()).reply("x")
    await other
    await deferLater(reactor, 0)


@pytest_twisted.ensureDeferred
async def test_a_server_that_sends_nothing_behind_the_finish_is_not_waited_for_long(rig: ProviderRig) -> None:
    asked = rig.ask()
    exchange = await rig.server.next_request()
    exchange.head()
    exchange.text("x")
    exchange.finish()
    await Deferred.fromCoroutine(round_trip(rig))
    rig.clock.advance(10)
    assert (await asked).finish is FinishReason.END_TURN
    await exchange.when_gone()


# Cancelling


async def cancelled(asked: Deferred[ModelReply]) -> None:
    asked.cancel()
    with pytest.raises(CancelledError):
        await asked


@pytest_twisted.ensureDeferred
async def test_promise_18_cancel_before_the_headers_closes_the_connection(rig: ProviderRig) -> None:
    asked = rig.ask()
    exchange = await rig.server.next_request()
    await cancelled(asked)
    await exchange.when_gone()
    assert rig.clock.getDelayedCalls() == []


@pytest_twisted.ensureDeferred
async def test_promise_18_cancel_in_the_middle_closes_the_connection_and_nothing_more_is_said(
    rig: ProviderRig,
) -> None:
    asked = rig.ask()
    exchange = await rig.server.next_request()
    exchange.head()
    exchange.delta(reasoning="x")
    await rig.said(1)
    exchange.text("late")
    await cancelled(asked)
    await exchange.when_gone()
    assert rig.sink.said == [("reasoning", "x")]
    assert rig.clock.getDelayedCalls() == []


@pytest_twisted.ensureDeferred
async def test_a_sink_that_cancels_hears_nothing_more_of_the_same_bytes(rig: ProviderRig) -> None:
    asked = rig.ask()
    exchange = await rig.server.next_request()
    exchange.head()
    ended = rig.sink.when_said(1).addCallback(lambda _: asked.cancel())
    exchange.chunk(b'data: {"choices":[{"delta":{"reasoning":"x","content":"y"}}]}\n\n' * 3)
    await ended
    with pytest.raises(CancelledError):
        await asked
    await exchange.when_gone()
    assert rig.sink.said == [("reasoning", "x")]


@pytest_twisted.ensureDeferred
async def test_cancel_during_an_error_body_closes_the_connection(rig: ProviderRig) -> None:
    asked = rig.ask()
    exchange = await rig.server.next_request()
    exchange.send(b"HTTP/1.1 500 Oops\r\nContent-Length: 100\r\n\r\nhalf")
    await Deferred.fromCoroutine(round_trip(rig))
    await cancelled(asked)
    await exchange.when_gone()


@pytest_twisted.ensureDeferred
async def test_cancel_at_once_sends_nothing(rig: ProviderRig) -> None:
    with capturedLogs() as logs:
        await cancelled(rig.ask())
        await Deferred.fromCoroutine(round_trip(rig))
        gc.collect()
    assert len(rig.server.requests) == 1
    assert [log for log in logs if log["log_level"] >= LogLevel.warn] == []


@pytest_twisted.ensureDeferred
async def test_an_error_of_the_sink_fails_the_request_and_closes_the_connection(rig: ProviderRig) -> None:
    rig.sink.text = lambda delta: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    asked = rig.ask()
    exchange = await rig.server.next_request()
    exchange.head()
    exchange.text("x")
    with pytest.raises(ZeroDivisionError):
        await asked
    await exchange.when_gone()


@pytest_twisted.ensureDeferred
async def test_many_requests_at_once_do_not_mix(rig: ProviderRig) -> None:
    sinks = [RecordingSink() for _ in range(20)]
    provider = rig.builder(ProviderConfig(id="acme", base_url=rig.server.base_url))
    rig.server.handler = lambda exchange: exchange.reply(exchange.json()["messages"][0]["content"], "!")
    asked = [
        provider.stream(ModelRequest(model="m", turns=(UserTurn(str(number)),)), sink)
        for number, sink in enumerate(sinks)
    ]
    await gatherResults(asked)
    assert [sink.whole_text for sink in sinks] == [f"{number}!" for number in range(20)]


# What the builder refuses


@pytest_twisted.ensureDeferred
async def test_entries_that_cannot_be_used_say_why(rig: ProviderRig) -> None:
    def refused(**config: Any) -> str:
        with pytest.raises(ConfigInvalid) as caught:
            rig.ask(**config)
        return caught.value.message

    def unresolved(_: str) -> str:
        raise ValueError('resolving "$NO": NO: unset')

    assert "'google' is not supported" in refused(type="google")
    assert "openai-compat" in refused(type="bedrock")
    assert "base_url" in refused(base_url="")
    assert "base_url" in refused(base_url="ftp://x/v1")
    assert "base_url" in refused(base_url="http://x:99999999/v1")
    assert "secret" not in refused(base_url="http://me:secret@x/v1")
    rig.builder._expand = unresolved
    assert refused() == 'provider acme: base_url: resolving "$NO": NO: unset'


@pytest_twisted.ensureDeferred
async def test_dialects(rig: ProviderRig) -> None:
    async def sent(model: str = "m", config: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
        asked = rig.ask(ModelRequest(model=model, turns=REQUEST.turns, max_tokens=9, **fields), **(config or {}))
        exchange = await rig.server.next_request()
        exchange.reply("x")
        await asked
        return exchange.json()

    reasons = Model(
        id="r", name="", cost_per_1m_in=0, cost_per_1m_out=0, cost_per_1m_in_cached=0, cost_per_1m_out_cached=0,
        context_window=1, default_max_tokens=1, can_reason=True, supports_attachments=False,
    )  # fmt: skip
    body = await sent("r", {"type": "openai", "models": (reasons,)}, reasoning_effort="low", top_k=3)
    assert (body["max_completion_tokens"], body["reasoning_effort"]) == (9, "low")
    assert not {"max_tokens", "top_k"} & set(body)
    body = await sent(config={"type": "openrouter"}, reasoning_effort="high")
    assert (body["max_tokens"], body["reasoning"]) == (9, {"enabled": True, "effort": "high"})
    assert (await sent(config={"id": "zai"}, think=True))["thinking"] == {"type": "enabled"}
    assert "thinking" not in await sent(config={"id": "fireworks"}, reasoning_effort="low")
    body = await sent(reasoning_effort="low", options={"reasoning_effort": "mine"})
    assert body["reasoning_effort"] == "mine"
    assert "reasoning_effort" not in await sent(config={"type": "ollama"}, reasoning_effort="low")
