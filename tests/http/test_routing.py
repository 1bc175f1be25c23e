"""From a request to a handler and back: one shape of answers, and a client that goes stops nothing."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcrush.http.guards import Policy
from txcrush.http.routing import OK, Call, Reply, build_app, json_reply, route
from txcrush.http.site import CrushSite
from txcrush.model.errors import (
    AgentNotInitialized,
    BadRequest,
    BodyTooLarge,
    ClientNotAttached,
    ClientRetired,
    CrushError,
    DecodeFailed,
    Failed,
    HostingLiveWorkspaces,
    NotFound,
    PromptEmpty,
    RunCancelled,
    RunFailed,
    RunIdReused,
    RunNotFound,
    SessionBusy,
    SessionNotFound,
    ShuttingDown,
    StorageFailed,
    Unsupported,
    WorkspaceClosing,
    WorkspaceNotFound,
)
from txcrush.testing.http_harness import SOCKET, UID, MemoryClient
from txcrush.wire.json import BIG_BODY

STATUSES: list[tuple[CrushError, int, str]] = [
    (DecodeFailed(), 400, "failed to decode request"),
    (BadRequest("name is required"), 400, "name is required"),
    (AgentNotInitialized(), 400, "agent coordinator not initialized"),
    (WorkspaceNotFound(), 404, "workspace not found"),
    (NotFound("LSP client not found"), 404, "LSP client not found"),
    (RunNotFound(), 404, "run not found"),
    (SessionBusy(), 409, "session is busy"),
    (RunIdReused(), 409, "run id is already used by another prompt"),
    (WorkspaceClosing(), 409, "workspace closing"),
    (ClientNotAttached(), 409, "client not attached"),
    (ClientRetired(), 409, "client has been retired"),
    (HostingLiveWorkspaces(), 409, "server is hosting live workspaces"),
    (BodyTooLarge(), 413, BodyTooLarge.default),
    (Unsupported(), 501, Unsupported.default),
    (ShuttingDown(), 503, "server is shutting down"),
    (SessionNotFound(), 500, "sql: no rows in result set"),
    (PromptEmpty(), 500, "prompt is empty"),
    (RunFailed("boom"), 500, "boom"),
    (StorageFailed("disk full"), 500, "disk full"),
    (Failed("skill not found: <x>"), 500, "skill not found: <x>"),
]


class Named(Struct):
    name: str = ""


class Family:
    """Routes that do what the test says."""

    def __init__(self) -> None:
        self.work: Callable[[Call], Any] = lambda _call: OK
        self.calls: list[Call] = []

    @route("POST", "/cancellable", cancellable=True)
    def cancellable(self, call: Call) -> Any:
        return self.work(call)

    @route("GET", "/plain")
    def plain(self, call: Call) -> Any:
        self.calls.append(call)
        return self.work(call)

    @route("POST", "/plain", Named)
    async def posted(self, call: Call) -> Reply:
        self.calls.append(call)
        result = self.work(call)
        return result if isinstance(result, Reply) else await result

    @route("GET", "/things/<name>")
    def thing(self, call: Call) -> Reply:
        return json_reply([call.path["name"], call.query("q"), call.header("X-Many")])

    @route("POST", "/checked", Named, check=lambda call: _refuse(call))
    def checked(self, call: Call) -> Reply:
        return OK

    @route("GET", "/stream", stream=True)
    async def stream(self, call: Call) -> None:
        await self.work(call)


def _refuse(call: Call) -> None:
    if not call.query("ok"):
        raise BadRequest("not ok")


class RoutingCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.family = Family()
        self.threads: list[Deferred[None]] = []
        self.in_thread: Callable[..., Deferred[Any]] = maybeDeferred
        app = build_app([self.family], lambda *call: self.in_thread(*call))
        site = CrushSite(app.resource(), Policy(kind="unix", own_uid=UID), Clock(), lambda _: UID)
        self.client = MemoryClient(site, SOCKET)

    def later(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        """A thread that is as slow as the test wants."""
        done: Deferred[None] = Deferred()
        self.threads.append(done)
        return done.addCallback(lambda _: function(*arguments))


class Answers(RoutingCase):
    def test_ok_is_an_empty_200_without_a_type(self) -> None:
        answer = self.client.get("/plain")
        self.assertEqual((answer.status, answer.body, answer.headers["content-length"]), (200, b"", "0"))
        self.assertNotIn("content-type", answer.headers)
        self.assertNotIn("server", answer.headers)

    def test_json_is_escaped_and_ends_with_a_newline(self) -> None:
        self.family.work = lambda _: json_reply({"a": "<é>"})
        self.assertEqual(self.client.get("/plain").body, '{"a":"\\u003cé\\u003e"}\n'.encode())

    def test_path_query_and_header_are_text_whatever_was_sent(self) -> None:
        asked = self.client.ask("GET", "/things/a%20%C3%A9?q=%ff&q=2", X_Many="1")
        self.assertEqual(asked.answer.value, ["a é", "�", "1"])

    def test_every_error_has_its_status_and_the_one_shape(self) -> None:
        for error, status, text in STATUSES:
            with self.subTest(error=error):
                self.family.work = _raising(error)
                answer = self.client.get("/plain")
                self.assertEqual((answer.status, answer.message), (status, text))

    def test_an_error_nobody_foresaw_is_a_500_that_says_nothing(self) -> None:
        self.family.work = _raising(RuntimeError("sk-secret"))
        answer = self.client.get("/plain")
        self.assertEqual((answer.status, answer.message), (500, "internal server error"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_the_check_comes_before_the_body(self) -> None:
        answer = self.client.post("/checked", raw=b"{")
        self.assertEqual(answer.message, "not ok")
        self.assertEqual(self.client.post("/checked?ok=1", raw=b"{").message, "failed to decode request")


class Cancellations(RoutingCase):
    def test_seed_d_a_cancelled_read_is_a_500(self) -> None:
        reading: Deferred[Reply] = Deferred()
        self.family.work = lambda _: reading
        asked = self.client.ask("GET", "/plain")
        self.assertFalse(asked.is_answered)
        reading.cancel()
        self.assertEqual((asked.answer.status, asked.answer.message), (500, "internal server error"))
        self.assertEqual(len(self.flushLoggedErrors(CancelledError)), 1)

    def test_seed_d_a_runs_cancellation_outside_the_prompt_route_is_a_500(self) -> None:
        self.family.work = _raising(RunCancelled("User canceled request", "user"))
        answer = self.client.get("/plain")
        self.assertEqual((answer.status, answer.message), (500, "internal server error"))
        self.assertEqual(len(self.flushLoggedErrors(RunCancelled)), 1)

    def test_seed_d_a_cancelled_stream_that_has_not_answered_is_a_500(self) -> None:
        waiting: Deferred[None] = Deferred()
        self.family.work = lambda _: waiting
        asked = self.client.ask("GET", "/stream")
        waiting.cancel()
        self.assertEqual((asked.answer.status, asked.answer.message), (500, "internal server error"))
        self.assertEqual(len(self.flushLoggedErrors(CancelledError)), 1)

    def test_a_streams_refusal_has_the_one_shape(self) -> None:
        self.family.work = _raising(WorkspaceNotFound())
        self.assertEqual(self.client.get("/stream").message, "workspace not found")

    def test_a_client_that_goes_stops_no_work(self) -> None:
        working: Deferred[Reply] = Deferred()
        done: list[Reply] = []
        self.family.work = lambda _: working.addCallback(lambda reply: done.append(reply) or reply)
        for method in ("GET", "POST"):
            working = Deferred()
            asked = self.client.ask(method, "/plain", raw=b"{}" if method == "POST" else b"")
            asked.drop()
            working.callback(OK)
            self.assertEqual(asked.raw, b"")
        self.assertEqual(done, [OK, OK])

    def test_a_failure_after_the_client_has_gone_is_only_logged(self) -> None:
        working: Deferred[Reply] = Deferred()
        self.family.work = lambda _: working
        asked = self.client.ask("GET", "/plain")
        asked.drop()
        working.errback(RuntimeError("too late"))
        self.assertEqual(asked.raw, b"")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class Cancellable(RoutingCase):
    """A route whose work is for the client that waits, and for nobody else."""

    def test_it_is_given_up_with_its_client_and_nothing_is_logged(self) -> None:
        given_up: list[object] = []
        self.family.work = lambda _: Deferred(given_up.append)
        asked = self.client.ask("POST", "/cancellable")
        self.assertEqual(given_up, [])
        asked.drop()
        self.assertEqual((len(given_up), asked.raw), (1, b""))

    def test_cleaning_up_after_that_takes_as_long_as_it_takes(self) -> None:
        cleaning: Deferred[None] = Deferred()
        done: list[str] = []

        async def work(_: Call) -> Reply:
            try:
                await Deferred[None]()
            except CancelledError:
                await cleaning
                done.append("clean")
                raise
            return OK

        self.family.work = lambda call: Deferred.fromCoroutine(work(call))
        self.client.ask("POST", "/cancellable").drop()
        self.assertEqual(done, [])
        cleaning.callback(None)
        self.assertEqual(done, ["clean"])

    def test_a_client_that_stays_is_answered(self) -> None:
        working: Deferred[Reply] = Deferred()
        self.family.work = lambda _: working
        asked = self.client.ask("POST", "/cancellable")
        working.callback(OK)
        self.assertEqual(asked.answer.status, 200)


class Bodies(RoutingCase):
    def test_a_short_body_is_decoded_at_once_and_a_long_one_in_a_thread(self) -> None:
        self.in_thread = self.later
        short = self.client.ask("POST", "/plain", {"name": "a"})
        long = self.client.ask("POST", "/plain", {"name": "b" * BIG_BODY})
        self.assertTrue(short.is_answered)
        self.assertFalse(long.is_answered)
        self.threads[0].callback(None)
        self.assertEqual(long.answer.status, 200)
        self.assertEqual([len(call.body.name) for call in self.family.calls], [1, BIG_BODY])

    def test_a_long_body_that_is_wrong_is_400(self) -> None:
        answer = self.client.post("/plain", raw=b'{"name":"' + b"x" * BIG_BODY)
        self.assertEqual((answer.status, answer.message), (400, "failed to decode request"))

    def test_a_client_that_goes_while_its_body_is_decoded_has_still_asked(self) -> None:
        self.in_thread = self.later
        asked = self.client.ask("POST", "/plain", {"name": "b" * BIG_BODY})
        asked.drop()
        self.threads[0].callback(None)
        self.assertEqual(len(self.family.calls), 1)

    def test_requests_on_one_connection_are_handled_in_order_also_behind_a_long_body(self) -> None:
        self.in_thread = self.later
        first = self.client._request("POST", "/plain", b'{"name":"' + b"a" * BIG_BODY + b'"}', {})
        asked = self.client.ask("POST", "/plain", {"name": "b" * BIG_BODY})
        asked.send(first.replace(b"aaaa", b"cccc") + self.client._request("POST", "/plain", b'{"name":"d"}', {}))
        self.threads[0].callback(None)
        self.threads[1].callback(None)
        self.assertEqual([call.body.name[0] for call in self.family.calls], ["b", "c", "d"])

    def test_a_thread_that_fails_is_a_500(self) -> None:
        self.in_thread = lambda *_: maybeDeferred(_raising(RuntimeError("no thread")), None)
        answer = self.client.post("/plain", {"name": "b" * BIG_BODY})
        self.assertEqual(answer.message, "internal server error")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_an_awaited_reply_is_answered_as_a_plain_one(self) -> None:
        self.family.work = lambda _: succeed(json_reply([]))
        self.assertEqual(self.client.get("/plain").value, [])


def _raising(error: Exception) -> Callable[[Any], Any]:
    def work(_call: Any) -> Any:
        raise error

    return work
