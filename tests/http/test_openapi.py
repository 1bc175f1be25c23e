"""The description of the interface: whole, true, and the same as the copy in the tree."""

import ast
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from twisted.trial.unittest import SynchronousTestCase

from txcrush.http import routing
from txcrush.http.describing import missing_in
from txcrush.http.routing import routes_of
from txcrush.model.events import EventKind
from txcrush.testing.answer import Answer, parse_value
from txcrush.testing.api_document import COMMAND, api_document
from txcrush.testing.asking_tool import AskingTool
from txcrush.testing.http_harness import HttpHarness
from txcrush.testing.scripted_provider import Call
from txcrush.wire.events_schema import PAYLOADS
from txcrush.wire.openapi import templated
from txcrush.wire.sse import SseParser

from . import test_route_walk as walk

ROOT = Path(__file__).parents[2]
COPY = ROOT / "docs" / "openapi.json"
MODULES = sorted(Path(routing.__file__).parent.glob("*.py"))
METHODS = ("get", "post", "put", "delete")
TOKEN = "t" * 43
NOT_YET = {EventKind.MCP_EVENT, EventKind.LSP_EVENT, EventKind.SKILLS_EVENT}
"""Kinds of the protocol that this version does not publish."""


@cache
def described() -> dict[str, Any]:
    found: dict[str, Any] = HttpHarness().client.get("/v1/openapi.json").value
    return found


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [(method, path, of) for path, methods in described()["paths"].items() for method, of in methods.items()]


def operation(method: str, path: str) -> dict[str, Any]:
    """The operation that answers a request for this very path."""
    wanted = path.partition("?")[0].split("/")
    for known, methods in described()["paths"].items():
        segments = known.split("/")
        fits = len(segments) == len(wanted) and all(
            mine.startswith("{") or mine == theirs for mine, theirs in zip(segments, wanted, strict=True)
        )
        if fits and method.lower() in methods:
            found: dict[str, Any] = methods[method.lower()]
            return found
    raise AssertionError(f"{method} {path} is not described")


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    for name in node.get("$ref", "#").split("/")[1:]:
        node = (described() if name == "components" else node)[name]
    return node


def complaints(schema: dict[str, Any], value: object) -> list[str]:
    whole = {**schema, "components": described()["components"]}
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(whole).iter_errors(value)]


def wrong_with(method: str, path: str, answer: Answer) -> list[str]:
    """What an answer has that its description does not, one line each."""
    responses = operation(method, path)["responses"]
    if str(answer.status) not in responses:
        return [f"{method} {path}: status {answer.status} is not described"]
    response = resolved(responses[str(answer.status)])
    content = response.get("content")
    kind = answer.headers.get("content-type")
    if path == "/v1/health" and not answer.body:
        return []  # as long as nothing is wrong
    if content is None or kind not in content:
        return [] if content is None and kind is None else [f"{method} {path}: {kind} and not {content}"]
    if kind != "application/json":
        return []
    return [f"{method} {path}: {text}" for text in complaints(content[kind]["schema"], answer.value)]


