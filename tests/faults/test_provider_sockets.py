"""Providers that fail on real sockets: half open, stopped, deaf, dead. A real server, real time, both wires."""

import functools
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_twisted
from msgspec.structs import replace
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock, deferLater
from twisted.internet.tcp import Client
from twisted.internet.threads import deferToThread
from twisted.web.client import BrowserLikePolicyForHTTPS

from txcrush.adapters.providers import ProviderBuilder
from txcrush.model.config import ProviderConfig
from txcrush.model.errors import ProviderError
from txcrush.model.providers import UserTurn
from txcrush.testing.certificates import certificate
from txcrush.testing.live_scene import Scene
from txcrush.testing.live_server import LiveServer
from txcrush.testing.model_server import ModelServer
from txcrush.testing.provider_rig import REQUEST, ProviderRig
from txcrush.testing.recording_sink import RecordingSink
from txcrush.testing.two_wires import WIRES, voice_for

BOUND_S = 30.0
IDLE_S = 2.0
BIG = 4 * 1024 * 1024
CANCEL_S = 0.1

# Twisted hands its certificates to pyOpenSSL in a way that newer versions of that deprecate.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL")


def bounded(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Deferred[None]]:
    """Whatever goes wrong, the test ends."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(test(*args, **kwargs)).addTimeout(BOUND_S, reactor)

    return run


@pytest_twisted.async_yield_fixture
async def scene(short_path: Path) -> AsyncIterator[Scene]:
    made = await Scene.open(reactor, short_path)
    yield made
    await made.close()


# A cancel at every point


async def mute(scene: Scene) -> None:
    """It takes the request and says nothing."""
    await scene.model.next_request()


async def half_a_head(scene: Scene) -> None:
    (await scene.model.next_request()).send(b"HTTP/1.1 200 OK\r\nContent-")


async def half_an_error(scene: Scene) -> None:
    (await scene.model.next_request()).send(b"HTTP/1.1 500 Oops\r\nContent-Length: 100\r\n\r\nhalf")


async def in_a_call(scene: Scene) -> None:
    voice = await scene.asked()
    voice.begin()
    voice.open_call("c1", "view", '{"file_pa')
    await scene.shown_part("tool_call", id="c1")


async def refused(scene: Scene) -> None:
    """It is busy, and is asked again in a while."""
    (await scene.model.next_request()).error(429, "slow down", Retry_After="50")


STATES = (mute, half_a_head, half_an_error, in_a_call, refused)


@pytest.mark.parametrize("wire", WIRES)
@bounded
async def test_promise_18_a_cancel_takes_less_than_100_ms(scene: Scene, wire: str, record_property: Any) -> None:
    await scene.choose(wire)
    took: list[float] = []
    for state in STATES:
        held = scene.prompt()
        await state(scene)
        began = time.monotonic()
        await scene.cancel()
        assert (await held).status == 200
        took.append(time.monotonic() - began)
    assert scene.ends(scene.bob) == ["cancelled"] * len(STATES)
    assert statistics.median(took) < CANCEL_S, took
    assert max(took) < 10 * CANCEL_S, took
    figure = f"cancel over {wire}: {statistics.median(took) * 1000:.0f} ms, at most {max(took) * 1000:.0f} ms"
    record_property("promise_18", figure)
    await scene.goes_on()


# Peers that are there and are not


class Stopped:
    """A model server in a process of its own, which a signal can stop."""

    CODE = """
import socket, sys
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
held = []
while True:
    connection, _ = listening.accept()
    held.append(connection)
    connection.recv(100)
    connection.sendall(b"HTTP/1.1 200 OK\\r\\n\\r\\n")
    print("asked", flush=True)
