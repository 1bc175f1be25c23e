"""Which variables hold keys of model providers: no shell or tool may see them (`contract.md` 6)."""

import re
from collections.abc import Iterable

from txcrush.core.catalogue import CATALOGUE
from txcrush.model.config import Config

_MORE_KEYS = (
    "ANTHROPIC_API_KEY",
    "AZURE_OPENAI_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "HYPER_API_KEY",
    "KIMI_CODING_API_KEY",
    "MINIMAX_API_KEY",
    "PIONEER_API_KEY",
)
"""Those of providers that are known and not in the catalogue."""

_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")


def key_names(config: Config) -> frozenset[str]:
    """The variables that the configuration names, and the usual ones."""
    templates = [provider.api_key for provider in config.providers.values()]
    named = {*_named_in(templates), *_USUAL_KEYS}
    return frozenset(named | {f"CRUSH_{name}" for name in named})


def _named_in(templates: Iterable[str]) -> set[str]:
    return {name for template in templates for name in _VARIABLE.findall(template)}


_USUAL_KEYS = frozenset((*_named_in(entry.key_template for entry in CATALOGUE), *_MORE_KEYS))
