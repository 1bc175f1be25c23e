"""What holds keys of model providers: no shell or tool may see it (`contract.md` 6)."""

import re
from collections.abc import Iterable, Iterator, Sequence

from txcrush.core.catalogue import CATALOGUE
from txcrush.model.config import Config, ProviderConfig

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


_SHORTEST_KEY = 8
"""What is shorter (`none`, `ollama`) stands for no key, and may be the value of any variable."""


def withheld(config: Config, left_out: Sequence[ProviderConfig] = ()) -> frozenset[str]:
    """Names of variables: those that the providers' keys and addresses are made of, and the usual ones. And what stands
    in the configuration itself, keys and headers (they are expanded there): a variable may hold it under any name.

    `left_out` are providers that files name and nobody can ask, because they are disabled or lack something: their
    keys are keys all the same. Their headers are templates still.
    """
    providers = [*config.providers.values(), *left_out]
    headers = (header for provider in left_out for header in provider.extra_headers.values())
    named = {*_named_in(provider.api_key for provider in providers), *_named_in(headers), *_USUAL_KEYS}
    named |= _named_in(provider.base_url for provider in providers) - _ADDRESSES
    return frozenset(named | {f"CRUSH_{name}" for name in named} | set(_literal(providers)))


def _literal(providers: Iterable[ProviderConfig]) -> Iterator[str]:
    """Keys, and headers whole and word by word: `Bearer KEY`."""
    for provider in providers:
        headers = provider.extra_headers.values()
        values = [provider.api_key, *headers, *(word for header in headers for word in header.split())]
        yield from (value for value in values if len(value) >= _SHORTEST_KEY and "$" not in value)


def _named_in(templates: Iterable[str]) -> set[str]:
    return {name for template in templates for name in _VARIABLE.findall(template)}


_USUAL_KEYS = frozenset((*_named_in(entry.key_template for entry in CATALOGUE), *_MORE_KEYS))
_ADDRESSES = frozenset(_named_in(entry.endpoint for entry in CATALOGUE))
