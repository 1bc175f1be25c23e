"""The web_fetch tool (`tools.md` 18.4)."""

from typing import Any
from unittest.mock import patch

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.tools import web_fetch
from txcrush.adapters.tools.web_fetch import LARGEST_SHOWN, WebFetch
from txcrush.adapters.web import WebClient
from txcrush.adapters.web.pages import Pages
from txcrush.model.errors import Refused
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import ToolCall
from txcrush.model.tools import ToolOutput, ToolUse
from txcrush.testing.canned_web import CannedAnswer, CannedWeb

HERE = "http://h.example/"


class TestWebFetch(SynchronousTestCase):
    def setUp(self) -> None:
        self.saved: list[tuple[str, str]] = []
        fake = patch.object(web_fetch, "saved_page", self.save)
        fake.start()
        self.addCleanup(fake.stop)

    def save(self, directory: str, content: str) -> str:
        self.saved.append((directory, content))
        return f"{directory}/page-1.md"

    def run_tool(self, url: str, body: bytes = b"content", code: int = 200) -> "Deferred[ToolOutput]":
        clock: Any = Clock()
        client = WebClient(clock, clock, {}, agent=CannedWeb({HERE: lambda: CannedAnswer(body, code)}))
        call = ToolCall(id="c", name="web_fetch", input="", finished=True)
        use = ToolUse(call=call, arguments={"url": url}, session_id=SessionId("s"), message_id=MessageId("m"))
        return WebFetch(Pages(client, maybeDeferred), "/dir", maybeDeferred).run(use)

    def test_a_page_is_the_result(self) -> None:
        self.assertEqual(self.successResultOf(self.run_tool(HERE)).content, f"Fetched content from {HERE}:\n\ncontent")

    def test_a_page_of_just_the_limit_is_the_result(self) -> None:
        self.successResultOf(self.run_tool(HERE, b"x" * LARGEST_SHOWN))
        self.assertEqual(self.saved, [])

    def test_a_larger_page_is_saved(self) -> None:
        output = self.successResultOf(self.run_tool(HERE, "\u00e9".encode() * (LARGEST_SHOWN // 2) + b"x"))
        self.assertEqual([directory for directory, _ in self.saved], ["/dir"])
        self.assertTrue(
            output.content.startswith(
                f"Fetched content from {HERE} (large page)\n\nContent saved to: /dir/page-1.md\n\n"
            )
        )

    def test_failures_are_error_results(self) -> None:
        for url, code, said in (
            ("", 200, "url is required"),
            (HERE, 500, "Failed to fetch URL: request failed with status code: 500"),
            ("ftp://x/", 200, "Failed to fetch URL: URL must start with http:// or https://"),
        ):
            refused = self.failureResultOf(self.run_tool(url, b"x", code), Refused)
            self.assertEqual(refused.value.message, said)
