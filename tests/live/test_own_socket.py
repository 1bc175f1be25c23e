"""The command line tells nothing to a stranger who listens where its own server should."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from txcrush.cli._client import Client, Unreachable
from txcrush.model.addresses import UnixAddress
from txcrush.testing.live_server import LiveServer

NOBODY = 65534
STRANGER = """
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[2]))
s.bind(sys.argv[1])
s.listen()
os.chmod(sys.argv[1], 0o666)
print("listening", flush=True)
connection, _ = s.accept()
heard = b""
try:
    while True:
        more = connection.recv(1000)
        if not more:
            break
        heard += more
except ConnectionResetError:
    print("reset", flush=True)
print(repr(heard), flush=True)
"""


@pytest_twisted.async_yield_fixture
async def server(short_path: Path) -> AsyncIterator[LiveServer]:
    server = await LiveServer.start(reactor, short_path)
    yield server
    await server.stop()


@pytest_twisted.ensureDeferred
async def test_promise_50_the_command_line_asks_its_own_users_server(server: LiveServer) -> None:
    client = Client(reactor, UnixAddress(server.socket), uid=os.getuid())
    assert (await client.get("/v1/version"))["version"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest_twisted.ensureDeferred
async def test_promise_50_the_command_line_says_nothing_to_another_users_socket(short_path: Path) -> None:
    os.chmod(short_path, 0o1777)
    path = str(short_path / "s")
    stranger = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", STRANGER, path, str(NOBODY)], stdout=subprocess.PIPE, text=True
    )
    assert stranger.stdout is not None
    assert stranger.stdout.readline() == "listening\n"
    client = Client(reactor, UnixAddress(path), "a-secret", uid=os.getuid())
    with pytest.raises(Unreachable, match="another user's server"):
        await Deferred.fromCoroutine(client.post("/v1/workspaces", {"path": "/secret"}))
    heard, _ = await deferToThread(stranger.communicate, timeout=30)
    assert heard.splitlines()[-1] == "b''"
