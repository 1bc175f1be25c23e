"""From the providers that files name to those that can be asked: completed, or dropped with a warning."""

from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from txcrush.core.catalogue import CatalogueEntry
from txcrush.core.expansion import expand
from txcrush.core.model_choice import LARGE, SMALL
from txcrush.model.config import Config, Model, ProviderConfig, SelectedModel
from txcrush.model.errors import ConfigInvalid

DEFAULT_TYPE = "openai-compat"
_CHAT_TYPES = frozenset((DEFAULT_TYPE, "litellm", "llamacpp", "lmstudio", "ollama", "omlx"))
KNOWN_TYPES = _CHAT_TYPES | frozenset(
    ("openai", "openrouter", "vercel", "anthropic", "google", "azure", "bedrock", "google-vertex", "hyper")
)

Warn = Callable[[str], None]
"""Takes a warning for the log; it never holds a key."""


class _Dropped(Exception):
    """Why an entry cannot be used."""


def with_usable_providers(
    config: Config, catalogue: Sequence[CatalogueEntry], env: Mapping[str, str], warn: Warn
) -> Config:
    """The configuration with the providers that can be asked; each one that is dropped is told to `warn`.

    Addresses and keys stay templates, headers are expanded. `catalogue` is empty where the built-in providers are
    switched off. Raises `ConfigInvalid` for a header that cannot be expanded.
    """
    known = {entry.id: entry for entry in catalogue}
    usable: dict[str, ProviderConfig] = {}
    for provider_id, provider in config.providers.items():
        provider = replace(provider, id=provider_id, extra_headers=_headers(provider_id, provider, env))
        entry = known.get(provider_id)
        try:
            usable[provider_id] = _from_catalogue(entry, provider, env) if entry else _custom(provider, env, warn)
        except _Dropped as reason:
            warn(f"provider {provider_id} is left out: {reason}")
    return replace(config, providers=usable)


def unlisted_providers(
    config: Config, catalogue: Sequence[CatalogueEntry], env: Mapping[str, str]
) -> list[ProviderConfig]:
    """The providers that are to be asked for their models, headers expanded: those of the user's own that list none,
    or that want to be asked all the same. Raises like `with_usable_providers`."""
    known = {entry.id for entry in catalogue}
    return [
        replace(provider, id=provider_id, extra_headers=_headers(provider_id, provider, env))
        for provider_id, provider in config.providers.items()
        if provider_id not in known and _is_asked(provider)
    ]


def _is_asked(provider: ProviderConfig) -> bool:
    wanted = not provider.models if provider.discover_models is None else provider.discover_models
    return wanted and bool(provider.base_url) and not provider.disable


def with_found_models(config: Config, found: Mapping[str, Sequence[str]]) -> Config:
    """The configuration with models of these ids behind the listed ones of each provider."""
    providers = dict(config.providers)
    for provider_id, model_ids in found.items():
        models = providers[provider_id].models
        listed = {model.id for model in models}
        new = tuple(_found(model_id) for model_id in model_ids if model_id not in listed)
        providers[provider_id] = replace(providers[provider_id], models=models + new)
    return replace(config, providers=providers)


def _found(model_id: str) -> Model:
    """A model of which nothing but the id is known."""
    return Model(
        id=model_id,
        name=model_id,
        cost_per_1m_in=0,
        cost_per_1m_out=0,
        cost_per_1m_in_cached=0,
        cost_per_1m_out_cached=0,
        context_window=0,
        default_max_tokens=0,
        can_reason=False,
        supports_attachments=False,
    )


def with_offline(config: Config, offline: ProviderConfig) -> Config:
    """The configuration with only this provider, its first model in both slots."""
    model = offline.models[0]
    choice = SelectedModel(model.id, offline.id, max_tokens=model.default_max_tokens)
    return replace(config, providers={offline.id: offline}, models={**config.models, LARGE: choice, SMALL: choice})


def _headers(provider_id: str, provider: ProviderConfig, env: Mapping[str, str]) -> dict[str, str]:
    headers = {}
    for name, template in provider.extra_headers.items():
        try:
            headers[name] = expand(template, env)
        except ValueError as error:
            text = f'failed to configure providers: resolving provider {provider_id} header "{name}": {error}'
            raise ConfigInvalid(text) from None
    return {name: value for name, value in headers.items() if value}


def _from_catalogue(entry: CatalogueEntry, provider: ProviderConfig, env: Mapping[str, str]) -> ProviderConfig:
    """The user's models and overrides on the known name, type, address and key; kept although it is disabled."""
    provider = replace(
        provider,
        name=entry.name,
        type=entry.type,
        base_url=provider.base_url or entry.endpoint,
        api_key=provider.api_key or entry.key_template,
        models=_named(provider.models),
    )
    if provider.disable:
        return provider
    if entry.id == "anthropic" and provider.oauth is not None:
        raise _Dropped("logging in to a subscription is not supported, set an api_key")
    if not provider.models:
        raise _Dropped("it lists no models")
    if not _expanded("api_key", provider.api_key, env):
        raise _Dropped(
            f"its api_key is empty, set {entry.key_template.removeprefix('$')} or providers.{entry.id}.api_key"
        )
    _expanded("base_url", provider.base_url, env)
    return provider


def _custom(provider: ProviderConfig, env: Mapping[str, str], warn: Warn) -> ProviderConfig:
    provider = replace(provider, name=provider.name or provider.id, type=provider.type or DEFAULT_TYPE)
    if provider.disable:
        raise _Dropped("it is disabled")
    if provider.type not in KNOWN_TYPES:
        raise _Dropped(f"its type {provider.type} is unknown")
    if not provider.base_url:
        raise _Dropped("it has no base_url")
    if not provider.models:
        raise _Dropped("it lists no models")
    if not _expanded("base_url", provider.base_url, env):
        raise _Dropped("its base_url is empty")
    _warn_of_missing_key(provider, env, warn)
    return provider


def _warn_of_missing_key(provider: ProviderConfig, env: Mapping[str, str], warn: Warn) -> None:
    try:
        if not expand(provider.api_key, env):
            warn(f"provider {provider.id} has no api_key")
    except ValueError:
        warn(f"the api_key of provider {provider.id} cannot be expanded")


def _expanded(field: str, template: str, env: Mapping[str, str]) -> str:
    try:
        return expand(template, env)
    except ValueError:
        raise _Dropped(f"its {field} cannot be expanded") from None


def _named(models: Sequence[Model]) -> tuple[Model, ...]:
    """Each id once, the first wins; a name that is missing is the id."""
    by_id = {model.id: model for model in reversed(models)}
    order = dict.fromkeys(model.id for model in models)
    return tuple(replace(by_id[model_id], name=by_id[model_id].name or model_id) for model_id in order)
