"""A web of answers that a test writes down: no socket, no network."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer


class Asked(Struct, frozen=True):
    """One request. Header names are in lower case."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes = b""


@implementer(IResponse)
class CannedAnswer:
    """An answer; with `open` its body does not end before `deliver` and `end` say so."""

    version = (b"HTTP", 1, 1)
    phrase = b"Status"
    previousResponse = None
    request: Any = None

    def __init__(self, body: bytes = b"", code: int = 200, *, open: bool = False, **headers: str) -> None:
        self.code = code
        self.headers = Headers({name.replace("_", "-"): [value] for name, value in headers.items()})
        self.length = len(body)
        self._body = body
        self._open = open
        self._protocol: Any = None

    def deliverBody(self, protocol: Protocol) -> None:
        self._protocol = protocol
        protocol.makeConnection(self)
        if self._body:
            protocol.dataReceived(self._body)
        if not self._open:
            self.end()

    def deliver(self, data: bytes) -> None:
        """More of the body."""
        self._protocol.dataReceived(data)

    def end(self) -> None:
        """The body is whole."""
        self._protocol.connectionLost(Failure(ResponseDone()))

    def pauseProducing(self) -> None:
        """There is no connection."""

    def resumeProducing(self) -> None:
        """There is no connection."""

    def setPreviousResponse(self, response: IResponse) -> None:
        """There is none."""


@implementer(IAgent)
class CannedWeb:
    """An agent. `answers` maps URLs to what makes their answers; any other URL is answered 404.

    `asked` holds the requests in order.
    """

    def __init__(self, answers: Mapping[str, Callable[[], CannedAnswer]]) -> None:
        self._answers = answers
        self.asked: list[Asked] = []

    def request(
        self, method: bytes, uri: bytes, headers: Headers | None = None, bodyProducer: IBodyProducer | None = None
    ) -> Deferred[IResponse]:
        fields = (headers or Headers()).getAllRawHeaders()
        named = {name.decode().lower(): values[0].decode() for name, values in fields}
        self.asked.append(Asked(method.decode(), uri.decode(), named, _bytes_of(bodyProducer)))
        make = self._answers.get(uri.decode(), lambda: CannedAnswer(b"no such page", 404))
        answer: IResponse = make()
        return succeed(answer)


def _bytes_of(producer: IBodyProducer | None) -> bytes:
    sink = _Sink()
    if producer is not None:
        producer.startProducing(sink)
    return sink.written


class _Sink:
    written = b""

    def write(self, data: bytes) -> None:
        self.written += data
