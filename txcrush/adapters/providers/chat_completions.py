"""OpenAI Chat Completions, and every server that speaks it, by `base_url`."""

from collections.abc import Mapping

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent

from txcrush.adapters.providers._chat_reply import ChatReply
from txcrush.adapters.providers._dialects import dialect
from txcrush.adapters.providers._gate import stream_through_gate
from txcrush.adapters.providers._idle_watch import Limits
from txcrush.adapters.providers._stream import StreamingPost
from txcrush.adapters.providers.errors import redact
from txcrush.model.config import ProviderConfig
from txcrush.model.errors import ProviderError
from txcrush.model.providers import ModelReply, ModelRequest
from txcrush.ports import Clock, NewId, Provider, StreamSink
from txcrush.wire.chat_completions import encode_request


class Access(Struct, frozen=True, kw_only=True):
    """Where a provider is and how we are known to it, with every template expanded.

    `url` is the whole address of the endpoint; an empty `api_key` sends no Authorization.
    """

    url: str
    api_key: str
    extra_headers: Mapping[str, str]
    user_agent: str

    def __repr__(self) -> str:
        """Nothing that could end in a log."""
        return f"Access(url={self.url!r})"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown, longest first, so that no half of one is left."""
        values = {self.api_key, self.api_key.removeprefix("Bearer ").strip(), *self.extra_headers.values()}
        return tuple(sorted(values, key=len, reverse=True))

    def headers(self, affinity: str) -> Headers:
        """The headers of one request; the user's own come last and win."""
        names = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream, application/json",
            "Accept-Encoding": "identity",
            "User-Agent": self.user_agent,
        }
        if self.api_key:
            bearer = self.api_key if self.api_key.startswith("Bearer ") else f"Bearer {self.api_key}"
            names["Authorization"] = bearer
        if affinity:
            names |= {"x-session-id": affinity, "x-session-affinity": affinity}
        headers = Headers({name: [value] for name, value in names.items()})
        for name, value in self.extra_headers.items():
            headers.setRawHeaders(name, [value])
        return headers


class ChatCompletions:
    """A provider of this wire. Every request is one POST; retries are the core's matter."""

    def __init__(
        self, config: ProviderConfig, access: Access, agent: IAgent, clock: Clock, limits: Limits, new_id: NewId
    ) -> None:
        self._config = config
        self._access = access
        self._post = StreamingPost(agent, clock, limits, f"provider {config.id!r}")
        self._new_id = new_id

    def stream(self, request: ModelRequest, sink: StreamSink) -> Deferred[ModelReply]:
        """See `ports.Provider`."""
        return stream_through_gate(sink, lambda gate: self._ask(request, gate))

    async def _ask(self, request: ModelRequest, sink: StreamSink) -> ModelReply:
        reply = ChatReply(sink, self._new_id)
        try:
            headers = self._access.headers(request.affinity)
            await self._post.send(self._access.url, headers, self._body(request), reply)
            return reply.reply()
        except ProviderError as error:
            raise redact(error, self._access.secrets) from None

    def _body(self, request: ModelRequest) -> bytes:
        ways = dialect(self._config, request)
        return encode_request(
            request,
            limit_key=ways.limit_key,
            top_k=ways.top_k,
            echo_reasoning=ways.echo_reasoning,
            options=ways.options,
            extra_body=self._config.extra_body,
        )


def _conforms(provider: ChatCompletions) -> Provider:
    return provider
