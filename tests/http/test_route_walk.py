"""Every route of the protocol, walked: it is there, it answers in its shape, and it refuses in the one shape."""

import re
from typing import Any, NamedTuple

from twisted.trial.unittest import SynchronousTestCase

from txcrush.http.routing import routes_of
from txcrush.testing.answer import Answer
from txcrush.testing.harness import CLIENT
from txcrush.testing.http_harness import HttpHarness
from txcrush.wire.json import encode

W = "/v1/workspaces/{id}"
A = f"{W}/agent/sessions/{{sid}}"
S = f"{W}/sessions/{{sid}}"
UNKNOWN = "99999999-9999-4999-8999-999999999999"
BY_QUERY = f"?client_id={CLIENT}"
EMPTY = object()
"""200 without a body and without a content type."""
DOCKER = ("docker mcp is not available, please ensure docker is installed and 'docker mcp version' succeeds", 500)


class Row(NamedTuple):
    """A row of `protocol.md` 6.1. `answer` is on a fresh workspace: EMPTY, a type of JSON value, the value itself, or
    (message, status). `reads` says that it decodes a body; `needs_workspace` that an unknown one is 404."""

    number: int
    method: str
    path: str
    answer: Any
    body: dict[str, Any] | None = None
    reads: bool = False
    needs_workspace: bool = True
    query: str = ""


