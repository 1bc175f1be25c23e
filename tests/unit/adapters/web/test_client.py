"""Errands: redirects and the limit of time, on a clock of the test's."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.web import Answer, WebClient, WebFailed, WebRequest
from txcrush.adapters.web.client import MOST_REDIRECTS, USER_AGENT
from txcrush.testing.canned_web import CannedAnswer, CannedWeb

HERE = "http://h.example/"


def sent_on(location: str, code: int = 302) -> CannedAnswer:
    return CannedAnswer(b"over there", code, location=location)


class TestErrands(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def get(self, web: CannedWeb, url: str = HERE, limit: int = 1000) -> "Deferred[tuple[Answer, bytes]]":
        client = WebClient(self.clock, self.clock, {}, agent=web)
        return Deferred.fromCoroutine(client.get(WebRequest(url=url, limit=limit, seconds=30)))

    def failure(self, web: CannedWeb, url: str = HERE) -> str:
        return str(self.failureResultOf(self.get(web, url), WebFailed).value)

    def test_an_answer_has_a_head_and_a_body(self) -> None:
        web = CannedWeb({HERE: lambda: CannedAnswer(b"page", content_type="text/html", content_length="4")})
        answer, body = self.successResultOf(self.get(web))
        self.assertEqual(answer, Answer(status=200, content_type="text/html", length=4, url=HERE))
        self.assertEqual(body, b"page")

    def test_we_say_who_we_are(self) -> None:
        web = CannedWeb({})
        self.successResultOf(self.get(web))
        self.assertEqual(web.asked[0].headers["user-agent"], USER_AGENT)

    def test_redirects_are_followed_whatever_their_code(self) -> None:
        for code in (301, 302, 303, 307, 308):
            web = CannedWeb({HERE: lambda code=code: sent_on("/b", code), f"{HERE}b": lambda: CannedAnswer(b"b")})
            answer, body = self.successResultOf(self.get(web))
            self.assertEqual((answer.url, body), (f"{HERE}b", b"b"))
            self.assertEqual([asked.method for asked in web.asked], ["GET", "GET"])

    def test_promise_69_redirects_end_after_ten(self) -> None:
        numbers = iter(range(10_000))
        pages = {f"{HERE}{number}": lambda: sent_on(f"/{next(numbers)}") for number in range(20)}
        web = CannedWeb({HERE: lambda: sent_on(f"/{next(numbers)}"), **pages})
        self.assertEqual(self.failure(web), "stopped after 10 redirects")
        self.assertEqual(len(web.asked), MOST_REDIRECTS + 1)

    def test_a_redirect_without_a_place_is_the_answer(self) -> None:
        answer, _ = self.successResultOf(self.get(CannedWeb({HERE: lambda: CannedAnswer(b"", 302)})))
        self.assertEqual(answer.status, 302)

    def test_promise_68_a_redirect_to_another_scheme_is_refused(self) -> None:
        for place in ("file:///etc/passwd", "ftp://h.example/", "gopher://h.example/"):
            self.assertIn("http", self.failure(CannedWeb({HERE: lambda place=place: sent_on(place)})))

    def test_a_password_in_the_url_is_a_header_for_its_host_only(self) -> None:
        web = CannedWeb({HERE: lambda: sent_on("http://other.example/")})
        self.successResultOf(self.get(web, "http://u:p@h.example/"))
        first, second = web.asked
        self.assertEqual(first.headers["authorization"], "Basic dTpw")
        self.assertNotIn("authorization", second.headers)

    def test_cookies_last_as_long_as_an_errand(self) -> None:
        web = CannedWeb(
            {HERE: lambda: CannedAnswer(b"", 302, location="/b", set_cookie="a=1"), f"{HERE}b": lambda: CannedAnswer()}
        )
        self.successResultOf(self.get(web))
        self.successResultOf(self.get(web))
        self.assertEqual([asked.headers.get("cookie", "") for asked in web.asked], ["", "a=1", "", "a=1"])

    def test_promise_69_a_slow_drip_ends_in_time(self) -> None:
        slow = CannedAnswer(b"a", open=True)
        asked = self.get(CannedWeb({HERE: lambda: slow}))
        for _ in range(29):
            self.clock.advance(1)
            slow.deliver(b"a")
            self.assertNoResult(asked)
        self.clock.advance(1)
        failed = self.failureResultOf(asked, WebFailed)
        self.assertEqual(str(failed.value), "no whole answer within 30 seconds")

    def test_promise_69_an_endless_body_is_cut(self) -> None:
        endless = CannedAnswer(b"x" * 600, open=True)
        asked = self.get(CannedWeb({HERE: lambda: endless}))
        self.assertNoResult(asked)
        endless.deliver(b"x" * 600)
        _, body = self.successResultOf(asked)
        self.assertEqual(len(body), 1000)

    def test_no_timer_is_left(self) -> None:
        self.successResultOf(self.get(CannedWeb({})))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_cancelled_errand_says_that_it_was_cancelled(self) -> None:
        asked = self.get(CannedWeb({HERE: lambda: CannedAnswer(open=True)}))
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_is_no_url_is_a_failure(self) -> None:
        self.assertIn("invalid host name", self.failure(CannedWeb({}), "http://a b/"))
