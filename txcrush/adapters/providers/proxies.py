"""Proxies that the environment names: which one serves an address, and how a request gets through it.

Requests to `http` go to the proxy in absolute form; for `https` the proxy opens a tunnel (CONNECT), inside which TLS is
ours. Like Go's programs, and so like the reference, nothing on the loopback is ever asked of a proxy.
"""

import base64
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import unquote, urlsplit

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from txcrush.adapters.providers.errors import TunnelRefused
from txcrush.model.errors import ConfigInvalid

_LONGEST_HEAD = 16 * 1024
_PORTS = {"http": 80, "https": 443}


class Proxy(Struct, frozen=True):
    """A proxy; `authorization` is the value of `Proxy-Authorization`, or empty."""

    scheme: str
    host: str
    port: int
    authorization: str = ""


def proxy_for(scheme: str, host: str, port: int, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy for an address, or None where it is reached directly. Raises `ConfigInvalid` for one we cannot use."""
    value = _variable(environ, f"{scheme}_proxy") or _variable(environ, "all_proxy")
    if not value or _is_loopback(host) or _is_exempt(host, port, _variable(environ, "no_proxy")):
        return None
    return _parse(value, f"{scheme}_proxy".upper())


def _variable(environ: Mapping[str, str], name: str) -> str:
    return (environ.get(name.upper()) or environ.get(name) or "").strip()


def _parse(value: str, name: str) -> Proxy:
    """The text of the error leaves the value out: it may hold a password."""
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise ConfigInvalid(f"{name} is not the address of a proxy") from error
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ConfigInvalid(f"{name} must be an http:// or https:// address: other proxies are not supported")
    authorization = ""
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + base64.b64encode(user.encode()).decode()
    return Proxy(parts.scheme, parts.hostname, port, authorization)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _is_exempt(host: str, port: int, no_proxy: str) -> bool:
    return any(_matches(entry, host.lower().rstrip("."), port) for entry in no_proxy.lower().replace(",", " ").split())


def _matches(entry: str, host: str, port: int) -> bool:
    """One entry of NO_PROXY: `*`, a domain (with all below it), an address or a network, each with an optional port."""
    if entry == "*":
        return True
    try:
        return ip_address(host) in ip_network(entry.strip("[]"), strict=False)
    except ValueError:  # one of the two is a name, or the entry has a port
        return _matches_name(entry, host, port)


def _matches_name(entry: str, host: str, port: int) -> bool:
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdigit():
        return int(wanted) == port and _matches(name, host, port)
    name = entry.removeprefix("*").removeprefix(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


@implementer(IAgent)
class AuthorizedProxyAgent:
    """Adds what the proxy wants to know of us to requests in absolute form."""

    def __init__(self, agent: IAgent, proxy: Proxy) -> None:
        self._agent = agent
        self._proxy = proxy

    def request(
        self, method: bytes, uri: bytes, headers: Headers | None = None, bodyProducer: IBodyProducer | None = None
    ) -> Deferred[IResponse]:
        own = headers.copy() if headers is not None else Headers()
        if self._proxy.authorization:
            own.setRawHeaders("Proxy-Authorization", [self._proxy.authorization])
        return self._agent.request(method, uri, own, bodyProducer)


@implementer(IStreamClientEndpoint)
class TunnelEndpoint:
    """Connects through a proxy by CONNECT. Cancelling closes the connection to the proxy."""

    def __init__(self, proxy_endpoint: IStreamClientEndpoint, proxy: Proxy, host: str, port: int) -> None:
        self._proxy_endpoint = proxy_endpoint
        self._proxy = proxy
        self._target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        connected: Deferred[Any] = self._proxy_endpoint.connect(_TunnelFactory(self._head(), protocolFactory))
        tunnel: Deferred[IProtocol] = connected.addCallback(_when_opened)
        return tunnel

    def _head(self) -> bytes:
        lines = [f"CONNECT {self._target} HTTP/1.1", f"Host: {self._target}"]
        if self._proxy.authorization:
            lines.append(f"Proxy-Authorization: {self._proxy.authorization}")
        return "\r\n".join([*lines, "", ""]).encode("ascii")


def _when_opened(tunnel: "_Tunnel") -> Deferred[IProtocol]:
    return tunnel.opened


class _TunnelFactory(Factory):
    noisy = False

    def __init__(self, head: bytes, inner: IProtocolFactory) -> None:
        self._head = head
        self._inner = inner

    def buildProtocol(self, addr: IAddress | None) -> "_Tunnel":
        return _Tunnel(self._head, self._inner, addr)


class _Tunnel(Protocol):
    """Asks for the tunnel, then passes everything to the protocol inside. `opened` fires with that protocol."""

    transport: Any

    def __init__(self, head: bytes, inner: IProtocolFactory, address: Any) -> None:
        self.opened: Deferred[IProtocol] = Deferred(lambda _: self._abort())
        self._head = head
        self._factory = inner
        self._address = address
        self._answer = b""
        self._inner: IProtocol | None = None

    def connectionMade(self) -> None:
        self.transport.write(self._head)

    def dataReceived(self, data: bytes) -> None:
        if self._inner is not None:
            self._inner.dataReceived(data)
            return
        self._answer += data
        head, blank, rest = self._answer.partition(b"\r\n\r\n")
        if blank:
            self._answered(head.partition(b"\r\n")[0].decode("latin-1"), rest)
        elif len(self._answer) > _LONGEST_HEAD:
            self._refuse("its answer has no end")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._inner is not None:
            self._inner.connectionLost(reason)
        elif not self.opened.called:
            self.opened.errback(TunnelRefused("it closed the connection"))

    def _answered(self, status_line: str, rest: bytes) -> None:
        words = status_line.split(" ", 2)
        if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].startswith("2"):
            self._refuse(" ".join(words[1:])[:200] or "it does not speak HTTP")
            return
        inner = self._factory.buildProtocol(self._address)
        if inner is None:
            self._refuse("the connection is not wanted any more")
            return
        self._inner = inner
        inner.makeConnection(self.transport)
        self.opened.callback(inner)
        if rest:
            inner.dataReceived(rest)

    def _refuse(self, why: str) -> None:
        if not self.opened.called:
            self.opened.errback(TunnelRefused(why))
        self._abort()

    def _abort(self) -> None:
        self.transport.abortConnection()
