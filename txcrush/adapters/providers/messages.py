"""Anthropic Messages, and every server that speaks it, by `base_url`."""

from twisted.web.http_headers import Headers

from txcrush.adapters.providers._access import Access
from txcrush.adapters.providers._messages_reply import MessagesReply
from txcrush.adapters.providers._posting import Wire
from txcrush.adapters.providers._thinking import thinking_ways
from txcrush.model.config import ProviderConfig
from txcrush.model.providers import ModelRequest
from txcrush.ports import NewId, StreamSink
from txcrush.wire.messages_request import encode_request, is_thinking

VERSION = "2023-06-01"
INTERLEAVED = "interleaved-thinking-2025-05-14"
_BETA = "anthropic-beta"
_USUAL_LIMIT = 4096
"""The token limit of a model whose configuration names none: this wire cannot do without."""


class Messages:
    """Implements `Wire`. `cache` says whether requests mark what the provider should keep in its cache."""

    def __init__(self, config: ProviderConfig, access: Access, new_id: NewId, *, cache: bool) -> None:
        self._config = config
        self._access = access
        self._new_id = new_id
        self._cache = cache

    def headers(self, request: ModelRequest) -> Headers:
        """See `Wire`."""
        headers = self._access.headers(request.affinity, key_headers(self._config.id, self._access))
        if is_thinking(thinking_ways(self._config, request).options):
            said = ",".join(headers.getRawHeaders(_BETA, []))
            headers.setRawHeaders(_BETA, [said if INTERLEAVED in said else ",".join(filter(None, (said, INTERLEAVED)))])
        return headers

    def body(self, request: ModelRequest) -> bytes:
        """See `Wire`."""
        ways = thinking_ways(self._config, request)
        model = self._config.model(request.model)
        return encode_request(
            request,
            max_tokens=(model.default_max_tokens if model else 0) or _USUAL_LIMIT,
            thinking_first=ways.first,
            replay_thinking=ways.replay,
            sampling=ways.sampling,
            cache=self._cache,
            options=ways.options,
            extra_body=self._config.extra_body,
        )

    def reply(self, sink: StreamSink) -> MessagesReply:
        """See `Wire`."""
        return MessagesReply(sink, self._new_id)


def key_headers(provider_id: str, access: Access) -> dict[str, str]:
    """The version of the API, and the key where this provider looks for it."""
    if access.is_bearer or provider_id.startswith("minimax"):
        key = access.bearer()
    else:
        key = {"x-api-key": access.api_key} if access.api_key else {}
    return {"anthropic-version": VERSION, **key}


def _conforms(wire: Messages) -> Wire:
    return wire
