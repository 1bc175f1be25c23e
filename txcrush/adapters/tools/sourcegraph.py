"""Searching public code (`tools.md` 20)."""

from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred

from txcrush.adapters.tools.fetch import limited
from txcrush.adapters.tools.specs import arguments, described, integer, text
from txcrush.adapters.web import WebClient, WebFailed, WebRequest
from txcrush.model.errors import Refused
from txcrush.model.tools import ToolOutput, ToolUse
from txcrush.ports import InThread, Tool
from txcrush.wire.json import encode, parse_answer

ENDPOINT = "https://sourcegraph.com/.api/graphql"
DEFAULT_COUNT, MOST_COUNT = 10, 20
DEFAULT_CONTEXT, MOST_CONTEXT = 10, 100
SECONDS = 30
LONGEST_TIMEOUT_S = 120
LARGEST = 8 * 1024 * 1024
LARGEST_ERROR = 4096

SEARCH = """query Search($query: String!) {
  search(query: $query, version: V2, patternType: keyword) {
    results {
      matchCount
      limitHit
      resultCount
      results {
        __typename
        ... on FileMatch {
          repository { name }
          file { path url content }
          lineMatches { preview lineNumber }
        }
      }
    }
  }
}"""


class SourcegraphArguments(Struct, frozen=True):
    """`timeout` is seconds, 0 for none of its own."""

    query: str = ""
    count: int = DEFAULT_COUNT
    context_window: int = DEFAULT_CONTEXT
    timeout: float = 0


class Sourcegraph:
    """The `sourcegraph` tool. `endpoint` is the GraphQL API's URL."""

    spec = described(
        "sourcegraph",
        {
            "query": text("The search, in Sourcegraph's query language"),
            "count": integer("How many results (default 10, at most 20)"),
            "context_window": integer("How many lines around a match (default 10)"),
            "timeout": integer("Give up after so many seconds"),
        },
        "query",
        parallel=True,
    )

    def __init__(self, web: WebClient, in_thread: InThread, *, endpoint: str = ENDPOINT) -> None:
        self._web = web
        self._in_thread = in_thread
        self._endpoint = endpoint

    def run(self, use: ToolUse) -> Deferred[ToolOutput]:
        """See `ports.Tool`."""
        return Deferred.fromCoroutine(self._run(use))

    async def _run(self, use: ToolUse) -> ToolOutput:
        wanted = arguments(use, SourcegraphArguments)
        if not wanted.query:
            raise Refused("Query parameter is required")
        count = min(wanted.count, MOST_COUNT) if wanted.count > 0 else DEFAULT_COUNT
        context = min(wanted.context_window, MOST_CONTEXT) if wanted.context_window > 0 else DEFAULT_CONTEXT
        try:
            body = await self._search(wanted)
            return ToolOutput(content=await self._in_thread(_read, body, count, context))
        except WebFailed as error:
            raise Refused(f"failed to search with Sourcegraph: {error}") from error

    async def _search(self, wanted: SourcegraphArguments) -> bytes:
        request = WebRequest(
            url=self._endpoint,
            limit=LARGEST,
            seconds=limited(wanted.timeout, SECONDS, LONGEST_TIMEOUT_S),
            headers={"Content-Type": "application/json"},
            data=encode({"query": SEARCH, "variables": {"query": wanted.query}}),
        )
        answer, body = await self._web.get(request)
        if answer.status != 200:
            said = body[:LARGEST_ERROR].decode("utf-8", "replace").strip()
            raise Refused(f"Request failed with status code: {answer.status}" + (f", response: {said}" if said else ""))
        return body


def _read(body: bytes, count: int, context: int) -> str:
    try:
        answer = parse_answer(body)
    except (ValueError, RecursionError) as error:
        raise WebFailed(f"its answer is not JSON: {error}") from error
    return report(answer, count, context)


def report(answer: Any, count: int, context: int) -> str:
    """What the model gets of an API answer: at most `count` results, `context` lines around each match. Raises
    `Refused` where the answer has another shape."""
    errors = answer.get("errors") if isinstance(answer, dict) else None
    if isinstance(errors, list) and errors:
        listed = "".join(f"- {_text(error, 'message')}\n" for error in errors)
        return f"## Sourcegraph API Error\n\n{listed}"
    results = _part(_part(_part(answer, "data"), "search"), "results")
    head = (
        "# Sourcegraph Search Results\n\n"
        f"Found {_number(results, 'matchCount')} matches across {_number(results, 'resultCount')} results\n"
        + ("(Result limit reached, try a more specific query)\n" if results.get("limitHit") is True else "")
        + "\n"
    )
    matches = [match for match in _items(results, "results") if _text(match, "__typename") == "FileMatch"]
    if not matches:
        return head + "No results found. Try a different query.\n"
    return head + "".join(_result(place, match, context) for place, match in enumerate(matches[:count], 1))


def _result(place: int, match: dict[str, Any], context: int) -> str:
    file = _object(match, "file")
    url = _text(file, "url")
    head = f"## Result {place}: {_text(_object(match, 'repository'), 'name')}/{_text(file, 'path')}\n\n"
    lines = _text(file, "content").split("\n") if _text(file, "content") else []
    found = (_lines(line, lines, context) for line in _items(match, "lineMatches"))
    return head + (f"URL: {url}\n\n" if url else "") + "".join(found)


def _lines(match: dict[str, Any], lines: list[str], context: int) -> str:
    """A match between its neighbours. Its number counts from 1 here, whatever the API means by it."""
    number = _number(match, "lineNumber")
    first = max(1, number - context)
    before = [f"{place}| {lines[place - 1]}" for place in range(first, min(number, len(lines) + 1))]
    last = min(number + context, len(lines))
    after = [f"{place}| {lines[place - 1]}" for place in range(max(1, number + 1), last + 1)]
    shown = [*before, f"{number}|  {_text(match, 'preview')}", *after]
    return "```\n" + "\n".join(shown) + "\n```\n\n"


def _part(value: Any, name: str) -> dict[str, Any]:
    part = value.get(name) if isinstance(value, dict) else None
    if not isinstance(part, dict):
        raise Refused(f"Failed to format results: invalid response format: missing {name} field")
    return part


def _object(value: dict[str, Any], name: str) -> dict[str, Any]:
    part = value.get(name)
    return part if isinstance(part, dict) else {}


def _items(value: dict[str, Any], name: str) -> list[dict[str, Any]]:
    part = value.get(name)
    return [item for item in part if isinstance(item, dict)] if isinstance(part, list) else []


def _text(value: Any, name: str) -> str:
    part = value.get(name) if isinstance(value, dict) else None
    return part if isinstance(part, str) else ""


def _number(value: dict[str, Any], name: str) -> int:
    part = value.get(name)
    return int(part) if isinstance(part, (int, float)) else 0


def _conforms(tool: Sourcegraph) -> Tool:
    return tool
