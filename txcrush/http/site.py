# mypy: allow-untyped-calls
# (Twisted's classes that are extended here carry no annotations.)
"""The HTTP site of one listening port: its policy, its connections, and a request before it is routed."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import BAD_REQUEST, INTERNAL_SERVER_ERROR, TEMPORARY_REDIRECT, datetimeToString
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from txcrush.http import guards
from txcrush.http.channel import CrushChannel
from txcrush.http.guards import Policy, Refusal
from txcrush.http.limits import FailedLogins
from txcrush.http.page_sessions import PageSessions, Standing
from txcrush.http.strangers import Strangers
from txcrush.model.errors import BadRequest, CrushError
from txcrush.wire.errors import error_body

PeerUid = Callable[[object], int | None]
"""The user id of the process at the other end of a Unix socket's transport, None when the system does not tell."""


class CrushRequest(Request):
    """A request that the channel let in. Its body is in memory, bounded by the port's limit."""

    channel: CrushChannel
    content: BytesIO
    defaultContentType = None
    received_at_s = 0.0

    def gotLength(self, length: int | None) -> None:  # noqa: ARG002
        self.received_at_s = self.channel.site.reactor.seconds()
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        if self.channel.body_received(len(data)):
            self.content.write(data)

    def process(self) -> None:
        """Send unclean paths to their clean form, refuse what is no text, hand everything else to the resources."""
        path = self.path.decode("ascii")
        if path.startswith("/") and not guards.is_clean(path):
            self._redirect(guards.clean_path(path))
        elif not _is_text(self.path):
            self._answer(BAD_REQUEST, b"application/json", error_body(BadRequest.default))
        else:
            super().process()

    def processingFailed(self, reason: Failure) -> Failure:
        """Log it and answer 500 in the shape of every other error."""
        self._log.failure("a request failed", failure=reason)
        if self._disconnected or self.finished:
            return reason
        if self.startedWriting:
            self.channel.abort()
            return reason
        self._answer(INTERNAL_SERVER_ERROR, b"application/json", error_body(CrushError.default))
        return reason

    def _redirect(self, path: str) -> None:
        query = self.uri.decode("ascii").partition("?")
        location = path + query[1] + query[2]
        page = (
            f'<a href="{html.escape(location)}">Temporary Redirect</a>.\n\n' if self.method in (b"GET", b"HEAD") else ""
        )
        self.setHeader(b"Location", location.encode("ascii"))
        self._answer(TEMPORARY_REDIRECT, b"text/html; charset=utf-8", page.encode("ascii"))

    def _answer(self, status: int, content_type: bytes, body: bytes) -> None:
        self.setResponseCode(status)
        self.setHeader(b"Date", datetimeToString())
        self.setHeader(b"Content-Type", content_type)
        self.setHeader(b"Content-Length", b"%d" % len(body))
        self.write(body)
        self.finish()


class CrushSite(Site):
    """A `Site` whose channels are `CrushChannel`s.

    `channels` are the connections that are open, `strangers` those of them that have not shown a token. `peer_uid` is
    asked on Unix sockets; None means that nobody needs to be asked (TCP). `page_sessions` judges the cookies of pages,
    None where no token is asked.
    """

    requestFactory = CrushRequest
    protocol = CrushChannel  # type: ignore[assignment]  # without Twisted's negotiating proxy: no HTTP/2 here
    noisy = False
    _log = Logger()

    def __init__(
        self,
        resource: IResource,
        policy: Policy,
        clock: IReactorTime,
        peer_uid: PeerUid | None = None,
        page_sessions: PageSessions | None = None,
    ) -> None:
        super().__init__(resource, parsePOSTFormSubmission=False, timeout=policy.limits.idle_s, reactor=clock)
        self.policy = policy
        self.channels: set[CrushChannel] = set()
        self.strangers = Strangers[CrushChannel](policy.limits.max_strangers if policy.kind == "tcp" else None)
        self.page_sessions = page_sessions
        self._peer_uid = peer_uid
        self._failed_logins = FailedLogins(clock.seconds)
        self._waiting: list[Deferred[None]] = []

    def buildProtocol(self, addr: IAddress | None) -> CrushChannel:  # type: ignore[override]
        """A channel for a new connection."""
        channel: CrushChannel = super().buildProtocol(addr)
        return channel

    def arrived(self, channel: CrushChannel, address: str) -> bool:
        """Note a connection; False when there is no room for it.

        One that has shown no token makes room for a newer one: whoever means to ask something does so at once.
        """
        if len(self.channels) >= self.policy.limits.max_connections:
            oldest = self.strangers.oldest()
            if oldest is None:
                return False
            self._put_out(oldest)
        crowding = self.strangers.add(channel, address)
        if crowding is not None:
            self._put_out(crowding)
        self.channels.add(channel)
        return True

    def _put_out(self, channel: CrushChannel) -> None:
        self.strangers.forget(channel)
        channel.abort()

    def page_standing(self, cookies: Iterable[str], host: Any, *, secure: bool) -> Standing:
        """What the cookies of a request to this address are worth."""
        if self.page_sessions is None or not cookies:
            return "none"
        return self.page_sessions.standing(cookies, host.port, secure=secure)

    def admits(self, transport: object) -> bool:
        """Whether the process at the other end runs as our own user or as root."""
        if self._peer_uid is None:
            return self.policy.kind == "tcp"
        return self._peer_uid(transport) in (self.policy.own_uid, 0)

    def counted(self, refusal: Refusal, address: str) -> Refusal:
        """The refusal itself, or 429 when the address has sent too many wrong tokens."""
        retry_after_s = self._failed_logins.failed(address) if refusal.guessed else 0
        return guards.too_many_guesses(retry_after_s) if retry_after_s else refusal

    def acceptableProtocols(self) -> list[bytes]:
        return [b"http/1.1"]

    def startFactory(self) -> None:
        """Nothing: Twisted's access log would write query strings at a level that everybody sees."""

    def stopFactory(self) -> None:
        """Nothing was started."""

    def log(self, request: Any) -> None:
        """One debug line a request, without its query."""
        self._log.debug(
            "{method} {path} {status} {duration_ms} ms {agent}",
            method=request.method.decode("latin-1"),
            path=request.uri.partition(b"?")[0].decode("latin-1"),
            status=request.code,
            duration_ms=round((self.reactor.seconds() - request.received_at_s) * 1000),
            agent=(request.getHeader(b"User-Agent") or b"-").decode("latin-1"),
        )

    def note_refusal(self, status: int) -> None:
        """One debug line for a request that was not let in; nothing that the client sent is repeated."""
        self._log.debug("refused a request with {status}", status=status)

    def close_when_idle(self) -> None:
        """Close the connections that wait for a request, and each other one after its answer."""
        for channel in tuple(self.channels):
            channel.close_when_idle()

    def when_empty(self) -> Deferred[None]:
        """Fires, for each asker on its own, once no connection is open."""
        empty: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(empty)
        self._tell_when_empty()
        return empty

    def channel_closed(self, channel: CrushChannel) -> None:
        """A channel's connection is gone."""
        self.channels.discard(channel)
        self.strangers.forget(channel)
        self._tell_when_empty()

    def _tell_when_empty(self) -> None:
        while self._waiting and not self.channels:
            self._waiting.pop(0).callback(None)

    def abort_all(self) -> None:
        """Close every connection at once."""
        for channel in tuple(self.channels):
            channel.abort()


def _is_text(path: bytes) -> bool:
    """Whether the path is UTF-8 once its percent signs are resolved."""
    try:
        unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        return False
    return True
