"""Raw requests that are kept as data: `## STATUS NAME`, and below it the bytes on one line.

The bytes are written with Python's escapes (`\\r\\n`, `\\x00`); `{1000*TEXT}` stands for a thousand times that text.
"""

import re
from pathlib import Path

from msgspec import Struct

_TIMES = re.compile(r"\{(\d+)\*([^{}]*)\}")


class RawRequest(Struct, frozen=True):
    """What a client sends, and the status of the answer that it deserves."""

    name: str
    status: int
    raw: bytes


def read_requests(path: Path) -> list[RawRequest]:
    """The requests of a file."""
    lines = path.read_text("ascii").splitlines()
    return [_request(head, body) for head, body in zip(lines[::2], lines[1::2], strict=True)]


def _request(head: str, body: str) -> RawRequest:
    mark, status, name = head.split(" ", 2)
    assert mark == "##", head
    while _TIMES.search(body):
        body = _TIMES.sub(lambda match: match[2] * int(match[1]), body)
    return RawRequest(name, int(status), body.encode("ascii").decode("unicode_escape").encode("latin-1"))
