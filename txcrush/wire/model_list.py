"""A provider's list of models (`GET …/models`). Pure."""

import msgspec
from msgspec import Struct

from txcrush.wire.provider_errors import decoded


class _Listed(Struct, frozen=True):
    id: str


class _List(Struct, frozen=True):
    data: list[_Listed]


_decoder = msgspec.json.Decoder(_List)


def model_ids(raw: bytes) -> tuple[str, ...]:
    """The ids, in the provider's order, each once. Raises `ProviderError`, not retryable, for what is no such list."""
    return tuple(dict.fromkeys(model.id for model in decoded(_decoder.decode, raw).data if model.id))
