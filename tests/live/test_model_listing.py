"""Asking a provider for its models, on real sockets."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from txcrush.model.errors import ConfigInvalid, ProviderError
from txcrush.testing.model_server import Exchange
from txcrush.testing.provider_rig import KEY, ProviderRig

LIST = b'{"data":[{"id":"one"},{"id":"two"}]}'


class Rig(ProviderRig):
    def list_models(self, **config: Any) -> Deferred[tuple[str, ...]]:
        return self.builder.list_models(self.config(**config))


@pytest_twisted.async_yield_fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig(reactor)
    yield made
    await made.close()


@pytest_twisted.ensureDeferred
async def test_the_list_of_a_chat_provider(rig: Rig) -> None:
    asked = rig.list_models(extra_headers={"X-Team": "red"})
    exchange = await rig.server.next_request()
    exchange.answer(200, LIST)
    assert await asked == ("one", "two")
    assert (exchange.method, exchange.target) == ("GET", "/v1/models")
    assert (exchange.headers["authorization"], exchange.headers["x-team"]) == (f"Bearer {KEY}", "red")
    assert rig.clock.getDelayedCalls() == []


@pytest_twisted.ensureDeferred
async def test_the_list_of_an_anthropic_provider(rig: Rig) -> None:
    asked = rig.list_models(type="anthropic", base_url=rig.server.root_url)
    exchange = await rig.server.next_request()
    exchange.answer(200, LIST)
    assert await asked == ("one", "two")
    assert exchange.target == "/v1/models"
    assert (exchange.headers["x-api-key"], exchange.headers["anthropic-version"]) == (KEY, "2023-06-01")


@pytest_twisted.ensureDeferred
async def test_a_refusal_says_why_without_the_key(rig: Rig) -> None:
    asked = rig.list_models()
    (await rig.server.next_request()).error(401, f"bad key {KEY}")
    with pytest.raises(ProviderError) as caught:
        await asked
    assert (caught.value.status, caught.value.message) == (401, "bad key [redacted]")


@pytest.mark.parametrize("begun", [False, True])
@pytest_twisted.ensureDeferred
async def test_a_provider_that_does_not_answer_is_not_waited_for(rig: Rig, begun: bool) -> None:
    asked = rig.list_models()
    exchange = await rig.server.next_request()
    if begun:
        exchange.head()
        exchange.chunk(b"{")
        await through_the_reactor(rig)
    rig.clock.advance(3)
    with pytest.raises(ProviderError) as caught:
        await asked
    assert caught.value.title == "Stream Stalled"
    await exchange.when_gone()


async def through_the_reactor(rig: Rig) -> None:
    """Another request, so that what was written before has arrived."""
    other = rig.list_models(id="other")
    exchange: Exchange = await rig.server.next_request()
    exchange.answer(200, LIST)
    await other


@pytest_twisted.ensureDeferred
async def test_a_list_without_end_and_a_closed_port_are_errors(rig: Rig) -> None:
    asked = rig.list_models()
    exchange = await rig.server.next_request()
    exchange.head()
    exchange.chunk(b" " * (5 * 1024 * 1024))
    with pytest.raises(ProviderError):
        await asked
    await rig.server.stop()
    with pytest.raises(ProviderError) as caught:
        await rig.list_models()
    assert caught.value.title == "Connection Refused"
    with pytest.raises(ConfigInvalid):
        await rig.list_models(base_url="ftp://x")
