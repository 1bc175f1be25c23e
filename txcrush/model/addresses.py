"""Where a server is found: host URLs of the reference's forms.

Pure text: the command line checks with it what it was told, wiring listens on it, a client connects to it.
"""

import os.path
from collections.abc import Mapping

from msgspec import Struct

LONGEST_SOCKET_PATH = 104
"""Bytes of a Unix socket's path that every system accepts."""


class UnixAddress(Struct, frozen=True):
    """A Unix stream socket, written `unix:///PATH`; the path is absolute."""

    path: str


class TcpAddress(Struct, frozen=True):
    """A TCP port, written `tcp://HOST:PORT`; `host` is without the brackets of an IPv6 address."""

    host: str
    port: int


def default_host(environ: Mapping[str, str], uid: int) -> str:
    """The host URL that server and clients use when none was named: one socket per user."""
    name = f"crush-{uid}.sock"
    path = os.path.join(environ.get("XDG_RUNTIME_DIR") or environ.get("TMPDIR") or "/tmp", name)
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
        path = f"/tmp/{name}"
    return f"unix://{path}"


def default_state_dir(environ: Mapping[str, str]) -> str:
    """Where a server keeps its own files (the token, its log), where nothing else was said."""
    home = environ.get("HOME") or os.path.expanduser("~")
    data_home = environ.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")
    return os.path.join(data_home, "txcrush")


def parse_host(text: str) -> UnixAddress | TcpAddress:
    """The address that a host URL names. Raises ValueError, with a text for the user, for anything else."""
    scheme, separator, rest = text.partition("://")
    if separator and scheme == "unix" and rest.startswith("/"):
        return UnixAddress(rest)
    if separator and scheme == "tcp":
        return _tcp_address(text, rest.partition("/")[0])
    raise ValueError(f"invalid host format: {text} (write unix:///PATH or tcp://HOST:PORT)")


def _tcp_address(text: str, authority: str) -> TcpAddress:
    host, _, port = authority.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"invalid host format: {text} (a TCP address is tcp://HOST:PORT)")
    return TcpAddress(host, int(port))
