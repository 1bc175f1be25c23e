"""The configuration of a workspace, read from and written to `crush.json` files."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from os import path as paths

from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.interfaces import IReactorThreads
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from txcrush import ports
from txcrush.adapters.bounded_reading import read_regular
from txcrush.adapters.config_paths import (
    FILE_NAME,
    SCRIPT_NAME,
    ProjectSources,
    nearest_data_directory,
    places,
    project_boundary,
    project_candidates,
    project_sources,
)
from txcrush.adapters.config_sources import SeenFiles, report
from txcrush.adapters.config_writing import locked, replace_file
from txcrush.core.catalogue import CATALOGUE, CatalogueEntry
from txcrush.core.config_defaults import Surroundings, data_directory, with_defaults
from txcrush.core.dotted_keys import remove_value, set_value
from txcrush.core.merging import merge
from txcrush.core.model_choice import with_models
from txcrush.core.provider_entries import unlisted_providers, with_found_models, with_offline, with_usable_providers
from txcrush.core.trust import without_trust
from txcrush.model.config import Config, ProviderConfig
from txcrush.model.config_sources import ConfigReport, ConfigSource, LoadedConfig
from txcrush.model.errors import BadRequest, ConfigInvalid, CrushError, Failed
from txcrush.wire.config import as_object, decode_config, plain, read_object, write_object

MAX_FILE_BYTES = 8 * 1024 * 1024
WORKSPACE_SCOPE = 1

log = Logger()


class ConfigSettings(Struct, frozen=True, kw_only=True):
    """What is the same for all workspaces.

    `env` is the server's environment. `server_in_git` says whether the server was started inside a git work tree.
    `offline` is the provider of a configuration that names none, or None.
    """

    env: Mapping[str, str]
    trust_projects: bool
    server_in_git: bool
    offline: ProviderConfig | None = None
    system_dir: str = "/etc/crush"
    lock_wait_s: float = 5.0


def lists_no_models(_: ProviderConfig) -> Deferred[tuple[str, ...]]:
    """Implements `ports.ListModels` where no provider is ever asked."""
    return succeed(())


class JsonConfigFiles:
    """Reads and writes `crush.json` files, in threads. `list_models` asks providers that list none for theirs."""

    def __init__(
        self, reactor: IReactorThreads, settings: ConfigSettings, list_models: ports.ListModels = lists_no_models
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._list_models = list_models

    def load(self, path: str, data_dir: str, debug: bool, *, reload: bool = False) -> Deferred[LoadedConfig]:
        """The merged configuration; warnings go to the log. `reload` leaves out the limits that a server outside of
        git work trees applies when a workspace is opened. Fails with `ConfigInvalid`."""
        return Deferred.fromCoroutine(self._loaded(_Loading(self._settings, path, data_dir, debug, reload)))

    def report(self, sources: Sequence[ConfigSource]) -> Deferred[ConfigReport]:
        """What has become of the files since: their size and the time of their last change are compared."""
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), report, sources)

    def change(self, scope: int, data_dir: str, sets: Mapping[str, object], removes: Sequence[str]) -> Deferred[None]:
        """Set and remove dotted keys in the scope's file, keeping what else is in it.

        `data_dir` is the workspace's, absolute. Values are JSON or Structs of the model. Fails with `Failed`, or
        `BadRequest` where the file could not be loaded with the change; nothing is written then.
        """
        directory = data_dir if scope == WORKSPACE_SCOPE else places(self._settings.env).data_dir
        file = paths.join(directory, FILE_NAME)
        pool = self._reactor.getThreadPool()
        return deferToThreadPool(self._reactor, pool, _change, file, self._settings.lock_wait_s, dict(sets), removes)

    async def _loaded(self, loading: "_Loading") -> LoadedConfig:
        pool = self._reactor.getThreadPool()
        merged = await deferToThreadPool(self._reactor, pool, loading.merged)
        found = await self._found(loading.unlisted(merged), loading.warnings)
        config = await deferToThreadPool(self._reactor, pool, loading.completed, with_found_models(merged, found))
        left_out = tuple(merged.providers[name] for name in merged.providers.keys() - config.providers.keys())
        for warning in loading.warnings:
            log.warn("configuration of {path}: {warning}", path=loading.path, warning=warning)
        return LoadedConfig(config, loading.seen.sources, left_out)

    async def _found(self, unlisted: Sequence[ProviderConfig], warnings: list[str]) -> dict[str, Sequence[str]]:
        """The models of these providers, all asked at once."""
        asked = [Deferred.fromCoroutine(self._models_of(provider, warnings)) for provider in unlisted]
        listed = await gatherResults(asked)
        return {provider.id: models for provider, models in zip(unlisted, listed, strict=True)}

    async def _models_of(self, provider: ProviderConfig, warnings: list[str]) -> tuple[str, ...]:
        try:
            return await self._list_models(provider)
        except CrushError as error:
            warnings.append(f"the models of provider {provider.id} are not known: {error.message}")
            return ()


class _Loading:
    """One load. Everything but its making runs in a thread."""

    def __init__(self, settings: ConfigSettings, path: str, data_dir: str, debug: bool, reload: bool) -> None:
        self.path = path
        self.warnings: list[str] = []
        self.seen = SeenFiles()
        self._settings = settings
        self._asked_data_dir = data_dir
        self._debug = debug
        self._reload = reload
        self._places = places(settings.env)
        self._left_out: list[str] = []

    @cached_property
    def _boundary(self) -> str:
        return project_boundary(self.path)

    def merged(self) -> Config:
        """What the files say."""
        config = self._merged()
        self._tell_left_out()
        if self._debug:
            config = replace(config, options=replace(config.options, debug=True))
        return config

    def unlisted(self, config: Config) -> list[ProviderConfig]:
        """The providers that are to be asked for their models."""
        return unlisted_providers(config, _catalogue(config), self._settings.env)

    def completed(self, config: Config) -> Config:
        """The configuration with the providers that can be asked, and its models chosen."""
        env, disabled = self._settings.env, config.options.disable_default_providers
        catalogue = _catalogue(config)
        offline = self._settings.offline
        if not config.providers and offline is not None and env.get("TXCRUSH_OFFLINE") != "0":
            return with_offline(config, offline)
        usable = with_usable_providers(config, catalogue, env, self.warnings.append)
        if disabled and config.providers and not usable.providers:
            reasons = "; ".join(self.warnings)
            raise ConfigInvalid(f"failed to configure providers: default providers are disabled and {reasons}")
        return with_models(usable, catalogue)

    def _merged(self) -> Config:
        """All files in their order: the workspace's own comes last, over the defaults of the others."""
        user_files = [
            paths.join(self._settings.system_dir, FILE_NAME),
            paths.join(self._places.config_dir, FILE_NAME),
            paths.join(self._places.data_dir, FILE_NAME),
        ]
        project = self._project_sources(user_files)
        project_files = [file for file in project.files if file not in user_files]
        self._tell_scripts(project.scripts)
        try:
            return self._over_files(user_files, project_files)
        except ValueError as error:
            named = " ".join((*user_files, *project_files))
            raise ConfigInvalid(f"failed to load config from paths [{named}]: {error}") from None

    def _project_sources(self, user_files: Sequence[str]) -> ProjectSources:
        """The project's files. What is there but does not count, because it is somebody else's, is not watched."""
        for file in (*user_files, *project_candidates(self.path, self._boundary)):
            self.seen.note(file)
        project = project_sources(self.path, self._boundary)
        self.seen.pass_over(set(self.seen.present).difference(user_files, project.files))
        return project

    def _over_files(self, user_files: Sequence[str], project_files: Sequence[str]) -> Config:
        merged: dict[str, object] = {}
        for file in user_files:
            merged = merge(merged, _read(file))
        for file in project_files:
            merged = merge(merged, self._trusted_part(file))
        bare = decode_config(merged)
        found = nearest_data_directory(self.path, self._boundary, self._places.home)
        data_dir = data_directory(
            self.path, asked=self._asked_data_dir, configured=bare.options.data_directory, found=found
        )
        around = self._surroundings(data_dir)
        return self._over_workspace_file(with_defaults(bare, around), around)

    def _over_workspace_file(self, config: Config, around: Surroundings) -> Config:
        file = paths.join(around.data_directory, FILE_NAME)
        self.seen.note(file)
        own = self._trusted_part(file)
        if not own:
            return config
        try:
            return with_defaults(decode_config(merge(as_object(config), own)), around)
        except ValueError as error:
            self.warnings.append(f"{file} is ignored: {error}")
            return config

    def _surroundings(self, data_dir: str) -> Surroundings:
        return Surroundings(
            path=self.path,
            project_root=self.path if self._boundary == paths.realpath(self.path) else self._boundary,
            home=self._places.home,
            config_home=self._places.config_home,
            config_dir=self._places.config_dir,
            data_directory=data_dir,
            small_listings=not self._settings.server_in_git and not self._reload,
            env=self._settings.env,
        )

    def _trusted_part(self, file: str) -> dict[str, object]:
        written = _read(file)
        if self._settings.trust_projects:
            return written
        kept, left_out = without_trust(written)
        self._left_out.extend(f"{key} of {file}" for key in left_out)
        return kept

    def _tell_left_out(self) -> None:
        if self._left_out:
            self.warnings.append(
                f"the project is not trusted, left out: {', '.join(self._left_out)}. To use them, look at these files "
                "and start the server with --trust-projects (TXCRUSH_TRUST_PROJECTS=1)"
            )

    def _tell_scripts(self, project_scripts: Sequence[str]) -> None:
        own = paths.join(self._places.config_dir, SCRIPT_NAME)
        scripts = [own] if paths.exists(own) else []
        scripts.extend(script for script in project_scripts if script != own)
        if scripts:
            self.warnings.append(f"not run, because crushrc is not supported by this version: {', '.join(scripts)}")


