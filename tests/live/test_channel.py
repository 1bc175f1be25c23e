"""The channel on real sockets: Unix sockets in a directory of our own, TCP and TLS on loopback."""

import errno
import json
import os
import resource
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, UNIXClientEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from txcrush.http import listening
from txcrush.http.guards import Policy
from txcrush.http.limits import Limits
from txcrush.http.listening import Listening
from txcrush.http.site import CrushSite
from txcrush.http.unixsocket import listen_unix, peer_uid
from txcrush.model.errors import ListenFailed
from txcrush.model.settings import ServerSettings
from txcrush.testing.certificates import pem
from txcrush.testing.raw_requests import read_requests

CLOSE = b"Connection: close\r\n\r\n"
GET = b"GET /v1/health HTTP/1.1\r\nHost: api.crush.localhost\r\n"
NOBODY = 65534
REQUESTS = read_requests(Path(__file__).parents[1] / "corpora" / "requests.txt")


class Site(Resource):
    """Answers `ok`; `/hold` is answered by hand."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.held: list[Any] = []
        self.when_held: Deferred[None] = Deferred()

    def render(self, request: Any) -> Any:
        if request.path != b"/hold":
            return b"ok"
        self.held.append(request)
        self.when_held.callback(None)
        return NOT_DONE_YET


class Client(Protocol):
    """Collects what comes until the server ends the connection."""

    transport: Any

    def __init__(self) -> None:
        self.received = b""
        self.reason: Failure | None = None
        self.when_closed: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self.reason = reason
        self.when_closed.callback(None)

    @property
    def status(self) -> int:
        return int(self.received.split(b" ")[1])


@implementer(IOpenSSLClientConnectionCreator)
class _AnyCertificate:
    """A TLS client that trusts whatever it meets."""

    def clientConnectionForTLS(self, protocol: Any) -> Any:
        return SSL.Connection(CertificateOptions().getContext(), None)


Listen = Callable[..., Awaitable[Listening]]


@pytest.fixture
def site() -> Site:
    return Site()


@pytest_twisted.async_yield_fixture
async def listen(site: Site, short_path: Path) -> Any:
    """Opens ports and closes them after the test."""
    from twisted.internet import reactor

    opened: list[Listening] = []

    async def open_ports(*listen: str, host: str = "", limits: Limits = Limits(), **more: Any) -> Listening:  # noqa: B008
        settings = ServerSettings(
            host=host, listen=listen, state_dir=str(short_path / "state"), no_token=more.pop("no_token", False)
        )
        more.setdefault("random", os.urandom)
        more.setdefault("now", time.time)
        ports = await listening.listen(reactor, settings, {}, os.getuid(), site, limits=limits, **more)
        opened.append(ports)
        return ports

    yield open_ports
    for ports in opened:
        await ports.stop(0.0)


async def connect(address: str, raw: bytes = b"") -> Client:
    from twisted.internet import reactor

    scheme, _, rest = address.partition("://")
    endpoint: Any
    if scheme == "unix":
        endpoint = UNIXClientEndpoint(reactor, rest)
    else:
        host, _, port = rest.rpartition(":")
        endpoint = TCP4ClientEndpoint(reactor, host, int(port))
    if scheme == "https":
        endpoint = wrapClientTLS(_AnyCertificate(), endpoint)
    client = Client()
    await connectProtocol(endpoint, client)
    client.transport.write(raw)
    return client


async def ask(address: str, raw: bytes) -> Client:
    client = await connect(address, raw)
    await client.when_closed
    return client


# the Unix socket


@pytest_twisted.ensureDeferred
async def test_promise_50_the_socket_is_private_whatever_the_umask(listen: Listen, short_path: Path) -> None:
    before = os.umask(0)
    try:
        ports = await listen(host=f"unix://{short_path}/made/s")
        assert os.umask(0) == 0
    finally:
        os.umask(before)
    assert ports.addresses == (f"unix://{short_path}/made/s",)
    assert stat.S_IMODE(os.stat(short_path / "made").st_mode) == 0o700
    assert stat.S_IMODE(os.stat(short_path / "made" / "s").st_mode) == 0o600
    client = await ask(ports.addresses[0], GET + CLOSE)
    assert client.status == 200


@pytest_twisted.ensureDeferred
async def test_promise_50_the_socket_is_private_from_its_first_moment(
    listen: Listen, short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []
    bind = socket.socket.bind

    class Watched(socket.socket):
        def bind(self, path: Any) -> None:
            bind(self, path)
            modes.append(stat.S_IMODE(os.stat(path).st_mode))

    monkeypatch.setattr(socket, "socket", Watched)
    await listen(host=f"unix://{short_path}/s")
    assert modes == [0o600]


@pytest_twisted.ensureDeferred
async def test_promise_50_the_peers_uid_is_read_from_the_socket(listen: Listen, short_path: Path) -> None:
    seen: list[int | None] = []

    def read(transport: object) -> int | None:
        seen.append(peer_uid(transport))
        return seen[-1]

    ports = await listen(host=f"unix://{short_path}/s", read_peer_uid=read)
    assert (await ask(ports.addresses[0], GET + CLOSE)).status == 200
    assert seen == [os.getuid()]


@pytest_twisted.ensureDeferred
async def test_promise_50_a_peer_of_another_user_is_cut_off(listen: Listen, short_path: Path) -> None:
    ports = await listen(host=f"unix://{short_path}/s", read_peer_uid=lambda _: os.getuid() + 1)
    client = await connect(ports.addresses[0])
    await client.when_closed
    assert client.received == b""


STRANGER = """
import os, socket, sys
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[2]))
s = socket.socket(socket.AF_UNIX)
s.settimeout(10)
try:
    s.connect(sys.argv[1])
    s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
    print(s.recv(100))
