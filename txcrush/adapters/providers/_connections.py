"""Connections to providers: one pool, with limits on connecting and on the head of an answer, direct or by a proxy."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.web.client import URI, Agent, HTTPConnectionPool, ProxyAgent
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IPolicyForHTTPS
from zope.interface import implementer

from txcrush.adapters.providers._guard import Guard, GuardedEndpoint, WatchedEndpoint
from txcrush.adapters.providers._idle_watch import Limits
from txcrush.adapters.providers.proxies import AuthorizedProxyAgent, Proxy, TunnelEndpoint, proxy_for

_KEPT_PER_HOST = 8
_KEPT_S = 30
"""Idle connections are kept shortly: the longer, the likelier the provider closes one just as we use it."""


class Connections:
    """Agents for provider addresses, which share one pool.

    A request on a kept connection that broke is never sent again behind the core's back: it may have reached the
    provider.
    """

    def __init__(self, reactor: Any, environ: Mapping[str, str], tls: IPolicyForHTTPS, limits: Limits) -> None:
        self._reactor = reactor
        self._environ = environ
        self._tls = tls
        self._limits = limits
        self._proxy_agents: dict[Proxy, IAgent] = {}
        self._open: set[Guard] = set()
        self._pool = HTTPConnectionPool(reactor, persistent=True)
        self._pool.retryAutomatically = False
        self._pool.maxPersistentPerHost = _KEPT_PER_HOST
        self._pool.cachedConnectionTimeout = _KEPT_S

    def agent_for(self, url: str) -> IAgent:
        """The agent that reaches this address. Raises `ConfigInvalid` where the environment's proxy cannot be used."""
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        proxy = proxy_for(parts.scheme, parts.hostname or "", port, self._environ)
        if proxy is not None and parts.scheme == "http":
            return self._by_absolute_form(proxy)
        agent: IAgent = Agent.usingEndpointFactory(self._reactor, _Endpoints(self, proxy), self._pool)
        return agent

    async def close(self) -> None:
        """Close every connection, also one that is in use; returns when they are closed."""
        lost = [guard.lost for guard in self._open]
        await self._pool.closeCachedConnections()
        for guard in list(self._open):
            guard.abortConnection()
        for closed in lost:
            await closed

    def endpoint(self, uri: URI, proxy: Proxy | None) -> IStreamClientEndpoint:
        """The guarded way to an address."""
        host = uri.host.decode("ascii")
        way = self._tcp(host, uri.port) if proxy is None else self._tunnel(proxy, host, uri.port)
        return self._guarded(self._secured(way, uri.host, uri.port) if uri.scheme == b"https" else way)

    def _by_absolute_form(self, proxy: Proxy) -> IAgent:
        if proxy not in self._proxy_agents:
            agent = ProxyAgent(self._guarded(self._to_proxy(proxy)), self._reactor, self._pool)
            self._proxy_agents[proxy] = AuthorizedProxyAgent(agent, proxy)
        return self._proxy_agents[proxy]

    def _tunnel(self, proxy: Proxy, host: str, port: int) -> IStreamClientEndpoint:
        return TunnelEndpoint(self._to_proxy(proxy), proxy, host, port)

    def _to_proxy(self, proxy: Proxy) -> IStreamClientEndpoint:
        way = self._tcp(proxy.host, proxy.port)
        return self._secured(way, proxy.host.encode("ascii"), proxy.port) if proxy.scheme == "https" else way

    def _tcp(self, host: str, port: int) -> IStreamClientEndpoint:
        way = HostnameEndpoint(self._reactor, host, port, timeout=self._limits.connect_s)
        return WatchedEndpoint(way, self._limits.silence_s)

    def _secured(self, way: IStreamClientEndpoint, host: bytes, port: int) -> IStreamClientEndpoint:
        return wrapClientTLS(self._tls.creatorForNetloc(host, port), way)

    def _guarded(self, way: IStreamClientEndpoint) -> IStreamClientEndpoint:
        return GuardedEndpoint(way, self._reactor, self._limits, self._open)


@implementer(IAgentEndpointFactory)
class _Endpoints:
    def __init__(self, connections: Connections, proxy: Proxy | None) -> None:
        self._connections = connections
        self._proxy = proxy

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        return self._connections.endpoint(uri, self._proxy)