"""

    def __init__(self) -> None:
        command = [sys.executable, "-c", self.CODE]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.out = self.process.stdout
        self.port = int(self.out.readline())

    async def when_asked(self) -> None:
        assert await deferToThread(self.out.readline) == "asked\n"

    def stop(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def end(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)
        self.process.kill()
        self.process.wait(BOUND_S)
        self.out.close()


@pytest.fixture
def stopped() -> Iterator[Stopped]:
    made = Stopped()
    yield made
    made.end()


@pytest_twisted.async_yield_fixture
async def short(short_path: Path) -> AsyncIterator[LiveServer]:
    """A server that waits for no provider longer than two seconds."""
    live = await LiveServer.start(reactor, short_path, provider_idle_s=IDLE_S)
    yield live
    await live.stop()


async def prompted(live: LiveServer, port: int, text: str = "go") -> tuple[str, str, Deferred[Any]]:
    """A prompt to a model at that port: workspace, session, and the answer to come."""
    where = ModelServer()
    where.port = port
    live.configure(live.project, where)
    workspace = await live.client.join(live.project)
    session = await live.client.session(workspace)
    return workspace, session, live.client.prompt(workspace, session, text)


@pytest.mark.parametrize("size", [10, BIG])
@bounded
async def test_promise_23_a_stopped_peer_holds_a_run_no_longer_than_the_limit(
    short: LiveServer, stopped: Stopped, size: int, record_property: Any
) -> None:
    _, _, held = await prompted(short, stopped.port, "x" * size)
    await stopped.when_asked()
    stopped.stop()
    began = time.monotonic()
    answer = await held
    took = time.monotonic() - began
    assert (answer.status, answer.message) == (500, "stream stalled: the provider has sent nothing new for 2 s")
    assert IDLE_S - 1 < took < IDLE_S + 1
    record_property("promise_23", f"a stopped peer ends after {took:.2f} s, the limit being {IDLE_S:g} s")


@bounded
async def test_promise_23_a_cancel_does_not_wait_for_a_stopped_peer(short: LiveServer, stopped: Stopped) -> None:
    workspace, session, held = await prompted(short, stopped.port, "x" * BIG)
    await stopped.when_asked()
    stopped.stop()
    began = time.monotonic()
    await short.client.post(f"/v1/workspaces/{workspace}/agent/sessions/{session}/cancel")
    assert (await held).status == 200
    assert time.monotonic() - began < 5 * CANCEL_S


@bounded
async def test_promise_23_a_cancel_does_not_wait_for_a_connection_that_nobody_takes(short: LiveServer) -> None:
    """The queue of the listening socket is full, so the connection hangs half open."""
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    fillers = [socket.socket() for _ in range(3)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(full.getsockname())
    workspace, session, held = await prompted(short, full.getsockname()[1])
    stream = await short.client.stream(workspace)
    await short.client.post(f"/v1/workspaces/{workspace}/agent/sessions/{session}/cancel")
    assert (await held).status == 200
    stream.close()
    for one in (full, *fillers):
        one.close()


def connections_to(port: int) -> int:
    """How many of our sockets have a peer at that port."""
    found = psutil.Process().net_connections("tcp")
    return sum(1 for one in found if one.raddr and one.raddr.port == port)


def asker(root: Any = None) -> ProviderBuilder:
    """What builds providers, which trust this root."""
    tls = BrowserLikePolicyForHTTPS(root)
    return ProviderBuilder(reactor, clock=Clock(), environ={}, expand=str, new_id=lambda: "x", tls=tls)


async def is_let_go(builder: ProviderBuilder, asked: Deferred[Any], port: int) -> None:
    """A cancel leaves no connection behind, whatever the peer does."""
    assert connections_to(port) == 1
    asked.addErrback(lambda failure: failure.trap(CancelledError))
    asked.cancel()
    for _ in range(3):
        await deferLater(reactor, 0)
    assert connections_to(port) == 0
    await builder.close()


@bounded
async def test_promise_23_a_peer_that_answers_and_does_not_read_keeps_no_connection_open() -> None:
    """What we still have to send would wait in the kernel for as long as it likes."""
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    builder, sink = asker(), RecordingSink()
    config = ProviderConfig(id="acme", base_url=f"http://127.0.0.1:{port}/v1")
    asked = builder(config).stream(replace(REQUEST, turns=(UserTurn("x" * 2 * BIG),)), sink)
    connection, _ = await deferToThread(listening.accept)
    connection.sendall(b'HTTP/1.1 200 OK\r\n\r\ndata: {"choices":[{"delta":{"content":"x"}}]}\n\n')
    await sink.when_said(1)
    await is_let_go(builder, asked, port)
    connection.close()
    listening.close()


@bounded
async def test_promise_23_a_peer_that_does_not_answer_a_good_bye_of_tls_keeps_no_connection_open() -> None:
    own, root = certificate("localhost")
    server = ModelServer.listen(reactor, tls=own.options())
    builder, sink = asker(root), RecordingSink()
    config = ProviderConfig(id="acme", base_url=f"https://localhost:{server.port}/v1")
    asked = builder(config).stream(REQUEST, sink)
    exchange = await server.next_request()
    exchange.head()
    exchange.text("x")
    exchange.pause_reading()
    await sink.when_said(1)
    await is_let_go(builder, asked, server.port)
    await server.stop()


# Who cannot be reached


@pytest.mark.parametrize("kind", ["openai-compat", "anthropic"])
@bounded
async def test_promise_23_a_certificate_that_nobody_vouches_for_is_a_typed_error(kind: str) -> None:
    own, _ = certificate("localhost")
    server = ModelServer.listen(reactor, tls=own.options())
    rig = ProviderRig(reactor)
    with pytest.raises(ProviderError) as caught:
        await rig.ask(base_url=f"https://localhost:{server.port}/v1", type=kind)
    assert caught.value.title == "TLS Error"
    assert "no secure connection to the provider" in caught.value.message
    assert server.requests == []
    await rig.close()
    await server.stop()


@bounded
async def test_promise_23_a_dead_connection_in_the_pool_is_probed_by_the_kernel(scene: Scene) -> None:
    """What cannot be shown without pulling a plug: that the options are set on the socket that is kept."""
    held = scene.prompt()
    voice_for(await scene.model.next_request()).say("x")
    assert (await held).status == 200
    kept = [one for one in reactor.getReaders() if isinstance(one, Client) and one.addr[1] == scene.model.port]  # type: ignore[attr-defined]
    assert kept
    for one in kept:
        assert one.socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert one.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
        assert one.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000
