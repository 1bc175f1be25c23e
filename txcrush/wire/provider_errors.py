"""What a failing provider answered, as a `ProviderError`: HTTP answers and errors inside a stream. Pure."""

from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from math import isfinite
from typing import TypeVar

import msgspec

from txcrush.model.errors import ProviderError

SHOWN_BYTES = 500
"""How much of a body that is not the provider's JSON is shown to the user."""

TRANSPORT = "Stream Transport Error"

_TITLES = {413: "Request Entity Too Large", 422: "Unprocessable Entity", 529: "Provider Overloaded"}
_KINDS = {
    "server_error": "Server Error",
    "internal_error": "Internal Error",
    "overloaded_error": "Provider Overloaded",
    "api_error": "Provider Error",
    "rate_limit_error": "Rate Limit Exceeded",
}
"""Error types inside a stream that are worth another try."""

_encoder = msgspec.json.Encoder()

T = TypeVar("T")


def decoded(decode: Callable[[bytes], T], raw: bytes) -> T:
    """What the decoder makes of a provider's bytes. Raises a `ProviderError` that is not retryable."""
    try:
        return decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise invalid_answer(f"the provider's answer cannot be understood: {error}") from error


def encoded_request(body: Mapping[str, object]) -> bytes:
    """The body of a request. Raises `ProviderError` where it holds what JSON cannot."""
    try:
        return _encoder.encode(body)
    except (UnicodeError, TypeError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        kind = type(error).__name__
        raise ProviderError(f"the request cannot be written as JSON ({kind})", title="Invalid Request") from error


def cut_off() -> ProviderError:
    """The stream stopped before the end of the answer; asking again may help."""
    return ProviderError("the provider closed the stream before the end of its answer", title=TRANSPORT, retryable=True)


def invalid_answer(message: str) -> ProviderError:
    """The provider does not speak the protocol; asking again would not help."""
    return ProviderError(message, title="Invalid Response")


def status_title(status: int) -> str:
    """The status in words, in Title Case."""
    if status in _TITLES:
        return _TITLES[status]
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Provider Error"


def is_retryable_status(status: int) -> bool:
    """Whether asking again may help."""
    return status in (408, 409, 429) or status >= 500


def http_error(status: int, headers: Mapping[str, str], body: bytes, now_s: float) -> ProviderError:
    """The error of an HTTP answer. `headers` has lower-case names; `now_s` is Unix time, for dates in `retry-after`."""
    wish = headers.get("x-should-retry", "").lower()
    return ProviderError(
        _message(status, headers, body),
        title=status_title(status),
        status=status,
        retryable=wish == "true" or (is_retryable_status(status) and wish != "false"),
        retry_after_s=retry_after_s(headers, now_s),
    )


def stream_error(error: object) -> ProviderError:
    """The error of a mid-stream `{"error": …}`, whatever its shape."""
    fields = error if isinstance(error, dict) else {}
    code = fields.get("code")
    status = code if isinstance(code, int) and 400 <= code <= 599 else 0
    kind = next((value for value in (fields.get("type"), code) if isinstance(value, str) and value in _KINDS), "")
    return ProviderError(
        _words(error) or "the provider reported an error without a text",
        title=status_title(status) if status else _KINDS.get(kind, "Provider Error"),
        status=status,
        retryable=bool(kind) or is_retryable_status(status),
    )


def retry_after_s(headers: Mapping[str, str], now_s: float) -> float | None:
    """Seconds that the provider asks to wait, or None: `retry-after-ms`, else `retry-after` (seconds or a date)."""
    milliseconds = _positive(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after", "")
    seconds = _positive(value)
    return seconds if seconds is not None else _positive(_seconds_until(value, now_s))


def looks_like_html(body: bytes) -> bool:
    """Whether a body that should be JSON is a page."""
    return body.lstrip()[:1] == b"<"


def _positive(value: str | float) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if isfinite(number) and number > 0 else None


def _seconds_until(date: str, now_s: float) -> float:
    try:
        return parsedate_to_datetime(date).timestamp() - now_s
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _message(status: int, headers: Mapping[str, str], body: bytes) -> str:
    """The provider's own words; a page of HTML says nothing to a user, so it is only named."""
    if looks_like_html(body):
        return f"the provider answered {status} with a page of HTML: check the provider's base_url"
    try:
        words = _words(msgspec.json.decode(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        words = ""
    shown = words or body[:SHOWN_BYTES].decode("utf-8", "replace").strip()
    if 300 <= status < 400:
        return f"the provider redirects to {headers.get('location', 'nowhere')}: set base_url to where it is"
    return shown or f"the provider answered with status {status} and no text"


def _words(value: object) -> str:
    """The text of an error in the shapes that providers use: `{"error": {"message"}}`, strings, lists, `detail`."""
    for _ in range(4):
        if isinstance(value, list) and value:
            value = value[0]
        elif isinstance(value, dict):
            value = next((value[key] for key in ("error", "message", "detail") if value.get(key)), "")
        else:
            break
    return value if isinstance(value, str) else ""
