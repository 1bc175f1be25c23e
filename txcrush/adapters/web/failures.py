"""Why a page could not be fetched, in words for the model."""

from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.error import (
    ConnectError,
    ConnectionClosed,
    ConnectionRefusedError,
    DNSLookupError,
    TCPTimedOutError,
)
from twisted.internet.error import TimeoutError as ConnectTimedOut
from twisted.python.failure import Failure

from txcrush.adapters.providers.errors import cause_of

T = TypeVar("T")


class WebFailed(Exception):
    """The text says what happened; it is no defect of ours."""


class AddressRefused(WebFailed):
    """The address is one that the web tools do not reach."""


def told(error: BaseException) -> WebFailed:
    """What Twisted raised for a connection that failed, as one line."""
    cause = cause_of(error)
    detail = str(cause) or type(cause).__name__
    return WebFailed(f"{_kind(cause)}: {detail}")


def faithful(work: Deferred[T]) -> Deferred[T]:
    """Fires as the work does; cancelled, it cancels the work and fails with `CancelledError`, whatever the work makes
    of that (Twisted's client says `ResponseNeverReceived`)."""
    cancelled = False

    def give_up(_: Deferred[T]) -> None:
        nonlocal cancelled
        cancelled = True
        work.cancel()

    asker: Deferred[T] = Deferred(give_up)

    def tell(result: T | Failure) -> None:
        if not cancelled:
            asker.callback(result)  # a Failure goes down the errbacks

    work.addBoth(tell)
    return asker


def _kind(cause: BaseException) -> str:
    if isinstance(cause, DNSLookupError):
        return "the host name cannot be resolved"
    if isinstance(cause, ConnectionRefusedError):
        return "nothing answers at the address"
    if isinstance(cause, (ConnectTimedOut, TCPTimedOutError)):
        return "no connection in time"
    if isinstance(cause, ConnectionClosed):
        return "the connection broke"
    if isinstance(cause, ConnectError):
        return "no connection"
    return "the request failed"
