"""Asking a model again (`agent.md` 8.1): only the model part of a step, never its tools."""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from txcrush.model.errors import ProviderError
from txcrush.model.providers import ModelReply
from txcrush.ports import Clock

BACK_OFF_S = (5.0, 10.0, 20.0)
LONGEST_ASKED_S = 60.0

log = Logger()


def delay_before(attempt: int, error: ProviderError) -> float:
    """Seconds to wait before try number `attempt` + 2: the provider's wish where it is sane, else the back-off."""
    back_off = BACK_OFF_S[attempt]
    asked = error.retry_after_s
    if asked is not None and asked > 0 and (asked < LONGEST_ASKED_S or asked < back_off):
        return asked
    return back_off


def pause(clock: Clock, delay_s: float) -> Deferred[None]:
    """Fires after the delay; can be cancelled."""
    timer: IDelayedCall
    done: Deferred[None] = Deferred(lambda _: timer.cancel())
    timer = clock.callLater(delay_s, done.callback, None)
    return done


async def ask(clock: Clock, attempt: Callable[[], Deferred[ModelReply]], reset: Callable[[], None]) -> ModelReply:
    """Try, and try again while the failure allows it; `reset` takes back what a failed try has said.

    Raises the `ProviderError` of the last try, with `retry error:` before its text if there was more than one.
    """
    for again in range(len(BACK_OFF_S) + 1):
        try:
            return await attempt()
        except ProviderError as error:
            if not error.retryable or again == len(BACK_OFF_S):
                raise _last(error, again) from error
            delay = delay_before(again, error)
            log.warn(
                "model request failed, trying again in {delay} s: {status} {title} {reason}",
                delay=delay,
                status=error.status,
                title=error.title,
                reason=error.message,
            )
            reset()
            await pause(clock, delay)
    raise AssertionError("unreachable: the last try returns or raises")


def _last(error: ProviderError, again: int) -> ProviderError:
    if not again:
        return error
    return RetriesFailed(
        error.message,
        title=error.title,
        status=error.status,
        retryable=error.retryable,
        retry_after_s=error.retry_after_s,
    )


class RetriesFailed(ProviderError):
    """The last of several failures."""

    code = "provider_failed"

    def __str__(self) -> str:
        return f"retry error: {super().__str__()}"
