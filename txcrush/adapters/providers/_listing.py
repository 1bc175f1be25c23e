"""Asking a provider which models it has."""

from collections.abc import Mapping

from msgspec.structs import replace
from twisted.internet.defer import CancelledError
from twisted.web.iweb import IAgent

from txcrush.adapters.providers._access import Access
from txcrush.adapters.providers._idle_watch import IdleWatch, Limits
from txcrush.adapters.providers._stream import BoundedBody
from txcrush.adapters.providers.errors import NETWORK_ERRORS, network_error, redact, stalled
from txcrush.model.errors import ProviderError
from txcrush.ports import Clock
from txcrush.wire.model_list import model_ids
from txcrush.wire.provider_errors import http_error

LIST_BYTES = 4 * 1024 * 1024


async def listed_models(
    agent: IAgent, access: Access, own: Mapping[str, str], clock: Clock, limits: Limits
) -> tuple[str, ...]:
    """The ids. Neither the head of the answer nor its body is waited for longer than `limits.list_s`.

    Raises `ProviderError`.
    """
    watch = IdleWatch(clock, replace(limits, idle_s=limits.list_s, stalled_s=limits.list_s), "list of models")
    try:
        return model_ids(await _body(agent, access, own, watch))
    except ProviderError as error:
        raise redact(error, access.secrets) from None
    except (CancelledError, *NETWORK_ERRORS) as error:
        if watch.expired:
            raise stalled(limits.list_s) from None
        if isinstance(error, CancelledError):
            raise
        raise network_error(error) from error
    finally:
        watch.stop()


async def _body(agent: IAgent, access: Access, own: Mapping[str, str], watch: IdleWatch) -> bytes:
    asked = agent.request(b"GET", access.url.encode("ascii"), access.headers("", own))
    response = await watch.over(asked)
    body = BoundedBody(LIST_BYTES)
    done = watch.over(body.done)
    response.deliverBody(body)
    raw = await done
    if response.code >= 300:
        raise http_error(response.code, {}, raw, 0)
    return raw