except OSError as error:
    print(type(error).__name__)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest_twisted.ensureDeferred
async def test_promise_50_another_user_is_refused_even_where_the_file_lets_him_in(
    listen: Listen, short_path: Path
) -> None:
    os.chmod(short_path, 0o755)
    ports = await listen(host=f"unix://{short_path}/s")
    command = [sys.executable, "-I", "-S", "-c", STRANGER, str(short_path / "s"), str(NOBODY)]

    async def as_nobody() -> str:
        ended = await deferToThread(subprocess.run, command, capture_output=True, text=True, timeout=30)
        return ended.stdout.strip()

    assert await as_nobody() == "PermissionError"
    os.chmod(short_path / "s", 0o666)
    assert await as_nobody() in ("b''", "ConnectionResetError", "BrokenPipeError")
    assert ports.connections == 0


@pytest_twisted.ensureDeferred
async def test_promise_51_a_stale_socket_is_removed_and_a_live_one_never(listen: Listen, short_path: Path) -> None:
    path = short_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    ports = await listen(host=f"unix://{path}")
    with pytest.raises(ListenFailed, match=f"another server is listening on {path}"):
        await listen(host=f"unix://{path}")
    assert (await ask(ports.addresses[0], GET + CLOSE)).status == 200


@pytest_twisted.ensureDeferred
async def test_promise_51_a_live_socket_of_another_program_is_never_removed(listen: Listen, short_path: Path) -> None:
    path = short_path / "s"
    for backlog in (5, 0):
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
            other.listen(backlog)
            queue = [socket.socket(socket.AF_UNIX) for _ in range(backlog + 3)]
            for waiting in queue if backlog == 0 else ():
                waiting.setblocking(False)
                assert waiting.connect_ex(str(path)) in (0, errno.EAGAIN)
            with pytest.raises(ListenFailed, match="another server is listening"):
                await listen(host=f"unix://{path}")
            for waiting in queue:
                waiting.close()
        os.unlink(path)


@pytest_twisted.ensureDeferred
async def test_promise_51_a_squatted_path_is_refused_and_left(listen: Listen, short_path: Path) -> None:
    (short_path / "s").write_text("precious")
    with pytest.raises(ListenFailed, match="is not a socket"):
        await listen(host=f"unix://{short_path}/s")
    assert (short_path / "s").read_text() == "precious"


RACER = """
import sys
from twisted.python.failure import Failure
from txcrush.http.site import CrushSite
from txcrush.http.unixsocket import listen_unix
from txcrush.model.errors import ListenFailed

class Factory:
    def doStart(self): pass
    def doStop(self): pass

class Reactor:
    def addReader(self, reader): pass
    def removeReader(self, reader): pass
    def removeWriter(self, writer): pass

port = None
print("ready", flush=True)
for line in sys.stdin:
    if line == "stop\\n":
        if port is not None:
            port.connectionLost(Failure(Exception()))
        port = None
        print("stopped", flush=True)
    else:
        try:
            port = listen_unix(Reactor(), sys.argv[1], Factory())
            print("won", flush=True)
        except ListenFailed as error:
            print("lost" if "another server" in str(error) else error, flush=True)
"""


def test_promise_51_of_servers_that_start_together_one_wins_and_keeps_its_socket(short_path: Path) -> None:
    path = str(short_path / "s")
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        for _ in range(3)
    ]

    def tell(word: str) -> list[str]:
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write(f"{word}\n")
        return hear()

    def hear() -> list[str]:
        return [racer.stdout.readline().strip() for racer in racers if racer.stdout is not None]

    try:
        assert hear() == ["ready"] * 3
        for _ in range(200):
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(path)
            assert sorted(tell("go")) == ["lost", "lost", "won"]
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
            tell("stop")
            assert not os.path.lexists(path)
    finally:
        for racer in racers:
            racer.communicate(timeout=30)


