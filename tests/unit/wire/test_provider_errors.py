"""What a failing provider answered, as an error."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.errors import ProviderError
from txcrush.wire.provider_errors import http_error, retry_after_s, stream_error

NOW_S = 1_700_000_000.0


def answered(status: int, body: bytes = b"", **headers: str) -> ProviderError:
    return http_error(status, {name.replace("_", "-"): value for name, value in headers.items()}, body, NOW_S)


class HttpErrorTests(SynchronousTestCase):
    def test_promise_21_the_statuses_that_are_worth_another_try(self) -> None:
        retryable = [status for status in range(400, 600) if answered(status).retryable]
        self.assertEqual(retryable, [408, 409, 429, *range(500, 600)])

    def test_the_provider_may_say_itself_whether_to_retry(self) -> None:
        self.assertTrue(answered(400, x_should_retry="true").retryable)
        self.assertFalse(answered(500, x_should_retry="false").retryable)

    def test_titles_are_the_status_in_words(self) -> None:
        titles = {400: "Bad Request", 429: "Too Many Requests", 529: "Provider Overloaded", 599: "Provider Error"}
        self.assertEqual({status: answered(status).title for status in titles}, titles)

    def test_the_message_is_the_providers(self) -> None:
        bodies = [
            b'{"error":{"message":"why"}}', b'{"error":"why"}', b'{"message":"why"}', b'{"detail":"why"}',
            b'[{"error":{"message":"why"}}]', b"why", b" why\n",
        ]  # fmt: skip
        self.assertEqual([answered(400, body).message for body in bodies], ["why"] * len(bodies))

    def test_other_bodies_are_shown_up_to_500_bytes(self) -> None:
        self.assertEqual(answered(500, b"x" * 900).message, "x" * 500)

    def test_promise_22_odd_bodies_are_still_an_error(self) -> None:
        for body in (b"", b"\xff\xfe", b"[" * 70_000, b'{"error":null}', b'{"error":{"message":{}}}', b"null"):
            error = answered(502, body)
            self.assertEqual((error.status, error.title), (502, "Bad Gateway"))
            self.assertTrue(error.message)

    def test_a_page_is_named_and_not_shown(self) -> None:
        error = answered(404, b"<!doctype html><title>x</title>")
        self.assertIn("base_url", error.message)
        self.assertNotIn("doctype", error.message)

    def test_a_redirect_says_where_to(self) -> None:
        self.assertIn("https://new.example/v1", answered(308, location="https://new.example/v1").message)


class RetryAfterTests(SynchronousTestCase):
    def test_promise_21_milliseconds_then_seconds_then_a_date(self) -> None:
        date = "Tue, 14 Nov 2023 22:13:50 GMT"
        self.assertEqual(retry_after_s({"retry-after-ms": "1500", "retry-after": "9"}, NOW_S), 1.5)
        self.assertEqual(retry_after_s({"retry-after": "9"}, NOW_S), 9)
        self.assertEqual(retry_after_s({"retry-after": date}, NOW_S), 30)

    def test_promise_21_nonsense_is_no_wish(self) -> None:
        for value in ("", "soon", "-1", "0", "nan", "inf", "Tue, 14 Nov 2003 22:13:50 GMT", "Tue, 99 Nov 2023"):
            self.assertIsNone(retry_after_s({"retry-after": value}, NOW_S))


class StreamErrorTests(SynchronousTestCase):
    def test_the_types_that_are_worth_another_try(self) -> None:
        kinds = ["server_error", "internal_error", "overloaded_error", "api_error", "rate_limit_error"]
        self.assertTrue(all(stream_error({"type": kind, "message": "m"}).retryable for kind in kinds))
        self.assertFalse(stream_error({"type": "invalid_request_error", "message": "m"}).retryable)

    def test_titles_say_what_kind_it_is(self) -> None:
        self.assertEqual(stream_error({"type": "overloaded_error"}).title, "Provider Overloaded")
        self.assertEqual(stream_error({"type": "rate_limit_error"}).title, "Rate Limit Exceeded")
        self.assertEqual(stream_error({"type": "weather"}).title, "Provider Error")

    def test_a_number_as_code_is_a_status(self) -> None:
        error = stream_error({"code": 502, "message": "upstream"})
        self.assertEqual((error.status, error.title, error.retryable), (502, "Bad Gateway", True))

    def test_an_error_may_have_any_shape(self) -> None:
        self.assertEqual(stream_error("boom").message, "boom")
        for shape in (7, [], {"message": None}, {"type": [], "code": {}}, True):
            self.assertTrue(stream_error(shape).message)
