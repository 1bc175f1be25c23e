"""The web_search tool (`tools.md` 18.5), on canned pages."""

from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.tools.web_search import SEARCH_URL, Found, Spacing, WebSearch, parse
from txcrush.adapters.web import WebClient
from txcrush.model.errors import Refused
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import ToolCall
from txcrush.model.tools import ToolOutput, ToolUse
from txcrush.testing.canned_web import CannedAnswer, CannedWeb

BOT_CHECK = b"<html><body><div class='anomaly-modal__title'>Unfortunately, bots use DuckDuckGo too.</div></body></html>"
RATE_LIMITED = (
    "Failed to search: DuckDuckGo is rate-limiting this machine. Do not retry or rephrase; "
    "wait a few minutes or fetch known URLs directly"
)
RESULTS = b"""<html><body><table>
<tr><td>1.</td><td><a rel="nofollow" class='result-link'
  href="//duckduckgo.com/l/?uddg=https%3A%2F%2Fexample.com%2Fpost&amp;rut=abc">A <b>post</b></a></td></tr>
<tr><td></td><td class='result-snippet'>What the
  <b>post</b> says</td></tr>
<tr><td>2.</td><td><a class="result-link" href="https://example.org/">Second</a></td></tr>
<tr><td>3.</td><td><a class="result-link" href="https://example.net/">Third</a></td></tr>
<tr><td></td><td class='result-snippet'>Third says</td></tr>
<tr><td><a href="https://example.com/other">no result</a></td></tr>
</table></body></html>"""


class TestWebSearch(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.web = CannedWeb({})
        client = WebClient(self.clock, self.clock, {}, agent=self.web)
        self.tool = WebSearch(client, Spacing(self.clock, lambda: 0.5), maybeDeferred)

    def serve(self, body: bytes, code: int = 200, query: str = "the+query") -> None:
        self.web._answers = {f"{SEARCH_URL}?q={query}": lambda: CannedAnswer(body, code)}

    def search(self, **arguments: object) -> "Deferred[ToolOutput]":
        call = ToolCall(id="c", name="web_search", input="", finished=True)
        given: dict[str, object] = {"query": "the query"} | arguments
        use = ToolUse(call=call, arguments=given, session_id=SessionId("s"), message_id=MessageId("m"))
        searching = self.tool.run(use)
        self.clock.advance(0)
        return searching

    def refusal(self, **arguments: object) -> str:
        return self.failureResultOf(self.search(**arguments), Refused).value.message

    def test_t_web_01_a_202_is_a_rate_limit(self) -> None:
        self.serve(BOT_CHECK, 202)
        self.assertEqual(self.refusal(), RATE_LIMITED)

    def test_t_web_02_the_same_page_with_200_is_a_rate_limit(self) -> None:
        for page in (BOT_CHECK, b"<script src='/anomaly.js'></script>", b"<div class=anomaly-modal>"):
            self.serve(page)
            self.assertEqual(self.refusal(), RATE_LIMITED)
            self.clock.advance(10)

    def test_t_web_03_a_normal_page_parses(self) -> None:
        self.serve(RESULTS)
        self.assertEqual(
            self.successResultOf(self.search()).content,
            "Found 3 search results:\n\n"
            "1. A post\n   URL: https://example.com/post\n   Summary: What the post says\n\n"
            "2. Second\n   URL: https://example.org/\n   Summary: \n\n"
            "3. Third\n   URL: https://example.net/\n   Summary: Third says\n\n",
        )

    def test_results_are_as_many_as_asked_for(self) -> None:
        self.serve(RESULTS)
        self.assertTrue(self.successResultOf(self.search(max_results=1)).content.startswith("Found 1 search"))
        many = b"".join(b"<a class=result-link href=http://h/%d>%d</a>" % (n, n) for n in range(30))
        self.serve(many)
        for asked, given in ((0, 10), (-1, 10), (15, 15), (99, 20)):
            self.clock.advance(10)
            content = self.successResultOf(self.search(max_results=asked)).content
            self.assertTrue(content.startswith(f"Found {given} search"), content[:40])

    def test_no_results_are_said(self) -> None:
        for page in (b"<html><body>nothing</body></html>", b""):
            self.serve(page)
            content = self.successResultOf(self.search()).content
            self.assertEqual(content, "No results found. Try rephrasing your search.")
            self.clock.advance(10)

    def test_another_status_is_an_error(self) -> None:
        self.serve(b"", 503)
        self.assertEqual(self.refusal(), "Failed to search: search failed with status code: 503")

    def test_a_query_is_needed(self) -> None:
        self.assertEqual(self.refusal(query=""), "query is required")

    def test_the_query_is_escaped(self) -> None:
        self.serve(RESULTS, query="a%26b+%C3%BC%23")
        self.successResultOf(self.search(query="a&b \u00fc#"))

    def test_a_browser_asks_and_wants_no_compression(self) -> None:
        self.serve(RESULTS)
        self.successResultOf(self.search())
        headers = self.web.asked[0].headers
        self.assertIn("Mozilla", headers["user-agent"])
        self.assertEqual(headers["accept-encoding"], "identity")
        self.assertEqual(headers["sec-fetch-mode"], "navigate")

    def test_searches_keep_their_distance(self) -> None:
        self.serve(RESULTS)
        self.successResultOf(self.search())
        second, third = self.search(), self.search()
        self.assertNoResult(second)
        self.clock.advance(1.25)
        self.successResultOf(second)
        self.assertNoResult(third)
        self.clock.advance(1.25)
        self.successResultOf(third)
        self.clock.advance(5)
        self.successResultOf(self.search())

    def test_the_distance_is_between_half_a_second_and_two(self) -> None:
        for chance, distance in ((0.0, 0.5), (0.999999, 2.0)):
            spacing = Spacing(self.clock, lambda chance=chance: chance)
            spacing.turn()
            turn = spacing.turn()
            self.clock.advance(distance - 0.01)
            self.assertNoResult(turn)
            self.clock.advance(0.02)
            self.successResultOf(turn)

    def test_a_page_of_rubbish_gives_nothing(self) -> None:
        self.assertEqual(parse(b"\xff\x00<<<a class=result-link>"), [Found("", "")])