ROWS = [
    Row(1, "GET", "/v1/health", EMPTY, needs_workspace=False),
    Row(2, "GET", "/v1/version", dict, needs_workspace=False),
    Row(3, "GET", "/v1/config", {}, needs_workspace=False),
    Row(4, "POST", "/v1/control", ("server is hosting live workspaces", 409), {"command": "shutdown"}, True, False),
    Row(5, "DELETE", "/v1/clients/22222222-2222-4222-8222-222222222222", EMPTY, needs_workspace=False),
    Row(6, "GET", "/v1/workspaces", list, needs_workspace=False),
    Row(7, "POST", "/v1/workspaces", dict, {"path": "/project", "client_id": CLIENT}, True, False),
    Row(8, "GET", W, dict),
    Row(9, "DELETE", W, EMPTY, needs_workspace=False, query=BY_QUERY),
    Row(10, "POST", f"{W}/current-session", ("client not attached", 409), {}, True, query=BY_QUERY),
    Row(11, "GET", f"{W}/config", dict),
    Row(12, "GET", f"{W}/events", "stream", query=BY_QUERY),
    Row(13, "GET", f"{W}/providers", None),
    Row(14, "GET", f"{W}/sessions", list),
    Row(15, "POST", f"{W}/sessions", dict, {"title": "t"}, True),
    Row(16, "GET", S, dict),
    Row(17, "PUT", S, dict, {"id": "{sid}", "title": "t"}, True),
    Row(18, "DELETE", S, EMPTY),
    Row(19, "GET", f"{S}/history", []),
    Row(20, "GET", f"{S}/messages", []),
    Row(21, "GET", f"{S}/messages/user", []),
    Row(22, "GET", f"{W}/messages/user", []),
    Row(23, "GET", f"{S}/filetracker/files", []),
    Row(24, "POST", f"{W}/filetracker/read", EMPTY, {"session_id": "{sid}", "path": "a"}, True),
    Row(25, "GET", f"{W}/filetracker/lastread", "0001-01-01T00:00:00Z", query="?session_id={sid}&path=b"),
    Row(26, "GET", f"{W}/lsps", {}),
    Row(27, "GET", f"{W}/lsps/gopls/diagnostics", ("LSP client not found", 404)),
    Row(28, "POST", f"{W}/lsps/start", EMPTY, {"path": "a.go"}, True),
    Row(29, "POST", f"{W}/lsps/stop", EMPTY),
    Row(30, "GET", f"{W}/permissions/skip", {"skip": False}),
    Row(31, "POST", f"{W}/permissions/skip", EMPTY, {"skip": True}, True),
    Row(32, "POST", f"{W}/permissions/grant", {"resolved": False}, {"action": "deny"}, True),
    Row(33, "POST", f"{W}/questions/answer", {"resolved": False}, {"responses": []}, True),
    Row(34, "POST", f"{W}/questions/cancel", {"resolved": False}),
    Row(35, "GET", f"{W}/agent", dict),
    Row(36, "POST", f"{W}/agent", (None, 202), {"session_id": "{sid}", "prompt": "hi", "run_id": "R"}, True),
    Row(37, "POST", f"{W}/agent/init", EMPTY, {"interactive": True}, True),
    Row(38, "POST", f"{W}/agent/update", EMPTY),
    Row(39, "GET", A, dict),
    Row(40, "POST", f"{A}/cancel", EMPTY),
    Row(41, "GET", f"{A}/prompts/queued", 0),
    Row(42, "GET", f"{A}/prompts/list", None),
    Row(43, "POST", f"{A}/prompts/clear", EMPTY),
    Row(44, "POST", f"{A}/summarize", EMPTY),
    Row(45, "POST", f"{A}/shell", {"output": "", "exit_code": 0}, {"command": "true"}, True),
    Row(46, "GET", f"{W}/agent/default-small-model", dict, query="?provider_id=scripted"),
    Row(47, "POST", f"{W}/config/set", EMPTY, {"scope": 0, "key": "options.debug", "value": True}, True),
    Row(48, "POST", f"{W}/config/remove", EMPTY, {"scope": 0, "key": "options.debug"}, True),
    Row(49, "POST", f"{W}/config/model", EMPTY,
        {"scope": 1, "model_type": "large", "model": {"model": "large", "provider": "scripted"}}, True),
    Row(50, "POST", f"{W}/config/compact", EMPTY, {"scope": 0, "enabled": True}, True),
    Row(51, "POST", f"{W}/config/provider-key", EMPTY,
        {"scope": 0, "provider_id": "scripted", "kind": "string", "api_key": "sk-x"}, True),
    Row(52, "POST", f"{W}/config/import-copilot", {"token": None, "success": False}),
    Row(53, "POST", f"{W}/config/refresh-oauth", ("provider none not found", 500), {"provider_id": "none"}, True),
    Row(54, "GET", f"{W}/project/needs-init", {"needs_init": False}),
    Row(55, "POST", f"{W}/project/init", EMPTY),
    Row(56, "GET", f"{W}/project/init-prompt", dict),
    Row(57, "GET", f"{W}/skills", []),
    Row(58, "POST", f"{W}/skills/read", ("skill not found: x", 500), {"skill_id": "x"}, True),
    Row(59, "POST", f"{W}/mcp/refresh-tools", EMPTY, {"name": "x"}, True),
    Row(60, "POST", f"{W}/mcp/read-resource", ("mcp 'x' not available", 500), {"name": "x", "uri": "u"}, True),
    Row(61, "GET", f"{W}/mcp/prompts", []),
    Row(62, "POST", f"{W}/mcp/get-prompt", ("mcp 'x' not available", 500), {"client_id": "x", "prompt_id": "p"}, True),
    Row(63, "GET", f"{W}/mcp/states", {}, needs_workspace=False),
    Row(64, "GET", f"{W}/mcp/pending-auth", []),
    Row(65, "GET", f"{W}/mcp/auth-url", {}, needs_workspace=False, query="?name=x"),
    Row(66, "POST", f"{W}/mcp/auth", ("mcp 'x' not found in configuration", 500), {"name": "x"}, True),
    Row(67, "POST", f"{W}/mcp/refresh-prompts", EMPTY, {"name": "x"}, True, False),
    Row(68, "POST", f"{W}/mcp/refresh-resources", EMPTY, {"name": "x"}, True, False),
    Row(69, "POST", f"{W}/mcp/docker/enable", DOCKER),
    Row(70, "POST", f"{W}/mcp/docker/disable", EMPTY),
]  # fmt: skip

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


