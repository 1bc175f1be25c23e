"""The page: static files under `/ui/`, with the headers that keep it from running or loading anything else.

Theory. The files are data of the package. A file is read, hashed and compressed when it is first asked for, in a
thread, and kept. Vendored libraries lie in folders that are named by their version, so a browser may keep them for
ever; everything else is asked for again and answered 304 where its hash is the same.
"""

import gzip
import hashlib
from collections.abc import Callable
from os import path as paths

from msgspec import Struct
from twisted.internet.defer import Deferred

from txcrush.http.routing import Call, InThread, Reply, route

PAGE_FOLDER = paths.join(paths.dirname(paths.dirname(__file__)), "web")

PAGE_PREFIXES = ("/ui/", "/v1/docs/")
"""What needs no token: the files are the same for everybody."""

CONTENT_TYPES = {
    ".css": b"text/css; charset=utf-8",
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".mjs": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}
"""What is served, by its ending; nothing else of the folder is."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types dompurify",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"
NOT_FOUND = Reply(404, b"404 page not found\n", HEADERS, b"text/plain; charset=utf-8")


class PageFile(Struct, frozen=True):
    """One file as it is sent; `packed` is empty where compression does not pay."""

    data: bytes
    packed: bytes
    etag: str
    content_type: bytes
    cache_control: str


class StaticFiles:
    """The files below `folder`."""

    def __init__(self, folder: str, in_thread: InThread) -> None:
        self._folder = folder
        self.in_thread = in_thread
        self._files: dict[str, PageFile] = {}

    async def answer(self, call: Call, name: str) -> Reply:
        """The file of this name, or 404."""
        file = await self._file(name)
        return NOT_FOUND if file is None else file_reply(call, file)

    async def _file(self, name: str) -> PageFile | None:
        known = self._files.get(name)
        if known is None and _is_served(name):
            reading: Deferred[PageFile | None] = self.in_thread(read, self._folder, name)
            known = await reading
            if known is not None:
                self._files[name] = known
        return known


class PageRoutes:
    """The page, whose files are `files`."""

    def __init__(self, folder: str, in_thread: InThread) -> None:
        self.files = StaticFiles(folder, in_thread)

    @route("GET", "/ui", hidden=True)
    def bare(self, _call: Call) -> Reply:
        """Relative, so that it holds behind a proxy below a path."""
        return Reply(302, b"", {**HEADERS, "Location": "ui/"}, b"text/plain; charset=utf-8")

    @route("GET", "/ui/", hidden=True)
    async def index(self, call: Call) -> Reply:
        return await self.files.answer(call, "index.html")

    @route("GET", "/ui/<path:name>", hidden=True)
    async def file(self, call: Call) -> Reply:
        return await self.files.answer(call, call.path["name"])


def file_reply(call: Call, file: PageFile) -> Reply:
    """The file, compressed where the client takes it; 304 where the client has it."""
    headers = {**HEADERS, "Cache-Control": file.cache_control, "ETag": file.etag, "Vary": "Accept-Encoding"}
    if _has_it(call.header("If-None-Match"), file.etag):
        return Reply(304, None, headers)
    if file.packed and _takes_gzip(call.header("Accept-Encoding")):
        return Reply(200, file.packed, {**headers, "Content-Encoding": "gzip"}, file.content_type)
    return Reply(200, file.data, headers, file.content_type)


def read(folder: str, name: str, compress: Callable[[bytes], bytes] = gzip.compress) -> PageFile | None:
    """The file of this name below the folder, or None."""
    try:
        with open(paths.join(folder, *name.split("/")), "rb") as file:
            data = file.read()
    except OSError:
        return None
    cache_control = FOR_EVER if name.startswith("vendor/") else ASK_AGAIN
    return page_file(data, CONTENT_TYPES[paths.splitext(name)[1]], cache_control, compress)


def page_file(
    data: bytes,
    content_type: bytes,
    cache_control: str = ASK_AGAIN,
    compress: Callable[[bytes], bytes] = gzip.compress,
) -> PageFile:
    """These bytes, hashed and compressed."""
    packed = compress(data)
    return PageFile(
        data=data,
        packed=packed if len(packed) < len(data) * 0.9 else b"",
        etag=f'"{hashlib.sha256(data).hexdigest()[:32]}"',
        content_type=content_type,
        cache_control=cache_control,
    )


def _is_served(name: str) -> bool:
    parts = name.split("/")
    is_plain = all(part and not part.startswith(".") and "\0" not in part and "\\" not in part for part in parts)
    return is_plain and paths.splitext(name)[1] in CONTENT_TYPES


def _has_it(if_none_match: str, etag: str) -> bool:
    known = [one.strip().removeprefix("W/") for one in if_none_match.split(",")]
    return etag in known or "*" in known


def _takes_gzip(accept_encoding: str) -> bool:
    for one in accept_encoding.split(","):
        coding, _, weight = one.partition(";")
        if coding.strip().lower() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
