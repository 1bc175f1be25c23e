"""Promise 68: the web tools reach public addresses only. Names are the test's, sockets are real and end at one server
on the loopback, which counts who connects."""

import datetime
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.protocol import Factory
from twisted.internet.ssl import Certificate, PrivateCertificate
from twisted.internet.task import Clock
from twisted.web.client import BrowserLikePolicyForHTTPS

from txcrush.adapters.tools.fetch import Fetch
from txcrush.adapters.web import AddressRefused, WebClient, WebFailed, WebRequest
from txcrush.model.errors import Refused
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import ToolCall
from txcrush.model.tools import ToolUse
from txcrush.testing.model_server import Exchange, ModelServer
from txcrush.testing.routed_reactor import RoutedReactor
from txcrush.testing.scripted_desk import ScriptedDesk

# Twisted hands its certificates to pyOpenSSL in a way that newer versions of that deprecate.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL")

PUBLIC = "93.184.216.34"
PUBLIC_V6 = "2606:2800:220:1::1"
NAMES: dict[str, Sequence[Sequence[str]]] = {
    "good.example": [[PUBLIC]],
    "six.example": [[PUBLIC_V6, PUBLIC]],
    "loopback.example": [["127.0.0.1"]],
    "six-loopback.example": [["::1"]],
    "private.example": [["10.1.2.3"]],
    "metadata.example": [["169.254.169.254"]],
    "six-metadata.example": [["fd00:ec2::254"]],
    "mapped.example": [["::ffff:169.254.169.254"]],
    "carrier.example": [["100.64.0.1"]],
    "zone.example": [["fe80::1%eth0"]],
    "mixed.example": [[PUBLIC, "192.168.0.1"]],
    "localhost": [["127.0.0.1", "::1"]],
    "rebinding.example": [[PUBLIC], ["127.0.0.1"]],
}
REFUSED_URLS = [
    *(f"http://{name}/" for name in NAMES if name not in ("good.example", "six.example", "rebinding.example")),
    "https://loopback.example/",
    "http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://\uff11\uff12\uff17.0.0.1/",
    "http://0.0.0.0/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[fd00::1]/",
    "http://[fe80::1]/",
    "http://100.64.0.1/",
    "http://224.0.0.1/",
    "http://user:password@127.0.0.1/",
    "http://good.example@127.0.0.1/",
    "http://localhost:6379/",
]


class Rig:
    """A server that answers every request with `hello`, unless a test says otherwise, and how it is reached."""

    def __init__(self, *, tls: Any = None, policy: Any = None) -> None:
        self.server = ModelServer.listen(reactor, lambda exchange: self.answer(exchange), tls=tls)
        self.policy = policy
        self.redirects: list[str] = []
        self.routed = RoutedReactor(reactor, self.server.port, NAMES)

    def answer(self, exchange: Exchange) -> None:
        if self.redirects:
            exchange.answer(302, b"", location=self.redirects.pop(0))
        else:
            exchange.answer(200, b"hello", "text/plain")

    def client(self, *, allow_private: bool = False, **environ: str) -> WebClient:
        return WebClient(self.routed, Clock(), environ, allow_private=allow_private, tls=self.policy)

    async def get(self, url: str, *, allow_private: bool = False, **environ: str) -> bytes:
        client = self.client(allow_private=allow_private, **environ)
        _, body = await client.get(WebRequest(url=url, limit=1000, seconds=30))
        return body


@pytest_twisted.async_yield_fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    yield rig
    await rig.server.stop()


@pytest.mark.parametrize("url", REFUSED_URLS)
@pytest_twisted.ensureDeferred
async def test_promise_68_d_09_nothing_connects_to_what_is_not_public(rig: Rig, url: str) -> None:
    with pytest.raises(AddressRefused, match="--allow-private-fetch"):
        await rig.get(url)
    assert (rig.server.connections, rig.routed.connected) == (0, [])


@pytest.mark.parametrize("place", ["http://127.0.0.1/", "http://2130706433/", "//loopback.example/", "http://[::1]/x"])
@pytest_twisted.ensureDeferred
async def test_promise_68_a_redirect_is_checked_as_the_first_address_was(rig: Rig, place: str) -> None:
    rig.redirects = ["http://six.example/next", place]
    with pytest.raises(AddressRefused):
        await rig.get("http://good.example/")
    assert rig.routed.connected == [PUBLIC, PUBLIC_V6]
    assert rig.server.connections == 2


@pytest_twisted.ensureDeferred
async def test_promise_68_a_name_is_resolved_once_and_its_checked_address_is_connected_to(rig: Rig) -> None:
    assert await rig.get("http://rebinding.example/") == b"hello"
    assert rig.routed.asked == ["rebinding.example"]
    assert rig.routed.connected == [PUBLIC]
    assert rig.server.requests[0].headers["host"] == "rebinding.example"
    with pytest.raises(AddressRefused):  # the second answer is looked at as the first was
        await rig.get("http://rebinding.example/")
    assert rig.server.connections == 1


@pytest_twisted.ensureDeferred
async def test_promise_68_a_redirect_to_the_same_name_is_resolved_and_checked_anew(rig: Rig) -> None:
    rig.redirects = ["/again"]
    with pytest.raises(AddressRefused):
        await rig.get("http://rebinding.example/")
    assert rig.server.connections == 1


