"""A page as the fetch sub-agent reads it (`tools.md` 18.4)."""

import codecs
import re

from twisted.internet.defer import Deferred

from txcrush.adapters.web.client import Answer, WebClient, WebRequest
from txcrush.adapters.web.failures import WebFailed
from txcrush.ports import InThread
from txcrush.wire.json import indented

LARGEST = 5 * 1024 * 1024
"""Bytes of a page that are read; the rest is cut off."""
SECONDS = 30

HEADERS = {
    "User-Agent": (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
    ),
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-US,en;q=0.5",
}

_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_EUROPEAN = ("iso8859-1", "iso8859-2", "iso8859-5", "iso8859-7", "iso8859-9", "iso8859-15", "koi8-r", "koi8-u")
_WINDOWS = ("cp1250", "cp1251", "cp1252", "cp1253", "cp1254")
_ASIAN = ("shift_jis", "euc_jp", "iso2022_jp", "euc_kr", "gb2312", "gbk", "gb18030", "big5")
_CHARSETS = frozenset((*_EUROPEAN, *_WINDOWS, *_ASIAN, "utf-16", "utf-16-le", "utf-16-be"))
"""Codecs of Python's that are character sets of pages."""


class Pages:
    """Fetches pages and turns them into text for a model."""

    def __init__(self, web: WebClient, in_thread: InThread) -> None:
        self._web = web
        self._in_thread = in_thread

    def fetched_page(self, url: str) -> Deferred[str]:
        """The page as Markdown (HTML), indented (JSON) or as it is. Fails with `WebFailed`, whose text says why."""
        return Deferred.fromCoroutine(self._fetched(url))

    async def _fetched(self, url: str) -> str:
        request = WebRequest(url=url, limit=LARGEST, seconds=SECONDS, headers=HEADERS)
        answer, body = await self._web.get(request)
        if answer.status != 200:
            raise WebFailed(f"request failed with status code: {answer.status}")
        content: str = await self._in_thread(_as_text, answer, body)
        return content


def _as_text(answer: Answer, body: bytes) -> str:
    page = decoded(answer, body)
    if page is None:
        raise WebFailed("response content is not valid UTF-8")
    if is_html(answer):
        from txcrush.adapters.web.documents import readable  # its libraries are large, and many servers need them never

        return readable(page)
    return indented(page) if "json" in answer.content_type.lower() else page


def decoded(answer: Answer, body: bytes) -> str | None:
    """The body by the character set that its Content-Type names, UTF-8 where it names none; None where it is not
    that."""
    try:
        return body.decode(_charset(answer.content_type))
    except UnicodeDecodeError:
        return None


def is_html(answer: Answer) -> bool:
    return "text/html" in answer.content_type.lower()


def _charset(content_type: str) -> str:
    named = _CHARSET.search(content_type)
    try:
        name = codecs.lookup(named[1]).name if named else "utf-8"
    except LookupError:
        return "utf-8"
    return name if name in _CHARSETS else "utf-8"
