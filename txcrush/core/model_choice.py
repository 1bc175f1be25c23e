"""Which model a slot uses, and with which options it is called."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from msgspec.structs import replace

from txcrush.core.catalogue import CatalogueEntry
from txcrush.core.merging import MergeConflict, merge
from txcrush.model.config import Config, Model, ModelOptions, ProviderConfig, SelectedModel
from txcrush.model.errors import ConfigInvalid

LARGE, SMALL = "large", "small"
MAX_RECENT = 5

Number = TypeVar("Number", int, float)


def with_models(config: Config, catalogue: Sequence[CatalogueEntry]) -> Config:
    """The configuration with `large` and `small` resolved against its providers; no models where it has none.

    A choice that is not configured gives way to the default of its slot. `catalogue` is empty where the built-in
    providers are switched off.
    """
    defaults = _default_choices(config, catalogue)
    if defaults is None:
        return replace(config, models={})
    default_large, default_small = defaults
    large = _resolved(config, config.models.get(LARGE), default_large)
    small = _resolved(config, config.models.get(SMALL), default_small)
    if not _is_chosen(config.models.get(SMALL)) and default_small.provider not in {entry.id for entry in catalogue}:
        small = large
    return replace(config, models={**config.models, LARGE: large, SMALL: small})


def with_pins(config: Config, pins: Mapping[str, SelectedModel]) -> Config:
    """The configuration with the models chosen while the server runs laid over the resolved ones, exactly as chosen."""
    return replace(config, models={**config.models, **pins})


def remembered(recent: Sequence[SelectedModel], choice: SelectedModel) -> tuple[SelectedModel, ...]:
    """The recent models of a slot with this choice in front: model and provider only, no duplicates, at most five."""
    identities = dict.fromkeys((each.model, each.provider) for each in (choice, *recent))
    return tuple(SelectedModel(model, provider) for model, provider in list(identities)[:MAX_RECENT])


def default_small_model(config: Config, provider_id: str, catalogue: Sequence[CatalogueEntry]) -> SelectedModel | None:
    """The catalogue's small model of a provider; where it is not configured, the large choice (None without one)."""
    entry = next((entry for entry in catalogue if entry.id == provider_id), None)
    provider = config.providers.get(provider_id)
    model = provider.model(entry.default_small) if entry and provider else None
    if model is None:
        return config.models.get(LARGE)
    return _completed(SelectedModel(model.id, provider_id), model)


def effective_effort(choice: SelectedModel, model: Model) -> str:
    """The reasoning effort in force: the chosen one or the model's default where the model lists it, else its first
    level; empty for a model that cannot reason or lists none."""
    if not model.can_reason:
        return ""
    for effort in (choice.reasoning_effort, model.default_reasoning_effort):
        if effort and effort in model.reasoning_levels:
            return effort
    return next(iter(model.reasoning_levels), "")


def call_options(choice: SelectedModel, provider: ProviderConfig, model: Model) -> ModelOptions:
    """The options of a call: sampling numbers of the choice, else of the model; `provider_options` of the model, the
    provider and the choice merged in this order. Raises `ConfigInvalid` where these contradict each other in type."""
    own = model.options or ModelOptions()
    try:
        merged = merge(merge(own.provider_options, provider.provider_options), choice.provider_options)
    except MergeConflict as error:
        raise ConfigInvalid(f"provider_options of model {model.id} of provider {provider.id}: {error}") from None
    return ModelOptions(
        temperature=_first(choice.temperature, own.temperature),
        top_p=_first(choice.top_p, own.top_p),
        top_k=_first(choice.top_k, own.top_k),
        frequency_penalty=_first(choice.frequency_penalty, own.frequency_penalty),
        presence_penalty=_first(choice.presence_penalty, own.presence_penalty),
        provider_options=merged,
    )


def _first(chosen: Number | None, own: Number | None) -> Number | None:
    return own if chosen is None else chosen


def _is_chosen(choice: SelectedModel | None) -> bool:
    return choice is not None and bool(choice.model or choice.provider)


def _default_choices(config: Config, catalogue: Sequence[CatalogueEntry]) -> tuple[SelectedModel, SelectedModel] | None:
    for entry in catalogue:
        provider = _usable(config, entry.id)
        if provider:
            large, small = entry.default_large, entry.default_small
            return _own_choice(provider, entry.id, large), _own_choice(provider, entry.id, small)
    for provider_id in sorted(config.providers):
        provider = _usable(config, provider_id)
        if provider:
            choice = _own_choice(provider, provider_id, "")
            return choice, choice
    return None


def _usable(config: Config, provider_id: str) -> ProviderConfig | None:
    provider = config.providers.get(provider_id)
    return provider if provider and provider.models and not provider.disable else None


def _own_choice(provider: ProviderConfig, provider_id: str, model_id: str) -> SelectedModel:
    model = provider.model(model_id) or provider.models[0]
    return _completed(SelectedModel(model.id, provider_id), model)


def _resolved(config: Config, chosen: SelectedModel | None, default: SelectedModel) -> SelectedModel:
    if chosen is None:
        return default
    choice = replace(chosen, model=chosen.model or default.model, provider=chosen.provider or default.provider)
    provider = _usable(config, choice.provider)
    model = provider.model(choice.model) if provider else None
    return _completed(choice, model) if model else default


def _completed(choice: SelectedModel, model: Model) -> SelectedModel:
    return replace(
        choice,
        max_tokens=choice.max_tokens if choice.max_tokens > 0 else model.default_max_tokens,
        reasoning_effort=choice.reasoning_effort or model.default_reasoning_effort,
    )
