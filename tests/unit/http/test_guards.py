"""Who may ask: decisions on plain values."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcrush.http import guards
from txcrush.http.guards import Authority, Head, Policy, judge
from txcrush.http.limits import FailedLogins, Limits

TOKEN = "t" * 43
UNIX = Policy(kind="unix", own_uid=1000)
OPEN = Policy(kind="tcp", trusted_names=frozenset({"crush.example"}))
TCP = Policy(kind="tcp", token=TOKEN, public_prefixes=("/ui/",))
GOOD = {"hosts": ("localhost:8080",), "authorizations": (f"Bearer {TOKEN}",)}


def status(policy: Policy, **fields: Any) -> int:
    """The status of the refusal, 0 when the request may pass."""
    head = Head(**{"method": "GET", "target": "/v1/health", "version": "HTTP/1.1", **fields})
    refusal = judge(policy, head)
    return 0 if refusal is None else refusal.status


class Hosts(SynchronousTestCase):
    def test_promise_53_our_own_names_pass_whatever_their_port_and_case(self) -> None:
        for host in (
            "localhost",
            "LOCALHOST:8080",
            "localhost.",
            "localhost.:1",
            "127.0.0.1",
            "127.0.0.1:65535",
            "[::1]",
            "[::1]:8080",
            "[0:0:0:0:0:0:0:1]",
            "localhost:",
            "Crush.Example:443",
        ):
            self.assertEqual(status(OPEN, hosts=(host,)), 0, host)

    def test_promise_53_a_foreign_name_is_misdirected(self) -> None:
        for host in (
            "evil.test",
            "evil.test:8080",
            "localhost.evil.test",
            "evil.localhost",
            "127.0.0.1.evil.test",
            "127.0.0.2",
            "127.1",
            "2130706433",
            "0.0.0.0",
            "10.0.0.1:8080",
            "[::]",
            "[::2]",
            "[::ffff:127.0.0.1]",
            "xlocalhost",
            "api.crush.localhost",
        ):
            self.assertEqual(status(OPEN, hosts=(host,)), 421, host)

    def test_promise_53_what_is_no_single_host_is_a_bad_request(self) -> None:
        for hosts in (
            (),
            ("",),
            ("localhost", "localhost"),
            ("localhost", "evil.test"),
            ("localhost, evil.test",),
            ("user@localhost",),
            ("local host",),
            ("localhost:port",),
            ("localhost:99999",),
            ("http://localhost",),
            ("localhost/path",),
            ("[::1",),
            ("::1",),
            ("[::1%lo]",),
            ("a..b",),
            (".",),
            ("a" * 64,),
            ("l\xf6calhost",),
        ):
            self.assertEqual(status(OPEN, hosts=hosts), 400, hosts)

    def test_promise_53_the_address_that_the_client_connected_to_is_ours(self) -> None:
        self.assertEqual(status(OPEN, hosts=("192.0.2.7:80",), local_address="192.0.2.7"), 0)
        self.assertEqual(status(OPEN, hosts=("192.0.2.8:80",), local_address="192.0.2.7"), 421)

    def test_promise_53_of_an_absolute_target_the_authority_counts(self) -> None:
        self.assertEqual(status(OPEN, target="http://localhost/v1/health", hosts=("localhost",)), 0)
        self.assertEqual(status(OPEN, target="http://evil.test/v1/health", hosts=("localhost",)), 421)
        self.assertEqual(status(OPEN, target="HTTP://LOCALHOST/v1", hosts=("evil.test",)), 0)
        self.assertEqual(status(OPEN, target="http://localhost/v1"), 400)

    def test_promise_53_the_same_answer_on_every_path(self) -> None:
        for target in ("/", "/v1/health", "/v1/docs/", "/ui/", "/nowhere", "//v1", "/v1/../x", "/ui/app.js?x=1"):
            self.assertEqual(status(OPEN, target=target, hosts=("evil.test",)), 421, target)

    def test_a_unix_socket_takes_any_single_host_as_the_reference_client_sends_it(self) -> None:
        for host in ("api.crush.localhost", "crush.localhost", "localhost", "whatever.example:80", "[::1]"):
            self.assertEqual(status(UNIX, hosts=(host,)), 0, host)
        for hosts in ((), ("",), ("a", "a"), ("a b",)):
            self.assertEqual(status(UNIX, hosts=hosts), 400, hosts)

    def test_http_1_0_needs_no_host_on_a_unix_socket_only(self) -> None:
        self.assertEqual(status(UNIX, version="HTTP/1.0"), 0)
        self.assertEqual(status(OPEN, version="HTTP/1.0"), 400)


class Origins(SynchronousTestCase):
    def origin(self, *origins: str, host: str = "localhost:8080", policy: Policy = OPEN) -> int:
        return status(policy, hosts=(host,), origins=origins)

    def test_promise_54_absent_and_own_origins_pass(self) -> None:
        self.assertEqual(self.origin(), 0)
        self.assertEqual(self.origin("http://localhost:8080"), 0)
        self.assertEqual(self.origin("http://127.0.0.1:8080"), 0)
        self.assertEqual(self.origin("http://[::1]:8080", host="[::1]:8080"), 0)
        self.assertEqual(self.origin("https://localhost", host="localhost"), 0)
        self.assertEqual(self.origin("https://crush.example"), 0)

    def test_promise_54_foreign_origins_are_refused(self) -> None:
        for origin in (
            "null",
            "",
            "http://evil.test",
            "http://evil.test:8080",
            "http://localhost:9999",
            "http://localhost",
            "http://localhost.evil.test:8080",
            "https://localhost",
            "file://",
            "chrome-extension://abcdef",
            "localhost:8080",
            "http://localhost:8080/",
            "http://user@localhost:8080",
        ):
            self.assertEqual(self.origin(origin), 403, origin)
        self.assertEqual(self.origin("http://localhost:8080", "http://evil.test"), 403)

    def test_promise_54_a_unix_socket_refuses_foreign_origins_too(self) -> None:
        self.assertEqual(self.origin("http://evil.test", host="evil.test", policy=UNIX), 403)
        self.assertEqual(self.origin("null", host="api.crush.localhost", policy=UNIX), 403)
        self.assertEqual(self.origin("http://crush.localhost", host="api.crush.localhost", policy=UNIX), 0)

    def test_promise_54_what_a_foreign_page_loads_without_an_origin_is_refused(self) -> None:
        for site in ("cross-site", "same-site"):
            fields = {"hosts": ("localhost",), "fetch_sites": (site,)}
            self.assertEqual(status(OPEN, **fields, fetch_modes=("no-cors",)), 403)
            self.assertEqual(status(OPEN, **fields, fetch_modes=("navigate",)), 0)
            self.assertEqual(status(OPEN, **fields, fetch_modes=("navigate",), method="POST"), 403)
        for site in ("same-origin", "none"):
            self.assertEqual(status(OPEN, hosts=("localhost",), fetch_sites=(site,)), 0)


class Tokens(SynchronousTestCase):
    def test_promise_52_only_the_right_token_passes(self) -> None:
        for value in (f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER  {TOKEN}"):
            self.assertEqual(status(TCP, hosts=("localhost",), authorizations=(value,)), 0, value)
        for value in ("", "Bearer", "Bearer ", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer \xff", "Bearer x"):
            self.assertEqual(status(TCP, hosts=("localhost",), authorizations=(value,)), 401, value)
        self.assertEqual(status(TCP, hosts=("localhost",)), 401)
        self.assertEqual(status(TCP, hosts=("localhost",), authorizations=(f"Bearer {TOKEN}",) * 2), 401)

    def test_promise_52_a_refusal_names_the_scheme(self) -> None:
        refusal = judge(TCP, Head(method="GET", target="/", version="HTTP/1.1", hosts=("localhost",)))
        assert refusal is not None
        self.assertIn(("WWW-Authenticate", "Bearer"), refusal.headers)

    def test_promise_52_the_pages_own_files_can_be_read_without_a_token(self) -> None:
        for target in ("/ui/", "/ui/app.js", "/ui/app.js?v=1", "http://localhost/ui/"):
            self.assertEqual(status(TCP, hosts=("localhost",), target=target), 0, target)
        for target in ("/ui", "/v1/health", "/ui/../v1/health", "/ui/%2e%2e/v1/health", "/ui//x", "/UI/"):
            self.assertEqual(status(TCP, hosts=("localhost",), target=target), 401, target)
        self.assertEqual(status(TCP, hosts=("localhost",), target="/ui/", method="POST"), 401)

    def test_promise_53_the_host_is_judged_before_the_token(self) -> None:
        self.assertEqual(status(TCP, hosts=("evil.test",)), 421)
        self.assertEqual(status(TCP, hosts=("localhost",), origins=("null",)), 403)

    def test_promise_62_the_address_that_guesses_too_often_has_to_wait(self) -> None:
        now = [100.0]
        logins = FailedLogins(lambda: now[0], allowed=3, window_s=60)
        self.assertEqual([logins.failed("a") for _ in range(5)], [0, 0, 0, 60, 60])
        self.assertEqual(logins.failed("b"), 0)
        now[0] += 59.5
        self.assertEqual(logins.failed("a"), 1)
        now[0] += 0.5
        self.assertEqual(logins.failed("a"), 0)

    def test_promise_62_the_memory_of_guesses_is_bounded(self) -> None:
        logins = FailedLogins(lambda: 0.0, max_addresses=10)
        for number in range(1000):
            logins.failed(str(number))
        self.assertEqual(len(logins._windows), 10)


class Bodies(SynchronousTestCase):
    def test_promise_54_a_body_on_tcp_has_to_be_json(self) -> None:
        for kind in ("application/json", "application/json; charset=utf-8", "Application/JSON ;x=y"):
            for length in (1, None):
                self.assertEqual(status(TCP, **GOOD, content_types=(kind,), body_length=length), 0, kind)
        for kinds in ((), ("text/plain",), ("application/x-www-form-urlencoded",), ("application/jsonp",), ("",)):
            for length in (1, None):
                self.assertEqual(status(TCP, **GOOD, content_types=kinds, body_length=length), 415, kinds)
        two = ("application/json", "text/plain")
        self.assertEqual(status(TCP, **GOOD, content_types=two, body_length=1), 415)
        self.assertEqual(status(TCP, **GOOD, method="POST", body_length=0), 0)

    def test_a_unix_socket_never_looks_at_the_content_type(self) -> None:
        self.assertEqual(status(UNIX, hosts=("localhost",), content_types=("text/plain",), body_length=5), 0)

    def test_promise_56_an_announced_length_over_the_limit_is_too_large(self) -> None:
        limits = Limits(max_body=100)
        policy = Policy(kind="unix", limits=limits)
        self.assertEqual(status(policy, hosts=("localhost",), body_length=100), 0)
        self.assertEqual(status(policy, hosts=("localhost",), body_length=101), 413)

    def test_promise_35_a_body_below_the_minimum_rate_is_too_slow_after_its_grace(self) -> None:
        limits = Limits(body_grace_s=10, min_body_rate=1024)
        self.assertFalse(limits.body_is_too_slow(0, 9.9))
        self.assertTrue(limits.body_is_too_slow(10239, 10))
        self.assertFalse(limits.body_is_too_slow(10240, 10))


class Targets(SynchronousTestCase):
    def test_absolute_targets_are_routed_on_their_path(self) -> None:
        for target, path in (
            ("http://api.crush.localhost/v1/version", "/v1/version"),
            ("http://localhost", "/"),
            ("https://localhost?x=1", "/?x=1"),
            ("http://[::1]:80/a//b?c=http://d/", "/a//b?c=http://d/"),
        ):
            parsed = guards.parse_target("GET", target)
            assert parsed is not None
            self.assertEqual(parsed.path, path)

    def test_promise_57_targets_of_no_known_form_are_bad_requests(self) -> None:
        for method, target in (
            ("GET", "*"),
            ("GET", "v1/health"),
            ("CONNECT", "localhost:80"),
            ("GET", "ftp://localhost/"),
            ("GET", "http:/localhost/"),
            ("GET", "/caf\xe9"),
            ("GET", "/\x7f"),
        ):
            self.assertIsNone(guards.parse_target(method, target), target)

    def test_unclean_paths_have_one_clean_form(self) -> None:
        for path, cleaned in (
            ("/v1//health", "/v1/health"),
            ("//v1/health", "/v1/health"),
            ("//evil.test/x", "/evil.test/x"),
            ("/v1/./health", "/v1/health"),
            ("/v1/x/../health", "/v1/health"),
            ("/v1/x/%2E%2e/health", "/v1/health"),
            ("/v1/x/.%2e/health", "/v1/health"),
            ("/../../..", "/"),
            ("/v1//", "/v1/"),
            ("/v1/.", "/v1"),
            ("//", "/"),
            ("/.//\\evil.test", "/%5Cevil.test"),
        ):
            self.assertFalse(guards.is_clean(path), path)
            self.assertEqual(guards.clean_path(path), cleaned)

    def test_clean_paths_stay(self) -> None:
        for path in ("/", "/v1/health", "/v1/health/", "/a/...", "/a/.b", "/a%2Fb", "/a/b..", "/a/$$x"):
            self.assertTrue(guards.is_clean(path), path)
            self.assertEqual(guards.clean_path(path), path)

    @given(st.text(st.sampled_from("/.%2eE\\ab:?"), max_size=20))
    def test_promise_58_a_cleaned_path_is_clean_and_stays_on_this_server(self, tail: str) -> None:
        cleaned = guards.clean_path("/" + tail)
        self.assertTrue(guards.is_clean(cleaned), cleaned)
        self.assertFalse(cleaned.startswith(("//", "/\\")))


class Fields(SynchronousTestCase):
    def test_promise_57_fields_that_the_parser_lets_pass_are_refused(self) -> None:
        for line, expected in (
            (b"X: a\x01b", 400),
            (b"X: a\x0bb", 400),
            (b"X: \x7f", 400),
            (b"Transfer-Encoding: identity", 400),
            (b"transfer-encoding: gzip, chunked", 400),
            (b"Content-Length: " + b"9" * 5000, 413),
            (b"Content-Length: 010", 400),
        ):
            problem = guards.field_problem(line)
            assert problem is not None
            self.assertEqual(problem.status, expected, line)
        for line in (b"X: a\tb", b"X:", b"Transfer-Encoding: Chunked", b"Content-Length: 0", b"Content-Length: 10"):
            self.assertIsNone(guards.field_problem(line), line)

    @given(st.text())
    def test_promise_59_no_text_breaks_the_authority_parser(self, text: str) -> None:
        parsed = guards.parse_authority(text)
        self.assertTrue(parsed is None or isinstance(parsed, Authority))
