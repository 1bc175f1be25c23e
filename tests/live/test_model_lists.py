"""Providers that are asked for their models, over real sockets and files."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from txcrush.adapters.config_files import ConfigSettings, JsonConfigFiles
from txcrush.adapters.providers import ProviderBuilder
from txcrush.core.expansion import expand
from txcrush.model.config import Config, ProviderConfig
from txcrush.model.errors import ConfigInvalid, Failed
from txcrush.testing.model_server import Exchange, ModelServer

KEY = "sk-canary-0123456789"
TWO = b'{"data":[{"id":"one"},{"id":"two"}]}'


class Rig:
    """A provider's server, a builder on a fake clock, and a project that names the provider."""

    def __init__(self, root: Path) -> None:
        self.clock = Clock()
        self.server = ModelServer.listen(reactor)  # type: ignore[arg-type]
        self.project = root / "project"
        self.project.mkdir()
        env = {"HOME": str(root), "CRUSH_DISABLE_DEFAULT_PROVIDERS": "1", "KEY": KEY}
        self.kept: list[str] = []
        self.builder = ProviderBuilder(
            reactor,
            clock=self.clock,
            environ={},
            expand=lambda text: expand(text, env),
            new_id=lambda: "minted",
            keep_secret=self.kept.append,
        )
        settings = ConfigSettings(env=env, trust_projects=True, server_in_git=True, system_dir=str(root / "etc"))
        self.files = JsonConfigFiles(reactor, settings, self.builder.list_models)  # type: ignore[arg-type]

    def ask(self, **fields: Any) -> Deferred[tuple[str, ...]]:
        entry = {"id": "mine", "base_url": self.server.base_url, "api_key": "$KEY"} | fields
        return self.builder.list_models(ProviderConfig(**entry))

    def load(self, *, trust: bool = True, **providers: dict[str, Any]) -> Deferred[Config]:
        written = {name: {"base_url": self.server.base_url} | fields for name, fields in providers.items()}
        (self.project / "crush.json").write_text(json.dumps({"providers": written}))
        return self.files.load(str(self.project), "", False).addCallback(lambda loaded: loaded.config)

    async def fails(self, answer: Callable[[Exchange], None]) -> str:
        asked = self.ask()
        answer(await self.server.next_request())
        with pytest.raises(Failed) as caught:
            await asked
        assert KEY not in caught.value.message
        return caught.value.message

    async def close(self) -> None:
        await self.builder.close()
        await self.server.stop()


@pytest_twisted.async_yield_fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path)
    yield made
    await made.close()


@pytest.fixture
def logged() -> Iterator[Callable[[], str]]:
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    yield lambda: "\n".join(formatEvent(event) for event in events)
    globalLogPublisher.removeObserver(events.append)


@pytest_twisted.ensureDeferred
async def test_a_provider_is_asked_as_its_models_are(rig: Rig) -> None:
    asked = rig.ask(extra_headers={"X-Own": "1"})
    exchange = await rig.server.next_request()
    exchange.answer(200, TWO)
    assert await asked == ("one", "two")
    assert (exchange.method, exchange.target, exchange.body) == ("GET", "/v1/models", b"")
    assert exchange.headers["authorization"] == f"Bearer {KEY}"
    assert exchange.headers["x-own"] == "1"
    assert exchange.headers["user-agent"].startswith("txcrush/")
    assert KEY in rig.kept


@pytest_twisted.ensureDeferred
async def test_without_a_key_none_is_sent(rig: Rig) -> None:
    asked = rig.ask(api_key="", base_url=rig.server.base_url + "/")
    exchange = await rig.server.next_request()
    exchange.answer(200, TWO)
    assert await asked == ("one", "two")
    assert exchange.target == "/v1/models"
    assert "authorization" not in exchange.headers


@pytest_twisted.ensureDeferred
async def test_an_answer_that_is_none_says_why(rig: Rig) -> None:
    assert await rig.fails(lambda exchange: exchange.answer(401, b"no")) == "it answered with status 401"
    assert await rig.fails(lambda exchange: exchange.answer(302, b"", Location="/x")) == "it answered with status 302"
    assert await rig.fails(lambda exchange: exchange.answer(200, b"<html>")) == "the answer is not JSON"
    assert await rig.fails(lambda exchange: exchange.answer(200, b"{}")) == "the answer holds no list of models"
    assert (await rig.fails(lambda exchange: exchange.drop())).startswith("no answer")


@pytest_twisted.ensureDeferred
async def test_it_takes_three_seconds_at_most(rig: Rig) -> None:
    asked = rig.ask()
    exchange = await rig.server.next_request()
    exchange.head()
    rig.clock.advance(2.9)
    assert not asked.called
    rig.clock.advance(0.2)
    with pytest.raises(Failed, match="no answer within 3 s"):
        await asked
    await exchange.when_gone()


@pytest_twisted.ensureDeferred
async def test_who_is_cancelled_is_told_so(rig: Rig) -> None:
    asked = rig.ask()
    exchange = await rig.server.next_request()
    asked.cancel()
    with pytest.raises(CancelledError):
        await asked
    await exchange.when_gone()


@pytest_twisted.ensureDeferred
async def test_an_address_that_cannot_be_used(rig: Rig) -> None:
    with pytest.raises(ConfigInvalid):
        await rig.ask(base_url="ftp://host")


@pytest_twisted.ensureDeferred
async def test_model_discovery_a_provider_without_models_gets_those_that_it_lists(rig: Rig) -> None:
    loading = rig.load(found={"api_key": "$KEY"})
    (await rig.server.next_request()).answer(200, TWO)
    config = await loading
    found = config.providers["found"]
    assert [(model.id, model.name) for model in found.models] == [("one", "one"), ("two", "two")]
    assert (found.api_key, found.discover_models) == ("$KEY", None)
    assert config.models["large"].model == "one"


@pytest_twisted.ensureDeferred
async def test_model_discovery_own_models_come_first(rig: Rig) -> None:
    loading = rig.load(both={"discover_models": True, "models": [{"id": "two", "name": "Two", "context_window": 9}]})
    (await rig.server.next_request()).answer(200, TWO)
    models = (await loading).providers["both"].models
    assert [(model.id, model.name, model.context_window) for model in models] == [("two", "Two", 9), ("one", "one", 0)]


@pytest_twisted.ensureDeferred
async def test_model_discovery_all_are_asked_at_once_and_one_that_fails_spoils_nothing(
    rig: Rig, logged: Callable[[], str]
) -> None:
    loading = rig.load(good={}, bad={}, own={"models": [{"id": "m"}]}, broken={"base_url": "ftp://me:pass@host"})
    first, second = await rig.server.next_request(), await rig.server.next_request()
    first.answer(200, TWO)
    second.answer(500, b"no")
    config = await loading
    assert sorted(config.providers) in (["bad", "own"], ["good", "own"])
    assert "could not be asked for its models: it answered with status 500" in logged()
    assert "is left out: it lists no models" in logged()
    assert "pass" not in logged()
    assert len(rig.server.requests) == 2
