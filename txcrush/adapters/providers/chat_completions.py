"""OpenAI Chat Completions, and every server that speaks it, by `base_url`."""

from twisted.web.http_headers import Headers

from txcrush.adapters.providers._access import Access
from txcrush.adapters.providers._chat_reply import ChatReply
from txcrush.adapters.providers._dialects import dialect
from txcrush.adapters.providers._posting import Wire
from txcrush.model.config import ProviderConfig
from txcrush.model.providers import ModelRequest
from txcrush.ports import NewId, StreamSink
from txcrush.wire.chat_completions import encode_request


class ChatCompletions:
    """Implements `Wire`."""

    def __init__(self, config: ProviderConfig, access: Access, new_id: NewId) -> None:
        self._config = config
        self._access = access
        self._new_id = new_id

    def headers(self, request: ModelRequest) -> Headers:
        """See `Wire`."""
        return self._access.headers(request.affinity, self._access.bearer())

    def body(self, request: ModelRequest) -> bytes:
        """See `Wire`."""
        ways = dialect(self._config, request)
        return encode_request(
            request,
            limit_key=ways.limit_key,
            top_k=ways.top_k,
            echo_reasoning=ways.echo_reasoning,
            options=ways.options,
            extra_body=self._config.extra_body,
        )

    def reply(self, sink: StreamSink) -> ChatReply:
        """See `Wire`."""
        return ChatReply(sink, self._new_id)


def _conforms(wire: ChatCompletions) -> Wire:
    return wire