class Walk(SynchronousTestCase):
    """A fresh workspace for every row that may change it."""

    def setUp(self) -> None:
        self.harness = HttpHarness()
        self.harness.processes.story = lambda child: child.exit()
        self.client = self.harness.client
        self.opened = 0
        self.fresh()

    def fresh(self) -> None:
        self.opened += 1
        self.harness.provider.add("ok")
        self.workspace = self.harness.join(f"/project/{self.opened}")
        self.session = self.harness.session(self.workspace)

    def filled(self, text: str, workspace: str = "") -> str:
        return text.replace("{id}", workspace or self.workspace).replace("{sid}", self.session)

    def target(self, row: Row, workspace: str = "") -> str:
        return self.filled(row.path + row.query, workspace)

    def body(self, row: Row) -> bytes:
        return b"" if row.body is None else self.filled(encode(row.body).decode()).encode()

    def ask(self, row: Row, workspace: str = "", **headers: str | None) -> Answer:
        asked = self.client.ask(row.method, self.target(row, workspace), raw=self.body(row), **headers)
        return asked.answer

    # The table itself

    def test_the_table_is_whole(self) -> None:
        self.assertEqual([row.number for row in ROWS], list(range(1, 71)))

    def test_the_routes_that_there_are_are_those_of_the_table_and_ours(self) -> None:
        families = self.harness.families
        names = {
            "workspace_id": "{id}",
            "session_id": "{sid}",
            "client_id": ROWS[4].path[-36:],
            "name": "gopls",
            "path:run_id": "{rid}",
        }
        served = set()
        for family in families:
            for spec, _ in routes_of(family):
                path = spec.path
                for name, value in names.items():
                    path = path.replace(f"<{name}>", value)
                served.add((spec.method, path))
        theirs = {(row.method, row.path) for row in ROWS}
        ours = {
            ("GET", f"{W}/permissions/pending"),
            ("GET", f"{W}/questions/pending"),
            ("GET", f"{W}/runs"),
            ("GET", f"{W}/runs/{{rid}}"),
            ("POST", f"{W}/runs/{{rid}}/cancel"),
            ("GET", f"{W}/clients"),
        }
        self.assertEqual(theirs - served, set())
        self.assertLessEqual(ours, served)

    # Each row

    def test_every_route_answers_in_its_shape_on_a_fresh_workspace(self) -> None:
        for row in ROWS:
            with self.subTest(row=row.number):
                self.fresh()
                self._check(row, self.ask(row))

    def _check(self, row: Row, answer: Answer) -> None:
        if isinstance(row.answer, tuple):
            text, status = row.answer
            self.assertEqual(answer.status, status, answer)
            if text is not None:
                self.assertIn(text, answer.message)
            return
        self.assertEqual(answer.status, 200, answer)
        if row.answer is EMPTY:
            self.assertEqual((answer.body, answer.headers["content-length"]), (b"", "0"))
            self.assertNotIn("content-type", answer.headers)
        elif row.answer == "stream":
            self.assertEqual(answer.headers["content-type"], "text/event-stream")
        else:
            self._check_value(row, answer)

    def _check_value(self, row: Row, answer: Answer) -> None:
        self.assertEqual(answer.headers["content-type"], "application/json")
        self.assertEqual(answer.headers["content-length"], str(len(answer.body)))
        self.assertTrue(answer.body.endswith(b"\n") and answer.body.count(b"\n") == 1)
        if isinstance(row.answer, type):
            self.assertIsInstance(answer.value, row.answer)
        else:
            self.assertEqual(answer.value, row.answer)

    def test_an_unknown_workspace_is_404_but_where_nobody_looks_at_it(self) -> None:
        for row in ROWS:
            with self.subTest(row=row.number):
                answer = self.ask(row, UNKNOWN)
                if row.needs_workspace:
                    self.assertEqual((answer.status, answer.message), (404, "workspace not found"))
                elif W in row.path:
                    self._check(row, answer)

    def test_a_bad_body_is_400_before_anything_else_is_looked_at(self) -> None:
        for row in ROWS:
            for raw in (b"{", b"[]", b"7", b'"x"', b"\xff", b"nul", b'{"a":') if row.reads else ():
                with self.subTest(row=row.number, raw=raw):
                    answer = self.client.ask(row.method, self.target(row, UNKNOWN), raw=raw).answer
                    self.assertEqual((answer.status, answer.message), (400, "failed to decode request"))

    def test_an_empty_body_is_a_bad_one_but_for_the_agents_init(self) -> None:
        for row in ROWS:
            if row.reads:
                with self.subTest(row=row.number):
                    answer = self.client.ask(row.method, self.target(row)).answer
                    expected = 200 if row.path.endswith("agent/init") else 400
                    self.assertEqual(answer.status, expected)

    def test_a_body_of_null_is_the_empty_object(self) -> None:
        for row in ROWS:
            if row.reads:
                with self.subTest(row=row.number):
                    self.fresh()
                    of_null = self.client.ask(row.method, self.target(row), raw=b"null").answer
                    self.fresh()
                    of_nothing = self.client.ask(row.method, self.target(row), raw=b"{}").answer
                    self.assertEqual(
                        (of_null.status, _without_ids(of_null)), (of_nothing.status, _without_ids(of_nothing))
                    )
                    self.assertNotIn(b"decode request", of_null.body)

    def test_a_body_that_no_route_reads_is_ignored(self) -> None:
        for row in ROWS:
            if not row.reads:
                with self.subTest(row=row.number):
                    self.fresh()
                    self._check(row, self.client.ask(row.method, self.target(row), raw=b"{").answer)

    def test_promise_59_hostile_json_is_400_and_breaks_nothing(self) -> None:
        for row in ROWS:
            for raw in HOSTILE if row.reads else ():
                with self.subTest(row=row.number, raw=raw[:30]):
                    answer = self.client.ask(row.method, self.target(row, UNKNOWN), raw=raw).answer
                    self.assertEqual((answer.status, answer.message), (400, "failed to decode request"))
        self.assertEqual(self.client.get("/v1/health").status, 200)

    def test_every_field_of_a_wrong_type_is_400_and_null_is_absent(self) -> None:
        for row, field, wrong in _wrong_fields():
            with self.subTest(row=row.number, field=field):
                body = {**(row.body or {}), field: wrong}
                answer = self.client.ask(row.method, self.target(row, UNKNOWN), body).answer
                self.assertEqual((answer.status, answer.message), (400, "failed to decode request"))
                answer = self.client.ask(row.method, self.target(row, UNKNOWN), {**body, field: None}).answer
                self.assertNotIn(b"decode request", answer.body)

    def test_keys_match_in_any_case(self) -> None:
        for row in ROWS:
            if row.body:
                with self.subTest(row=row.number):
                    self.fresh()
                    raw = self.body(row)
                    for name in row.body:
                        raw = raw.replace(f'"{name}":'.encode(), f'"{name.upper()}":'.encode())
                    self._check(row, self.client.ask(row.method, self.target(row), raw=raw).answer)

    def test_promise_89_fields_headers_and_parameters_of_newer_clients_change_nothing(self) -> None:
        newer = {"from_the_future": {"a": [1, None, "x"]}, "zz": "x", "": 1, "client_version": 99}
        for row in ROWS:
            with self.subTest(row=row.number):
                self.fresh()
                path = self.target(row)
                path += ("&" if "?" in path else "?") + "from_the_future=1&zz"
                raw = b"" if row.body is None else self.filled(encode({**newer, **row.body}).decode()).encode()
                headers = {"X_From_The_Future": "1", "Accept": "application/vnd.newer+json, */*", "Priority": "u=1"}
                self._check(row, self.client.ask(row.method, path, raw=raw, **headers).answer)

    # Methods and paths

    def test_another_method_is_405_with_the_sorted_list_of_those_there_are(self) -> None:
        known: dict[str, set[str]] = {}
        for row in ROWS:
            known.setdefault(row.path, set()).update({row.method, "HEAD"} if row.method == "GET" else {row.method})
        for path, allowed in known.items():
            for method in sorted(set(METHODS) - allowed):
                with self.subTest(method=method, path=path):
                    answer = self.client.ask(method, self.filled(path)).answer
                    self.assertEqual(answer.status, 405)
                    self.assertEqual(answer.headers["allow"], ", ".join(sorted(allowed)))
                    self.assertEqual(answer.body, b"Method Not Allowed\n" if method != "HEAD" else b"")
                    self.assertEqual(answer.headers["x-content-type-options"], "nosniff")

    def test_head_is_get_without_its_body(self) -> None:
        for row in ROWS:
            if row.method == "GET":
                with self.subTest(row=row.number):
                    got, head = self.ask(row), self.client.ask("HEAD", self.target(row))
                    self.assertEqual(head.answer.status, got.status)
                    self.assertEqual(_steady(head.answer.headers), _steady(got.headers))
                    self.assertEqual(head.raw.partition(b"\r\n\r\n")[2], b"")
                    self.assertTrue(head.closed or row.answer != "stream")

    def test_a_trailing_slash_is_another_path_that_there_is_not(self) -> None:
        for row in ROWS:
            with self.subTest(row=row.number):
                answer = self.client.ask(row.method, self.filled(row.path) + "/").answer
                self.assertEqual((answer.status, answer.body), (404, b"404 page not found\n"))
                self.assertEqual(answer.headers["content-type"], "text/plain; charset=utf-8")

    def test_an_unclean_path_is_sent_to_its_clean_form(self) -> None:
        for row in ROWS:
            path, query = self.filled(row.path), self.filled(row.query)
            for unclean in (path.replace("/v1/", "/v1//", 1), path.replace("/v1/", "/v1/./", 1), f"/x/..{path}"):
                with self.subTest(row=row.number, path=unclean):
                    answer = self.client.ask(row.method, unclean + query).answer
                    self.assertEqual((answer.status, answer.headers["location"]), (307, path + query))
                    self.assertIn("date", answer.headers)

    def test_a_path_that_is_no_text_is_400_in_the_one_shape(self) -> None:
        answer = self.client.get("/v1/workspaces/%ff")
        self.assertEqual((answer.status, answer.message), (400, "bad request"))


