"""Searching the web, for the fetch sub-agent (`tools.md` 18.5)."""

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote_plus, urlsplit

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from txcrush.adapters.tools.specs import arguments, described, integer, text
from txcrush.adapters.web import WebClient, WebFailed, WebRequest
from txcrush.model.errors import Refused
from txcrush.model.tools import ToolOutput, ToolUse
from txcrush.ports import Clock, InThread, Tool

if TYPE_CHECKING:
    from lxml import html

SEARCH_URL = "https://lite.duckduckgo.com/lite/"
DEFAULT_RESULTS, MOST_RESULTS = 10, 20
LARGEST = 2 * 1024 * 1024
SECONDS = 30

RATE_LIMITED = (
    "DuckDuckGo is rate-limiting this machine. Do not retry or rephrase; "
    + "wait a few minutes or fetch known URLs directly"
)
_BOT_CHECKS = (b"anomaly-modal", b"/anomaly.js", b"Unfortunately, bots use DuckDuckGo too")

_BROWSERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:143.0) Gecko/20100101 Firefox/143.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0",
)
_LANGUAGES = ("en-US,en;q=0.9", "en-US,en;q=0.5", "en-GB,en;q=0.9,en-US;q=0.8")


class SearchArguments(Struct, frozen=True):
    query: str = ""
    max_results: int = DEFAULT_RESULTS


class Found(Struct, frozen=True):
    """One result."""

    title: str
    url: str
    summary: str = ""


class Spacing:
    """Keeps the searches of the whole server 0.5 to 2 seconds apart. `random` gives numbers from 0 up to 1."""

    def __init__(self, clock: Clock, random: Callable[[], float]) -> None:
        self._clock = clock
        self._random = random
        self._free_at = 0.0

    def turn(self) -> Deferred[None]:
        """Fires when a search may begin."""
        now = self._clock.seconds()
        wait_s = min(max(self._free_at - now, 0.0), 60.0)
        self._free_at = now + wait_s + 0.5 + 1.5 * self._random()
        return deferLater(self._clock, wait_s)

    def headers(self) -> dict[str, str]:
        """What a browser would say, a randomly chosen one."""
        return {
            "User-Agent": self._one_of(_BROWSERS),
            "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "Accept-Language": self._one_of(_LANGUAGES),
            "Accept-Encoding": "identity",
            "Sec-Fetch-Dest": "document",
            "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-Site": "none",
            "Sec-Fetch-User": "?1",
            "Upgrade-Insecure-Requests": "1",
        }

    def _one_of(self, choices: tuple[str, ...]) -> str:
        return choices[int(self._random() * len(choices)) % len(choices)]


class WebSearch:
    """The `web_search` tool. `search_url` is DuckDuckGo's page without scripts."""

    spec = described(
        "web_search",
        {
            "query": text("What to search for"),
            "max_results": integer("How many results (default 10, at most 20)"),
        },
        "query",
        parallel=True,
    )

    def __init__(self, web: WebClient, spacing: Spacing, in_thread: InThread, *, search_url: str = SEARCH_URL) -> None:
        self._web = web
        self._spacing = spacing
        self._in_thread = in_thread
        self._search_url = search_url

    def run(self, use: ToolUse) -> Deferred[ToolOutput]:
        """See `ports.Tool`."""
        return Deferred.fromCoroutine(self._run(use))

    async def _run(self, use: ToolUse) -> ToolOutput:
        wanted = arguments(use, SearchArguments)
        if not wanted.query:
            raise Refused("query is required")
        most = min(wanted.max_results, MOST_RESULTS) if wanted.max_results > 0 else DEFAULT_RESULTS
        await self._spacing.turn()
        try:
            results = await self._search(wanted.query)
        except WebFailed as error:
            raise Refused(f"Failed to search: {error}") from error
        return ToolOutput(content=report(results[:most]))

    async def _search(self, query: str) -> list[Found]:
        request = WebRequest(
            url=f"{self._search_url}?q={quote_plus(query)}",
            limit=LARGEST,
            seconds=SECONDS,
            headers=self._spacing.headers(),
        )
        answer, body = await self._web.get(request)
        if answer.status == 202 or any(check in body for check in _BOT_CHECKS):
            raise WebFailed(RATE_LIMITED)
        if answer.status != 200:
            raise WebFailed(f"search failed with status code: {answer.status}")
        results: list[Found] = await self._in_thread(parse, body)
        return results


def parse(page: bytes) -> list[Found]:
    """The results on a page of DuckDuckGo Lite, in its order. For a thread."""
    from lxml import etree, html  # on first use: the server starts without it

    try:
        document = html.document_fromstring(page, parser=html.HTMLParser(encoding="utf-8"))
    except (etree.ParserError, etree.XMLSyntaxError):
        return []
    results: list[Found] = []
    for element in document.iter("a", "td"):
        classes = (element.get("class") or "").split()
        if element.tag == "a" and "result-link" in classes:
            results.append(Found(_words(element), destination(element.get("href") or "")))
        elif element.tag == "td" and "result-snippet" in classes and results and not results[-1].summary:
            results[-1] = Found(results[-1].title, results[-1].url, _words(element))
    return results


def destination(link: str) -> str:
    """Where a result leads: the search engine's own redirect holds it as `uddg`."""
    parts = urlsplit(link)
    if (parts.hostname or "").endswith("duckduckgo.com") and parts.path == "/l/":
        return (parse_qs(parts.query).get("uddg") or [link])[0]
    return link


def report(results: list[Found]) -> str:
    """What the model gets."""
    if not results:
        return "No results found. Try rephrasing your search."
    listed = "".join(
        f"{place}. {found.title}\n   URL: {found.url}\n   Summary: {found.summary}\n\n"
        for place, found in enumerate(results, 1)
    )
    return f"Found {len(results)} search results:\n\n{listed}"


def _words(element: "html.HtmlElement") -> str:
    return " ".join(str(element.text_content()).split())


def _conforms(tool: WebSearch) -> Tool:
    return tool
