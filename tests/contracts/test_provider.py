"""What every `ports.Provider` promises: run by the fake, the offline model and both adapters on a real socket."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock, deferLater

from txcrush.adapters.providers import ProviderBuilder, offline_config
from txcrush.model.config import ProviderConfig
from txcrush.model.errors import ProviderError
from txcrush.model.messages import FinishReason
from txcrush.model.providers import ModelReply, ModelRequest, UserTurn
from txcrush.model.tools import ToolSpec
from txcrush.ports import Provider
from txcrush.testing.messages_answer import MessagesAnswer, refuse
from txcrush.testing.model_server import Exchange, ModelServer
from txcrush.testing.recording_sink import RecordingSink
from txcrush.testing.scripted_provider import Call, Fail, Hang, Say, ScriptedProvider, Step, Think, Wait

TOOL = ToolSpec(name="ls", description="", properties={})
REQUEST = ModelRequest(model="m", turns=(UserTurn("hi"),), tools=(TOOL,))


class Fake:
    """The scripted provider."""

    kinds = ("talk", "call", "fail", "hang")

    def __init__(self) -> None:
        self.steps = {
            "talk": Step(Wait(), Think("hm"), "Hello"),
            "call": Step(Think("hm"), Call("c1", "ls")),
            "fail": Step(Fail(ProviderError("no", title="Bad Request", status=400))),
            "hang": Step("begun", Hang()),
        }

    def provider(self, kind: str) -> Provider:
        self.made = ScriptedProvider([self.steps[kind]])
        return self.made

    def go_on(self) -> None:
        self.made.proceed()

    async def close(self) -> None:
        """It holds nothing."""


class Offline:
    """The offline model, which never calls, fails or hangs."""

    kinds = ("talk",)

    def __init__(self) -> None:
        self.clock = Clock()
        self.builder = ProviderBuilder(reactor, clock=self.clock, environ={}, expand=str, new_id=str)

    def provider(self, kind: str) -> Provider:
        return self.builder(offline_config())

    def go_on(self) -> None:
        self.clock.pump([0.004] * 400)

    async def close(self) -> None:
        await self.builder.close()


class Real:
    """The Chat Completions adapter, with a server behind a real socket."""

    kinds = ("talk", "call", "fail", "hang")
    type = "openai-compat"

    def __init__(self) -> None:
        self.server = ModelServer.listen(reactor)
        self.builder = ProviderBuilder(reactor, clock=Clock(), environ={}, expand=str, new_id=str)

    def provider(self, kind: str) -> Provider:
        self.server.handler = getattr(self, f"_{kind}")
        return self.builder(ProviderConfig(id="acme", type=self.type, base_url=self.server.base_url))

    def go_on(self) -> None:
        """The reactor does that."""

    async def close(self) -> None:
        await self.builder.close()
        await self.server.stop()

    def _talk(self, exchange: Exchange) -> None:
        exchange.head()
        exchange.delta(reasoning="hm")
        exchange.text("Hello")
        exchange.finish()
        exchange.done()

    def _call(self, exchange: Exchange) -> None:
        exchange.head()
        exchange.delta(reasoning="hm")
        exchange.delta(tool_calls=[{"index": 0, "id": "c1", "function": {"name": "ls", "arguments": "{}"}}])
        exchange.finish("tool_calls")
        exchange.done()

    def _fail(self, exchange: Exchange) -> None:
        exchange.error(400, "no")

    def _hang(self, exchange: Exchange) -> None:
        exchange.head()
        exchange.text("begun")


class RealMessages(Real):
    """The Anthropic Messages adapter."""

    type = "anthropic"

    def _talk(self, exchange: Exchange) -> None:
        answer = self._begun(exchange)
        answer.text("Hello")
        answer.stop()
        answer.finish()
        answer.done()

    def _call(self, exchange: Exchange) -> None:
        answer = self._begun(exchange)
        answer.call("c1", "ls", "{", "}")
        answer.stop()
        answer.finish("tool_use")
        answer.done()

    def _fail(self, exchange: Exchange) -> None:
        refuse(exchange, 400, "invalid_request_error", "no")

    def _hang(self, exchange: Exchange) -> None:
        answer = MessagesAnswer(exchange)
        answer.begin()
        answer.text("begun")

    def _begun(self, exchange: Exchange) -> MessagesAnswer:
        answer = MessagesAnswer(exchange)
        answer.begin()
        answer.thinking("hm", signature="c2ln")
        return answer


@pytest_twisted.async_yield_fixture(params=[Fake, Offline, Real, RealMessages])
async def side(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    made = request.param()
    yield made
    await made.close()


def provider_of(side: Any, kind: str) -> Provider:
    if kind not in side.kinds:
        pytest.skip(f"this provider does not {kind}")
    provider: Provider = side.provider(kind)
    return provider


@pytest_twisted.ensureDeferred
async def test_reasoning_ends_before_the_text_and_the_reply_follows(side: Any) -> None:
    sink = RecordingSink()
    asked = provider_of(side, "talk").stream(REQUEST, sink)
    side.go_on()
    reply = await asked
    kinds = [said[0] for said in sink.said]
    assert sorted(set(kinds), key=kinds.index) == ["reasoning", "reasoning_ended", "text"]
    assert kinds.count("reasoning_ended") == 1
    assert isinstance(reply, ModelReply)
    assert reply.finish is FinishReason.END_TURN


@pytest_twisted.ensureDeferred
async def test_a_call_is_started_and_then_complete_and_the_finish_is_tool_use(side: Any) -> None:
    sink = RecordingSink()
    reply = await provider_of(side, "call").stream(REQUEST, sink)
    assert [said[0] for said in sink.said] == ["reasoning", "reasoning_ended", "tool_started", "tool_call"]
    assert sink.calls == [("c1", "ls", "{}")]
    assert reply.finish is FinishReason.TOOL_USE


@pytest_twisted.ensureDeferred
async def test_a_failure_is_a_provider_error(side: Any) -> None:
    with pytest.raises(ProviderError) as caught:
        await provider_of(side, "fail").stream(REQUEST, RecordingSink())
    assert (caught.value.status, caught.value.title, caught.value.message) == (400, "Bad Request", "no")


@pytest_twisted.ensureDeferred
async def test_cancelling_fails_with_cancelled_error_and_the_sink_hears_nothing_more(side: Any) -> None:
    sink = RecordingSink()
    asked = provider_of(side, "hang").stream(REQUEST, sink)
    await sink.when_said(1)
    asked.cancel()
    with pytest.raises(CancelledError):
        await asked
    await deferLater(reactor, 0)
    assert sink.said == [("text", "begun")]


@pytest_twisted.ensureDeferred
async def test_cancelling_from_inside_the_sink_is_heard_at_once(side: Any) -> None:
    sink = RecordingSink()
    asked = provider_of(side, "talk").stream(REQUEST, sink)
    sink.when_said(1).addCallback(lambda _: asked.cancel())
    side.go_on()
    with pytest.raises(CancelledError):
        await asked
    assert len(sink.said) == 1


def test_a_say_may_be_written_as_text() -> None:
    assert Step("x").acts == (Say("x"),)
