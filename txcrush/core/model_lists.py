"""Which providers are asked for their models, and what is made of the answers (`config.md` 8)."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from txcrush.core.catalogue import CatalogueEntry
from txcrush.core.provider_entries import DEFAULT_TYPE, KNOWN_TYPES, expanded_headers
from txcrush.model.config import Config, Model, ProviderConfig


def to_ask(config: Config, catalogue: Sequence[CatalogueEntry], env: Mapping[str, str]) -> list[ProviderConfig]:
    """The providers to be asked, their headers expanded: those that are the user's own and say so, or list no models.

    Raises `ConfigInvalid` for a header that cannot be expanded.
    """
    known = {entry.id for entry in catalogue}
    return [
        replace(provider, id=provider_id, extra_headers=expanded_headers(provider_id, provider, env))
        for provider_id, provider in config.providers.items()
        if provider_id not in known and _is_asked(provider)
    ]


def _is_asked(provider: ProviderConfig) -> bool:
    wanted = not provider.models if provider.discover_models is None else provider.discover_models
    return wanted and not provider.disable and bool(provider.base_url) and _kind(provider) in KNOWN_TYPES


def _kind(provider: ProviderConfig) -> str:
    return provider.type or DEFAULT_TYPE


def with_listed(config: Config, listed: Mapping[str, Sequence[str]]) -> Config:
    """The configuration with the models that providers have listed behind those that it names itself."""
    providers = {
        provider_id: _with_models(provider, listed.get(provider_id, ()))
        for provider_id, provider in config.providers.items()
    }
    return replace(config, providers=providers)


def _with_models(provider: ProviderConfig, listed: Sequence[str]) -> ProviderConfig:
    own = {model.id for model in provider.models}
    found = (_bare(model_id) for model_id in dict.fromkeys(listed) if model_id not in own)
    return replace(provider, models=(*provider.models, *found))


def _bare(model_id: str) -> Model:
    """A model of which nothing but its id is known."""
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
