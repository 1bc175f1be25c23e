"""The bearer token of the TCP ports: a file that only our own user can read."""

import base64
import os
import re
import stat
from collections.abc import Callable

from txcrush.model.errors import ListenFailed

TOKEN_BYTES = 32
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{32,512}")


def ensure_token(path: str, random: Callable[[int], bytes]) -> str:
    """The token in the file, which is created first where there is none.

    `random` returns that many unpredictable bytes. Raises `ListenFailed` when others may read the file or when it
    holds something else. Two servers that start together end up with the same token.
    """
    try:
        return read_token(path)
    except FileNotFoundError:
        _create(path, base64.urlsafe_b64encode(random(TOKEN_BYTES)).rstrip(b"="))
        return read_token(path)


def read_token(path: str) -> str:
    """The token in the file. Raises FileNotFoundError, or `ListenFailed` when the file cannot be trusted."""
    with open(path, encoding="ascii", errors="replace", opener=_without_waiting) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ListenFailed(f"the token file {path} is not a file")
        if status.st_uid not in (os.geteuid(), 0) or stat.S_IMODE(status.st_mode) & 0o077:
            raise ListenFailed(f"the token file {path} can be read by others: chmod 600 it, or delete it for a new one")
        token = file.read(1024).strip()
    if not _TOKEN.fullmatch(token):
        raise ListenFailed(f"the token file {path} holds no token of 32 characters or more: delete it for a new one")
    return token


def _without_waiting(path: str, flags: int) -> int:
    """A named pipe would keep the server waiting for whoever writes to it."""
    return os.open(path, flags | os.O_NONBLOCK)


def _create(path: str, token: bytes) -> None:
    os.makedirs(os.path.dirname(path) or ".", mode=0o700, exist_ok=True)
    draft = f"{path}.{os.getpid()}.new"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(token + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # fails where another server was first; a rename would replace its token
        except FileExistsError:
            return
    finally:
        os.unlink(draft)