class Whole(SynchronousTestCase):
    def test_every_route_says_what_it_does_and_what_it_answers(self) -> None:
        missing = list(missing_in(HttpHarness().families))
        self.assertEqual(missing, [], "\n" + "\n".join(missing))

    def test_what_is_missing_is_named(self) -> None:
        class Odd:
            @routing.route("GET", "/v1/odd/<odd_id>")
            def silent(self, call: routing.Call) -> routing.Reply:
                return routing.OK

        summary, answer, parameter = missing_in([Odd()])
        self.assertEqual(summary, "GET /v1/odd/<odd_id> has no summary: write a docstring for Odd.silent")
        self.assertIn("GET /v1/odd/<odd_id> has no answer type: add answers=", answer)
        self.assertIn("has a path parameter 'odd_id' that PathParameters", parameter)

    def test_every_route_of_the_server_is_described_and_no_other(self) -> None:
        specs = [spec for family in HttpHarness().families for spec, _ in routes_of(family)]
        served = {(spec.method.lower(), templated(spec.path)) for spec in specs if not spec.hidden}
        self.assertEqual({(method, path) for method, path, _ in operations()}, served)
        hidden = {spec.path for spec in specs if spec.hidden}
        self.assertEqual({path.split("/")[1] for path in hidden if not path.startswith("/v1/docs")}, {"ui"})

    def test_it_is_valid_openapi(self) -> None:
        self.assertEqual([str(error) for error in OpenAPIV31SpecValidator(described()).iter_errors()], [])

    def test_every_operation_has_a_name_of_its_own_a_summary_and_a_family(self) -> None:
        names = [of["operationId"] for _, _, of in operations()]
        self.assertEqual(len(names), len(set(names)))
        families = {tag["name"] for tag in described()["tags"]}
        for method, path, of in operations():
            with self.subTest(f"{method} {path}"):
                self.assertRegex(of["summary"], r"^[A-Z].{5,90}[^.]$")
                self.assertLessEqual(set(of["tags"]), families)

    def test_no_text_speaks_of_papers_that_readers_do_not_have(self) -> None:
        for name in ("contract.md", "protocol.md", "agent.md", "tools.md", "R-ACC"):
            self.assertNotIn(name, api_document())

    def test_every_operation_has_a_success_and_the_errors_of_its_kind(self) -> None:
        for method, path, of in operations():
            with self.subTest(f"{method} {path}"):
                statuses = set(of["responses"])
                self.assertTrue(statuses & {"200", "202"})
                self.assertLessEqual({"400", "401", "403", "421", "500"}, statuses)
                self.assertEqual("requestBody" in of, "413" in statuses)
                self.assertTrue("404" in statuses or "{workspace_id}" not in path)

    def test_every_error_has_the_one_shape(self) -> None:
        for _, path, of in operations():
            for status, response in of["responses"].items():
                if status >= "400":
                    schema = resolved(response)["content"]["application/json"]["schema"]
                    self.assertEqual(schema, {"$ref": "#/components/schemas/Error"}, path)

    def test_every_kind_of_event_has_the_type_of_its_payload(self) -> None:
        self.assertEqual(set(EventKind) - set(PAYLOADS), NOT_YET)
        stream = operation("GET", "/v1/workspaces/w/events")["responses"]["200"]["content"]["text/event-stream"]
        kinds = [one["properties"]["type"]["const"] for one in resolved(stream["x-events"])["oneOf"]]
        self.assertEqual(kinds, [kind.value for kind in PAYLOADS])

    def test_what_a_route_reads_beside_its_body_is_described(self) -> None:
        in_query, in_header = _names_read("query"), _names_read("header")
        said = [parameter for _, _, of in operations() for parameter in of.get("parameters", ())]
        self.assertEqual({one["name"] for one in said if one["in"] == "query"}, in_query | {"rich", "deltas"})
        self.assertLessEqual({one["name"] for one in said if one["in"] == "header"}, in_header | {"Last-Event-ID"})


def _names_read(how: str) -> set[str]:
    """The literal names that routes ask a `Call` for; `_number` and its like pass theirs on."""
    found = set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            named = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            passed_on = how == "query" and named == "_number"
            if named == how or passed_on:
                argument = node.args[1 if passed_on else 0]
                found |= {argument.value} if isinstance(argument, ast.Constant) else set()
    return found


class Copy(SynchronousTestCase):
    def test_the_copy_in_the_tree_is_that_of_this_version(self) -> None:
        is_same = COPY.read_text() == api_document()
        self.assertTrue(is_same, f"docs/openapi.json is another one. What changed is meant? Then: {COMMAND}")


