"""What happened on the way to a provider, as a `ProviderError` with a title that a user understands."""

from collections.abc import Iterable

from OpenSSL.SSL import Error as TlsFailure
from service_identity import VerificationError
from twisted.internet.defer import TimeoutError as DeadlinePassed
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionClosed,
    ConnectionRefusedError,
    DNSLookupError,
    TCPTimedOutError,
    UserError,
)
from twisted.internet.error import TimeoutError as ConnectTimedOut
from twisted.python.failure import Failure
from twisted.web.client import RequestTransmissionFailed, ResponseFailed, ResponseNeverReceived

from txcrush.model.errors import ProviderError
from txcrush.wire.provider_errors import TRANSPORT

REDACTED = "[redacted]"
_SHORTEST_SECRET = 6
"""Shorter values are no keys, and replacing them would spoil the text."""


class TunnelRefused(Exception):
    """The proxy did not open a tunnel; the text says what it answered."""


NETWORK_ERRORS = (
    ConnectError,
    ConnectingCancelledError,
    ConnectionClosed,
    DeadlinePassed,
    DNSLookupError,
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
    TlsFailure,
    TunnelRefused,
    VerificationError,
    OSError,
)
"""Everything that Twisted raises for a connection that failed before or while it was used."""

TOO_LATE = (ConnectingCancelledError, DeadlinePassed, ConnectTimedOut, TCPTimedOutError)
"""A connection that is cancelled while it is made is one that our deadline ended: whoever cancels a request hears
nothing of it."""


def network_error(error: BaseException) -> ProviderError:
    """A retryable error; the title names the kind of failure, the text what the system said."""
    cause = cause_of(error)
    title, text = _kind(cause)
    detail = "" if isinstance(cause, ConnectingCancelledError) else str(cause) or type(cause).__name__
    return ProviderError(f"{text}: {detail}" if detail else text, title=title, retryable=True)


def stalled(limit_s: float) -> ProviderError:
    """Our own deadline passed, so this is not retried."""
    return ProviderError(f"the provider has sent nothing new for {limit_s:g} s", title="Stream Stalled")


def redact(error: ProviderError, secrets: Iterable[str]) -> ProviderError:
    """The same error; none of the secrets is left in its text. Providers like to quote the key that they refuse."""
    text = error.message
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, REDACTED)
    error.args = (text,)
    return error


def cause_of(error: BaseException) -> BaseException:
    """The first reason inside Twisted's wrappers."""
    for _ in range(4):
        reasons = getattr(error, "reasons", None)
        inner = reasons[0].value if reasons and isinstance(reasons[0], Failure) else None
        if inner is None:
            break
        error = inner
    return error


def _kind(cause: BaseException) -> tuple[str, str]:
    if isinstance(cause, DNSLookupError):
        return "Host Not Found", "the provider's name cannot be resolved"
    if isinstance(cause, TunnelRefused):
        return "Proxy Error", "the proxy refused the connection"
    if isinstance(cause, ConnectionRefusedError):
        return "Connection Refused", "nothing answers at the provider's address"
    if isinstance(cause, TOO_LATE):
        return "Connection Timed Out", "no connection to the provider in time"
    if isinstance(cause, (TlsFailure, VerificationError)):
        return "TLS Error", "no secure connection to the provider"
    if isinstance(cause, (ConnectError, UserError)):
        return "Connection Failed", "no connection to the provider"
    return TRANSPORT, "the connection to the provider broke"