@pytest_twisted.ensureDeferred
async def test_promise_51_a_socket_that_took_the_place_of_ours_is_left(listen: Listen, short_path: Path) -> None:
    path = short_path / "s"
    ports = await listen(host=f"unix://{path}")
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        await ports.stop()
        assert path.is_socket()


@pytest_twisted.ensureDeferred
async def test_the_socket_goes_with_its_server(listen: Listen, short_path: Path) -> None:
    ports = await listen(host=f"unix://{short_path}/s")
    await ports.stop()
    assert not (short_path / "s").exists()
    await ports.stop()
    ports = await listen(host=f"unix://{short_path}/s")
    assert (await ask(ports.addresses[0], GET + CLOSE)).status == 200


def test_a_path_that_no_socket_can_have_is_a_clear_error(site: Site, short_path: Path) -> None:
    from twisted.internet import reactor

    for path in ("", "\0abstract", str(short_path / ("x" * 200)), "/proc/nowhere/s"):
        with pytest.raises(ListenFailed):
            listen_unix(reactor, path, CrushSite(site, Policy(kind="unix"), reactor))
    assert [name for name in os.listdir(short_path) if not name.endswith(".lock")] == []


@pytest_twisted.ensureDeferred
async def test_who_connects_while_nobody_is_accepted_is_answered_later(listen: Listen, short_path: Path) -> None:
    ports = await listen("tcp:0:interface=127.0.0.1", host=f"unix://{short_path}/s", no_token=True)
    ports.hold()
    raw = b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n" + CLOSE
    waiting = [await connect(address, raw) for address in ports.addresses]
    closing = [await connect(address) for address in ports.addresses]
    assert (ports.connections, [client.received for client in waiting]) == (0, [b"", b""])
    ports.resume()
    for client in waiting:
        await client.when_closed
        assert client.status == 200
    for client in closing:
        client.transport.loseConnection()
        await client.when_closed


@pytest_twisted.ensureDeferred
async def test_a_bare_connection_is_tolerated(listen: Listen, short_path: Path) -> None:
    ports = await listen(host=f"unix://{short_path}/s")
    client = await connect(ports.addresses[0])
    client.transport.loseConnection()
    await client.when_closed
    assert (await ask(ports.addresses[0], GET + CLOSE)).status == 200


# TCP


@pytest_twisted.ensureDeferred
async def test_promise_52_a_tcp_port_asks_for_the_token_of_the_file(listen: Listen, short_path: Path) -> None:
    ports = await listen("tcp:0:interface=127.0.0.1")
    (address,) = ports.addresses
    assert address.startswith("http://127.0.0.1:")
    token = (short_path / "state" / "token").read_text().strip()
    assert token == ports.token
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
    assert (await ask(address, request + CLOSE)).status == 401
    assert (await ask(address, request + b"Authorization: Bearer nonsense\r\n" + CLOSE)).status == 401
    assert (await ask(address, request + f"Authorization: Bearer {token}\r\n".encode() + CLOSE)).status == 200


@pytest_twisted.ensureDeferred
async def test_promise_52_without_a_token_only_when_told_so(listen: Listen, short_path: Path) -> None:
    ports = await listen(host="tcp://localhost:0", no_token=True)
    assert ports.token is None
    assert not (short_path / "state").exists()
    assert (await ask(ports.addresses[0], b"GET / HTTP/1.1\r\nHost: localhost\r\n" + CLOSE)).status == 200