class Truth(SynchronousTestCase):
    """What the server answers is what the description says."""

    def test_every_route_answers_as_described_on_a_fresh_workspace(self) -> None:
        walker = walk.Walk("test_the_table_is_whole")
        walker.setUp()
        for row in walk.ROWS:
            if row.answer != "stream":
                with self.subTest(row=row.number):
                    walker.fresh()
                    self.assertEqual(wrong_with(row.method, walker.target(row), walker.ask(row)), [])

    def test_every_refusal_is_as_described(self) -> None:
        walker = walk.Walk("test_the_table_is_whole")
        walker.setUp()
        for row in walk.ROWS:
            if row.answer != "stream":
                unknown = walker.target(row, walk.UNKNOWN)
                asked = [walker.ask(row, walk.UNKNOWN), walker.ask(row, Origin="http://evil.example")]
                for body in (b"{", b"{}", b"null") if row.reads else ():
                    asked.append(walker.client.ask(row.method, walker.target(row), raw=body).answer)
                for answer in asked:
                    with self.subTest(row=row.number, status=answer.status):
                        self.assertEqual(wrong_with(row.method, unknown, answer), [])

    def test_a_conversation_is_as_described(self) -> None:
        harness = HttpHarness(tools=lambda bench: [AskingTool(bench.permissions)])
        workspace = harness.join()
        session, root = harness.session(workspace), f"/v1/workspaces/{workspace}"
        stream = harness.client.stream(workspace)
        rich = harness.client.stream(workspace, "22222222-2222-4222-8222-222222222222", "deltas=1")
        harness.provider.add(Call("c1", "touch", '{"path":"/project/a"}'))
        harness.provider.add("done")
        prompt = harness.client.ask("POST", f"{root}/agent", {"session_id": session, "prompt": "hi"})

        self.check(harness, f"{root}/permissions/pending")
        (request,) = harness.client.get(f"{root}/permissions/pending").value
        granted = harness.client.post(f"{root}/permissions/grant", {"permission": request, "action": "allow"})
        self.assertEqual(wrong_with("POST", f"{root}/permissions/grant", granted), [])
        self.assertEqual(wrong_with("POST", f"{root}/agent", prompt.answer), [])
        self.assertEqual(prompt.answer.headers["x-run-state"], "ended")

        run_id = prompt.answer.headers["x-run-id"]
        for path in (
            "",
            "/sessions",
            f"/sessions/{session}/messages",
            f"/sessions/{session}/policy",
            "/messages/user",
            "/permissions/audit",
            "/runs",
            f"/runs/{run_id}",
            "/clients",
            "/config",
            "/agent",
        ):
            self.check(harness, root + path, least=1)
        self.check_events(stream.body, {"session", "message", "permission_request", "run_complete", "agent_event"})
        self.check_events(rich.body, {"message", "permission_notification"})

    def check(self, harness: HttpHarness, path: str, least: int = 0) -> None:
        answer = harness.client.get(path)
        self.assertEqual(wrong_with("GET", path, answer), [])
        self.assertGreaterEqual(len(answer.value), least, path)

    def check_events(self, body: bytes, least: set[str]) -> None:
        events = [parse_value(event.data.decode()) for event in SseParser().feed(body) if event.data]
        self.assertLessEqual(least, {event["type"] for event in events})
        for event in events:
            self.assertEqual(complaints({"$ref": "#/components/schemas/Event"}, event), [], event)


class Tolerant(SynchronousTestCase):
    def test_promise_89_objects_inside_of_bodies_may_hold_more_than_the_server_knows(self) -> None:
        walker, checked = walk.Walk("test_the_table_is_whole"), 0
        walker.setUp()
        for row in walk.ROWS:
            if row.body:
                with self.subTest(row=row.number):
                    walker.fresh()
                    body = _with_more(parse_value(walker.body(row).decode()))
                    answer = walker.client.ask(row.method, walker.target(row), body).answer
                    walker._check(row, answer)
                    checked += 1
        self.assertGreater(checked, 20)

    def test_promise_89_no_schema_forbids_what_it_does_not_name(self) -> None:
        for name, schema in described()["components"]["schemas"].items():
            self.assertNotEqual(schema.get("additionalProperties"), False, name)


def _with_more(value: Any) -> Any:
    """The value with fields of a newer version in every object of it."""
    if isinstance(value, list):
        return [_with_more(inner) for inner in value]
    if isinstance(value, dict):
        return {**{key: _with_more(inner) for key, inner in value.items()}, "of_tomorrow": {"deep": [1, None, "x"]}}
    return value


class Served(SynchronousTestCase):
    def test_promise_64_it_needs_the_token_that_everything_needs(self) -> None:
        client = HttpHarness(kind="tcp", token=TOKEN).client
        self.assertEqual(client.get("/v1/openapi.json").status, 401)
        answer = client.ask("GET", "/v1/openapi.json", Authorization=f"Bearer {TOKEN}").answer
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, "application/json"))
        self.assertEqual(answer.value, described())

    def test_it_is_not_sent_again_to_whom_has_it(self) -> None:
        client = HttpHarness().client
        first = client.get("/v1/openapi.json")
        again = client.ask("GET", "/v1/openapi.json", If_None_Match=first.headers["etag"]).answer
        self.assertEqual((again.status, again.body), (304, b""))
        packed = client.ask("GET", "/v1/openapi.json", Accept_Encoding="gzip").answer
        self.assertLess(len(packed.body) * 5, len(first.body))
