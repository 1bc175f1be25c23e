"""One provider adapter on a scripted model server: the real sockets, a fake clock, and a sink that remembers."""

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

from txcrush.adapters.providers import Limits, ProviderBuilder
from txcrush.model.config import ProviderConfig
from txcrush.model.errors import ProviderError
from txcrush.model.providers import ModelReply, ModelRequest, UserTurn
from txcrush.testing.model_server import Exchange, ModelServer
from txcrush.testing.recording_sink import RecordingSink

KEY = "sk-canary-0123456789"
REQUEST = ModelRequest(model="m", turns=(UserTurn("hi"),), affinity="a1b2")
NOW_S = 1_700_000_000


class ProviderRig:
    """`kind` is the type of the provider that is asked; its key is the template `$KEY`."""

    kind = "openai-compat"

    def __init__(self, reactor: Any, limits: Limits | None = None, environ: Mapping[str, str] | None = None) -> None:
        self._reactor = reactor
        self.clock = Clock()
        self.clock.advance(NOW_S)
        self.server = ModelServer.listen(reactor)
        self.sink = RecordingSink()
        self.builder = ProviderBuilder(
            reactor,
            clock=self.clock,
            environ=environ or {},
            expand=lambda text: text.replace("$KEY", KEY),
            new_id=lambda: "minted",
            limits=limits,
        )

    def config(self, **fields: Any) -> ProviderConfig:
        """The entry of the provider, with these fields instead of the usual ones."""
        usual = {"id": "acme", "type": self.kind, "base_url": self.server.base_url, "api_key": "$KEY"}
        return ProviderConfig(**(usual | fields))

    def ask(self, request: ModelRequest = REQUEST, **config: Any) -> Deferred[ModelReply]:
        """Send a request; what comes back goes to `sink`."""
        return self.builder(self.config(**config)).stream(request, self.sink)

    async def fails(self, answer: Callable[[Exchange], object], **config: Any) -> ProviderError:
        """The error that a request ends with when the server answers so."""
        asked = self.ask(**config)
        answer(await self.server.next_request())
        try:
            await asked
        except ProviderError as error:
            return error
        raise AssertionError("the request did not fail")

    async def said(self, count: int) -> None:
        """Wait until so much was said, and for the adapter to be done with it: a sink is called in the middle."""
        await self.sink.when_said(count)
        await self.turn()

    async def turn(self) -> None:
        """One turn of the reactor."""
        await deferLater(self._reactor, 0)

    async def close(self) -> None:
        """Close all that is open, and wait for it."""
        await self.builder.close()
        await self.server.stop()
