"""A provider whose every request is one POST with a streamed answer, whatever its wire."""

from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.web.http_headers import Headers

from txcrush.adapters.providers._access import Access
from txcrush.adapters.providers._gate import stream_through_gate
from txcrush.adapters.providers._stream import Answer, StreamingPost
from txcrush.adapters.providers.errors import redact
from txcrush.model.errors import ProviderError
from txcrush.model.providers import ModelReply, ModelRequest
from txcrush.ports import NewId, Provider, StreamSink
from txcrush.wire.provider_errors import invalid_answer

LONGEST_ANSWER = 2 * 1024 * 1024
"""Characters of text, reasoning and arguments: several times what any model can write."""

MOST_CALLS = 256


class Reply(Answer, Protocol):
    """An answer that is put together and passed on as it comes."""

    def reply(self) -> ModelReply:
        """How it ended. Raises a retryable `ProviderError` where the stream stopped before the end."""


class Wire(Protocol):
    """What a request looks like, and how its answer is read. Raises `ProviderError`."""

    def headers(self, request: ModelRequest) -> Headers:
        """The headers of the POST."""

    def body(self, request: ModelRequest) -> bytes:
        """The body of the POST."""

    def reply(self, sink: StreamSink) -> Reply:
        """What reads the answer to one request."""


class PostingProvider:
    """Implements `ports.Provider`. Retries are the core's matter."""

    def __init__(self, wire: Wire, access: Access, post: StreamingPost) -> None:
        self._wire = wire
        self._access = access
        self._post = post

    def stream(self, request: ModelRequest, sink: StreamSink) -> Deferred[ModelReply]:
        """See `ports.Provider`."""
        return stream_through_gate(sink, lambda gate: self._ask(request, gate))

    async def _ask(self, request: ModelRequest, sink: StreamSink) -> ModelReply:
        reply = self._wire.reply(sink)
        try:
            headers, body = self._wire.headers(request), self._wire.body(request)
            await self._post.send(self._access.url, headers, body, reply, sink.stalled)
            return reply.reply()
        except ProviderError as error:
            raise redact(error, self._access.secrets) from None


class ByModel:
    """Implements `ports.Provider`: some models of the provider speak another wire than the rest."""

    def __init__(self, others: Provider, named: dict[str, Provider]) -> None:
        self._others = others
        self._named = named

    def stream(self, request: ModelRequest, sink: StreamSink) -> Deferred[ModelReply]:
        """See `ports.Provider`."""
        return self._named.get(request.model, self._others).stream(request, sink)


class Extent:
    """How long an answer may get: a provider that goes on for ever must not fill the memory."""

    def __init__(self, chars: int = LONGEST_ANSWER, calls: int = MOST_CALLS) -> None:
        self._chars = chars
        self._calls = calls

    def grow(self, *texts: str | None) -> None:
        """So much more has come. Raises `ProviderError`."""
        self._chars -= sum(len(text) for text in texts if text)
        if self._chars < 0:
            raise invalid_answer("the provider's answer does not end: it was cut off")

    def call(self) -> None:
        """A call has begun. Raises `ProviderError`."""
        self._calls -= 1
        if self._calls < 0:
            raise invalid_answer("the provider called more tools at once than any model would: it was cut off")


def call_id(wire_id: str, taken: list[str], new_id: NewId) -> str:
    """The id of a call; one of our own where the provider gave none, or the same twice."""
    own = wire_id if wire_id and wire_id not in taken else f"call_{new_id()}"
    taken.append(own)
    return own


def _conforms(provider: PostingProvider, by_model: ByModel) -> tuple[Provider, Provider]:
    return provider, by_model
