"""Finding the server, or starting one on the default address."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, Any

from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool

from txcrush.cli._client import Client, Refused, Unreachable
from txcrush.model.addresses import TcpAddress, UnixAddress, default_host, default_state_dir, parse_host

START_S = 10.0
POLL_S = 0.05
LOG_TAIL = 600


class NoServer(Exception):
    """There is no server, and none could be started. The text says what to do."""


class Place:
    """Where the server is, or will be. Raises ValueError for a host that cannot be read.

    `host` and `token_file` are what the user said, empty for `TXCRUSH_*` or the default.
    """

    def __init__(self, environ: Mapping[str, str], host: str = "", token_file: str = "") -> None:
        usual = default_host(environ, os.getuid())
        self.host = host or environ.get("TXCRUSH_HOST") or usual
        self.address: UnixAddress | TcpAddress = parse_host(self.host)
        self.is_usual = self.host == usual
        self.state_dir = environ.get("TXCRUSH_STATE_DIR") or default_state_dir(environ)
        self._token_file = token_file or environ.get("TXCRUSH_TOKEN_FILE") or os.path.join(self.state_dir, "token")
        self._environ = environ

    def client(self, reactor: Any) -> Client:
        """A client of the server here."""
        return Client(reactor, self.address, self._token())

    def _token(self) -> str:
        """The token for TCP; none where there is no file, since a server may ask for none."""
        if isinstance(self.address, UnixAddress):
            return ""
        if self._environ.get("TXCRUSH_TOKEN"):
            return self._environ["TXCRUSH_TOKEN"]
        with suppress(FileNotFoundError), open(self._token_file, encoding="ascii") as file:
            return file.read().strip()
        return ""


async def is_healthy(client: Client) -> bool:
    """Whether a server answers. Raises `NoServer` for one that answers with a refusal."""
    try:
        await client.ask("GET", "/v1/health")
    except Unreachable:
        return False
    except Refused as refused:
        raise NoServer(f"the server refuses us: {refused}") from refused
    return True


class Starter:
    """Starts a server in the background where there is none. `say` tells the user."""

    def __init__(self, reactor: Any, place: Place, environ: Mapping[str, str], say: Callable[[str], None]) -> None:
        self._reactor = reactor
        self._place = place
        self._environ = environ
        self._say = say

    async def find(self) -> Client:
        """A client of a server that answers. Raises `NoServer`."""
        client = self._place.client(self._reactor)
        if await is_healthy(client):
            return client
        if isinstance(self._place.address, TcpAddress):
            host = self._place.host
            raise NoServer(f"no server answers at {host}: start one with: txcrush serve --host {host}")
        lock = await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), _locked, self._place.state_dir)
        with lock:
            if not await is_healthy(client):
                await self._start(client)
        return client

    async def _start(self, client: Client) -> None:
        """Start one and wait until it answers; whoever else wants to waits for our lock."""
        log = os.path.join(self._place.state_dir, "server.log")
        process = self._spawn(log)
        for _ in range(int(START_S / POLL_S)):
            await deferLater(self._reactor, POLL_S)
            if await is_healthy(client):
                self._say(f"started a txcrush server (pid {process.pid}, log {log}); stop it with: txcrush stop")
                return
            if process.poll() is not None:
                raise NoServer(f"the server did not start:\n{_tail(log)}")
        raise NoServer(f"the server (pid {process.pid}) does not answer after {START_S:.0f} s; its log is {log}")

    def _spawn(self, log: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "txcrush", "serve"]
        if not self._place.is_usual:
            command += ["--host", self._place.host]
        with open(log, "ab") as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._place.state_dir,
                env=dict(self._environ),
                start_new_session=True,
            )


def _locked(state_dir: str) -> IO[bytes]:
    """The right to start a server; held until the file is closed. Waits for whoever has it."""
    os.makedirs(state_dir, mode=0o700, exist_ok=True)
    lock = open(os.path.join(state_dir, "start.lock"), "wb")  # noqa: SIM115  # the caller closes it
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def _tail(path: str) -> str:
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - LOG_TAIL))
        return file.read().decode("utf-8", "replace").strip()
