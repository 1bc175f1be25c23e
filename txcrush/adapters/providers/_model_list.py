"""Asks a provider which models it has."""

from typing import NoReturn

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent

from txcrush.adapters.providers._access import Access
from txcrush.adapters.providers._stream import ErrorBody
from txcrush.adapters.providers.errors import NETWORK_ERRORS
from txcrush.model.errors import Failed
from txcrush.ports import Clock
from txcrush.wire.model_lists import model_ids

WITHIN_S = 3.0
MAX_BYTES = 4 * 1024 * 1024


def listed(agent: IAgent, access: Access, clock: Clock) -> Deferred[tuple[str, ...]]:
    """The ids of the provider's models. Fails with `Failed`, in words that hold nothing secret, after 3 s at most."""
    asked = Deferred.fromCoroutine(_listed(agent, access))
    return asked.addTimeout(WITHIN_S, clock, onTimeoutCancel=_late)


def _late(_result: object, _timeout: float) -> NoReturn:
    raise Failed(f"no answer within {WITHIN_S:g} s")


async def _listed(agent: IAgent, access: Access) -> tuple[str, ...]:
    try:
        response = await agent.request(b"GET", access.url.encode("ascii"), _headers(access), None)
        body = ErrorBody(MAX_BYTES)
        response.deliverBody(body)
        raw = await body.done
    except NETWORK_ERRORS as error:
        if _is_cancelled(error):
            raise CancelledError from None
        raise Failed(f"no answer ({type(error).__name__})") from None
    if response.code != 200:
        raise Failed(f"it answered with status {response.code}")
    try:
        return model_ids(raw)
    except ValueError as error:
        raise Failed(str(error)) from None


def _is_cancelled(error: BaseException) -> bool:
    """Twisted reports a request that was cancelled as one that failed, for this reason."""
    reasons = getattr(error, "reasons", ())
    return isinstance(error, ConnectingCancelledError) or any(reason.check(CancelledError) for reason in reasons)


def _headers(access: Access) -> Headers:
    headers = access.headers("", {"Accept": "application/json", **access.bearer()})
    headers.removeHeader("content-type")
    return headers
