"""The doctor's look at the server's own things: socket, answer, token, state directory."""

import http.client
import os
import socket
import stat
from collections.abc import Iterator
from typing import Any

from txcrush.cli._finding import Place
from txcrush.cli._findings import Finding, error, ok, warning
from txcrush.cli._peer import peer_at
from txcrush.http.tokenfile import read_token
from txcrush.model.addresses import UnixAddress
from txcrush.model.errors import ListenFailed
from txcrush.wire.json import parse_object

ANSWER_S = 3.0
LOW_BYTES = 256 * 1024 * 1024


def of_socket(place: Place) -> Iterator[Finding]:
    """Is there a socket, is it ours alone, and does anybody listen?"""
    if not isinstance(place.address, UnixAddress):
        yield ok("socket", f"{place.host} is no Unix socket: nothing to look at")
        return
    path = place.address.path
    yield from _of_directory(os.path.dirname(path) or ".")
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        yield ok("socket", f"no server runs: there is nothing at {path}")
        return
    if not stat.S_ISSOCK(status.st_mode):
        yield error("socket", f"{path} is not a socket", "move it away, or name another place with --host")
        return
    yield from _of_access(path, status)
    peer = peer_at(path)
    if peer is None:
        yield warning("socket", f"nobody listens at {path}", "a server was killed; the next start removes the socket")
    elif not peer.is_trusted_by(os.getuid()):
        yield error("socket", f"another user's process {peer.pid} listens at {path}", "name another place with --host")
    else:
        yield ok("socket", f"process {peer.pid} listens at {path}")
        yield from _of_answer(path)


def _of_directory(directory: str) -> Iterator[Finding]:
    try:
        mode = os.stat(directory).st_mode
    except FileNotFoundError:
        return
    if mode & 0o022 and not mode & stat.S_ISVTX:
        yield error(
            "socket", f"others can write in {directory}", f"chmod go-w {directory}: they could replace the socket"
        )


def _of_access(path: str, status: os.stat_result) -> Iterator[Finding]:
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        yield error("socket", f"{path} has mode {mode:04o}: others can connect", f"chmod 600 {path}")
    if status.st_uid != os.getuid():
        yield error("socket", f"{path} belongs to user {status.st_uid}", "name a socket of your own with --host")


def _of_answer(path: str) -> Iterator[Finding]:
    """What the server says of its own health."""
    try:
        body = _asked(path, "/v1/health/details")
    except (OSError, http.client.HTTPException) as silent:
        yield error("server", f"it does not answer: {silent}", "txcrush stop ends it; its log says why it hangs")
        return
    try:
        report: dict[str, Any] = parse_object(body)
        problems = report["problems"]
    except (ValueError, KeyError):
        yield ok("server", "it answers, and does not tell of its health: it is no txcrush, or an older one")
        return
    if not problems:
        yield ok("server", f"it answers and is well, up for {report['uptime_s']:.0f} s")
    for problem in problems:
        found = error if problem["severity"] == "error" else warning
        yield found("server", problem["message"], problem["action"])


def _asked(path: str, target: str) -> str:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(ANSWER_S)
        asking.connect(path)
        connection = http.client.HTTPConnection("localhost")
        connection.sock = asking
        connection.request("GET", target, headers={"Connection": "close"})
        return connection.getresponse().read(1024 * 1024).decode("utf-8", "replace")


def of_token(path: str) -> Iterator[Finding]:
    """May only we read the token, and is it one?"""
    try:
        token = read_token(path)
    except FileNotFoundError:
        yield ok("token", f"there is none at {path}: the first server that listens on TCP makes one")
    except ListenFailed as refused:
        yield error("token", str(refused), "a server that listens on TCP does not start until this is done")
    except OSError as unreadable:
        yield error("token", f"{path} cannot be read: {unreadable.strerror}", f"chown and chmod 600 {path}")
    else:
        yield ok("token", f"{path} holds one of {len(token)} characters, for you alone")


def of_state_dir(path: str) -> Iterator[Finding]:
    """Is the server's own directory there, ours, and writable?"""
    if not os.path.lexists(path):
        yield ok("state directory", f"{path} is not there yet: a server makes it")
        return
    status = os.stat(path)
    if not stat.S_ISDIR(status.st_mode):
        yield error("state directory", f"{path} is no directory", "move it away, or set TXCRUSH_STATE_DIR")
        return
    faults = list(_faults_of(path, status))
    yield from faults or [ok("state directory", f"{path} is yours and can be written")]


def _faults_of(path: str, status: os.stat_result) -> Iterator[Finding]:
    name, mode = "state directory", stat.S_IMODE(status.st_mode)
    if status.st_uid != os.getuid():
        yield error(name, f"{path} belongs to user {status.st_uid}", "chown it, or set TXCRUSH_STATE_DIR")
    if mode & 0o022:
        yield error(name, f"{path} has mode {mode:04o}: others can write in it", f"chmod 700 {path}")
    if not os.access(path, os.W_OK | os.X_OK):
        yield error(name, f"{path} cannot be written", f"chmod u+rwx {path}, or mount its file system writable")
    disk = os.statvfs(path)
    free = disk.f_bavail * disk.f_frsize
    if free < LOW_BYTES:
        yield warning(name, f"{free // 2**20} MiB are left on the disk of {path}", "free space there")
