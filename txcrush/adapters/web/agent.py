"""An agent for treq that reaches public addresses only, on a connection of its own for every request."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.web.client import URI, Agent, HTTPConnectionPool, ProxyAgent
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IBodyProducer, IPolicyForHTTPS, IResponse
from zope.interface import implementer

from txcrush.adapters.providers.proxies import AuthorizedProxyAgent, Proxy, TunnelEndpoint, proxy_for
from txcrush.adapters.web.addresses import is_inside_name, literal, why_refused
from txcrush.adapters.web.connecting import Meter, MeteredEndpoint, PinnedEndpoint, addresses_of
from txcrush.adapters.web.failures import AddressRefused, WebFailed, faithful
from txcrush.model.errors import ConfigInvalid

CODING = b"x-txcrush-coding"
"""Where the answer's `Content-Encoding` is found: treq would decode the body by itself, to any size."""

FLAG = "--allow-private-fetch"


class Surroundings(Struct, frozen=True):
    """What a server's web tools share. `environ` names the proxies; `allow_private` is the user's flag."""

    reactor: Any
    environ: Mapping[str, str]
    tls: IPolicyForHTTPS
    allow_private: bool = False


@implementer(IAgent, IAgentEndpointFactory)
class GuardedAgent:
    """For one errand: `close` ends every connection that it opened."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._opened: set[Meter] = set()
        self._pool = HTTPConnectionPool(around.reactor, persistent=False)

    def request(
        self, method: bytes, uri: bytes, headers: Headers | None = None, bodyProducer: IBodyProducer | None = None
    ) -> Deferred[IResponse]:
        """Fails with `AddressRefused` before anything is connected to, and with Twisted's own errors."""
        return Deferred.fromCoroutine(self._request(method, uri, headers or Headers(), bodyProducer))

    def close(self) -> None:
        """Close the connections at once."""
        for meter in list(self._opened):
            meter.abortConnection()

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """The way to a host without a proxy."""
        host = uri.host.decode("ascii")
        return self._way(PinnedEndpoint(self._around.reactor, host, uri.port, self._check), uri)

    async def _request(self, method: bytes, uri: bytes, headers: Headers, body: IBodyProducer | None) -> IResponse:
        own = headers.copy()
        own.setRawHeaders(b"accept-encoding", own.getRawHeaders(b"accept-encoding", [b"gzip"])[:1])
        agent = await self._agent_for(URI.fromBytes(uri))
        response: IResponse = await faithful(agent.request(method, uri, own, body))
        for meter in self._opened:
            meter.in_head = False
        codings = response.headers.getRawHeaders(b"content-encoding", [])
        response.headers.setRawHeaders(CODING, [b",".join(codings)])
        response.headers.removeHeader(b"content-encoding")
        return response

    async def _agent_for(self, uri: URI) -> IAgent:
        scheme, host = uri.scheme.decode("ascii"), uri.host.decode("ascii")
        try:
            proxy = proxy_for(scheme, host, uri.port, self._around.environ)
        except ConfigInvalid as error:
            raise WebFailed(error.message) from error
        if proxy is None:
            return self._by(self)
        await self._check_behind_proxy(host, uri.port)
        if scheme == "https":
            return self._by(_Tunnels(self, proxy))
        way = MeteredEndpoint(self.way_to_proxy(proxy), self._opened)
        return AuthorizedProxyAgent(ProxyAgent(way, self._around.reactor, self._pool), proxy)

    def _by(self, endpoints: IAgentEndpointFactory) -> IAgent:
        agent: IAgent = Agent.usingEndpointFactory(self._around.reactor, endpoints, self._pool)
        return agent

    def through(self, proxy: Proxy, uri: URI) -> IStreamClientEndpoint:
        """The way to a host in a tunnel."""
        tunnel = TunnelEndpoint(self.way_to_proxy(proxy), proxy, uri.host.decode("ascii"), uri.port)
        return self._way(tunnel, uri)

    def way_to_proxy(self, proxy: Proxy) -> IStreamClientEndpoint:
        """The user named the proxy, so it may be anywhere."""
        way = HostnameEndpoint(self._around.reactor, proxy.host, proxy.port)
        return self._secured(way, proxy.host.encode("ascii"), proxy.port) if proxy.scheme == "https" else way

    def _way(self, way: IStreamClientEndpoint, uri: URI) -> IStreamClientEndpoint:
        secured = self._secured(way, uri.host, uri.port) if uri.scheme == b"https" else way
        return MeteredEndpoint(secured, self._opened)

    def _secured(self, way: IStreamClientEndpoint, host: bytes, port: int) -> IStreamClientEndpoint:
        return wrapClientTLS(self._around.tls.creatorForNetloc(host, port), way)

    def _check(self, host: str, address: str) -> None:
        kind = "" if self._around.allow_private else why_refused(address)
        if kind:
            named = host if host == address else f"{host} ({address})"
            raise refused(f"{named} is {kind}")

    async def _check_behind_proxy(self, host: str, port: int) -> None:
        """The proxy resolves the name. Ours is looked up too, but may be unknown here: then its form must do."""
        if self._around.allow_private:
            return
        try:
            addresses = await addresses_of(self._around.reactor, host, port)
        except WebFailed:
            addresses = []
        for address in addresses:
            self._check(host, address)
        if literal(host) is None and is_inside_name(host):
            raise refused(f"{host} is a name inside a network")


def refused(why: str) -> AddressRefused:
    """The error, with how the user can allow it."""
    return AddressRefused(f"{why}. Only public addresses are reached, unless the server was started with {FLAG}")


@implementer(IAgentEndpointFactory)
class _Tunnels:
    def __init__(self, agent: GuardedAgent, proxy: Proxy) -> None:
        self._agent = agent
        self._proxy = proxy

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        return self._agent.through(self._proxy, uri)