OTHER_PATHS = (
    "/",
    "/nowhere",
    "/v1",
    "/v1/",
    "/v1/nothing",
    "/v1/docs/",
    "/v1/docs/swagger-ui.css",
    "/v1/openapi.json",
    "/metrics",
    "/ui",
    "/ui/",
    "/ui/app.js",
    "/ui/../v1/health",
    "/ui/%2e%2e/v1/health",
    "//v1/health",
    "/favicon.ico",
    "/.well-known/x",
    "/%ff",
    "/v1/health?x=/ui/",
)
WRONG_HOSTS = (
    "evil.test",
    "evil.test:8080",
    "evil.test.",
    "localhost.evil.test",
    "localhost.evil",
    "evil.localhost",
    "api.crush.localhost",
    "127.0.0.1.evil.test",
    "127.0.0.2",
    "127.1",
    "2130706433",
    "0x7f.0.0.1",
    "0.0.0.0",
    "10.0.0.1",
    "10.0.0.1:8080",
    "[::]",
    "[::2]:8080",
    "[::ffff:127.0.0.1]",
    "[2001:db8::1]",
)


class Guarded(SynchronousTestCase):
    """The same walk on TCP: nobody gets past the guards on any path."""

    def setUp(self) -> None:
        self.harness = HttpHarness(kind="tcp", token="t" * 43)
        self.client = self.harness.client

    def walk(self, status: int, **headers: str | None) -> None:
        good: dict[str, str | None] = {"Authorization": f"Bearer {'t' * 43}"}
        for row in [*ROWS, *self.others()]:
            with self.subTest(row=row.path, headers=headers):
                path = (row.path + row.query).replace("{id}", UNKNOWN).replace("{sid}", "s")
                asked = self.client.ask(row.method, path, row.body or {}, **(good | headers))
                self.assertEqual(asked.answer.status, status)
                self.assertTrue(asked.answer.message if row.method != "HEAD" else asked.answer.body == b"")
                self.assertTrue(asked.closed)
                asked.drop()
        self.assertEqual(self.harness.workspaces.list(), [])

    def others(self) -> list[Row]:
        """Every route that there is beside the protocol's, and paths of none: files, pages, unclean ones."""
        families = self.harness.families
        served = {(spec.method, spec.path) for family in families for spec, _ in routes_of(family)}
        known = [Row(0, method, re.sub("<[^>]*>", UNKNOWN, path), None) for method, path in sorted(served)]
        return known + [Row(0, method, path, None) for path in OTHER_PATHS for method in METHODS]

    def test_promise_53_a_wrong_host_is_misdirected_on_every_path(self) -> None:
        for host in WRONG_HOSTS:
            self.walk(421, Host=host)

    def test_promise_53_no_host_or_two_are_400_on_every_path(self) -> None:
        for host in ("", None, "localhost\r\nHost: localhost", "localhost\r\nHost: evil.test", "a@localhost", "a b"):
            self.walk(400, Host=host)

    def test_promise_54_a_foreign_origin_is_403_on_every_path(self) -> None:
        for origin in ("http://evil.test", "null", "http://localhost.evil.test", "http://localhost:9999", "file://"):
            self.walk(403, Origin=origin)

    def test_promise_54_a_body_that_does_not_say_it_is_json_is_415_on_every_path(self) -> None:
        self.walk(415, Content_Type="text/plain")

    def test_promise_52_without_the_token_every_path_is_401(self) -> None:
        for value in (None, "Bearer wrong", "Basic dDp0"):
            self.harness = HttpHarness(kind="tcp", token="t" * 43)
            self.client = self.harness.client
            self.walk_unauthorized(value)

    def walk_unauthorized(self, value: str | None) -> None:
        for number, row in enumerate(ROWS):
            path = (row.path + row.query).replace("{id}", UNKNOWN).replace("{sid}", "s")
            answer = self.client.ask(row.method, path, Authorization=value).answer
            guessed = value == "Bearer wrong" and number >= 10
            self.assertEqual(answer.status, 429 if guessed else 401, (row, value))
            self.assertTrue(answer.message)
            if not guessed:
                self.assertEqual(answer.headers["www-authenticate"], "Bearer")


HOSTILE = (
    b'{"x":' + b"[" * 100_000,
    b'{"x":' + b"[" * 100 + b"]" * 100 + b"}",
    b'{"' + b"k" * 100_000 + b'":',
    b'{"' + b"k" * 1024 * 1024 + b'":NaN}',
    b'{"x":NaN}',
    b'{"x":-Infinity}',
    b'{"x":9223372036854775808}',
    b'{"x":1e999}',
    b'{"x":"\\ud800"}',
    b'{"x":"\xff"}',
    b'{"x":"\n"}',
    b'{"x":01}',
    b"{'x':1}",
)
"""No route knows a field `x`: what is wrong is wrong wherever it stands."""


def _wrong_fields() -> list[tuple[Row, str, object]]:
    """Each known field of each body, with a value of another type."""
    found: list[tuple[Row, str, object]] = []
    for row in ROWS:
        for name, value in (row.body or {}).items():
            wrong: object = 7 if isinstance(value, str | dict) else "seven"
            if name not in ("value", "api_key"):
                found.append((row, name, wrong))
    return found


def _steady(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name != "date"}


def _without_ids(answer: Answer) -> bytes:
    return re.sub(rb'"id":"[^"]*"', b"", answer.body)
