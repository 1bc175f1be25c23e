"""Pages as the fetch sub-agent reads them."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.web import Answer, WebClient, WebFailed
from txcrush.adapters.web.pages import LARGEST, Pages, decoded
from txcrush.testing.canned_web import CannedAnswer, CannedWeb

HERE = "http://h.example/"


def answer(content_type: str) -> Answer:
    return Answer(status=200, content_type=content_type, length=None, url=HERE)


class TestPages(SynchronousTestCase):
    def fetch(self, page: CannedAnswer) -> "Deferred[str]":
        clock: Any = Clock()
        self.web = CannedWeb({HERE: lambda: page})
        return Pages(WebClient(clock, clock, {}, agent=self.web), maybeDeferred).fetched_page(HERE)

    def failure(self, page: CannedAnswer) -> str:
        return str(self.failureResultOf(self.fetch(page), WebFailed).value)

    def test_html_becomes_markdown(self) -> None:
        page = b"<body><nav>menu</nav><h1>One</h1><p>two</p><script>x</script></body>"
        self.assertEqual(
            self.successResultOf(self.fetch(CannedAnswer(page, content_type="text/html; charset=utf-8"))),
            "# One\n\ntwo",
        )

    def test_json_is_indented(self) -> None:
        page = b'{"b":[1,2],"a":"<\xc3\xa9>"}'
        self.assertEqual(
            self.successResultOf(self.fetch(CannedAnswer(page, content_type="application/json"))),
            '{\n  "a": "<\u00e9>",\n  "b": [\n    1,\n    2\n  ]\n}',
        )

    def test_json_that_is_none_stays(self) -> None:
        for odd in (b"{not json", b"[" * 100_000):
            fetched = self.fetch(CannedAnswer(odd, content_type="application/json"))
            self.assertEqual(self.successResultOf(fetched), odd.decode())

    def test_other_types_stay(self) -> None:
        self.assertEqual(self.successResultOf(self.fetch(CannedAnswer(b"a  b", content_type="text/plain"))), "a  b")

    def test_a_browser_asks(self) -> None:
        self.successResultOf(self.fetch(CannedAnswer(b"x")))
        headers = self.web.asked[0].headers
        self.assertIn("Chrome", headers["user-agent"])
        self.assertEqual(headers["accept"], "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
        self.assertEqual(headers["accept-language"], "en-US,en;q=0.5")

    def test_another_status_is_a_failure(self) -> None:
        self.assertEqual(self.failure(CannedAnswer(b"x", 404)), "request failed with status code: 404")

    def test_what_is_no_text_is_a_failure(self) -> None:
        self.assertEqual(self.failure(CannedAnswer(b"\xff\xfe\x00")), "response content is not valid UTF-8")

    def test_a_page_is_cut_at_5_mib(self) -> None:
        page = self.successResultOf(self.fetch(CannedAnswer(b"x" * (LARGEST + 1))))
        self.assertEqual(len(page), LARGEST)


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("text/plain", "\u00e9".encode(), "\u00e9"),
        ("text/plain; charset=ISO-8859-1", b"\xe9", "\u00e9"),
        ('text/plain; charset="windows-1252"', b"\x80", "\u20ac"),
        ("text/plain;charset=Shift_JIS", b"\x93\xfa", "\u65e5"),
        ("text/plain; charset=utf-8", b"\xe9", None),
        ("text/plain; charset=us-ascii", "\u00e9".encode(), "\u00e9"),
        ("text/plain; charset=zlib", b"x", "x"),
        ("text/plain; charset=no-such-thing", b"x", "x"),
        ("text/plain; charset=", b"x", "x"),
        ("", b"\xff", None),
    ],
)
def test_text_is_read_by_its_character_set(content_type: str, body: bytes, text: str | None) -> None:
    assert decoded(answer(content_type), body) == text
