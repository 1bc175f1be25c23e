"""Configuration as JSON: the text of a file, the generic object that is merged and edited, the typed `Config`.

Reading is strict about JSON and lenient about content: unknown keys are ignored, what is absent has its zero value.
"""

import re

import msgspec
from msgspec.structs import replace

from txcrush.model.config import Config, ProviderConfig, Token

MAX_DEPTH = 64
REDACTED = "<redacted>"

_INT64 = range(-(2**63), 2**63)
_FREE_FORM = frozenset(("extra_body", "provider_options"))
_KEPT_AS_WRITTEN = frozenset(("mcp", "lsp", "hooks"))
_SECRETS = frozenset(("env", "headers", "oauth_client_secret", "oauth_token", "client_secret"))
_USER_INFO = re.compile(r"(?<=://)[^/?#@]*@")
_MODEL_ZEROS: dict[str, object] = {
    "id": "",
    "name": "",
    "cost_per_1m_in": 0,
    "cost_per_1m_out": 0,
    "cost_per_1m_in_cached": 0,
    "cost_per_1m_out_cached": 0,
    "context_window": 0,
    "default_max_tokens": 0,
    "can_reason": False,
    "supports_attachments": False,
}
_CHOICE_ZEROS: dict[str, object] = {"model": "", "provider": ""}
_TOKEN_ZEROS: dict[str, object] = {"access_token": "", "expires_in": 0, "expires_at": 0}


def read_object(raw: bytes) -> dict[str, object]:
    """The JSON object that a configuration file holds.

    Raises ValueError for anything else: comments, trailing commas, bytes that are not UTF-8, NaN, integers beyond 64
    bits, more than 64 levels.
    """
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("not a JSON text") from error
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    _check(value, MAX_DEPTH)
    return value


def write_object(value: dict[str, object]) -> bytes:
    """The object as the text of a configuration file. Raises ValueError for what JSON cannot hold."""
    return msgspec.json.format(_encoded(value), indent=2) + b"\n"


def plain(value: object) -> object:
    """A Struct, or anything that holds some, as the JSON value that a file would hold. Raises ValueError where it
    cannot hold it."""
    return msgspec.json.decode(_encoded(value))


def as_object(config: Config) -> dict[str, object]:
    """The configuration as the JSON object that clients get and that files could hold."""
    return msgspec.json.decode(_encoded(config), type=dict[str, object])


def _encoded(value: object) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (msgspec.MsgspecError, TypeError, OverflowError, UnicodeEncodeError, RecursionError) as error:
        raise ValueError("the value cannot be written as JSON") from error


def decode_config(value: dict[str, object]) -> Config:
    """The typed configuration. Raises ValueError that names the key and the types, never a value."""
    complete = _without_nulls(value, _KEPT_AS_WRITTEN)
    options = complete.setdefault("options", {})
    if isinstance(options, dict):
        options.setdefault("tui", {})
    complete.setdefault("providers", {})
    _fill(complete)
    try:
        return msgspec.convert(complete, Config)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None


def redacted(config: Config) -> Config:
    """The configuration for clients on TCP: without keys, tokens, header values and variables."""
    return replace(
        config,
        providers={provider_id: _redacted_provider(each) for provider_id, each in config.providers.items()},
        mcp=_masked(config.mcp),
        lsp=_masked(config.lsp),
        env=dict.fromkeys(config.env, REDACTED),
    )


def _redacted_provider(provider: ProviderConfig) -> ProviderConfig:
    token = provider.oauth
    return replace(
        provider,
        base_url=_USER_INFO.sub(f"{REDACTED}@", provider.base_url),
        api_key=REDACTED if provider.api_key else "",
        oauth=Token(access_token=REDACTED, expires_in=token.expires_in, expires_at=token.expires_at) if token else None,
        extra_headers=dict.fromkeys(provider.extra_headers, REDACTED),
    )


def _masked(servers: dict[str, object]) -> dict[str, object]:
    return {name: _masked_entry(each) if isinstance(each, dict) else each for name, each in servers.items()}


def _masked_entry(entry: dict[str, object]) -> dict[str, object]:
    masked = dict(entry)
    for key in _SECRETS & entry.keys():
        value = entry[key]
        masked[key] = dict.fromkeys(value, REDACTED) if isinstance(value, dict) else REDACTED
    return masked


def _check(value: object, levels: int) -> None:
    if levels < 0:
        raise ValueError("nested too deeply")
    if isinstance(value, int) and value not in _INT64:
        raise ValueError("integer out of range")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check(inner, levels - 1)


def _without_nulls(value: dict[str, object], free: frozenset[str] = _FREE_FORM) -> dict[str, object]:
    """A deep copy in which null means absent and 1.0 is 1, down to where the shape is free."""
    return {key: inner if key in free else _typed(inner) for key, inner in value.items() if inner is not None}


def _typed(value: object) -> object:
    if isinstance(value, dict):
        return _without_nulls(value)
    if isinstance(value, list):
        return [_typed(inner) for inner in value if inner is not None]
    if isinstance(value, float) and value.is_integer() and int(value) in _INT64:
        return int(value)
    return value


def _fill(config: dict[str, object]) -> None:
    """Give what the types require and a file may leave out its zero value."""
    for choice in _objects(config.get("models")):
        _default(choice, _CHOICE_ZEROS)
    for recent in _lists(config.get("recent_models")):
        for choice in _objects(recent):
            _default(choice, _CHOICE_ZEROS)
    for provider in _objects(config.get("providers")):
        for model in _objects(provider.get("models")):
            _default(model, _MODEL_ZEROS)
        for token in _objects([provider.get("oauth")]):
            _default(token, _TOKEN_ZEROS)


def _values(value: object) -> list[object]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def _objects(value: object) -> list[dict[str, object]]:
    return [inner for inner in _values(value) if isinstance(inner, dict)]


def _lists(value: object) -> list[list[object]]:
    return [inner for inner in _values(value) if isinstance(inner, list)]


def _default(target: dict[str, object], zeros: dict[str, object]) -> None:
    for key, zero in zeros.items():
        target.setdefault(key, zero)


def decode_token(value: object) -> Token:
    """An OAuth token. Raises ValueError, without its value."""
    try:
        return msgspec.convert(value, Token)
    except msgspec.ValidationError:
        raise ValueError("not an OAuth token") from None
