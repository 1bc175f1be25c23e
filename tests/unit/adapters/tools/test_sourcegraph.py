"""The sourcegraph tool (`tools.md` 20)."""

from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.tools.sourcegraph import ENDPOINT, SEARCH, Sourcegraph
from txcrush.adapters.web import WebClient
from txcrush.model.errors import Refused
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import ToolCall
from txcrush.model.tools import ToolOutput, ToolUse
from txcrush.testing.canned_web import CannedAnswer, CannedWeb
from txcrush.wire.json import encode, parse_object

CONTENT = 'package main\n\nfunc main() {\n\tprintln("match")\n}\n'


def match(name: str = "main.go", **changes: object) -> dict[str, object]:
    return {
        "__typename": "FileMatch",
        "repository": {"name": "github.com/o/r"},
        "file": {"path": name, "url": f"/o/r/-/blob/{name}", "content": CONTENT},
        "lineMatches": [{"preview": '\tprintln("match")', "lineNumber": 4}],
        **changes,
    }


def found(*matches: dict[str, object], limit_hit: bool = False) -> dict[str, object]:
    counts = {"matchCount": 7, "limitHit": limit_hit, "resultCount": len(matches)}
    return {"data": {"search": {"results": {**counts, "results": list(matches)}}}}


class TestSourcegraph(SynchronousTestCase):
    def search(self, answer: object, code: int = 200, **arguments: object) -> "Deferred[ToolOutput]":
        clock: Any = Clock()
        body = answer if isinstance(answer, bytes) else encode(answer)
        self.web = CannedWeb({ENDPOINT: lambda: CannedAnswer(body, code)})
        tool = Sourcegraph(WebClient(clock, clock, {}, agent=self.web), maybeDeferred)
        call = ToolCall(id="c", name="sourcegraph", input="", finished=True)
        given: dict[str, object] = {"query": "match"} | arguments
        return tool.run(ToolUse(call=call, arguments=given, session_id=SessionId("s"), message_id=MessageId("m")))

    def content(self, answer: object, **arguments: object) -> str:
        output = self.successResultOf(self.search(answer, **arguments))
        self.assertFalse(output.is_error)
        return output.content

    def refusal(self, answer: object, code: int = 200, **arguments: object) -> str:
        return self.failureResultOf(self.search(answer, code, **arguments), Refused).value.message

    def test_t_sg_01_a_match_stands_between_its_neighbours(self) -> None:
        self.assertEqual(
            self.content(found(match()), context_window=1),
            "# Sourcegraph Search Results\n\nFound 7 matches across 1 results\n\n"
            "## Result 1: github.com/o/r/main.go\n\nURL: /o/r/-/blob/main.go\n\n"
            '```\n3| func main() {\n4|  \tprintln("match")\n5| }\n```\n\n',
        )

    def test_t_sg_02_a_count_of_one_hides_the_second(self) -> None:
        content = self.content(found(match("a.go"), match("b.go")), count=1)
        self.assertIn("across 2 results", content)
        self.assertIn("## Result 1: github.com/o/r/a.go", content)
        self.assertNotIn("b.go", content)

    def test_t_sg_03_errors_and_no_results_have_forms_of_their_own(self) -> None:
        errors = {"errors": [{"message": "bad query"}, {"message": "slow down"}], "data": None}
        self.assertEqual(self.content(errors), "## Sourcegraph API Error\n\n- bad query\n- slow down\n")
        self.assertEqual(
            self.content(found()),
            "# Sourcegraph Search Results\n\nFound 7 matches across 0 results\n\n"
            "No results found. Try a different query.\n",
        )

    def test_a_reached_limit_is_said(self) -> None:
        self.assertIn(
            "across 1 results\n(Result limit reached, try a more specific query)\n\n## Result 1",
            self.content(found(match(), limit_hit=True)),
        )

    def test_results_are_at_most_twenty(self) -> None:
        many = found(*(match(f"{number}.go") for number in range(30)))
        for asked, given in ((0, 10), (-5, 10), (12, 12), (50, 20)):
            self.assertEqual(self.content(many, count=asked).count("## Result"), given)

    def test_other_kinds_of_results_are_left_out(self) -> None:
        self.assertNotIn("## Result", self.content(found({"__typename": "Repository"}, match(__typename="Other"))))

    def test_a_line_beyond_the_file_shows_what_there_is(self) -> None:
        lines = [{"preview": "p", "lineNumber": number} for number in (0, 99, -3)]
        content = self.content(found(match(lineMatches=lines, file={"path": "x"})), context_window=2)
        for number in (0, 99, -3):
            self.assertIn(f"```\n{number}|  p\n```", content)

    def test_the_query_is_a_variable(self) -> None:
        self.content(found(), query='"quoted" $x')
        (asked,) = self.web.asked
        self.assertEqual((asked.method, asked.url), ("POST", ENDPOINT))
        self.assertEqual(asked.headers["content-type"], "application/json")
        self.assertEqual(parse_object(asked.body.decode()), {"query": SEARCH, "variables": {"query": '"quoted" $x'}})

    def test_what_is_wrong_is_an_error_result(self) -> None:
        self.assertEqual(self.refusal(found(), query=""), "Query parameter is required")
        self.assertEqual(self.refusal(b"over\n", 500), "Request failed with status code: 500, response: over")
        self.assertEqual(self.refusal(b"", 502), "Request failed with status code: 502")
        missing = "Failed to format results: invalid response format: missing {} field"
        self.assertEqual(self.refusal({}), missing.format("data"))
        self.assertEqual(self.refusal({"data": {}}), missing.format("search"))
        self.assertEqual(self.refusal({"data": {"search": {"results": []}}}), missing.format("results"))

    def test_d_14_an_answer_that_is_no_json_is_an_error_result(self) -> None:
        for odd in (b"<html>", b"[" * 100_000, b"\xff"):
            self.assertIn("failed to search with Sourcegraph: its answer is not JSON", self.refusal(odd))