@pytest.mark.parametrize(
    "url", ["http://loopback.example/", "http://127.0.0.1/", "http://[fd00::1]/", "http://localhost/"]
)
@pytest_twisted.ensureDeferred
async def test_promise_68_the_user_can_allow_them(rig: Rig, url: str) -> None:
    assert await rig.get(url, allow_private=True) == b"hello"


@pytest_twisted.ensureDeferred
async def test_promise_68_the_tool_says_so_and_the_turn_goes_on(rig: Rig) -> None:
    call = ToolCall(id="c", name="fetch", input="", finished=True)
    arguments: dict[str, object] = {"url": "http://metadata.example/", "format": "text"}
    use = ToolUse(call=call, arguments=arguments, session_id=SessionId("s"), message_id=MessageId("m"))
    with pytest.raises(Refused) as refused:
        await Fetch(rig.client(), ScriptedDesk(), "/ws", maybeDeferred).run(use)
    assert refused.value.message == (
        "failed to fetch URL: metadata.example (169.254.169.254) is a link-local address. Only public addresses are "
        "reached, unless the server was started with --allow-private-fetch"
    )


@pytest_twisted.ensureDeferred
async def test_the_next_address_is_tried_when_one_does_not_answer(rig: Rig) -> None:
    connect = rig.routed.connectTCP
    closed: Any = reactor.listenTCP(0, Factory(), interface="127.0.0.1")  # type: ignore[attr-defined]
    port = closed.getHost().port
    await maybeDeferred(closed.stopListening)

    def broken_six(host: str, _: int, factory: Any, **more: Any) -> Any:
        if ":" in host:
            return reactor.connectTCP("127.0.0.1", port, factory)  # type: ignore[attr-defined]
        return connect(host, _, factory)

    rig.routed.connectTCP = broken_six  # type: ignore[method-assign]
    assert await rig.get("http://six.example/") == b"hello"
    assert rig.routed.connected == [PUBLIC]


@pytest_twisted.ensureDeferred
async def test_a_name_that_is_not_known_is_a_failure(rig: Rig) -> None:
    with pytest.raises(WebFailed, match=r"nowhere\.example cannot be resolved"):
        await rig.get("http://nowhere.example/")


# -- through a proxy, which resolves names by itself --

PROXY = {"http_proxy": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1"}


@pytest.mark.parametrize(
    "url",
    [
        "http://private.example/",
        "https://private.example/",
        "http://mixed.example/",
        "http://10.0.0.1/",
        "https://169.254.169.254/",
        "http://0xa9fea9fe/",
        "http://[fd00::1]/",
        "http://wiki/",
        "http://metadata.google.internal/",
        "https://printer.local/",
    ],
)
@pytest_twisted.ensureDeferred
async def test_promise_68_a_proxy_is_not_asked_for_what_is_not_public(rig: Rig, url: str) -> None:
    with pytest.raises(AddressRefused):
        await rig.get(url, **PROXY)
    assert rig.server.connections == 0


@pytest.mark.parametrize("url", ["http://good.example/", "http://known-to-the-proxy.example/"])
@pytest_twisted.ensureDeferred
async def test_a_proxy_is_asked_for_the_rest(rig: Rig, url: str) -> None:
    assert await rig.get(url, **PROXY) == b"hello"
    assert rig.routed.connected == ["127.0.0.1"]
    assert rig.server.requests[0].target == url


@pytest_twisted.ensureDeferred
async def test_promise_68_a_redirect_by_a_proxy_is_checked_too(rig: Rig) -> None:
    rig.redirects = ["http://10.0.0.1/"]
    with pytest.raises(AddressRefused):
        await rig.get("http://good.example/", **PROXY)
    assert rig.server.connections == 1


@pytest_twisted.ensureDeferred
async def test_promise_68_what_is_exempt_from_the_proxy_is_checked(rig: Rig) -> None:
    with pytest.raises(AddressRefused):
        await rig.get("http://private.example/", no_proxy="private.example", **PROXY)
    assert rig.server.connections == 0


@pytest_twisted.ensureDeferred
async def test_a_proxy_that_cannot_be_used_is_a_failure(rig: Rig) -> None:
    with pytest.raises(WebFailed, match="proxies are not supported"):
        await rig.get("http://good.example/", http_proxy="socks5://127.0.0.1:1")


# -- over TLS --


def certificate(host: str) -> tuple[PrivateCertificate, Certificate]:
    """A certificate for the host, and its own root."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return PrivateCertificate.loadPEM(pem + private), Certificate.loadPEM(pem)


@pytest_twisted.async_yield_fixture
async def secure() -> AsyncIterator[Rig]:
    own, root = certificate("good.example")
    rig = Rig(tls=own.options(), policy=BrowserLikePolicyForHTTPS(root))
    yield rig
    await rig.server.stop()


@pytest_twisted.ensureDeferred
async def test_promise_68_tls_is_verified_by_name_though_an_address_is_connected_to(secure: Rig) -> None:
    assert await secure.get("https://good.example/") == b"hello"
    assert secure.routed.connected == [PUBLIC]
    with pytest.raises(WebFailed):
        await secure.get("https://six.example/")
    assert len(secure.server.requests) == 1


@pytest_twisted.ensureDeferred
async def test_a_name_that_tls_cannot_verify_is_a_failure(secure: Rig) -> None:
    with pytest.raises(WebFailed):
        await secure.get("https://under_score.example/")
    assert secure.server.requests == []
