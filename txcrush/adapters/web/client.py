"""Errands to the web: a request, its redirects and its answer, within limits of bytes and time."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from hyperlink import EncodedURL
from msgspec import Struct
from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.web.client import BrowserLikePolicyForHTTPS
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IPolicyForHTTPS, IResponse

from txcrush import __version__
from txcrush.adapters.providers._stream import BytesBody
from txcrush.adapters.providers.errors import NETWORK_ERRORS
from txcrush.adapters.web.agent import CODING, GuardedAgent, Surroundings
from txcrush.adapters.web.bodies import Body, Intake, decoder_of
from txcrush.adapters.web.failures import WebFailed, faithful, told
from txcrush.adapters.web.targets import Target, parse, redirected
from txcrush.ports import Clock

USER_AGENT = f"txcrush/{__version__}"
MOST_REDIRECTS = 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

T = TypeVar("T")


class WebRequest(Struct, frozen=True, kw_only=True):
    """What is asked for. `limit` is the most decoded bytes of the body that are read, `seconds` the most time for the
    whole errand. With `data` it is posted, and no redirect is followed."""

    url: str
    limit: int
    seconds: float
    headers: Mapping[str, str] = {}
    data: bytes | None = None


class Answer(Struct, frozen=True, kw_only=True):
    """The head of an answer. `content_type` is the header's value, `length` the announced size in bytes or None, `url`
    where it came from in the end."""

    status: int
    content_type: str
    length: int | None
    url: str


TakeAnswer = Callable[[Answer, Body], Awaitable[T]]


class WebClient:
    """Runs errands. Every connection is closed when its errand is over, also when that is cancelled.

    `reactor` connects and resolves names; `environ` names the proxies; private addresses are reached with
    `allow_private` only. `agent` replaces the network in tests.
    """

    def __init__(
        self,
        reactor: Any,
        clock: Clock,
        environ: Mapping[str, str],
        *,
        allow_private: bool = False,
        tls: IPolicyForHTTPS | None = None,
        agent: IAgent | None = None,
    ) -> None:
        self._around = Surroundings(reactor, environ, tls or BrowserLikePolicyForHTTPS(), allow_private)
        self._clock = clock
        self._agent = agent

    async def get(self, request: WebRequest) -> tuple[Answer, bytes]:
        """The answer and its body up to the limit. Raises `WebFailed`."""
        return await self.run(request, _whole)

    async def run(self, request: WebRequest, take: TakeAnswer[T]) -> T:
        """What `take` makes of the answer; it reads the body while the connection is open. Raises `WebFailed`."""
        errand = Deferred.fromCoroutine(self._errand(request, take))
        errand.addTimeout(request.seconds, self._clock, _too_late)
        return await errand

    async def _errand(self, request: WebRequest, take: TakeAnswer[T]) -> T:
        agent = GuardedAgent(self._around)
        try:
            return await self._follow(
                HTTPClient(self._agent or agent, data_to_body_producer=BytesBody), agent, request, take
            )
        except NETWORK_ERRORS as error:
            raise told(error) from error
        except UnicodeError as error:  # TLS takes fewer names than HTTP does
            raise WebFailed(f"invalid host name: {error}") from error
        finally:
            agent.close()

    async def _follow(self, treq: HTTPClient, agent: GuardedAgent, request: WebRequest, take: TakeAnswer[T]) -> T:
        """treq keeps the errand's cookies; redirects are followed here, so that each is checked as the first was."""
        target = _parsed(parse, request.url)
        for _ in range(MOST_REDIRECTS + 1):
            response = await self._ask(treq, target, request)
            location = _header(response, b"location")
            if request.data is not None or response.code not in _REDIRECTS or not location:
                return await _taken(response, target, request.limit, take)
            agent.close()
            target = _parsed(redirected, target, location)
        raise WebFailed(f"stopped after {MOST_REDIRECTS} redirects")

    async def _ask(self, treq: HTTPClient, target: Target, request: WebRequest) -> Any:
        headers = Headers()
        for name, value in {"User-Agent": USER_AGENT, **request.headers}.items():
            headers.setRawHeaders(name, [value])
        if target.authorization:
            headers.setRawHeaders("Authorization", [target.authorization])
        return await faithful(
            treq.request(
                "GET" if request.data is None else "POST",
                _Uri.from_text(target.url),
                headers=headers,
                data=request.data,
                allow_redirects=False,
                unbuffered=True,
                reactor=self._around.reactor,
            )
        )


class _Uri(EncodedURL):
    """A URL that is a URI already: made one once more, the address of an IPv6 host is taken for a name."""

    def to_uri(self) -> "EncodedURL":
        return self


async def _taken(response: Any, target: Target, limit: int, take: TakeAnswer[T]) -> T:
    answer = Answer(
        status=response.code,
        content_type=_header(response, b"content-type"),
        length=response.length if isinstance(response.length, int) else None,
        url=target.url,
    )
    intake = Intake()
    body = Body(intake, decoder_of(_header(response, CODING)), limit)
    response.deliverBody(intake)
    return await take(answer, body)


async def _whole(answer: Answer, body: Body) -> tuple[Answer, bytes]:
    return answer, await body.whole()


def _parsed(read: Callable[..., Target], *arguments: Any) -> Target:
    try:
        return read(*arguments)
    except ValueError as error:
        raise WebFailed(str(error)) from error


def _header(response: IResponse, name: bytes) -> str:
    value: bytes = response.headers.getRawHeaders(name, [b""])[-1].strip()
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _too_late(_: object, seconds: float) -> Any:
    raise WebFailed(f"no whole answer within {seconds:g} seconds")
