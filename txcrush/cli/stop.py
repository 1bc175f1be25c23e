"""`txcrush stop`: end the server."""

import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from txcrush.cli._options import fail, place_of, server_options

if TYPE_CHECKING:
    from txcrush.cli._client import Client
    from txcrush.cli._finding import Place

STOPPED, FAILED, NO_SERVER = 0, 1, 3
STOP_S = 10.0
POLL_S = 0.05
ANSWER_S = 2.0
"""Seconds that a server has to say what it is. One that hangs is stopped all the same."""

OURS = "txcrush-"
"""How the build id of every txcrush begins."""


@click.command()
@server_options
def command(host: str, token_file: str) -> None:
    """End the server: runs that are under way end as interrupted, queued prompts wait for the next start.

    Exit status: 0 it has ended, 1 it could not be ended, 3 there is none.
    """
    from txcrush.cli._client import Refused, Unreachable
    from txcrush.cli._finding import NoServer
    from txcrush.cli._reactor import drive

    place = place_of(host, token_file)
    told: list[str] = []
    try:
        status = drive(lambda reactor: _stop(reactor, place, told.append))
    except NoServer as error:
        fail(error, FAILED)
    except Unreachable:
        fail(f"no server answers at {place.host}", NO_SERVER)
    except Refused as error:
        fail(f"{error}; over TCP only a server that is idle and --replaceable ends: stop its process there", FAILED)
    click.echo("".join(told) or "interrupted", err=True)
    sys.exit(status)


async def _stop(reactor: Any, place: "Place", tell: Callable[[str], None]) -> int:
    """The exit status, when the server has ended or will not. Raises `NoServer`, `Unreachable` or `Refused`."""
    from txcrush.model.addresses import TcpAddress

    client = place.client(reactor)
    if isinstance(place.address, TcpAddress):
        await client.post("/v1/control", {"command": "shutdown"})
        tell("the server ends")
        return STOPPED
    peer = place.peer()
    if peer is None:
        tell(f"txcrush: no server answers at {place.host}")
        return NO_SERVER
    if not await _is_txcrush(client):
        tell(f"txcrush: the server at {place.host} (pid {peer.pid}) is no txcrush: it is left alone")
        return FAILED
    # No /v1/control: it ends idle servers only, and only those that were told to be --replaceable.
    ending = await _ended(reactor, peer.pid)
    tell(f"txcrush: {ending}" if ending else f"stopped the server (pid {peer.pid})")
    return FAILED if ending else STOPPED


async def _ended(reactor: Any, pid: int) -> str:
    """End the process; why it does not end, empty where it does."""
    from twisted.internet.task import deferLater

    from txcrush.cli._peer import is_alive

    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return ""
    except PermissionError:
        return f"the server (pid {pid}) belongs to another user"
    for _ in range(int(STOP_S / POLL_S)):
        if not is_alive(pid):
            return ""
        await deferLater(reactor, POLL_S)
    return f"the server (pid {pid}) has not ended after {STOP_S:.0f} s"


async def _is_txcrush(client: "Client") -> bool:
    """Whether this is a server of ours: Crush's own listens on the same socket by default. A silent one counts."""
    from txcrush.cli._client import Unreachable

    try:
        version = (await client.ask("GET", "/v1/version", within_s=ANSWER_S)).value
    except Unreachable:
        return True
    return str(version["build_id"]).startswith(OURS)
