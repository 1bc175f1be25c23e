"""A server, asked over treq: by its Unix socket or by TCP with a token."""

from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

from msgspec import UNSET, Struct
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.web.client import Agent, ResponseFailed
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from txcrush.cli._peer import OwnSocket
from txcrush.cli._stream import EventStream
from txcrush.model.addresses import TcpAddress, UnixAddress
from txcrush.wire.json import encode, parse_answer

ANSWER_S = 30.0
"""Seconds that an answer may take. None of those that the command line asks for is held open by the server."""

T = TypeVar("T")


class Unreachable(Exception):
    """Nobody answers at the address, or the connection broke. The text is for the user."""


class Refused(Exception):
    """The server answered with an error; the text is its message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Answer(Struct, frozen=True):
    """A status of success and the decoded body."""

    status: int
    value: Any


@implementer(IAgentEndpointFactory)
class _OneEndpoint:
    """Whatever the URL says, the same place is asked."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def endpointForURI(self, _uri: object) -> IStreamClientEndpoint:
        return self._endpoint


class Client:
    """One server. `token` is needed on TCP; a Unix socket has to be that of the user `uid`, or the system's."""

    def __init__(self, reactor: Any, address: UnixAddress | TcpAddress, token: str = "", uid: int = -1) -> None:
        self._reactor = reactor
        self._treq = HTTPClient(Agent.usingEndpointFactory(reactor, _OneEndpoint(_endpoint(reactor, address, uid))))
        self._origin = _origin(address)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def get(self, path: str) -> Any:
        """The decoded body. Raises `Unreachable` or `Refused`."""
        return (await self.ask("GET", path)).value

    async def post(self, path: str, body: object = UNSET, **headers: str) -> Any:
        """The decoded body. Raises `Unreachable` or `Refused`."""
        return (await self.ask("POST", path, body, within_s=ANSWER_S, **headers)).value

    async def ask(
        self, method: str, path: str, body: object = UNSET, *, within_s: float = ANSWER_S, **headers: str
    ) -> Answer:
        """The answer, if it is a success. Raises `Unreachable`, also where it takes too long, or `Refused`."""
        fields = {**self._headers, **headers}
        data = None
        if body is not UNSET:
            data, fields["Content-Type"] = encode(body), "application/json"
        status, raw = await self._bounded(self._exchange(method, path, data, fields), within_s)
        if status >= 400:
            raise Refused(status, _message(raw))
        return Answer(status, _decoded(raw))

    async def stream(self, path: str) -> EventStream:
        """An event stream; nothing that is published from now on passes it by. Raises as `ask`."""
        return await self._bounded(self._opened(path), ANSWER_S)

    async def _exchange(self, method: str, path: str, data: bytes | None, fields: dict[str, str]) -> tuple[int, bytes]:
        response = await self._treq.request(method, self._origin + path, data=data, headers=_listed(fields))
        return response.code, await response.content()

    async def _opened(self, path: str) -> EventStream:
        fields = _listed({**self._headers, "Accept": "text/event-stream"})
        response = await self._treq.request("GET", self._origin + path, headers=fields, unbuffered=True)
        if response.code != 200:
            raise Refused(response.code, _message(await response.content()))
        stream = EventStream(self._reactor)
        response.original.deliverBody(stream)
        return stream

    async def _bounded(self, work: Coroutine[Deferred[Any], Any, T], within_s: float) -> T:
        """The result of the work. A cancelled request fails in many ways: here each of them is `CancelledError`."""
        late = f"no answer within {within_s:.0f} s"
        try:
            return await Deferred.fromCoroutine(work).addTimeout(within_s, self._reactor, lambda *_: _raise(late))
        except (ConnectError, ConnectionClosed, ResponseFailed, OSError) as error:
            if _was_cancelled(error):
                raise CancelledError from error
            raise Unreachable(_why(error)) from error


def _raise(text: str) -> NoReturn:
    raise Unreachable(text)


def _was_cancelled(error: Exception) -> bool:
    return any(reason.check(CancelledError) for reason in getattr(error, "reasons", ()))


def _endpoint(reactor: Any, address: UnixAddress | TcpAddress, uid: int) -> IStreamClientEndpoint:
    if isinstance(address, UnixAddress):
        return OwnSocket(reactor, address.path, uid)
    return HostnameEndpoint(reactor, address.host.encode(), address.port)


def _origin(address: UnixAddress | TcpAddress) -> str:
    if isinstance(address, UnixAddress):
        return "http://localhost"
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"http://{host}:{address.port}"


def _listed(fields: dict[str, str]) -> Any:
    return {name.replace("_", "-"): [value] for name, value in fields.items()}


def _decoded(raw: bytes) -> Any:
    try:
        return parse_answer(raw)
    except ValueError as error:
        raise Refused(0, "the server's answer is no JSON: is this a txcrush server?") from error


def _message(raw: bytes) -> str:
    """The text of an error body, whoever made it."""
    try:
        return str(parse_answer(raw)["message"])
    except (ValueError, KeyError, TypeError):
        return raw.decode("utf-8", "replace").strip()[:500] or "no reason was given"


def _why(error: Exception) -> str:
    reasons = getattr(error, "reasons", None)
    return str(reasons[0].value if reasons else error)
