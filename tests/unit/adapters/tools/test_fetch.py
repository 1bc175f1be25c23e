"""The fetch tool (`tools.md` 18.1)."""

from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.error import ConnectionRefusedError, DNSLookupError
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseNeverReceived

from txcrush.adapters.tools.fetch import LARGEST, Fetch
from txcrush.adapters.web import WebClient
from txcrush.model.errors import Refused
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import ToolCall
from txcrush.model.permissions import Ask
from txcrush.model.tools import ToolOutput, ToolUse
from txcrush.testing.canned_web import CannedAnswer, CannedWeb
from txcrush.testing.scripted_desk import ScriptedDesk

HERE = "http://h.example/"
PAGE = b"<html><head><title>T</title></head><body><h1>Head</h1><p>Para <b>bold</b></p></body></html>"


def use(name: str, **arguments: object) -> ToolUse:
    return ToolUse(
        call=ToolCall(id="call_1", name=name, input="", finished=True),
        arguments=arguments,
        session_id=SessionId("s"),
        message_id=MessageId("m"),
    )


class TestFetch(SynchronousTestCase):
    def setUp(self) -> None:
        self.desk = ScriptedDesk()
        self.clock: Any = Clock()
        self.pages: dict[str, Any] = {HERE: lambda: CannedAnswer(PAGE, content_type="text/html; charset=utf-8")}
        self.web: Any = CannedWeb(self.pages)

    def run_tool(self, **arguments: object) -> "Deferred[ToolOutput]":
        client = WebClient(self.clock, self.clock, {}, agent=self.web)
        return Fetch(client, self.desk, "/ws", maybeDeferred).run(
            use("fetch", **{"url": HERE, "format": "text"} | arguments)
        )

    def content(self, **arguments: object) -> str:
        return self.successResultOf(self.run_tool(**arguments)).content

    def refusal(self, **arguments: object) -> str:
        return self.failureResultOf(self.run_tool(**arguments), Refused).value.message

    def serve(self, body: bytes, content_type: str = "text/plain", code: int = 200) -> None:
        self.pages[HERE] = lambda: CannedAnswer(body, code, content_type=content_type)

    def test_each_format(self) -> None:
        self.assertEqual(self.content(), "HeadPara bold")
        self.assertEqual(self.content(format="MarkDown"), "```\nT\n\n# Head\n\nPara **bold**\n```")
        self.assertEqual(
            self.content(format="html"), "<html>\n<body>\n<h1>Head</h1><p>Para <b>bold</b></p>\n</body>\n</html>"
        )

    def test_other_types_pass_through(self) -> None:
        self.serve(b"<p>  not html</p>")
        self.assertEqual(self.content(), "<p>  not html</p>")
        self.assertEqual(self.content(format="html"), "<p>  not html</p>")
        self.assertEqual(self.content(format="markdown"), "```\n<p>  not html</p>\n```")

    def test_what_is_asked(self) -> None:
        self.content(format="Text", timeout=5)
        self.content()
        asked = Ask(
            session_id=SessionId("s"),
            tool_call_id="call_1",
            tool_name="fetch",
            action="fetch",
            description=f"Fetch content from URL: {HERE}",
            path="/ws",
            params={"url": HERE, "format": "Text", "timeout": 5},
        )
        self.assertEqual(self.desk.asks[0], asked)
        self.assertEqual(self.desk.asks[1].params, {"url": HERE, "format": "text"})

    def test_a_denied_call_asks_no_server(self) -> None:
        self.desk.grant = False
        output = self.successResultOf(self.run_tool())
        self.assertEqual((output.content, output.is_error, output.stop_turn), ("User denied permission", True, True))
        self.assertEqual(self.web.asked, [])

    def test_wrong_arguments_are_said_in_order_and_not_asked_about(self) -> None:
        self.assertEqual(self.refusal(url="", format="pdf"), "URL parameter is required")
        self.assertEqual(self.refusal(url="ftp://x/", format="pdf"), "Format must be one of: text, markdown, html")
        self.assertEqual(self.refusal(url="ftp://x/"), "URL must start with http:// or https://")
        self.assertIn("invalid parameters", self.refusal(url=7))
        self.assertEqual(self.desk.asks, [])

    def test_another_status_is_an_error(self) -> None:
        self.serve(b"gone", code=404)
        self.assertEqual(self.refusal(), "Request failed with status code: 404")

    def test_an_empty_body_is_an_error_as_html_only(self) -> None:
        self.serve(b"<html><head></head><body></body></html>", "text/html")
        self.assertEqual(self.refusal(format="html"), "No body content found in HTML")
        self.assertEqual(self.content(), "")

    def test_what_is_no_utf_8_is_an_error(self) -> None:
        self.serve(b"\xff\xfe")
        self.assertEqual(self.refusal(), "Response content is not valid UTF-8")

    def test_a_character_cut_by_the_limit_is_an_error(self) -> None:
        self.serve(b"a" * (LARGEST - 1) + "\u00e9".encode())
        self.assertEqual(self.refusal(), "Response content is not valid UTF-8")

    def test_long_content_is_cut_and_says_so(self) -> None:
        note = f"\n\n[Content truncated to {LARGEST} bytes]"
        for size in (LARGEST, LARGEST + 50):
            self.serve(b"a" * size)
            self.assertEqual(self.content(), "a" * LARGEST + note)
        self.serve(b"a" * (LARGEST - 1))
        self.assertEqual(self.content(), "a" * (LARGEST - 1))
        self.assertEqual(self.content(format="markdown"), "```\n" + "a" * (LARGEST - 4) + note)

    def test_d_14_a_network_failure_is_an_error_result(self) -> None:
        for failure, said in (
            (DNSLookupError("no such name"), "cannot be resolved"),
            (ConnectionRefusedError(), "nothing answers"),
            (ResponseNeverReceived([Failure(ConnectionResetError("reset"))]), "reset"),
        ):
            self.web.request = lambda *_, failure=failure: fail(failure)
            told = self.refusal()
            self.assertTrue(told.startswith("failed to fetch URL: "), told)
            self.assertIn(said, told)

    def test_a_timeout_can_only_shorten_the_limit(self) -> None:
        for timeout, limit in ((0, 30), (5, 5), (90, 30), (1000, 30), (-3, 30)):
            self.pages[HERE] = lambda: CannedAnswer(open=True)
            running = self.run_tool(timeout=timeout)
            self.clock.advance(limit - 1)
            self.assertNoResult(running)
            self.clock.advance(1)
            self.assertIn(f"within {limit} seconds", self.failureResultOf(running, Refused).value.message)
