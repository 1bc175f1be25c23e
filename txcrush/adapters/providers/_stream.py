"""One POST whose answer streams: reading, the idle limit, and closing the connection at once.

treq's `collect()` leaves a cancelled body flowing, and its `timeout=` covers headers only; so bodies are read by
protocols of our own, whose cancellers stop the transport.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IConsumer, IDelayedCall
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from txcrush.adapters.providers._idle_watch import IdleWatch, Limits
from txcrush.adapters.providers.errors import NETWORK_ERRORS, network_error, stalled
from txcrush.ports import Clock
from txcrush.wire.provider_errors import http_error, invalid_answer, looks_like_html
from txcrush.wire.sse import SseParser, SseTooLong

T = TypeVar("T")


class Answer(Protocol):
    """What a wire makes of the body. Its methods raise `ProviderError`."""

    @property
    def finished(self) -> bool:
        """The model's answer is whole; only its usage may still come."""

    @property
    def complete(self) -> bool:
        """Nothing more will come."""

    def event(self, data: bytes) -> bool:
        """Take the data of one event; says whether it was progress."""

    def document(self, body: bytes) -> None:
        """Take the answer of a server that does not stream."""


@implementer(IBodyProducer)
class BytesBody:
    """A request body that is there already."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """The body was written in one piece."""

    def resumeProducing(self) -> None:
        """The body was written in one piece."""

    def stopProducing(self) -> None:
        """The body was written in one piece."""


class AnswerBody(TwistedProtocol):
    """Reads a body into an `Answer`. `done` fires when the answer is complete or the body has ended.

    Whether it streams is told by its first byte, not by its Content-Type, which half of the servers get wrong: no
    event stream begins with `{` or `<`.
    """

    def __init__(self, answer: Answer, watch: IdleWatch, clock: Clock, limits: Limits) -> None:
        self.done: Deferred[None] = Deferred(lambda _: self._close())
        self._answer = answer
        self._watch = watch
        self._clock = clock
        self._limits = limits
        self._parser = SseParser(limits.line_bytes)
        self._take: Callable[[bytes], None] = self._sniff
        self._document: list[bytes] = []
        self._size = 0
        self._over = False
        self._cut: IDelayedCall | None = None

    def dataReceived(self, data: bytes) -> None:
        if self._over:
            return
        try:
            self._take(data)
        except SseTooLong as error:
            self._fail(Failure(invalid_answer(str(error))))
        except Exception:  # whatever the sink raised fails the request, not Twisted's parser
            self._fail(Failure())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._cut is not None and self._cut.active():
            self._cut.cancel()
        if self._over:
            return
        if not reason.check(ResponseDone, PotentialDataLoss) and not self._answer.finished:
            self._fail(reason)
            return
        try:
            self._end_of_body()
        except Exception:  # as above
            self._fail(Failure())
        else:
            self._finish()

    def _end_of_body(self) -> None:
        if self._document:
            self._answer.document(b"".join(self._document))

    def _sniff(self, data: bytes) -> None:
        """Choose the reader by the first byte that is not blank. Blanks before it mean nothing to either."""
        start = data.removeprefix(b"\xef\xbb\xbf").lstrip()
        if start:
            self._take = self._collect if start[:1] in (b"{", b"[", b"<") else self._events
            self._take(start)

    def _collect(self, data: bytes) -> None:
        self._document.append(data)
        self._size += len(data)
        if self._size > self._limits.line_bytes:
            raise SseTooLong(f"the answer is longer than {self._limits.line_bytes} bytes")
        if looks_like_html(self._document[0]):
            raise invalid_answer("the provider answered with a page of HTML: check the provider's base_url")

    def _events(self, data: bytes) -> None:
        for event in self._parser.feed(data):
            self._event(event.data)
            if self._over:
                return

    def _event(self, data: bytes) -> None:
        progress = self._answer.event(data)
        if self._over:
            return
        if self._answer.complete:
            self._cut = self._clock.callLater(self._limits.drain_s, self._stop_transport)
            self._finish()
        elif self._answer.finished:
            self._watch.tail()
        elif progress:
            self._watch.progress()

    def _finish(self) -> None:
        self._over = True
        self.done.callback(None)

    def _fail(self, failure: Failure) -> None:
        if self._over:
            return
        self._close()
        self.done.errback(failure)

    def _close(self) -> None:
        self._over = True
        self._document.clear()
        self._stop_transport()

    def _stop_transport(self) -> None:
        if self.transport is not None:
            # The proxy that Twisted hands to body protocols has no abortConnection; this closes within a millisecond.
            self.transport.stopProducing()  # type: ignore[attr-defined]


class BoundedBody(TwistedProtocol):
    """The beginning of a body. `done` fires with it at the limit, at the end or when the connection breaks."""

    def __init__(self, limit: int) -> None:
        self.done: Deferred[bytes] = Deferred(lambda _: self.stop())
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0

    def dataReceived(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        if self._size >= self._limit and not self.done.called:
            self.stop()
            self._fire()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002  # Twisted's signature
        if not self.done.called:
            self._fire()

    def _fire(self) -> None:
        self.done.callback(b"".join(self._pieces)[: self._limit])

    def stop(self) -> None:
        """Close the connection."""
        if self.transport is not None:
            self.transport.stopProducing()  # type: ignore[attr-defined]


class StreamingPost:
    """Posts a JSON body and reads what comes back into an `Answer`."""

    def __init__(self, agent: IAgent, clock: Clock, limits: Limits, name: str) -> None:
        self._agent = agent
        self._clock = clock
        self._limits = limits
        self._name = name

    async def send(
        self, url: str, headers: Headers, body: bytes, answer: Answer, stalled: Callable[[float], None]
    ) -> None:
        """Returns when the answer is complete or the body has ended. Raises `ProviderError`. `stalled` is told when the
        provider has been silent for a while."""
        watch = IdleWatch(self._clock, self._limits, self._name, stalled)
        try:
            asked = self._agent.request(b"POST", url.encode("ascii"), headers, BytesBody(body))
            await self._read(await watch.over(asked), answer, watch)
        except CancelledError:
            if not watch.expired:
                raise
            self._check_expired(answer)
        except NETWORK_ERRORS as error:
            if not watch.expired:
                raise network_error(error) from error
            self._check_expired(answer)
        finally:
            watch.stop()

    def _check_expired(self, answer: Answer) -> None:
        """A limit that passed behind the whole answer is no failure."""
        if not answer.finished:
            raise stalled(self._limits.idle_s) from None

    async def _read(self, response: IResponse, answer: Answer, watch: IdleWatch) -> None:
        if response.code >= 300:
            raise await self._refused(response, watch)
        encoding = _header(response, "content-encoding")
        if encoding not in ("", "identity"):
            unread = BoundedBody(0)
            response.deliverBody(unread)
            unread.stop()
            raise invalid_answer(
                f"the provider's answer has the content encoding {encoding!r}, which was not asked for"
            )
        body = AnswerBody(answer, watch, self._clock, self._limits)
        # The body may be here already and be delivered inside deliverBody: the watch must know of it before.
        done = watch.over(body.done)
        response.deliverBody(body)
        await done

    async def _refused(self, response: IResponse, watch: IdleWatch) -> Exception:
        body = BoundedBody(self._limits.error_bytes)
        response.deliverBody(body)
        headers = {
            name.decode("latin-1").lower(): values[-1].decode("latin-1")
            for name, values in response.headers.getAllRawHeaders()
        }
        return http_error(response.code, headers, await watch.over(body.done), self._clock.seconds())


def _header(response: IResponse, name: str) -> str:
    values = response.headers.getRawHeaders(name, [])
    return values[-1].strip().lower() if values else ""
