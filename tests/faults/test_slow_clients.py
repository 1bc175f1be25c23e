"""Clients that send next to nothing, for as long as they may: others do not notice, and nothing is kept for them."""

import http.client
import os
import resource
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from txcrush.http.limits import Limits
from txcrush.testing.scale import scaled
from txcrush.testing.server_process import ServerProcess

CONNECTIONS = scaled(500, 10_000)
PROBES = scaled(60, 300)
HEADER_DEADLINE_S = 10.0
HEAD = b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nX-Slow: "

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads /proc")


@pytest.fixture(autouse=True)
def _files() -> Iterator[None]:
    """As many open files as the system lets us have, for each of these tests."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def server(short_path: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(short_path, ["--listen", "tcp:0:interface=127.0.0.1"])
    yield server
    assert server.stop() == 0


class Drip:
    """Connections that send a byte a second of a header that never ends. `ended` has the age at which each was shut."""

    def __init__(self, connect: Callable[[], socket.socket], count: int) -> None:
        self._connect = connect
        self._count = count
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.opened = threading.Event()
        self.ended: list[float] = []
        self._thread.start()

    def join(self) -> None:
        """Wait until the server has shut every one."""
        self._thread.join(120)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(120)

    def _run(self) -> None:
        selector = selectors.DefaultSelector()
        born: dict[socket.socket, float] = {}
        for _ in range(self._count):
            client = self._connect()
            client.setblocking(False)
            client.sendall(HEAD)
            born[client] = time.monotonic()
            selector.register(client, selectors.EVENT_READ)
            self._look(selector, born, 0)
        self.opened.set()
        next_byte = time.monotonic() + 1
        while born and not self._stop.is_set():
            self._look(selector, born, max(0.0, next_byte - time.monotonic()))
            if time.monotonic() >= next_byte:
                next_byte += 1
                for client in list(born):
                    self._send(client)
        for client in born:
            client.close()
        selector.close()

    def _look(self, selector: selectors.BaseSelector, born: dict[socket.socket, float], wait_s: float) -> None:
        for key, _ in selector.select(wait_s):
            self._take(key.fileobj, selector, born)  # type: ignore[arg-type]

    def _take(self, client: socket.socket, selector: selectors.BaseSelector, born: dict[socket.socket, float]) -> None:
        try:
            if client.recv(4096):
                return
        except OSError:
            self._note(client, born)
        else:
            self._note(client, born)
        selector.unregister(client)
        client.close()

    def _note(self, client: socket.socket, born: dict[socket.socket, float]) -> None:
        self.ended.append(time.monotonic() - born.pop(client))

    def _send(self, client: socket.socket) -> None:
        try:
            client.send(b"x")
        except OSError:
            return  # the server has shut it: the selector tells


def unix(server: ServerProcess) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.connect(server.socket)  # without a time limit: that would make a full backlog an error
    client.settimeout(60)
    return client


def tcp(server: ServerProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.tcp_port), timeout=60)


def within_s(bound_s: float, holds: Callable[[], bool]) -> bool:
    """Whether something comes to hold soon."""
    ends, never = time.monotonic() + bound_s, threading.Event()
    while not holds() and time.monotonic() < ends:
        never.wait(0.05)
    return holds()


def health_ms(connect: Callable[[ServerProcess], socket.socket], server: ServerProcess) -> list[float]:
    """How long each of many health requests took, each on a connection of its own."""
    taken = []
    for _ in range(PROBES):
        began = time.monotonic()
        connection = http.client.HTTPConnection("localhost")
        connection.sock = connect(server)
        connection.request("GET", "/v1/health", headers={"Authorization": f"Bearer {server.token}"})
        assert connection.getresponse().status == 200
        connection.close()
        taken.append((time.monotonic() - began) * 1000)
    return sorted(taken)


def test_promise_35_headers_that_drip_delay_nobody_and_are_ended(
    server: ServerProcess, record_property: Callable[[str, object], None]
) -> None:
    """Half of them on the Unix socket, half on TCP, where only so many of one address may be without a token."""
    files, count = server.open_files(), CONNECTIONS // 2
    drips = [Drip(partial(connect, server), count) for connect in (unix, tcp)]
    try:
        assert all(drip.opened.wait(120) for drip in drips)
        taken = sorted(health_ms(unix, server) + health_ms(tcp, server))
        held = server.open_files() - files
        for drip in drips:
            drip.join()
    finally:
        for drip in drips:
            drip.stop()
    p95_ms, ages = taken[int(len(taken) * 0.95)], [age for drip in drips for age in drip.ended]
    assert len(ages) == 2 * count
    assert max(ages) < HEADER_DEADLINE_S + 5
    assert held <= count + min(count, Limits().max_strangers) + 5
    assert within_s(5, lambda: server.open_files() <= files + 2)
    record_property(
        "promise_35",
        f"{2 * count} slow connections, health p95 {p95_ms:.1f} ms, the last one ended after {max(ages):.1f} s",
    )
    assert p95_ms < 100


def test_promise_56_ten_gibibytes_cost_neither_memory_nor_disk(
    server: ServerProcess, short_path: Path, record_property: Callable[[str, object], None]
) -> None:
    def used() -> int:
        return sum(path.stat().st_blocks for path in short_path.rglob("*") if path.is_file())

    heads = {
        "announced": b"Content-Length: 10737418240\r\n\r\n",
        "chunked": b"Transfer-Encoding: chunked\r\n\r\n280000000\r\n",
        "in small chunks": b"Transfer-Encoding: chunked\r\n\r\n",
    }
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    _push(unix(server), heads["announced"], chunk)
    disk, temporary, memory_kib = used(), set(os.listdir("/tmp")), server.memory_kib()
    sent, grown_kib = {}, {}
    for name, head in heads.items():
        sent[name], answer = _push(unix(server), head, chunk)
        assert answer.startswith(b"HTTP/1.1 413 "), name
        within_s(2, lambda: server.memory_kib() - memory_kib < 2048)
        grown_kib[name] = server.memory_kib() - memory_kib
    assert max(grown_kib.values()) < 2048, grown_kib
    assert sent["announced"] < 2 * 1024 * 1024
    assert max(sent.values()) < 12 * 1024 * 1024
    assert used() - disk <= 8  # the log's own lines
    assert not {name for name in os.listdir("/tmp") if name not in temporary and name.startswith("tmp")}
    record_property("promise_56", f"10 GiB in three ways: KiB of memory {grown_kib}, disk +0, cut after {sent}")


def _push(client: socket.socket, head: bytes, chunk: bytes) -> tuple[int, bytes]:
    """Send until the server will have no more; so many bytes, and the beginning of its answer."""
    sent, received = 0, b""
    client.sendall(b"POST /v1/workspaces HTTP/1.1\r\nHost: localhost\r\n" + head)
    client.settimeout(10)
    try:
        while sent < 64 * 1024 * 1024:
            sent += client.send(chunk)
    except OSError:
        received = client.recv(4096)
    else:
        raise AssertionError("the server takes everything")
    client.close()
    return sent, received
