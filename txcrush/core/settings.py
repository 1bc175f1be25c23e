"""The configuration that a workspace runs with: an immutable snapshot, replaced as a whole by every change."""

from collections.abc import Mapping, Sequence

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from txcrush.core.dotted_keys import path_of
from txcrush.core.model_choice import remembered, with_pins
from txcrush.core.provider_keys import withheld
from txcrush.model.config import Config, SelectedModel
from txcrush.model.config_sources import ConfigReport, LoadedConfig
from txcrush.model.errors import ConfigInvalid, Failed
from txcrush.ports import ConfigFiles

log = Logger()


class WorkspaceSettings:
    """One workspace's configuration and the changes that clients make to it.

    A model that was chosen while the server runs is pinned: no later reload switches a live session's model.
    """

    def __init__(self, files: ConfigFiles, path: str, debug: bool, loaded: LoadedConfig) -> None:
        self._files = files
        self._path = path
        self._debug = debug
        self._pins: dict[str, SelectedModel] = {}
        self._config = loaded.config
        self._sources = loaded.sources
        self._left_out = loaded.left_out

    @property
    def config(self) -> Config:
        """The snapshot of now."""
        return self._config

    @property
    def data_dir(self) -> str:
        return self._config.options.data_directory

    def withheld(self) -> frozenset[str]:
        """Names and values of variables that no command may see."""
        return withheld(self._config, self._left_out)

    def report(self) -> "Deferred[ConfigReport]":
        """What has become of the files since the snapshot was read from them."""
        return self._files.report(self._sources)

    async def set(self, scope: int, key: str, value: object) -> None:
        """Set a dotted key in the scope's file. Fails with `Failed` or `BadRequest`, and then nothing changed."""
        await self._change(scope, {key: value}, ())

    async def remove(self, scope: int, key: str) -> None:
        """Remove a dotted key from the scope's file; an absent one is fine."""
        await self._change(scope, {}, (key,))

    async def choose_model(self, scope: int, slot: str, choice: SelectedModel) -> None:
        """Store the model of a slot and remember it among the recent ones. The choice is not checked: the reference
        takes any."""
        recent = remembered(self._config.recent_models.get(slot, ()), choice)
        await self._files.change(scope, self.data_dir, {f"models.{slot}": choice, f"recent_models.{slot}": recent}, ())
        self._pins[slot] = choice
        await self._reload()

    async def set_provider_key(self, scope: int, provider_id: str, sets: Mapping[str, object]) -> None:
        """Store credentials of a provider. Fails with `Failed` for one that is not configured, before it writes."""
        if provider_id not in self._config.providers:
            raise Failed(f"provider with ID {provider_id} not found in known providers")
        await self._change(scope, {path_of("providers", provider_id, name): sets[name] for name in sets}, ())

    async def _change(self, scope: int, sets: Mapping[str, object], removes: Sequence[str]) -> None:
        await self._files.change(scope, self.data_dir, sets, removes)
        await self._reload()

    async def _reload(self) -> None:
        """Read everything again. What cannot be read now leaves the old snapshot in force; the change is on disk."""
        try:
            loaded = await self._files.load(self._path, self.data_dir, self._debug, reload=True)
        except ConfigInvalid as error:
            log.warn("the configuration of {path} stays as it was: {reason}", path=self._path, reason=error.message)
        else:
            self._config = with_pins(loaded.config, self._pins)
            self._sources = loaded.sources
            self._left_out = loaded.left_out
