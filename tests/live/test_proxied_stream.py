"""The event stream behind proxies as they come, with all the buffering that they do by default."""

import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.task import deferLater

from txcrush.testing.live_client import CLIENT, LiveClient
from txcrush.testing.live_server import LiveServer
from txcrush.testing.scale import scaled

BOUND_S = 20.0
SBIN = f"{os.defpath}:/usr/sbin:/usr/local/sbin"

NGINX = """
daemon off; master_process off; pid {top}/pid; error_log stderr; {user}
events {{ }}
http {{
  access_log off; client_body_temp_path {top}/b; proxy_temp_path {top}/p; fastcgi_temp_path {top}/f;
  uwsgi_temp_path {top}/u; scgi_temp_path {top}/s;
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{server}; }} }}
}}
"""
HAPROXY = """
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen all
  bind 127.0.0.1:{port}
  server one 127.0.0.1:{server}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def proxy(name: str, top: Path, port: int, server: int) -> Iterator[None]:
    """The proxy in front of the server, or a test that is skipped where it is not installed."""
    program = shutil.which(name, path=SBIN)
    if program is None:
        pytest.skip(f"{name} is not installed: promise 37 is not shown for it here")
    config = top / f"{name}.conf"
    user = "user root;" if os.getuid() == 0 else ""
    config.write_text((NGINX if name == "nginx" else HAPROXY).format(top=top, port=port, server=server, user=user))
    arguments = ["-p", str(top), "-e", "stderr", "-c", str(config)] if name == "nginx" else ["-db", "-f", str(config)]
    with subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            yield
        finally:
            running.terminate()


@pytest_twisted.async_yield_fixture
async def server(short_path: Path) -> AsyncIterator[LiveServer]:
    live = await LiveServer.start(reactor, short_path, listen=("tcp:0:interface=127.0.0.1",), no_token=True)
    yield live
    await live.stop()


async def through(port: int) -> LiveClient:
    """A client of the proxy, which answers by now."""
    client = LiveClient(reactor, TCP4ClientEndpoint(reactor, "127.0.0.1", port), f"http://127.0.0.1:{port}")
    for _ in range(int(BOUND_S / 0.05)):
        try:
            assert (await client.get("/v1/health")).status == 200
            return client
        except ConnectError:
            await deferLater(reactor, 0.05)
    raise AssertionError("the proxy does not answer")


@pytest.mark.parametrize("name", ["nginx", "haproxy"])
@pytest_twisted.ensureDeferred
async def test_promise_37_an_event_comes_through_a_proxy_at_once(
    name: str, server: LiveServer, short_path: Path, record_property: Callable[[str, object], None]
) -> None:
    workspace = await server.client.join(server.project)
    session = await server.client.session(workspace)
    with proxy(name, short_path, port := free_port(), server.tcp_port):
        client = await through(port)
        began = perf_counter()
        opening = Deferred.fromCoroutine(client.stream(workspace, CLIENT))
        stream = await opening.addTimeout(BOUND_S, reactor)
        opened_s, sent = perf_counter() - began, perf_counter()
        path = f"/v1/workspaces/{workspace}/sessions/{session}"
        await server.client.ask("PUT", path, {"id": session, "title": "seen"})
        await stream.when(lambda event: event.payload.get("title") == "seen").addTimeout(BOUND_S, reactor)
        took_s = perf_counter() - sent
        stream.close()
        await stream.when_ended()
    record_property("promise_37", f"{name}: head after {opened_s * 1000:.0f} ms, event after {took_s * 1000:.0f} ms")
    assert max(opened_s, took_s) < 0.2 * scaled(10, 1)
