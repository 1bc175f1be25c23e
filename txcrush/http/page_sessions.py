"""The cookie of a browser page: it stands for the bearer token where a page cannot send one (`EventSource`, images).

A page sends the token once, in a header, and gets the cookie. The cookie holds the second at which it ends and a seal
made with the token: nothing is stored, a restart of the server changes nothing, another token ends every session.

Cookies know no ports: the browser would show ours to every server on the same host. The name holds the port, so that
two of our servers do not overwrite each other's, and `guards` lets the cookie count for requests of our own page only.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable
from typing import Literal

LIFETIME_S = 7 * 24 * 3600

Standing = Literal["none", "valid", "expired", "forged"]
"""What a request's cookie is worth; `none` when it has none of ours, or more than one."""


class PageSessions:
    """Makes and checks cookies. `now` is Unix time in seconds."""

    def __init__(self, token: str, now: Callable[[], float], lifetime_s: int = LIFETIME_S) -> None:
        self._key = hmac.digest(token.encode(), b"txcrush page session", hashlib.sha256)
        self._now = now
        self._lifetime_s = lifetime_s

    def begin(self, port: int, *, secure: bool) -> tuple[str, int]:
        """A `Set-Cookie` value for a new session, and the Unix second at which it ends."""
        ends_at = int(self._now()) + self._lifetime_s
        return _cookie(port, f"{ends_at}.{self._seal(str(ends_at))}", self._lifetime_s, secure=secure), ends_at

    def standing(self, fields: Iterable[str], port: int, *, secure: bool) -> Standing:
        """What the `Cookie` fields of a request are worth."""
        name = cookie_name(port, secure=secure)
        pairs = [pair.strip().partition("=") for field in fields for pair in field.split(";")]
        values = [value for key, _, value in pairs if key == name]
        if len(values) != 1:
            return "none"
        ends_at, _, seal = values[0].partition(".")
        if not hmac.compare_digest(seal.encode(), self._seal(ends_at).encode()):
            return "forged"
        return "valid" if self._now() < int(ends_at) else "expired"

    def _seal(self, ends_at: str) -> str:
        return hmac.new(self._key, ends_at.encode(), hashlib.sha256).hexdigest()


def end(port: int, *, secure: bool) -> str:
    """A `Set-Cookie` value that makes the browser forget the session."""
    return _cookie(port, "", 0, secure=secure)


def cookie_name(port: int, *, secure: bool) -> str:
    """The cookie's name; over TLS with the prefix that keeps other hosts and plain HTTP from setting it."""
    return f"{'__Host-' if secure else ''}txcrush-{port}"


def _cookie(port: int, value: str, lifetime_s: int, *, secure: bool) -> str:
    name = cookie_name(port, secure=secure)
    return f"{name}={value}; Path=/; Max-Age={lifetime_s}; HttpOnly; SameSite=Strict{'; Secure' if secure else ''}"
