"""`txcrush stop`: end the server on the Unix socket."""

import os
import signal
import socket
import struct
import sys
import time
from typing import Any

import click

from txcrush.cli._options import fail, place_of, server_options

STOP_S = 10.0
POLL_S = 0.05
LOCAL_PEERPID = 2
"""The option of a macOS socket that names the peer's process; Python has no name for it."""


@click.command()
@server_options
def command(host: str, token_file: str) -> None:
    """End the server: runs that are under way end as interrupted, queued prompts wait for the next start.

    Exit status: 0 it has ended, 1 it could not be ended, 3 there is none.
    """
    from txcrush.model.addresses import UnixAddress

    place = place_of(host, token_file)
    if not isinstance(place.address, UnixAddress):
        fail("only a server on a Unix socket can be stopped from here: end the process of this one where it runs", 1)
    pid = _server_pid(place.address.path)
    if pid is None:
        fail(f"no server answers at {place.host}", 3)
    try:
        os.kill(pid, signal.SIGTERM)
    except PermissionError:
        fail(f"the server (pid {pid}) belongs to another user", 1)
    if not _has_gone(place.address.path):
        fail(f"the server (pid {pid}) has not ended after {STOP_S:.0f} s", 1)
    click.echo(f"stopped the server (pid {pid})", err=True)
    sys.exit(0)


def _server_pid(path: str) -> int | None:
    """The process that listens on the socket; None where nobody does."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(2)
        try:
            asking.connect(path)
        except OSError:
            return None
        return _peer_pid(asking)


def _peer_pid(connected: socket.socket) -> int:
    if sys.platform == "darwin":
        return int.from_bytes(connected.getsockopt(0, LOCAL_PEERPID, 4), sys.byteorder)
    credentials: Any = struct.unpack("3i", connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(credentials[0])


def _has_gone(path: str) -> bool:
    """Wait, within bounds, until nobody listens there."""
    for _ in range(int(STOP_S / POLL_S)):
        if _server_pid(path) is None:
            return True
        time.sleep(POLL_S)
    return False
