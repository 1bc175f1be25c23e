"""The agent of a workspace: which models answer, with which instructions, and when it is ready.

The agent holds no runs: building it anew (`agent/init`, `agent/update`) leaves every run alone (`agent.md` 15.6).
"""

from collections.abc import Awaitable, Callable

from msgspec import Struct
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from txcrush.core.instructions import Facts, coder_prompt
from txcrush.core.observers import OneShot
from txcrush.model.config import Config, Model, ProviderConfig, SelectedModel
from txcrush.model.errors import ConfigInvalid, Failed
from txcrush.ports import BuildProvider, Provider

log = Logger()


class Brain(Struct, frozen=True):
    """A model, ready to be asked."""

    choice: SelectedModel
    model: Model
    config: ProviderConfig
    provider: Provider


class Crew(Struct, frozen=True):
    """What one run works with; made anew from the current configuration at the start of each (R-DISP-07)."""

    large: Brain
    small: Brain
    instructions: str
    interactive: bool


class Agents:
    """One workspace's agent.

    `gather_facts` reads the place for the instructions; `mcp_ready` fires when the MCP servers have started: runs of a
    non-interactive agent wait for it, those of an interactive one never do (R-DISP-05).
    """

    def __init__(
        self,
        config: Callable[[], Config],
        build_provider: BuildProvider,
        gather_facts: Callable[[], Awaitable[Facts]],
        mcp_ready: Callable[[], Deferred[None]],
    ) -> None:
        self._config = config
        self._build_provider = build_provider
        self._gather_facts = gather_facts
        self._mcp_ready = mcp_ready
        self._instructions: OneShot[str] | None = None
        self.interactive = True

    @property
    def is_ready(self) -> bool:
        return self._config().has_provider

    def init(self, *, interactive: bool) -> None:
        """Build the agent anew. Raises `Failed` where no provider is configured."""
        if not self.is_ready:
            raise Failed("coder agent configuration is missing")
        self.interactive = interactive
        self._instructions = None

    def update(self) -> None:
        """Take the current configuration: models and tools. Raises `Failed`."""
        if not self.is_ready:
            raise Failed("agent configuration is missing")
        self.crew_of("large")

    def current(self) -> tuple[SelectedModel, Model] | None:
        """The large model as it is chosen now, or None."""
        return self._config().selected("large")

    async def prepare(self) -> Crew:
        """What a run needs. Raises `Failed` or `ConfigInvalid`."""
        interactive = self.interactive
        if not interactive:
            await self._wait_for_mcp()
        instructions = await self._ready()
        try:
            large, small = self.crew_of("large"), self.crew_of("small")
        except (Failed, ConfigInvalid) as error:
            raise Failed(f"failed to update models: {error.message}") from error
        return Crew(large, small, instructions, interactive)

    def crew_of(self, slot: str) -> Brain:
        """The model of a slot with its provider. Raises `Failed` or `ConfigInvalid`."""
        config = self._config()
        choice = config.models.get(slot)
        if choice is None:
            raise Failed(f"{slot} model not selected")
        provider = config.providers.get(choice.provider)
        if provider is None:
            raise Failed(f"{slot} model provider not configured")
        model = provider.model(choice.model)
        if model is None:
            raise Failed(f"{slot} model not found in provider config")
        return Brain(choice, model, provider, self._build_provider(provider))

    def _ready(self) -> Deferred[str]:
        """The instructions. They are made once, by nobody's request: dropping a waiter spoils nothing (R-DISP-06)."""
        if self._instructions is not None:
            return self._instructions.when()
        made = self._instructions = OneShot[str]()
        waiting = made.when()
        Deferred.fromCoroutine(self._make(made))
        return waiting

    async def _make(self, made: OneShot[str]) -> None:
        try:
            made.fire(coder_prompt(await self._gather_facts()))
        except Exception as error:
            log.failure("the agent's instructions could not be made")
            if self._instructions is made:
                self._instructions = None
            text = str(error)
            made.fail_waiting(lambda: Failed(text))

    async def _wait_for_mcp(self) -> None:
        try:
            await self._mcp_ready()
        except CancelledError as error:
            raise Failed("MCP initialization did not finish before the run ended") from error
