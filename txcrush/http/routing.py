"""From a request to a call, and from what the call returns to an answer: one shape for every route.

Theory. A route is a method with `@route` on it. Its body is decoded before anything else happens, its errors become
statuses by the one table of `wire/errors.py`, and its work belongs to the server: Klein cancels a route's Deferred when
the client drops, so Klein is given a Deferred of its own, which stands for the client's interest in the answer and for
nothing else. Only a route that says `cancellable` is given up together with its answer.
"""

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, TypedDict, TypeVar, Unpack

from klein import Klein
from msgspec import UNSET, Struct
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from txcrush.model.errors import CrushError
from txcrush.model.ids import SessionId, WorkspaceId
from txcrush.wire.errors import error_body, status_of
from txcrush.wire.json import BIG_BODY, decode_body, encode_body

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"
NO_CONTENT = 204
NOT_MODIFIED = 304
BODILESS = (NO_CONTENT, NOT_MODIFIED)
"""Statuses whose answers have no length either: that of a 304 would be of what is not sent again."""

log = Logger()


class Reply(Struct, frozen=True):
    """An answer. A `body` of None is an empty answer without a content type."""

    status: int = 200
    body: bytes | None = None
    headers: dict[str, str] = {}
    content_type: bytes = JSON


OK = Reply()


def json_reply(value: object) -> Reply:
    """200 with the value as JSON."""
    return Reply(body=encode_body(value))


class Call:
    """A request that has come to its route. `body` is what the route asked it to be decoded as, or None."""

    def __init__(self, request: IRequest, path: dict[str, str], body: Any) -> None:
        self.request = request
        self.path = path
        self.body = body

    @property
    def workspace_id(self) -> WorkspaceId:
        return WorkspaceId(self.path["workspace_id"])

    @property
    def session_id(self) -> SessionId:
        return SessionId(self.path["session_id"])

    def query(self, name: str) -> str:
        """The first value of a query parameter, or empty."""
        values = self.request.args.get(name.encode(), [b""])
        return str(values[0], "utf-8", "replace")

    def header(self, name: str) -> str:
        """The values of a header, joined by commas, or empty; bytes beyond ASCII as Latin-1, as HTTP has it."""
        values: list[bytes] = self.request.requestHeaders.getRawHeaders(name.encode("ascii"), [])
        return ", ".join(value.decode("latin-1") for value in values)


class RouteSpec(Struct, frozen=True):
    """`check` runs before the body is decoded. A `stream` route writes its answer itself. A `cancellable` one does its
    work for the client that waits, and for nobody else: a dropped connection cancels it.

    The rest is for the description of the interface (`http/describing.py`): `answers` is the type of a success's body,
    None for an empty one, or a dict of these by status; `media` its content type. `query` and `headers` are what the
    request says there, `labels` the header fields of the answer. `errors` are those that any route with such a path and
    body would not have anyway. A `hidden` route is no part of the interface.
    """

    method: str
    path: str
    body: type[Struct] | None = None
    optional_body: bool = False
    check: Callable[[Call], object] | None = None
    stream: bool = False
    cancellable: bool = False
    answers: Any = UNSET
    media: str = "application/json"
    query: type[Struct] | None = None
    headers: type[Struct] | None = None
    labels: type[Struct] | None = None
    errors: tuple[type[CrushError], ...] = ()
    hidden: bool = False


class Particulars(TypedDict, total=False):
    """What a `RouteSpec` may say beside method, path and body."""

    optional_body: bool
    check: Callable[[Call], object] | None
    stream: bool
    cancellable: bool
    answers: Any
    media: str
    query: type[Struct] | None
    headers: type[Struct] | None
    labels: type[Struct] | None
    errors: tuple[type[CrushError], ...]
    hidden: bool


Handler = Callable[[Call], Reply | Awaitable[Reply]]
F = TypeVar("F", bound=Callable[..., object])


def route(
    method: str,
    path: str,
    body: type[Struct] | None = None,
    **more: Unpack[Particulars],
) -> Callable[[F], F]:
    """Make a method of a route family the handler of this method and path; the arguments are those of `RouteSpec`.

    The first sentence of the handler's docstring is the route's summary in `/v1/openapi.json`, the rest its
    description.
    """
    spec = RouteSpec(method, path, body, **more)

    def mark(handler: F) -> F:
        specs: list[RouteSpec] = handler.__dict__.setdefault("routes", [])
        specs.append(spec)
        return handler

    return mark


