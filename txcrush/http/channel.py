# mypy: allow-untyped-calls
# (Twisted's classes that are extended here carry no annotations.)
"""One client's connection: Twisted's HTTP parser, made strict, bounded in size and in time.

    connected --(header block complete)--> judged --(body complete)--> routed --(answered)--> idle --> connected
        |                                    |                            |
        +---- deadline, garbage -------------+--- 401 403 413 415 421 ----+--- keep-alive or close
                                             v
                                    refused: answer, half-close, drain a little, abort

A refusal always ends the connection: what follows on it would have to be read as a request, and after a framing error
or behind an unread body nobody knows where one begins. Closing with unread bytes would send a reset, which can
overtake the answer; so the write side is closed first and a bounded amount is read and thrown away.

No timer runs while a request is handled: a held prompt and an event stream may last for hours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall, ISSLTransport, ITCPTransport
from twisted.python.failure import Failure
from twisted.web.http import RESPONSES, HTTPChannel, Request, datetimeToString
from twisted.web.http_headers import Headers

from txcrush.http import guards
from txcrush.http.guards import Head, Refusal
from txcrush.wire.errors import error_body

if TYPE_CHECKING:
    from txcrush.http.site import CrushSite


class CrushChannel(HTTPChannel):
    """A connection of a `CrushSite`."""

    site: CrushSite
    transport: Any
    _timer: IDelayedCall | None = None
    _closing: IDelayedCall | None = None
    _refused = False
    _in_headers = False
    _in_body = False
    _seen_bytes = False
    _drained = 0
    _body_began = 0.0
    _body_received = 0

    @property
    def is_busy(self) -> bool:
        """Whether a request is being received or handled."""
        return self._handlingRequest or self._in_body

    def close_when_idle(self) -> None:
        """Close now, or after the answer to the request that is under way."""
        self.persistent = False
        if not self.is_busy:
            self.loseConnection()

    def abort(self) -> None:
        """Close at once and throw away what was not sent."""
        self.transport.abortConnection()

    # the connection's life

    def connectionMade(self) -> None:
        limits = self.site.policy.limits
        self.totalHeadersSize = limits.max_header_block
        self.maxHeaders = limits.max_headers
        super().connectionMade()
        if not self.site.admits(self.transport):
            self.site.channels.add(self)
            self._refused = True
            self.abort()
        elif self.site.arrived(self, self._peer_host()):
            self._start_timer(limits.header_deadline_s, self._header_deadline_passed)
        else:
            self._turn_away()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # Twisted always says why
        self._stop_timer()
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        super().connectionLost(reason)
        self.site.channel_closed(self)

    def loseConnection(self) -> None:
        """Close once everything is sent; a client that does not read gets `flush_s` seconds for that."""
        if self._closing is None:
            self._closing = self.callLater(self.site.policy.limits.flush_s, self._flush_deadline_passed)
        super().loseConnection()

    def dataReceived(self, data: bytes) -> None:
        if self._refused:
            self._drain(len(data))
            return
        self._seen_bytes = True
        super().dataReceived(data)
        if self._refused or self._closing is not None or not self.line_mode:
            return
        if b"\n" in self._buffer:
            self.refuse(guards.BAD_REQUEST)
        elif (self._in_headers or self._buffer) and self._timer is None:
            self._start_timer(self.site.policy.limits.header_deadline_s, self._header_deadline_passed)

    # the parser's callbacks

    def lineReceived(self, line: bytes) -> None:
        if self._refused:
            return
        self._in_headers = True
        if line[:1] in (b" ", b"\t"):
            self.refuse(guards.BAD_REQUEST)
        elif self._receivedHeaderSize + len(line) > self.totalHeadersSize:
            self.refuse(guards.HEADERS_TOO_LARGE)
        else:
            super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: ARG002
        self.refuse(guards.HEADERS_TOO_LARGE)

    def headerReceived(self, line: bytes) -> bool:
        problem = guards.field_problem(line)
        if problem is None and self._receivedHeaderCount >= self.maxHeaders:
            problem = guards.HEADERS_TOO_LARGE
        if problem is not None:
            self.refuse(problem)
        return not self._refused and bool(super().headerReceived(line))

    def allHeadersReceived(self) -> None:
        self._in_headers = False
        self._stop_timer()
        if self._refused:
            return
        refusal = self._judge(self.requests[-1])
        if refusal is not None:
            self.refuse(refusal)
            return
        super().allHeadersReceived()
        if self.length != 0:
            self._begin_body()

    def allContentReceived(self) -> None:
        if self._refused:
            return
        self._in_body = False
        self._stop_timer()
        trailers = getattr(self._transferDecoder, "_trailerHeaders", ())
        if any(guards.trailer_problem(bytes(line)) for line in trailers):
            self.refuse(guards.BAD_REQUEST)
        else:
            super().allContentReceived()

    def rawDataReceived(self, data: bytes) -> None:
        if self._refused:
            return
        super().rawDataReceived(data)
        announced = getattr(self._transferDecoder, "length", 0)
        if announced > self.site.policy.limits.max_body:
            self.refuse(guards.TOO_LARGE if announced < 2**63 else guards.BAD_REQUEST)

    def body_received(self, count: int) -> bool:
        """Note `count` more bytes of the body; False when they are not wanted."""
        self._body_received += count
        if not self._refused and self._body_received > self.site.policy.limits.max_body:
            self.refuse(guards.TOO_LARGE)
        return not self._refused

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Any) -> None:
        """As Twisted's, `headers` being `Headers` or pairs, but the server does not say what it runs on."""
        if isinstance(headers, Headers):
            headers.removeHeader(b"Server")
        super().writeHeaders(version, code, reason, headers)

    # refusing

    def refuse(self, refusal: Refusal) -> None:
        """Answer and end the connection; nothing that comes after is looked at."""
        if self._refused:
            return
        self._refused = True
        self._stop_timer()
        self.setTimeout(None)
        self.clearLineBuffer()
        self.transport.write(_answer(refusal, with_body=getattr(self, "_command", b"") != b"HEAD"))
        self.site.note_refusal(refusal.status)
        self._half_close()

    def _respondToBadRequestAndDisconnect(self) -> None:
        self.refuse(guards.BAD_REQUEST)

    def _turn_away(self) -> None:
        """Say that there is no room. Over TLS that would take a handshake first, which is what there is no room for."""
        self._refused = True
        if ISSLTransport.providedBy(self.transport):
            self.abort()
        else:
            self.transport.write(_answer(guards.TOO_MANY, with_body=True))
            self.transport.loseConnection()

    def _peer_host(self) -> str:
        return getattr(self.getPeer(), "host", "")

    def _half_close(self) -> None:
        transport: Any = self.transport
        if not _can_half_close(transport):
            self.loseConnection()
            return
        transport.unregisterProducer()
        transport.loseWriteConnection()
        self._start_timer(self.site.policy.limits.drain_s, self.abort)

    def _drain(self, count: int) -> None:
        self._drained += count
        if self._drained > self.site.policy.limits.drain_bytes:
            self.abort()

    # judging

    def _judge(self, request: Request) -> Refusal | None:
        head = self._head(request.requestHeaders)
        refusal = guards.judge(self.site.policy, head)
        if refusal is not None:
            return self.site.counted(refusal, self._peer_host())
        if guards.shows_token(self.site.policy, head):
            self.site.strangers.forget(self)
        if self._version == b"HTTP/1.0" and request.requestHeaders.hasHeader(b"Transfer-Encoding"):
            return guards.BAD_REQUEST
        target = guards.parse_target(head.method, head.target)
        if target is not None and target.authority is not None:
            self._path = target.path.encode("ascii")
            request.requestHeaders.setRawHeaders(b"Host", [target.authority.encode("ascii")])
        if not request.requestHeaders.hasHeader(b"Host"):
            request.requestHeaders.setRawHeaders(b"Host", [b"localhost"])
        return None

    def _head(self, headers: Headers) -> Head:
        def values(name: bytes) -> tuple[str, ...]:
            return tuple(value.decode("latin-1") for value in headers.getRawHeaders(name, []))

        return Head(
            method=self._command.decode("latin-1"),
            target=self._path.decode("latin-1"),
            version=self._version.decode("latin-1"),
            hosts=values(b"Host"),
            origins=values(b"Origin"),
            fetch_sites=values(b"Sec-Fetch-Site"),
            fetch_modes=values(b"Sec-Fetch-Mode"),
            authorizations=values(b"Authorization"),
            content_types=values(b"Content-Type"),
            page_session=self.site.page_standing(values(b"Cookie"), self.getHost(), secure=bool(self.isSecure())),
            body_length=self.length,
            local_address=getattr(self.getHost(), "host", ""),
        )

    # time

    def _begin_body(self) -> None:
        self._in_body = True
        self._body_received = 0
        self._body_began = self.site.reactor.seconds()
        self._start_timer(self.site.policy.limits.body_grace_s, self._check_body_rate)

    def _check_body_rate(self) -> None:
        self._timer = None
        elapsed_s = self.site.reactor.seconds() - self._body_began
        if self.site.policy.limits.body_is_too_slow(self._body_received, elapsed_s):
            self.refuse(guards.TOO_SLOW)
        else:
            self._start_timer(1.0, self._check_body_rate)

    def _header_deadline_passed(self) -> None:
        self._timer = None
        if self._seen_bytes:
            self.refuse(guards.TOO_SLOW)
        else:
            self.loseConnection()

    def _flush_deadline_passed(self) -> None:
        self._closing = None
        self.abort()

    def _start_timer(self, delay_s: float, passed: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = self.callLater(delay_s, passed)

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None


def _can_half_close(transport: object) -> bool:
    """TLS says goodbye in its own way, by `loseConnection`."""
    return bool(ITCPTransport.providedBy(transport)) and not ISSLTransport.providedBy(transport)


def _answer(refusal: Refusal, *, with_body: bool) -> bytes:
    body = error_body(refusal.message)
    lines = [
        b"HTTP/1.1 %d %s" % (refusal.status, RESPONSES.get(refusal.status, b"Refused")),
        b"Date: " + datetimeToString(),
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
        b"Connection: close",
        *(f"{name}: {value}".encode("ascii") for name, value in refusal.headers),
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body if with_body else b"")
