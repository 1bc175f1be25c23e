"""What is to be asked for: a URL, taken apart once, so that what is checked is what is connected to."""

import base64
import re
from urllib.parse import quote, unquote, urljoin, urlsplit

import idna
from msgspec import Struct

from txcrush.adapters.web.addresses import literal

LONGEST_URL = 16 * 1024
"""Characters; servers take less."""

_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?", re.ASCII)
_KEPT = "!$%&'()*+,/:;=?@~"
"""What may stand in a path or a query as it is; the rest is escaped."""


class Target(Struct, frozen=True, kw_only=True):
    """An address of the web. `host` is ASCII, an IPv6 address without its brackets; `path` begins with a slash and
    holds the query; `user` is `name:password` or empty."""

    scheme: str
    host: str
    port: int
    path: str
    user: str = ""

    @property
    def url(self) -> str:
        """The URL without what belongs to the user."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    @property
    def authorization(self) -> str:
        """The value of an `Authorization` header, or empty."""
        return "Basic " + base64.b64encode(self.user.encode()).decode() if self.user else ""


def parse(url: str) -> Target:
    """Raises ValueError, with what is wrong, for what is no http or https URL."""
    if len(url) > LONGEST_URL:
        raise ValueError(f"the URL is longer than {LONGEST_URL} characters")
    parts = urlsplit(url)
    if parts.scheme not in _PORTS:
        raise ValueError("URL must start with http:// or https://")
    if not parts.hostname or "\\" in parts.netloc:  # a browser reads a backslash as a slash: two readings, two hosts
        raise ValueError("the URL has no host")
    user = ""
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    port = parts.port if parts.port is not None else _PORTS[parts.scheme]
    path = quote(parts.path, _KEPT) or "/"
    query = f"?{quote(parts.query, _KEPT)}" if parts.query else ""
    return Target(scheme=parts.scheme, host=_host(parts.hostname), port=port, path=path + query, user=user)


def redirected(target: Target, location: str) -> Target:
    """Where an answer sends us. Raises ValueError as `parse` does. A password never goes to another origin."""
    there = parse(urljoin(target.url, location.strip()))
    if there.user or there.origin != target.origin:
        return there
    return Target(scheme=there.scheme, host=there.host, port=there.port, path=there.path, user=target.user)


def _host(host: str) -> str:
    """The host as it is resolved: a name in ASCII, an address in its usual form."""
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode("ascii")
        except idna.IDNAError as error:
            raise ValueError(f"invalid host name: {error}") from error
    host = host.lower()
    if "%" in host:
        raise ValueError(f"invalid host name {host!r}")
    address = literal(host)
    if address is not None:
        return address
    if len(host) > 254 or not _NAME.fullmatch(host):
        raise ValueError(f"invalid host name {host!r}")
    return host