def looked_through(settings: ConfigSettings, path: str) -> tuple[Config, Sequence[ConfigSource], list[str]]:
    """The configuration of a directory without asking any provider for its models, the files that it was or could have
    been read from, and the warnings. Blocks. Raises `ConfigInvalid`."""
    loading = _Loading(settings, path, "", False, False)
    return loading.completed(loading.merged()), loading.seen.sources, loading.warnings


def _catalogue(config: Config) -> Sequence[CatalogueEntry]:
    """The known providers, unless they are switched off."""
    return () if config.options.disable_default_providers else CATALOGUE


def _read(file: str) -> dict[str, object]:
    """The object in the file; a missing or empty file is an empty one. Raises ValueError that names the file."""
    try:
        raw = read_regular(file, MAX_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ValueError(f"failed to open config file {file}: {error.strerror}") from None
    if len(raw) > MAX_FILE_BYTES:
        raise ValueError(f"failed to open config file {file}: larger than {MAX_FILE_BYTES} bytes")
    try:
        return read_object(raw) if raw else {}
    except ValueError:
        raise ValueError(f"invalid JSON in config file {file}") from None


def _change(file: str, lock_wait_s: float, sets: Mapping[str, object], removes: Sequence[str]) -> None:
    verb, key = ("set", min(sets)) if sets else ("delete", min(removes, default=""))
    failure = f"failed to {verb} config field {key}"
    try:
        with locked(file, lock_wait_s):
            before = _read(file)
            after = _edited(before, sets, removes)
            _ensure_loadable(after, failure)
            if after != before:
                replace_file(file, write_object(after))
    except (ValueError, OSError) as error:
        raise Failed(f"{failure}: {error}") from error


def _edited(before: dict[str, object], sets: Mapping[str, object], removes: Sequence[str]) -> dict[str, object]:
    after = before
    for key in sorted(sets):
        after = set_value(after, key, plain(sets[key]))
    for key in sorted(removes):
        after = remove_value(after, key)
    return after


def _ensure_loadable(after: dict[str, object], failure: str) -> None:
    try:
        decode_config(after)
    except ValueError as error:
        raise BadRequest(f"{failure}: {error}") from None


_: type[ports.ConfigFiles] = JsonConfigFiles
