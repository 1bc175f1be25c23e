"""A server in a process of its own, which a test can kill.

Everything lies in one directory, the user's home among it; the next server over the same directory finds what the last
one left.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from txcrush.core.observers import OneShot
from txcrush.testing.live_client import LiveClient
from txcrush.testing.live_server import UNIX_ORIGIN
from txcrush.testing.model_server import ModelServer
from txcrush.wire.json import encode

START_S = 30.0


class ServerDied(Exception):
    """The process ended before it was ready; the text is its log."""


class SpawnedServer(ProcessProtocol):
    """`start` makes one that answers; `kill` ends it as `kill -9` does, `stop` as SIGTERM does.

    `client` asks over the Unix socket, `log` is what the server has written so far. `state` is its state directory.
    """

    def __init__(self, reactor: Any, directory: Path) -> None:
        self.log = ""
        self.state = directory / "state"
        self.client = LiveClient(reactor, UNIXClientEndpoint(reactor, str(directory / "s")), UNIX_ORIGIN)
        self._ready: OneShot[None] = OneShot()
        self._ended: OneShot[int] = OneShot()

    @classmethod
    async def start(cls, reactor: Any, directory: Path, *flags: str, **environ: str) -> "SpawnedServer":
        """A server that answers. Raises `ServerDied`."""
        server = cls(reactor, directory)
        env = {"HOME": str(directory), "XDG_RUNTIME_DIR": str(directory), "PATH": os.environ["PATH"], **environ}
        socket, state = f"unix://{directory / 's'}", str(server.state)
        command = [sys.executable, "-m", "txcrush", "serve", "--host", socket, "--state-dir", state]
        command += ["--trust-projects", "--log-format", "text", *flags]
        reactor.spawnProcess(server, sys.executable, command, env, str(directory))
        await server._ready.when().addTimeout(START_S, reactor)
        return server

    @property
    def pid(self) -> int:
        return cast(int, self._process.pid)

    async def kill(self) -> None:
        """End it without a word; returns when it is gone."""
        self._process.signalProcess(signal.SIGKILL)
        await self._ended.when()

    async def stop(self) -> int:
        """Ask it to end; returns its status, -N for signal N. One that has ended is left alone."""
        if not self._ended.happened:
            self._process.signalProcess(signal.SIGTERM)
        return await self._ended.when()

    def when_ended(self) -> Deferred[int]:
        """Fires with the status."""
        return self._ended.when()

    def connectionMade(self) -> None:
        self._process = cast(Any, self.transport)
        self._process.closeStdin()

    def errReceived(self, data: bytes) -> None:
        self.log += data.decode("utf-8", "replace")
        if any(line.endswith("ready") for line in self.log.splitlines()):
            self._ready.fire(None)

    def processEnded(self, reason: Failure) -> None:
        status = getattr(reason.value, "exitCode", None)
        number = getattr(reason.value, "signal", None)
        self._ready.fail_waiting(lambda: ServerDied(self.log))
        self._ended.fire(-number if number else status or 0)


def configure(project: Path, model: ModelServer) -> None:
    """Make a project whose provider's models `large` and `small` the model server plays: both cost a dollar a call of a
    million tokens."""
    prices = {"cost_per_1m_in": 1.0, "cost_per_1m_out": 1.0}
    row = {"context_window": 100_000_000, "default_max_tokens": 1000, **prices}
    provider = {
        "id": "scripted",
        "type": "openai-compat",
        "base_url": model.base_url,
        "api_key": "sk-canary",
        "models": [{"id": "large", "name": "Large", **row}, {"id": "small", "name": "Small", **row}],
    }
    choices = {name: {"provider": "scripted", "model": name} for name in ("large", "small")}
    project.mkdir(parents=True, exist_ok=True)
    (project / "crush.json").write_bytes(encode({"providers": {"scripted": provider}, "models": choices}))
