"""TLS on real sockets: what is spoken, and certificates that are replaced under open streams."""

import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from cryptography import x509
from twisted.internet import reactor
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread

from txcrush.http.tlsfiles import TlsFiles, TlsPair
from txcrush.model.errors import ListenFailed
from txcrush.testing.certificates import pem
from txcrush.testing.live_client import CLIENT
from txcrush.testing.live_server import LiveServer

RELOADS = 5


def write(directory: Path, host: str = "localhost") -> TlsPair:
    """A new pair, each file put in place whole, as the tools that renew certificates do."""
    key, certificate = pem(host)
    for name, content in (("cert.pem", certificate), ("key.pem", key)):
        (directory / f"{name}.new").write_bytes(content)
        os.chmod(directory / f"{name}.new", 0o600)
        os.replace(directory / f"{name}.new", directory / name)
    return TlsPair(str(directory / "cert.pem"), str(directory / "key.pem"))


class Visitor:
    """A blocking TLS client that trusts whatever it meets: call it in a thread."""

    def __init__(self, port: int, **bounds: Any) -> None:
        import socket

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        for name, value in bounds.items():
            setattr(context, name, value)
        self._socket = context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=20))

    @property
    def name(self) -> str:
        """Whom the certificate is for."""
        raw = self._socket.getpeercert(binary_form=True)
        assert raw is not None
        return str(x509.load_der_x509_certificate(raw).subject.rfc4514_string()).removeprefix("CN=")

    @property
    def version(self) -> str:
        return str(self._socket.version())

    def ask(self, token: str | None, path: str = "/v1/version") -> bytes:
        """The answer's first bytes; for a stream those that have come."""
        fields = f"Host: localhost\r\nAuthorization: Bearer {token}\r\n"
        self._socket.sendall(f"GET {path} HTTP/1.1\r\n{fields}\r\n".encode())
        return self._socket.recv(65536)

    def read_until(self, wanted: bytes) -> bytes:
        received = b""
        while wanted not in received:
            more = self._socket.recv(65536)
            assert more, received
            received += more
        return received

    def close(self) -> None:
        self._socket.close()


def visit(port: int, **bounds: Any) -> tuple[str, str]:
    """The certificate's name and the version that is spoken."""
    visitor = Visitor(port, **bounds)
    try:
        return visitor.name, visitor.version
    finally:
        visitor.close()


@pytest_twisted.async_yield_fixture
async def started(short_path: Path) -> Any:
    """Starts servers with these settings and stops them after the test."""
    servers: list[LiveServer] = []

    async def start(**settings: Any) -> LiveServer:
        servers.append(await LiveServer.start(reactor, short_path, **settings))
        return servers[-1]

    yield start
    for server in servers:
        await server.stop()


@pytest_twisted.ensureDeferred
async def test_promise_60_only_tls_1_2_and_later_is_spoken(started: Any, short_path: Path) -> None:
    pair = write(short_path)
    server = await started(listen=("tcp:0:interface=127.0.0.1",), tls_cert=pair.certificate, tls_key=pair.key)
    assert server._server.listening.addresses[-1].startswith("https://127.0.0.1:")
    port = server.tcp_port
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        assert await deferToThread(visit, port, minimum_version=version, maximum_version=version)
    with pytest.warns(DeprecationWarning, match="deprecated"), pytest.raises((ssl.SSLError, ConnectionError)):
        await deferToThread(visit, port, minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1)
    visitor = await deferToThread(Visitor, port)
    assert b" 401 " in await deferToThread(visitor.ask, "nonsense")
    visitor.close()
    visitor = await deferToThread(Visitor, port)
    assert b" 200 " in await deferToThread(visitor.ask, server.token)
    visitor.close()


@pytest_twisted.ensureDeferred
async def test_promise_60_a_new_certificate_is_used_and_no_stream_is_dropped(
    started: Any, short_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    monkeypatch.setattr("txcrush.http.tlsfiles.LOOK_S", 0.0)
    write(short_path, "first")
    endpoint = f"ssl:0:privateKey={short_path}/key.pem:certKey={short_path}/cert.pem:interface=127.0.0.1"
    server = await started(listen=(endpoint,))
    workspace = await server.client.join(server.project)
    streams = []
    for number in range(RELOADS):
        stream = await deferToThread(Visitor, server.tcp_port)
        assert b" 200 " in await deferToThread(
            stream.ask, server.token, f"/v1/workspaces/{workspace}/events?client_id={CLIENT[:-1]}{number}"
        )
        streams.append(stream)
        assert stream.name == ("first" if number == 0 else f"renewed-{number - 1}")
        write(short_path, f"renewed-{number}")
        assert (await deferToThread(visit, server.tcp_port))[0] == f"renewed-{number}"
    await server.client.session(workspace, "after the last renewal")
    for stream in streams:
        await deferToThread(stream.read_until, b"after the last renewal")
        stream.close()
    record_property("promise_60", f"{RELOADS} certificates, {RELOADS} streams, 0 dropped; TLS 1.1 refused")


@pytest_twisted.ensureDeferred
async def test_promise_60_files_that_do_not_fit_together_leave_the_old_certificate(
    started: Any, short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("txcrush.http.tlsfiles.LOOK_S", 0.0)
    pair = write(short_path, "old")
    server = await started(host="tcp://127.0.0.1:0", tls_cert=pair.certificate, tls_key=pair.key)
    key, certificate = pem("new")
    for content in (certificate, b"", b"nonsense", certificate[:200]):
        Path(pair.certificate).write_bytes(content)
        assert (await deferToThread(visit, server.tcp_port))[0] == "old"
    os.unlink(pair.certificate)
    assert (await deferToThread(visit, server.tcp_port))[0] == "old"
    Path(pair.certificate).write_bytes(certificate)
    Path(pair.key).write_bytes(key)
    assert (await deferToThread(visit, server.tcp_port))[0] == "new"


def test_promise_60_the_files_are_looked_at_once_a_second_at_most(short_path: Path) -> None:
    clock = Clock()
    files = TlsFiles(write(short_path, "old"), clock.seconds)
    first = files.serverConnectionForTLS(None).get_context()
    write(short_path, "new")
    clock.advance(0.9)
    assert files.serverConnectionForTLS(None).get_context() is first
    clock.advance(0.1)
    second = files.serverConnectionForTLS(None).get_context()
    assert second is not first
    clock.advance(100)
    assert files.serverConnectionForTLS(None).get_context() is second


def test_files_that_cannot_be_used_at_the_start_are_a_clear_error(short_path: Path) -> None:
    pair = write(short_path)
    other = pem("other")[0]
    for content, words in ((other, "key values mismatch"), (b"", "cannot use"), (None, "No such file")):
        Path(pair.key).unlink(missing_ok=True)
        if content is not None:
            Path(pair.key).write_bytes(content)
        with pytest.raises(ListenFailed, match=words):
            TlsFiles(pair, Clock().seconds)
