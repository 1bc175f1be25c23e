"""The site in memory: Twisted's parser and our rules between raw bytes and a resource, on a fake clock."""

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from klein import Klein
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from txcrush.http.channel import CrushChannel
from txcrush.http.guards import Policy
from txcrush.http.limits import Limits
from txcrush.http.site import CrushSite
from txcrush.testing.raw_requests import RawRequest, read_requests

TOKEN = "t" * 43
LOOPBACK = IPv4Address("TCP", "127.0.0.1", 8080)
SOCKET = UNIXAddress("/run/crush.sock")
UNIX = Policy(kind="unix", own_uid=1000)
TCP = Policy(kind="tcp", token=TOKEN)
OPEN = Policy(kind="tcp")

CRLF = b"\r\n\r\n"
GET = b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Echo(Resource):
    """Answers with what it was asked; `/hold` is answered by hand, `/fail` fails."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[bytes] = []
        self.held: list[Any] = []
        self.bodies: list[bytes] = []

    def render(self, request: Any) -> Any:
        self.seen.append(request.method + b" " + request.uri)
        self.bodies.append(request.content.read())
        if request.path == b"/hold":
            self.held.append(request)
            return NOT_DONE_YET
        if request.path == b"/fail":
            raise RuntimeError("a handler's own defect")
        return b"%d" % len(self.bodies[-1])


class Answer:
    """One answer, read from the wire."""

    def __init__(self, data: bytes) -> None:
        head, _, rest = data.partition(b"\r\n\r\n")
        first, *fields = head.decode("latin-1").split("\r\n")
        self.status = int(first.split(" ")[1])
        self.headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
        length = int(self.headers.get("content-length", "0"))
        self.body, self.rest = rest[:length], rest[length:]


class SiteCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.resource = Echo()
        self.site = self.make_site(UNIX)

    def make_site(self, policy: Policy, uid: int | None = 1000) -> CrushSite:
        peer_uid = (lambda _: uid) if policy.kind == "unix" else None
        return CrushSite(self.resource, policy, self.clock, peer_uid)

    def connect(self, site: CrushSite | None = None) -> tuple[CrushChannel, StringTransport]:
        site = site or self.site
        address: IAddress = SOCKET if site.policy.kind == "unix" else LOOPBACK
        channel = site.buildProtocol(address)
        assert channel is not None
        transport = StringTransport(hostAddress=address, peerAddress=address)
        channel.makeConnection(transport)
        return channel, transport

    def ask(self, data: bytes, site: CrushSite | None = None) -> Answer:
        channel, transport = self.connect(site)
        channel.dataReceived(data)
        answer = Answer(transport.value())
        self.drop(channel)
        return answer

    def drop(self, channel: CrushChannel) -> None:
        channel.connectionLost(Failure(ConnectionError("dropped")))

    def tearDown(self) -> None:
        for channel in tuple(self.site.channels):
            self.drop(channel)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class Routing(SiteCase):
    def test_a_request_reaches_the_resource_and_the_connection_stays(self) -> None:
        channel, transport = self.connect()
        channel.dataReceived(GET + GET)
        first = Answer(transport.value())
        self.assertEqual((first.status, first.body, Answer(first.rest).status), (200, b"0", 200))
        self.assertNotIn("server", first.headers)
        self.assertIn("date", first.headers)
        self.assertFalse(transport.disconnecting)

    def test_an_absolute_target_is_routed_on_its_path(self) -> None:
        answer = self.ask(b"GET http://api.crush.localhost/v1/version?a=b HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(answer.status, 200)
        self.assertEqual(self.resource.seen, [b"GET /v1/version?a=b"])

    def test_a_request_of_http_1_0_without_a_host_is_answered(self) -> None:
        self.assertEqual(self.ask(b"GET /v1/health HTTP/1.0\r\n\r\n").status, 200)

    def test_options_of_the_whole_server_is_answered(self) -> None:
        self.assertEqual(self.ask(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n").status, 200)
        self.assertEqual(self.ask(b"OPTIONS /v1 HTTP/1.1\r\nHost: x\r\n\r\n").status, 200)
        self.assertEqual(self.ask(b"GET * HTTP/1.1\r\nHost: x\r\n\r\n").status, 400)

    def test_an_unclean_path_is_sent_to_its_clean_form(self) -> None:
        answer = self.ask(b'GET //evil.test/..//v1//health?q=//x&y="<a> HTTP/1.1\r\nHost: x\r\n\r\n')
        self.assertEqual(answer.status, 307)
        self.assertEqual(answer.headers["location"], '/v1/health?q=//x&y="<a>')
        self.assertNotIn(b"<a>", answer.body)
        self.assertEqual(self.resource.seen, [])

    def test_a_defect_of_a_handler_is_a_500_in_our_shape(self) -> None:
        answer = self.ask(b"GET /fail HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual((answer.status, answer.body), (500, b'{"message":"internal server error"}\n'))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_a_body_without_a_content_type_gets_none(self) -> None:
        self.assertNotIn("content-type", self.ask(GET).headers)

    @given(st.text())
    def test_promise_58_no_header_value_of_ours_breaks_a_line(self, title: str) -> None:
        channel, transport = self.connect()
        channel.dataReceived(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
        request = self.resource.held.pop()
        request.setHeader(b"X-Title", title.encode("utf-8", "surrogatepass"))
        request.setHeader(b"Content-Length", b"0")
        request.finish()
        head = transport.value().partition(b"\r\n\r\n")[0].replace(b"\r\n", b"")
        self.assertNotIn(b"\n", head)
        self.assertNotIn(b"\r", head)
        self.drop(channel)


class WithKlein(SiteCase):
    def test_whatever_host_is_let_in_is_routed(self) -> None:
        app = Klein()

        @app.route("/v1/health")
        def health(request: Any) -> bytes:
            request.setHeader(b"Content-Length", b"2")
            return b"ok"

        site = CrushSite(app.resource(), UNIX, self.clock, lambda _: 1000)
        hosts = (b"api.crush.localhost", b"[::1]:80", b"localhost:1", b"a_b", b"x.", b"a" * 63 + b"." + b"b" * 63)
        for host in hosts:
            raw = b"GET /v1/health HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
            self.assertEqual(self.ask(raw, site).body, b"ok", host)
        self.assertEqual(self.ask(b"GET /v1/health HTTP/1.0\r\n\r\n", site).body, b"ok")
        self.assertEqual(self.ask(b"GET http://x.y/v1/health HTTP/1.1\r\nHost: z\r\n\r\n", site).body, b"ok")


class Refusals(SiteCase):
    def test_promise_53_a_wrong_host_is_refused_before_any_handler_on_every_path(self) -> None:
        site = self.make_site(OPEN)
        for path in (b"/", b"/v1/health", b"/v1/docs/", b"/ui/x", b"//", b"/nowhere", b"/v1/workspaces/x/events"):
            for method in (b"GET", b"POST", b"HEAD", b"DELETE", b"OPTIONS", b"BREW"):
                answer = self.ask(method + b" " + path + b" HTTP/1.1\r\nHost: evil.test\r\n\r\n", site)
                self.assertEqual(answer.status, 421)
        self.assertEqual(self.resource.seen, [])

    def test_promise_54_a_foreign_origin_has_no_effect(self) -> None:
        site = self.make_site(OPEN)
        request = b"POST /v1 HTTP/1.1\r\nHost: localhost\r\nOrigin: %s\r\nContent-Length: 0\r\n\r\n"
        for origin in (b"null", b"http://evil.test", b"http://localhost:1"):
            self.assertEqual(self.ask(request % origin, site).status, 403)
        self.assertEqual(self.resource.seen, [])

    def test_promise_54_a_form_has_no_effect(self) -> None:
        answer = self.ask(
            b"POST /v1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}",
            self.make_site(OPEN),
        )
        self.assertEqual((answer.status, self.resource.seen), (415, []))

    def test_promise_52_without_the_token_nothing_is_read(self) -> None:
        site = self.make_site(TCP)
        channel, transport = self.connect(site)
        channel.dataReceived(b"POST /v1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n")
        answer = Answer(transport.value())
        self.assertEqual((answer.status, answer.headers["www-authenticate"]), (401, "Bearer"))
        self.assertEqual(answer.headers["content-type"], "application/json")
        self.assertIn("message", json.loads(answer.body))
        self.assertEqual(answer.headers["connection"], "close")
        self.drop(channel)

    def test_promise_52_with_the_token_the_request_is_handled(self) -> None:
        request = b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n"
        self.assertEqual(self.ask(request % TOKEN.encode(), self.make_site(TCP)).status, 200)

    def test_promise_62_wrong_tokens_are_limited_and_the_right_one_still_passes(self) -> None:
        site = self.make_site(TCP)
        request = b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n"
        answers = [self.ask(request % b"guess", site) for _ in range(11)]
        self.assertEqual([answer.status for answer in answers], [401] * 10 + [429])
        self.assertEqual(answers[-1].headers["retry-after"], "60")
        self.assertEqual(self.ask(request % TOKEN.encode(), site).status, 200)
        self.clock.advance(60)
        self.assertEqual(self.ask(request % b"guess", site).status, 401)

    def test_promise_62_asking_without_a_token_is_not_guessing(self) -> None:
        site = self.make_site(TCP)
        self.assertEqual({self.ask(GET, site).status for _ in range(50)}, {401})

    def test_a_refused_head_request_gets_no_body(self) -> None:
        answer = self.ask(b"HEAD / HTTP/1.1\r\nHost: evil.test\r\n\r\n", self.make_site(OPEN))
        self.assertEqual((answer.status, answer.body), (421, b""))

    def test_what_follows_a_refusal_is_never_a_request(self) -> None:
        channel, _ = self.connect(site := self.make_site(OPEN))
        channel.dataReceived(b"GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n" + GET)
        channel.dataReceived(GET)
        self.assertEqual(self.resource.seen, [])
        self.drop(channel)
        self.assertEqual(site.channels, set())


class Peers(SiteCase):
    def test_promise_50_a_stranger_is_cut_off_before_a_word_is_read(self) -> None:
        for uid in (1001, 65534, None):
            channel, transport = self.connect(self.make_site(UNIX, uid))
            channel.dataReceived(GET)
            self.assertTrue(transport.disconnecting)
            self.assertEqual(transport.value(), b"")
            self.drop(channel)
        self.assertEqual(self.resource.seen, [])

    def test_promise_50_our_own_user_and_root_are_served(self) -> None:
        for uid in (1000, 0):
            self.assertEqual(self.ask(GET, self.make_site(UNIX, uid)).status, 200)

    def test_promise_50_a_unix_site_that_cannot_ask_for_the_peer_serves_nobody(self) -> None:
        channel, transport = self.connect(CrushSite(self.resource, UNIX, self.clock))
        self.assertTrue(transport.disconnecting)
        self.drop(channel)

    def test_promise_35_connections_over_the_limit_are_told_so(self) -> None:
        site = self.make_site(Policy(kind="unix", own_uid=1000, limits=Limits(max_connections=1)))
        channel, _ = self.connect(site)
        channel.dataReceived(GET)
        late, late_transport = self.connect(site)
        answer = Answer(late_transport.value())
        self.assertEqual((answer.status, answer.headers["retry-after"]), (503, "1"))
        self.assertEqual(json.loads(answer.body), {"message": "too many connections are open"})
        self.assertTrue(late_transport.disconnecting)
        late.dataReceived(GET)
        self.drop(late)
        self.assertEqual((self.resource.seen, len(site.channels)), ([b"GET /v1/health"], 1))
        self.drop(channel)
        self.assertEqual(self.ask(GET, site).status, 200)

    def test_promise_35_a_silent_connection_makes_room_for_one_that_asks(self) -> None:
        site = self.make_site(Policy(kind="unix", own_uid=1000, limits=Limits(max_connections=2)))
        known, known_transport = self.connect(site)
        known.dataReceived(GET)
        silent, silent_transport = self.connect(site)
        third, _ = self.connect(site)
        self.assertTrue(silent_transport.disconnected)
        self.assertFalse(known_transport.disconnected)
        for channel in (known, silent, third):
            self.drop(channel)
        self.assertEqual((site.channels, len(site.strangers)), (set(), 0))

    def test_promise_35_of_one_address_only_so_many_may_be_without_a_token(self) -> None:
        site = self.make_site(Policy(kind="tcp", token=TOKEN, limits=Limits(max_strangers=3)))
        let_in, transport = self.connect(site)
        let_in.dataReceived(b"GET /hold HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + TOKEN.encode() + CRLF)
        dripping = [self.connect(site) for _ in range(5)]
        for channel, _ in dripping:
            channel.dataReceived(b"G")
        self.assertEqual([bool(each.disconnected) for _, each in dripping], [True, True, False, False, False])
        self.assertFalse(transport.disconnected)
        for channel, _ in [*dripping, (let_in, None)]:
            self.drop(channel)
        self.assertEqual(len(site.strangers), 0)


class Bodies(SiteCase):
    HEAD = b"POST /v1 HTTP/1.1\r\nHost: x\r\n"

    def setUp(self) -> None:
        super().setUp()
        self.site = self.make_site(Policy(kind="unix", own_uid=1000, limits=Limits(max_body=1000)))

    def test_promise_56_an_announced_body_over_the_limit_is_refused_before_it_comes(self) -> None:
        for length in (b"1001", b"10737418240", b"9" * 18, b"9" * 19, b"9" * 5000):
            answer = self.ask(self.HEAD + b"Content-Length: " + length + b"\r\n\r\n")
            self.assertEqual(answer.status, 413)
            self.assertEqual(json.loads(answer.body)["message"][:25], "request body is too large")
        self.assertEqual(self.ask(self.HEAD + b"Content-Length: 1000\r\n\r\n" + b"x" * 1000).body, b"1000")

    def test_promise_56_no_body_is_invited_that_is_refused(self) -> None:
        answer = self.ask(self.HEAD + b"Expect: 100-continue\r\nContent-Length: 1001\r\n\r\n")
        self.assertEqual(answer.status, 413)
        self.assertEqual(self.ask(self.HEAD + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n").status, 100)

    def test_promise_56_a_chunked_body_over_the_limit_is_refused_when_it_passes_it(self) -> None:
        channel, transport = self.connect()
        channel.dataReceived(self.HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(10):
            channel.dataReceived(b"64\r\n" + b"x" * 100 + b"\r\n")
        self.assertEqual(transport.value(), b"")
        channel.dataReceived(b"1\r\nx\r\n0\r\n\r\n")
        self.assertEqual(Answer(transport.value()).status, 413)
        self.assertEqual(self.resource.seen, [])

    def test_promise_56_a_body_is_kept_in_memory(self) -> None:
        channel, _ = self.connect(self.make_site(UNIX))
        channel.dataReceived(self.HEAD + b"Content-Length: 5000000\r\n\r\n" + b"x" * 200_000)
        self.assertEqual(type(channel.requests[0].content).__name__, "BytesIO")
        self.drop(channel)

    def test_promise_56_what_a_refused_client_still_sends_is_bounded(self) -> None:
        channel, transport = self.connect()
        channel.dataReceived(self.HEAD + b"Content-Length: 99999999\r\n\r\n")
        aborted: list[bool] = []
        transport.abortConnection = lambda: aborted.append(True)  # type: ignore[method-assign]
        for _ in range(4):
            channel.dataReceived(b"x" * 65536)
        self.assertEqual(aborted, [])
        channel.dataReceived(b"x")
        self.assertEqual(aborted, [True])

    def test_a_chunked_body_is_read_and_its_trailers_are_dropped(self) -> None:
        answer = self.ask(self.HEAD + b"Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n")
        self.assertEqual((answer.body, self.resource.bodies), (b"5", [b"abcde"]))


class Time(SiteCase):
    def test_promise_35_header_bytes_that_drip_do_not_move_the_deadline(self) -> None:
        channel, transport = self.connect()
        channel.dataReceived(b"GET / HTTP/1.1\r\n")
        for _ in range(9):
            self.clock.advance(1)
            channel.dataReceived(b"X: y\r\n")
        self.assertEqual(transport.value(), b"")
        self.clock.advance(1)
        self.assertEqual(Answer(transport.value()).status, 408)

    def test_promise_35_the_deadline_of_a_later_request_runs_from_its_first_byte(self) -> None:
        for way in ("apart", "pipelined"):
            channel, transport = self.connect()
            channel.dataReceived(GET + (b"G" if way == "pipelined" else b""))
            transport.clear()
            if way == "apart":
                self.clock.advance(100)
                channel.dataReceived(b"G")
            self.clock.advance(9.9)
            self.assertEqual(transport.value(), b"")
            self.clock.advance(0.2)
            self.assertEqual(Answer(transport.value()).status, 408, way)
            self.drop(channel)

    def test_a_connection_that_says_nothing_is_closed_without_a_word(self) -> None:
        _, transport = self.connect()
        self.clock.advance(10)
        self.assertTrue(transport.disconnecting)
        self.assertEqual(transport.value(), b"")

    def test_promise_35_a_body_that_drips_is_refused(self) -> None:
        channel, transport = self.connect()
        channel.dataReceived(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        for _ in range(9):
            self.clock.advance(1)
            channel.dataReceived(b"x" * 1023)
        self.assertEqual(transport.value(), b"")
        self.clock.advance(1)
        self.assertEqual(Answer(transport.value()).status, 408)

    def test_a_slow_but_steady_body_arrives(self) -> None:
        channel, transport = self.connect()
        channel.dataReceived(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 61440\r\n\r\n")
        for _ in range(30):
            channel.dataReceived(b"x" * 2048)
            self.clock.advance(1)
        self.assertEqual(Answer(transport.value()).body, b"61440")

    def test_a_held_request_is_never_cut(self) -> None:
        channel, transport = self.connect()
        channel.dataReceived(b"POST /hold HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        for _ in range(10):
            self.clock.advance(3600)
        self.assertFalse(transport.disconnecting)
        request = self.resource.held.pop()
        request.write(b"")
        request.finish()
        self.assertEqual(Answer(transport.value()).status, 200)

    def test_an_idle_connection_is_closed_only_after_the_reference_clients_pool_let_it_go(self) -> None:
        channel, transport = self.connect()
        channel.dataReceived(GET)
        self.clock.advance(179)
        self.assertFalse(transport.disconnecting)
        self.clock.advance(1)
        self.assertTrue(transport.disconnecting)

    def test_a_client_that_does_not_read_the_last_answer_is_cut_off(self) -> None:
        channel, transport = self.connect()
        channel.dataReceived(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        self.assertTrue(transport.disconnecting)
        aborted: list[bool] = []
        transport.abortConnection = lambda: aborted.append(True)  # type: ignore[method-assign]
        self.clock.advance(60)
        self.assertEqual(aborted, [True])
        self.drop(channel)


class Ends(SiteCase):
    def test_promise_84_idle_connections_close_and_busy_ones_after_their_answer(self) -> None:
        idle, idle_transport = self.connect()
        busy, busy_transport = self.connect()
        idle.dataReceived(GET)
        busy.dataReceived(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
        self.site.close_when_idle()
        self.assertTrue(idle_transport.disconnecting)
        self.assertFalse(busy_transport.disconnecting)
        self.resource.held.pop().finish()
        self.assertTrue(busy_transport.disconnecting)

    def test_each_asker_hears_of_the_end_on_its_own(self) -> None:
        channel, _ = self.connect()
        first, second = self.site.when_empty(), self.site.when_empty()
        first.cancel()
        self.failureResultOf(first)
        self.assertNoResult(second)
        self.drop(channel)
        self.successResultOf(second)
        self.successResultOf(self.site.when_empty())

    def test_a_dropped_client_of_a_held_request_leaves_the_resource_alone(self) -> None:
        channel, _ = self.connect()
        channel.dataReceived(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
        self.drop(channel)
        self.assertEqual(len(self.resource.held), 1)


REQUESTS = read_requests(Path(__file__).parents[1] / "corpora" / "requests.txt")
BODY = b"POST / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = BODY + b"Transfer-Encoding: chunked\r\n\r\n"


class Smuggling(SiteCase):
    def check(self, case: RawRequest, size: int) -> None:
        channel, transport = self.connect()
        for start in range(0, len(case.raw), size):
            channel.dataReceived(case.raw[start : start + size])
        channel.dataReceived(GET)
        answer = Answer(transport.value())
        self.assertEqual(answer.status, case.status, case.name)
        self.assertEqual(answer.headers["connection"], "close", case.name)
        self.assertEqual(list(json.loads(answer.body)), ["message"], case.name)
        self.assertEqual((answer.rest, transport.disconnecting), (b"", True), case.name)
        self.drop(channel)

    def test_promise_57_what_two_parsers_could_read_differently_is_a_400_and_the_end(self) -> None:
        self.assertGreaterEqual(len([case for case in REQUESTS if case.status == 400]), 60)
        for case in REQUESTS:
            for size in (len(case.raw), 7):
                self.check(case, size)
        self.assertEqual(self.resource.seen, [])

    def test_promise_57_bare_line_feeds_are_refused_at_once(self) -> None:
        for raw in (b"GET / HTTP/1.1\nHost: x\n\n", b"GET / HTTP/1.1\r\nHost: x\n\n", b"\n"):
            self.assertEqual(self.ask(raw).status, 400, raw)

    def test_promise_57_no_ordinary_request_is_taken_for_an_attack(self) -> None:
        for raw in (
            b"GET / HTTP/1.1\r\nHost:x\r\n\r\n",
            b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
            BODY + b"Content-Length: 0\r\n\r\n",
            CHUNKED + b'0003;x="y"\r\nabc\r\n0;z\r\nX: y\r\n\r\n',
            BODY + b"Content-Length: 1 \r\n\r\nx",
            BODY + b"X: \xe9\tb\r\nX:\r\n\r\n",
            BODY + b'Transfer-Encoding: Chunked\r\n\r\n00;x="y"\r\n\r\n',
            CHUNKED + b"A\r\n0123456789\r\n0\r\n\r\n",
            b"M-SEARCH /%C3%A9?a=%00 HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        ):
            self.assertEqual(self.ask(raw).status, 200, raw)

    @given(st.binary(max_size=300), st.integers(1, 50))
    def test_promise_59_no_bytes_crash_the_channel(self, raw: bytes, size: int) -> None:
        channel, _ = self.connect()
        for start in range(0, len(raw), size):
            channel.dataReceived(raw[start : start + size])
        self.drop(channel)
        self.assertEqual(self.site.channels, set())