@pytest_twisted.ensureDeferred
async def test_promise_53_a_rebound_name_is_misdirected(listen: Listen) -> None:
    ports = await listen(host="tcp://127.0.0.1:0", no_token=True)
    port = ports.addresses[0].rpartition(":")[2].encode()
    for host, status in ((b"evil.test:" + port, 421), (b"127.0.0.1:" + port, 200)):
        assert (await ask(ports.addresses[0], b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n" + CLOSE)).status == status


@pytest_twisted.ensureDeferred
async def test_ports_that_were_opened_are_closed_when_a_later_one_fails(listen: Listen, short_path: Path) -> None:
    with pytest.raises(ListenFailed):
        await listen(f"unix:{short_path}/a", "ssl:0:interface=127.0.0.1:privateKey=/nowhere.pem")
    assert not (short_path / "a").exists()
    ports = await listen(f"unix:{short_path}/a", "tcp:0:interface=127.0.0.1")
    assert len(ports.addresses) == 2


@pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")  # Twisted's own
@pytest_twisted.ensureDeferred
async def test_a_tls_port_answers_and_refuses_like_any_other(listen: Listen, short_path: Path) -> None:
    (short_path / "k.pem").write_bytes(b"".join(pem("localhost")))
    ports = await listen(f"ssl:0:interface=127.0.0.1:privateKey={short_path}/k.pem")
    (address,) = ports.addresses
    assert address.startswith("https://127.0.0.1:")
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
    assert (await ask(address, request + f"Authorization: Bearer {ports.token}\r\n".encode() + CLOSE)).status == 200
    client = await ask(address, b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999\r\n\r\n")
    assert client.status == 401
    assert client.received.endswith(b"\n")


# bodies and garbage


@pytest_twisted.ensureDeferred
async def test_promise_56_ten_gibibytes_are_refused_and_nothing_is_spooled(
    listen: Listen, short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spooled(*args: object, **kwargs: object) -> None:
        raise AssertionError("a body was spooled to disk")

    monkeypatch.setattr(tempfile, "TemporaryFile", spooled)
    ports = await listen(host=f"unix://{short_path}/s")
    head = b"POST /v1/workspaces HTTP/1.1\r\nHost: x\r\n"
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    announced = await ask(ports.addresses[0], head + b"Content-Length: 10737418240\r\n\r\n" + b"x" * 200_000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 2048
    chunk = b"%x\r\n" % 10_485_761 + b"x" * 10_485_761 + b"\r\n"
    chunked = await ask(ports.addresses[0], head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk)
    for client in (announced, chunked):
        answer, _, body = client.received.partition(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"too large" in json.loads(body)["message"].encode()
    whole = await ask(
        ports.addresses[0], head + b"Content-Length: 10485760\r\nConnection: close\r\n\r\n" + b"x" * 10485760
    )
    assert whole.status == 200


@pytest_twisted.ensureDeferred
async def test_promise_56_a_client_that_sends_on_reads_the_refusal_and_is_cut_off(
    listen: Listen, short_path: Path
) -> None:
    ports = await listen(host="tcp://127.0.0.1:0", no_token=True, limits=Limits(drain_bytes=10_000_000))
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 3000000\r\n\r\n"
    client = await ask(ports.addresses[0], head + b"x" * 3_000_000)
    assert client.status == 415
    assert client.received.endswith(b"}\n")


@pytest_twisted.ensureDeferred
async def test_promise_57_a_framing_error_is_answered_and_ends_the_connection(
    listen: Listen, short_path: Path, record_property: Callable[[str, object], None]
) -> None:
    ports = await listen(host=f"unix://{short_path}/s")
    follows = GET + CLOSE
    for case in REQUESTS:
        client = await ask(ports.addresses[0], case.raw + b"\r\n\r\n" + follows)
        assert (client.status, client.received.count(b"HTTP/1.1")) == (case.status, 1), case.name
    record_property("promise_57", f"{len(REQUESTS)} requests that two parsers could read differently: refused, closed")
    for raw in (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: \x00\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ):
        client = await ask(ports.addresses[0], raw + follows)
        assert (client.status, client.received.count(b"HTTP/1.1")) == (400, 1), raw


@pytest_twisted.ensureDeferred
async def test_promise_35_a_header_that_drips_ends_at_its_deadline(listen: Listen, short_path: Path) -> None:
    ports = await listen(host=f"unix://{short_path}/s", limits=Limits(header_deadline_s=0.1))
    assert (await ask(ports.addresses[0], b"GET / HTT")).status == 408


# the end


@pytest_twisted.ensureDeferred
async def test_promise_84_stopping_closes_ports_then_idle_connections_then_answered_ones(
    listen: Listen, site: Site, short_path: Path
) -> None:
    ports = await listen(host=f"unix://{short_path}/s")
    idle = await connect(ports.addresses[0], GET + b"\r\n")
    busy = await connect(ports.addresses[0], b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
    await site.when_held
    await ports.stop_accepting()
    with pytest.raises(ConnectError):
        await connect(ports.addresses[0])
    assert ports.connections == 2
    closed = ports.close_connections()
    await idle.when_closed
    site.held[0].setHeader(b"Content-Length", b"2")
    site.held[0].write(b"ok")
    site.held[0].finish()
    await closed
    await busy.when_closed
    assert busy.received.endswith(b"ok")
    assert ports.connections == 0


@pytest_twisted.ensureDeferred
async def test_promise_84_a_connection_that_stays_is_cut_off(listen: Listen, site: Site, short_path: Path) -> None:
    ports = await listen(host=f"unix://{short_path}/s")
    busy = await connect(ports.addresses[0], b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
    await site.when_held
    await ports.stop(0.05)
    await busy.when_closed
    assert ports.connections == 0
