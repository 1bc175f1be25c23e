"""Makes the provider of a configuration entry."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from twisted.internet.defer import Deferred
from twisted.web.client import BrowserLikePolicyForHTTPS
from twisted.web.iweb import IPolicyForHTTPS

from txcrush import __version__
from txcrush.adapters.providers._access import Access
from txcrush.adapters.providers._connections import Connections
from txcrush.adapters.providers._dialects import DEFAULT_BASES, MESSAGES_MODELS, MESSAGES_TYPE, SUPPORTED_TYPES
from txcrush.adapters.providers._idle_watch import Limits
from txcrush.adapters.providers._listing import listed_models
from txcrush.adapters.providers._posting import ByModel, PostingProvider, Wire
from txcrush.adapters.providers._stream import StreamingPost
from txcrush.adapters.providers.chat_completions import ChatCompletions
from txcrush.adapters.providers.messages import Messages, key_headers
from txcrush.adapters.providers.offline import OFFLINE, OfflineProvider
from txcrush.model.config import ProviderConfig
from txcrush.model.errors import ConfigInvalid
from txcrush.ports import BuildProvider, Clock, NewId, Provider

USER_AGENT = f"txcrush/{__version__}"
NO_CACHE_MARKERS = "CRUSH_DISABLE_ANTHROPIC_CACHE"
"""The variable that forbids to mark what the provider should keep in its cache."""

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_CHAT, _MESSAGES = "/chat/completions", "/v1/messages"


class ProviderBuilder:
    """Implements `ports.BuildProvider`. All providers that it builds share one pool of connections.

    `reactor` connects and resolves names; `clock` is the wall clock of the limits and of dates in `retry-after`;
    `environ` names the proxies; `expand` expands a template and raises ValueError where it cannot (headers come
    expanded); `keep_secret` is told every value that must not show in a log.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        clock: Clock,
        environ: Mapping[str, str],
        expand: Callable[[str], str],
        new_id: NewId,
        keep_secret: Callable[[str], None] = lambda _: None,
        limits: Limits | None = None,
        tls: IPolicyForHTTPS | None = None,
    ) -> None:
        self._clock = clock
        self._expand = expand
        self._new_id = new_id
        self._keep_secret = keep_secret
        self._limits = limits or Limits()
        self._cache = environ.get(NO_CACHE_MARKERS, "") not in _TRUE
        self._connections = Connections(reactor, environ, tls or BrowserLikePolicyForHTTPS(), self._limits)

    def __call__(self, config: ProviderConfig) -> Provider:
        """Raises `ConfigInvalid` where the entry cannot be used."""
        if config.type == OFFLINE:
            return OfflineProvider(self._clock)
        kind = config.type or "openai-compat"
        if kind not in SUPPORTED_TYPES:
            known = ", ".join(SUPPORTED_TYPES)
            raise ConfigInvalid(
                f"provider {config.id}: type {kind!r} is not supported by this version of txcrush. "
                f"Supported are providers that speak OpenAI Chat Completions or Anthropic Messages: {known}"
            )
        if kind == MESSAGES_TYPE:
            return self._messages(config, kind)
        chat = self._chat(config, kind)
        if config.id in MESSAGES_MODELS:
            return ByModel(chat, dict.fromkeys(MESSAGES_MODELS[config.id], self._messages(config, kind)))
        return chat

    def _chat(self, config: ProviderConfig, kind: str) -> Provider:
        access = self._access(config, kind, _CHAT)
        return self._posting(config, ChatCompletions(config, access, self._new_id), access)

    def _messages(self, config: ProviderConfig, kind: str) -> Provider:
        access = self._access(config, kind, _MESSAGES)
        return self._posting(config, Messages(config, access, self._new_id, cache=self._cache), access)

    def _posting(self, config: ProviderConfig, wire: Wire, access: Access) -> Provider:
        agent = self._connections.agent_for(access.url)
        post = StreamingPost(agent, self._clock, self._limits, f"provider {config.id!r}")
        return PostingProvider(wire, access, post)

    def list_models(self, config: ProviderConfig) -> Deferred[tuple[str, ...]]:
        """The ids of the models that the provider says it has. Fails with `ProviderError` or `ConfigInvalid`."""
        return Deferred.fromCoroutine(self._list_models(config))

    async def _list_models(self, config: ProviderConfig) -> tuple[str, ...]:
        kind = config.type or "openai-compat"
        speaks_messages = kind == MESSAGES_TYPE
        access = self._access(config, kind, "/v1/models" if speaks_messages else "/models")
        own = key_headers(config.id, access) if speaks_messages else access.bearer()
        agent = self._connections.agent_for(access.url)
        return await listed_models(agent, access, own, self._clock, self._limits)

    def close(self) -> Deferred[None]:
        """Fires when every connection is closed; what still used one has failed then."""
        return Deferred.fromCoroutine(self._connections.close())

    def _access(self, config: ProviderConfig, kind: str, endpoint: str) -> Access:
        base = self._expanded(config, "base_url", config.base_url) or DEFAULT_BASES.get(kind, "")
        access = Access(
            url=_endpoint_url(config.id, base, endpoint),
            api_key=self._expanded(config, "api_key", config.api_key),
            extra_headers={name: value for name, value in config.extra_headers.items() if value},
            user_agent=USER_AGENT,
        )
        for secret in access.secrets:
            self._keep_secret(secret)
        return access

    def _expanded(self, config: ProviderConfig, field: str, template: str) -> str:
        try:
            return self._expand(template).strip() if template else ""
        except ValueError as error:
            raise ConfigInvalid(f"provider {config.id}: {field}: {error}") from error


def _endpoint_url(provider_id: str, base: str, endpoint: str) -> str:
    """The address of the endpoint, whether or not the base ends with the version that it begins with.

    The value is left out of errors: it may hold a secret.
    """
    try:
        parts = urlsplit(base.encode("ascii").decode())
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError as error:
        raise ConfigInvalid(f"provider {provider_id}: base_url is not a valid address") from error
    if not base or not usable:
        raise ConfigInvalid(f"provider {provider_id}: base_url must begin with http:// or https:// and name a host")
    if parts.username is not None:
        raise ConfigInvalid(f"provider {provider_id}: base_url must hold no user name: use extra_headers")
    path = parts.path.rstrip("/")
    if endpoint.startswith("/v1/"):
        path = path.removesuffix("/v1")
    path += endpoint
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


_build: Callable[[ProviderBuilder], BuildProvider] = lambda builder: builder  # noqa: E731  # conformance, checked by mypy
