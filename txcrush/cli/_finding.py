"""Finding the server, or starting one where there is none."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import IO, Any

from twisted.internet.task import deferLater

from txcrush.cli._client import Client, Refused, Unreachable
from txcrush.cli._peer import Peer, peer_at
from txcrush.model.addresses import TcpAddress, UnixAddress, default_host, default_state_dir, parse_host

HEALTH_S = 5.0
START_S = 10.0
LOCK_S = 2 * START_S
LEAVE_S = 10.0
POLL_S = 0.05
LOG_TAIL = 600
LOG_BYTES = 8 * 1024 * 1024
"""A log that has grown beyond this is put aside, once, when a server is started."""


class NoServer(Exception):
    """There is no server that can be used, and none could be started. The text says what to do."""


class Place:
    """Where the server is, or will be. Raises ValueError for a host that cannot be read.

    `host` and `token_file` are what the user said, empty for `TXCRUSH_*` or the default. `peer_of` tells who listens
    on a Unix socket.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        host: str = "",
        token_file: str = "",
        peer_of: Callable[[str], Peer | None] = peer_at,
    ) -> None:
        usual = default_host(environ, os.getuid())
        self.host = host or environ.get("TXCRUSH_HOST") or usual
        self.address: UnixAddress | TcpAddress = parse_host(self.host)
        self.is_usual = self.host == usual
        self.state_dir = environ.get("TXCRUSH_STATE_DIR") or default_state_dir(environ)
        self._token_file = token_file
        self._environ = environ
        self._peer_of = peer_of

    def client(self, reactor: Any) -> Client:
        """A client of the server here. Raises `NoServer` when the token cannot be read."""
        return Client(reactor, self.address, self._token(), os.getuid())

    def peer(self) -> Peer | None:
        """The process that listens on the Unix socket, None where none does and for TCP.

        Raises `NoServer` for one that is not ours: in a directory that all can write, anybody could wait for prompts.
        """
        if isinstance(self.address, TcpAddress):
            return None
        try:
            peer = self._peer_of(self.address.path)
        except OSError as error:
            raise NoServer(f"cannot tell who listens at {self.host}: {error.strerror or error}") from error
        if peer is not None and not peer.is_trusted_by(os.getuid()):
            raise NoServer(f"the server at {self.host} belongs to another user: name one of yours with --host")
        return peer

    def _token(self) -> str:
        """The token for TCP: the flag's file, `TXCRUSH_TOKEN`, `TXCRUSH_TOKEN_FILE`, then the server's own file.

        Empty where there is no file, since a server may ask for none. The last is for this machine only: it opens the
        user's own server, and nobody else's.
        """
        if isinstance(self.address, UnixAddress):
            return ""
        named, given = self._token_file, self._environ.get("TXCRUSH_TOKEN", "")
        if not named and given:
            return given.strip()
        named = named or self._environ.get("TXCRUSH_TOKEN_FILE", "")
        if named:
            return _read_token(named)
        own = os.path.join(self.state_dir, "token")
        return _read_token(own) if _is_loopback(self.address.host) and os.path.exists(own) else ""


async def is_healthy(client: Client) -> bool:
    """Whether a server answers. Raises `NoServer` for one that answers with a refusal."""
    try:
        await client.ask("GET", "/v1/health", within_s=HEALTH_S)
    except Unreachable:
        return False
    except Refused as refused:
        hint = "; name the token with --token-file or $TXCRUSH_TOKEN" if refused.status == 401 else ""
        raise NoServer(f"the server refuses us: {refused}{hint}") from refused
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
        if await self._is_there(client):
            return client
        if isinstance(self._place.address, TcpAddress):
            host = self._place.host
            raise NoServer(f"no server answers at {host}: start one with: txcrush serve --host {host}")
        with await self._lock():
            if not await self._is_there(client):
                await self._start(client)
        return client

    async def wait_until_gone(self) -> None:
        """Wait, within bounds, until a server that is ending has given up its address."""
        for _ in range(int(LEAVE_S / POLL_S)):
            if self._place.peer() is None:
                return
            await deferLater(self._reactor, POLL_S)

    async def _is_there(self, client: Client) -> bool:
        """Whether a server answers that may know our prompts. Raises `NoServer` for one that listens and is silent."""
        if isinstance(self._place.address, UnixAddress) and self._place.peer() is None:
            return False
        if await is_healthy(client):
            return True
        if self._place.peer() is not None:
            raise NoServer(f"the server at {self._place.host} does not answer: txcrush stop ends it")
        return False

    async def _lock(self) -> IO[bytes]:
        """The right to start a server; held until the file is closed. Waits, within bounds, for whoever has it."""
        os.makedirs(self._place.state_dir, mode=0o700, exist_ok=True)
        lock = _opened(os.path.join(self._place.state_dir, "start.lock"))
        for _ in range(int(LOCK_S / POLL_S)):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await deferLater(self._reactor, POLL_S)
            else:
                return lock
        lock.close()
        raise NoServer(f"somebody else is starting a server and does not come to an end: {lock.name} is locked")

    async def _start(self, client: Client) -> None:
        """Start one and wait until it answers; whoever else wants to waits for our lock."""
        log = os.path.join(self._place.state_dir, "server.log")
        process = self._spawn(log)
        hint = "txcrush stop" if self._place.is_usual else f"txcrush stop --host {self._place.host}"
        for _ in range(int(START_S / POLL_S)):
            await deferLater(self._reactor, POLL_S)
            has_ended = process.poll() is not None
            if await is_healthy(client):
                if not has_ended:  # else another one, which needs no lock of ours, was faster
                    self._say(f"started a txcrush server (pid {process.pid}, log {log}); stop it with: {hint}")
                return
            if has_ended:
                raise NoServer(f"the server did not start:\n{_tail(log)}")
        process.terminate()
        raise NoServer(f"the server (pid {process.pid}) did not answer within {START_S:.0f} s; its log is {log}")

    def _spawn(self, log: str) -> "subprocess.Popen[bytes]":
        # Always with its host: the environment may hold a TXCRUSH_LISTEN, which would make it listen elsewhere only.
        command = [sys.executable, "-m", "txcrush", "serve", "--host", self._place.host]
        with open(log, "ab", opener=_private) as output:
            if output.tell() > LOG_BYTES:
                os.replace(log, f"{log}.1")
                return self._spawn(log)
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._place.state_dir,
                env=dict(self._environ),
                start_new_session=True,
            )


def _opened(path: str) -> IO[bytes]:
    return open(path, "wb", opener=_private)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _read_token(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError as error:
        raise NoServer(f"cannot read the token file {path}: {error.strerror}") from error


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def _tail(path: str) -> str:
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - LOG_TAIL))
        return file.read().decode("utf-8", "replace").strip()
