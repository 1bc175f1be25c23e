"""Requests through a proxy of the environment, plain and in a tunnel, against a tiny real proxy on the loopback."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.web.client import BrowserLikePolicyForHTTPS

from txcrush.adapters.providers import ProviderBuilder
from txcrush.model.config import ProviderConfig
from txcrush.model.errors import ProviderError
from txcrush.model.providers import ModelReply, ModelRequest, UserTurn
from txcrush.testing.certificates import certificate
from txcrush.testing.model_server import ModelServer
from txcrush.testing.recording_sink import RecordingSink

# Twisted hands its certificates to pyOpenSSL in a way that newer versions of that deprecate.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL")

HOST = "provider.test"
REQUEST = ModelRequest(model="m", turns=(UserTurn("hi"),))


class Tunnel(Protocol):
    """One connection to the proxy: notes what it is asked, then joins it to the server, whatever the name."""

    transport: Any
    peer: Any = None
    head = b""

    def dataReceived(self, data: bytes) -> None:
        if self.peer is not None:
            self.peer.transport.write(data)
            return
        self.head += data
        if b"\r\n\r\n" in self.head:
            self.factory.asked(self)

    def connectionLost(self, reason: Any) -> None:
        self.factory.gone.append(self)
        if self.peer is not None:
            self.peer.transport.loseConnection()


class Upstream(Protocol):
    transport: Any

    def __init__(self, tunnel: Tunnel) -> None:
        self.tunnel = tunnel

    def dataReceived(self, data: bytes) -> None:
        self.tunnel.transport.write(data)

    def connectionLost(self, reason: Any) -> None:
        self.tunnel.transport.loseConnection()


class TinyProxy(Factory):
    """Tunnels go to `server`; a request in absolute form is handed on as it is. `answer` replaces both."""

    protocol = Tunnel
    noisy = False

    def __init__(self, server: ModelServer) -> None:
        self.server = server
        self.heads: list[list[str]] = []
        self.gone: list[Tunnel] = []
        self.answer: bytes | None = None
        self.first: Deferred[None] = Deferred()
        self.port: Any = reactor.listenTCP(0, self, interface="127.0.0.1")  # type: ignore[attr-defined]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port.getHost().port}"

    def asked(self, tunnel: Tunnel) -> None:
        self.heads.append(tunnel.head.decode().split("\r\n"))
        if not self.first.called:
            self.first.callback(None)
        if self.answer is not None:
            tunnel.transport.write(self.answer)
            return
        way = HostnameEndpoint(reactor, "127.0.0.1", self.server.port)
        connectProtocol(way, Upstream(tunnel)).addCallback(self._join, tunnel)

    def _join(self, upstream: Upstream, tunnel: Tunnel) -> None:
        tunnel.peer = upstream
        if tunnel.head.startswith(b"CONNECT"):
            tunnel.transport.write(b"HTTP/1.1 200 Connection established\r\nVia: tiny\r\n\r\n")
        else:
            upstream.transport.write(tunnel.head)


class Rig:
    """A server, a proxy before it, and a builder whose environment names the proxy."""

    def __init__(self, secure: bool, user: str = "") -> None:
        own, root = certificate(HOST)
        self.scheme = "https" if secure else "http"
        self.server = ModelServer.listen(reactor, tls=own.options() if secure else None)
        self.proxy = TinyProxy(self.server)
        self.sink = RecordingSink()
        self.builder = ProviderBuilder(
            reactor,
            clock=Clock(),
            environ={f"{self.scheme}_proxy": f"http://{user}{self.proxy.address}"},
            expand=str,
            new_id=lambda: "minted",
            tls=BrowserLikePolicyForHTTPS(root),
        )

    def ask(self, base_url: str = "") -> Deferred[ModelReply]:
        url = base_url or f"{self.scheme}://{HOST}:{self.server.port}/v1"
        return self.builder(ProviderConfig(id="acme", base_url=url, api_key="sk-canary-1")).stream(REQUEST, self.sink)

    async def close(self) -> None:
        await self.builder.close()
        await maybeDeferred(self.proxy.port.stopListening)
        await self.server.stop()


@pytest_twisted.async_yield_fixture
async def plain() -> AsyncIterator[Rig]:
    rig = Rig(secure=False, user="me:pass%21word@")
    yield rig
    await rig.close()


@pytest_twisted.async_yield_fixture
async def secure() -> AsyncIterator[Rig]:
    rig = Rig(secure=True, user="me:pass%21word@")
    yield rig
    await rig.close()


@pytest_twisted.ensureDeferred
async def test_http_goes_to_the_proxy_in_absolute_form(plain: Rig) -> None:
    asked = plain.ask()
    exchange = await plain.server.next_request()
    exchange.reply("through")
    await asked
    assert plain.sink.whole_text == "through"
    assert exchange.target == f"http://{HOST}:{plain.server.port}/v1/chat/completions"
    assert exchange.headers["host"] == f"{HOST}:{plain.server.port}"
    assert exchange.headers["proxy-authorization"] == "Basic bWU6cGFzcyF3b3Jk"


@pytest_twisted.ensureDeferred
async def test_https_goes_through_a_tunnel_and_the_proxy_sees_no_key(secure: Rig) -> None:
    asked = secure.ask()
    exchange = await secure.server.next_request()
    exchange.reply("inside")
    await asked
    assert secure.sink.whole_text == "inside"
    assert exchange.target == "/v1/chat/completions"
    assert exchange.headers["authorization"] == "Bearer sk-canary-1"
    assert "proxy-authorization" not in exchange.headers
    target = f"{HOST}:{secure.server.port}"
    wanted = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", "Proxy-Authorization: Basic bWU6cGFzcyF3b3Jk", "", ""]
    assert secure.proxy.heads == [wanted]


@pytest.mark.parametrize("answer", [b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", b"nonsense\r\n\r\n"])
@pytest_twisted.ensureDeferred
async def test_promise_23_a_proxy_that_refuses_the_tunnel_is_named(secure: Rig, answer: bytes) -> None:
    secure.proxy.answer = answer
    with pytest.raises(ProviderError) as caught:
        await secure.ask()
    assert (caught.value.title, caught.value.retryable) == ("Proxy Error", True)
    assert "pass" not in str(caught.value)


@pytest_twisted.ensureDeferred
async def test_promise_18_cancel_while_the_tunnel_is_opened_closes_the_connection(secure: Rig) -> None:
    secure.proxy.answer = b""
    asked = secure.ask()
    await secure.proxy.first
    asked.cancel()
    with pytest.raises(CancelledError):
        await asked
    await maybeDeferred(secure.proxy.port.stopListening)
    assert secure.server.requests == []


@pytest_twisted.ensureDeferred
async def test_promise_18_cancel_inside_the_tunnel_closes_the_connection(secure: Rig) -> None:
    asked = secure.ask()
    exchange = await secure.server.next_request()
    exchange.head()
    exchange.text("x")
    await secure.sink.when_said(1)
    asked.cancel()
    with pytest.raises(CancelledError):
        await asked
    await exchange.when_gone()


@pytest_twisted.ensureDeferred
async def test_promise_23_a_certificate_for_another_name_is_refused(secure: Rig) -> None:
    with pytest.raises(ProviderError) as caught:
        await secure.ask(f"https://other.test:{secure.server.port}/v1")
    assert (caught.value.title, caught.value.retryable) == ("TLS Error", True)
    assert secure.server.requests == []


@pytest_twisted.ensureDeferred
async def test_the_loopback_is_never_asked_of_a_proxy(plain: Rig) -> None:
    asked = plain.ask(plain.server.base_url)
    (await plain.server.next_request()).reply("direct")
    await asked
    assert plain.proxy.heads == []