def routes_of(family: object) -> Iterator[tuple[RouteSpec, Handler]]:
    """The routes of a family, with their bound handlers."""
    for name in dir(type(family)):
        handler = getattr(type(family), name)
        for spec in getattr(handler, "routes", ()):
            yield spec, getattr(family, name)


InThread = Callable[..., Deferred[Any]]
"""Calls a function in a thread: `in_thread(function, *arguments)`."""


def build_app(families: list[object], in_thread: InThread) -> Klein:
    """The Klein application with every route of the families."""
    app = Klein()
    for family in families:
        for spec, handler in routes_of(family):
            _add(app, spec, handler, in_thread)
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.handle_errors(HTTPException)(_http_error)
    return app


def _add(app: Klein, spec: RouteSpec, handler: Handler, in_thread: InThread) -> None:
    def render(request: IRequest, **path: str) -> Deferred[Any]:
        call = Call(request, path, None)
        if spec.stream:
            return Deferred.fromCoroutine(_stream(call, handler))
        asker: Deferred[Reply] = Deferred()
        work = Deferred.fromCoroutine(_answer(spec, handler, call, in_thread))
        if spec.cancellable:
            asker.addErrback(_give_up, work)
        work.addCallbacks(asker.callback, asker.errback)
        return asker.addCallback(lambda reply: _write(request, reply))

    endpoint = f"{spec.method} {spec.path}"
    app.route(spec.path, methods=[spec.method], endpoint=endpoint, strict_slashes=True)(render)


def _give_up(failure: Failure, work: Deferred[Reply]) -> Failure:
    """Nobody waits for the answer any more."""
    work.cancel()
    return failure


async def _answer(spec: RouteSpec, handler: Handler, call: Call, in_thread: InThread) -> Reply:
    """The handler's answer, or the error's."""
    try:
        if spec.check is not None:
            spec.check(call)
        if spec.body is not None:
            await _decode(spec, call, in_thread)
        reply = handler(call)
        return reply if isinstance(reply, Reply) else await reply
    except CrushError as error:
        return error_reply(error)
    except CancelledError:
        if not spec.cancellable:
            log.failure("{method} {path} was cancelled", method=spec.method, path=spec.path)
        return Reply(500, error_body(CrushError.default))
    except Exception:
        log.failure("{method} {path} failed", method=spec.method, path=spec.path)
        return Reply(500, error_body(CrushError.default))


async def _decode(spec: RouteSpec, call: Call, in_thread: InThread) -> None:
    """Read the body; a long one in a thread."""
    assert spec.body is not None
    raw = call.request.content.read()
    if not raw and spec.optional_body:
        call.body = spec.body()
    elif len(raw) < BIG_BODY:
        call.body = decode_body(raw, spec.body)
    else:
        call.body = await in_thread(decode_body, raw, spec.body)


async def _stream(call: Call, handler: Handler) -> bytes | None:
    """A route that writes for itself: only its refusal is written here, and an answer that it returns instead."""
    try:
        reply = await handler(call)  # type: ignore[misc]  # a stream's handler is a coroutine
    except CrushError as error:
        return _write(call.request, error_reply(error))
    return None if reply is None else _write(call.request, reply)


def error_reply(error: CrushError) -> Reply:
    """The one shape of every error."""
    status = status_of(error)
    if status >= 500:
        log.error("answered {status}: {reason}", status=status, reason=str(error))
    return Reply(status, error_body(str(error)))


def _write(request: IRequest, reply: Reply) -> bytes:
    body = reply.body or b""
    request.setResponseCode(reply.status)
    if reply.status not in BODILESS:
        request.setHeader(b"Content-Length", b"%d" % len(body))
    if reply.body is not None:
        request.setHeader(b"Content-Type", reply.content_type)
    for name, value in reply.headers.items():
        request.setHeader(name.encode(), value.encode())
    return body


def _http_error(request: IRequest, failure: Failure) -> bytes:
    """What no route answers, in the reference's two bodies."""
    error = failure.value
    headers = {"X-Content-Type-Options": "nosniff"}
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
        return _write(request, Reply(405, b"Method Not Allowed\n", headers, TEXT))
    return _write(request, Reply(404, b"404 page not found\n", headers, TEXT))


Coro = Coroutine[Deferred[object], object, Reply]
