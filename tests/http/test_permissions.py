"""Permissions, policies and the audit trail over HTTP, in memory."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.workbench import Workbench
from txcrush.testing.answer import Answer
from txcrush.testing.asking_tool import AskingTool
from txcrush.testing.harness import CLIENT
from txcrush.testing.http_harness import HttpHarness
from txcrush.testing.scripted_provider import Call

OTHER = "22222222-2222-4222-8222-222222222222"
NO_SESSION = "00000000-0000-4000-8000-000000000000"


class DeskRoutes(SynchronousTestCase):
    def setUp(self) -> None:
        self.harness = HttpHarness(tools=self._tools)
        self.workspace_id = self.harness.join()
        self.root = f"/v1/workspaces/{self.workspace_id}"
        self.session = self.harness.session(self.workspace_id)

    def _tools(self, bench: Workbench) -> list[AskingTool]:
        self.tool = AskingTool(bench.permissions)
        return [self.tool]

    def get(self, path: str) -> Answer:
        return self.harness.client.get(f"{self.root}/{path}")

    def post(self, path: str, body: Any) -> Answer:
        return self.harness.client.post(f"{self.root}/{path}", body)

    def run_tool(self, session: str = "", arguments: str = '{"path":"/project/a"}', call: str = "c1") -> None:
        """A prompt whose turn calls the tool that asks."""
        self.harness.provider.add(Call(call, "touch", arguments))
        self.harness.provider.add("done")
        self.harness.client.ask("POST", f"{self.root}/agent", {"session_id": session or self.session, "prompt": "hi"})

    def pending(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("permissions/pending").value
        return found

    def grant(self, request: dict[str, Any], action: str = "allow", client: str = "") -> Answer:
        query = f"?client_id={client}" if client else ""
        return self.post(f"permissions/grant{query}", {"permission": request, "action": action})

    def audit(self, query: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(f"permissions/audit{query}").value
        return found


class Skipping(DeskRoutes):
    def test_skipping_is_the_creators_wish_until_somebody_changes_it(self) -> None:
        self.assertEqual(self.get("permissions/skip").body, b'{"skip":false}\n')
        self.assertEqual(self.post("permissions/skip", {"SKIP": True}).status, 200)
        self.assertEqual(self.get("permissions/skip").value, {"skip": True})
        self.assertTrue(self.harness.client.get(self.root).value["yolo"])
        self.assertEqual(self.post("permissions/skip", {}).body, b"")
        self.assertEqual(self.get("permissions/skip").value, {"skip": False})

    def test_promise_49_the_switch_is_told_and_audited(self) -> None:
        stream = self.harness.client.stream(self.workspace_id)
        self.post(f"permissions/skip?client_id={OTHER}", {"skip": True})
        self.assertEqual(stream.of("config_changed"), [{"workspace_id": self.workspace_id, "skip": True}])
        (entry,) = self.audit()
        self.assertEqual((entry["kind"], entry["subject"], entry["client_id"]), ("policy", {"skip": True}, OTHER))


class Granting(DeskRoutes):
    def test_promise_38_what_is_pending_is_listed_and_sent_to_every_new_stream_first(self) -> None:
        early = self.harness.client.stream(self.workspace_id)
        self.run_tool()
        (request,) = self.pending()
        self.assertEqual(early.of("permission_request"), [request])
        for client in (CLIENT, OTHER):
            late = self.harness.client.stream(self.workspace_id, client)
            self.assertEqual([(event.kind, event.payload) for event in late.events], [("permission_request", request)])
        self.grant(request)
        self.assertEqual((late.of("permission_request"), self.pending()), ([request], []))
        newest = self.harness.client.stream(self.workspace_id)
        self.assertEqual(newest.events, [])

    def test_a_stream_that_opens_before_the_request_is_durable_gets_it_once(self) -> None:
        store = self.harness.stores["/project/.crush"]
        workspace = self.harness.workspaces.list()[0]
        self.run_tool()
        (request,) = self.pending()
        self.grant(request, "deny")
        second = self.harness.session(self.workspace_id)
        self.harness.provider._steps.clear()
        store.hold()
        self.run_tool(second, call="c2")
        while not workspace.permissions._pending:
            store.release(1)
        stream = self.harness.client.stream(self.workspace_id)
        self.assertEqual(stream.of("permission_request"), [])
        store.release()
        self.assertEqual(stream.of("permission_request"), self.pending())

    def test_t_perm_05_r_perm_10_across_clients_the_first_answer_wins(self) -> None:
        self.run_tool()
        other = self.harness.client.stream(self.workspace_id, OTHER)
        (request,) = self.pending()
        first = self.grant(request, client=CLIENT)
        self.assertEqual((first.status, first.body), (200, b'{"resolved":true}\n'))
        told = [one for one in other.of("permission_notification") if one["granted"] or one["denied"]]
        self.assertEqual(told, [{"tool_call_id": "c1", "granted": True, "denied": False}])
        second = self.grant(request, "deny", OTHER)
        self.assertEqual((second.status, second.body), (200, b'{"resolved":false}\n'))
        self.assertEqual(self.tool.done, ["c1"])

    def test_promise_39_the_loser_is_told_the_outcome(self) -> None:
        self.run_tool()
        (request,) = self.pending()
        self.assertNotIn("x-outcome", self.grant(request, "deny").headers)
        self.assertEqual(self.grant(request, "allow_session").headers["x-outcome"], "denied")
        unknown = self.grant({**request, "id": "x"})
        self.assertEqual((unknown.value, "x-outcome" in unknown.headers), ({"resolved": False}, False))

    def test_promise_41_fields_that_a_client_changes_have_no_effect(self) -> None:
        self.run_tool()
        (request,) = self.pending()
        forged = {
            "id": request["id"],
            "session_id": NO_SESSION,
            "tool_call_id": "c9",
            "tool_name": "bash",
            "description": "",
            "action": "anything",
            "params": {"command": "true"},
            "path": "/",
        }
        stream = self.harness.client.stream(self.workspace_id)
        self.assertEqual(self.grant(forged, "allow_session").value, {"resolved": True})
        self.assertEqual([one["tool_call_id"] for one in stream.of("permission_notification")], ["c1"])
        self.run_tool(call="c2")
        self.assertEqual((self.pending(), self.tool.done), ([], ["c1", "c2"]))
        self.run_tool(call="c3", arguments='{"path":"/"}')
        self.assertEqual(len(self.pending()), 1)

    def test_r_perm_16_a_grant_of_what_is_not_pending_resolves_nothing(self) -> None:
        for permission in (
            {"id": "x", "tool_name": "bash", "params": {"command": "true"}},
            {"id": "x", "tool_name": "bash", "params": None},
            {"id": "x", "tool_name": "mcp_a_b", "params": "{}"},
        ):
            for action in ("allow", "allow_session", "deny"):
                answer = self.grant(permission, action)
                self.assertEqual((answer.status, answer.value), (200, {"resolved": False}))

    def test_r_perm_16_a_grant_without_an_action_is_400(self) -> None:
        for body in ({}, {"action": ""}, {"action": "ALLOW"}, {"action": "maybe"}):
            answer = self.post("permissions/grant", body)
            self.assertEqual((answer.status, answer.message), (400, "invalid permission action"))

    def test_promise_41_a_request_that_is_sent_back_must_have_its_shape(self) -> None:
        for permission in (
            {"id": "x", "tool_name": "bash"},
            {"id": "x", "tool_name": "bash", "params": [1]},
            {"id": "x", "tool_name": "bash", "params": "{}"},
            {"id": "x", "tool_name": "mcp_a_b", "params": 7},
            {"id": 7, "params": {}},
        ):
            answer = self.grant(permission)
            self.assertEqual((answer.status, answer.message), (400, "failed to decode request"))

    def test_t_perm_07_the_params_are_the_tools_own_shape(self) -> None:
        self.run_tool()
        (request,) = self.pending()
        self.assertEqual(
            list(request),
            ["id", "session_id", "tool_call_id", "tool_name", "description", "action", "params", "path"],
        )
        self.assertEqual((request["params"], request["path"]), ({"path": "/project/a"}, "/project/a"))


class Auditing(DeskRoutes):
    def test_who_answered_what_and_when(self) -> None:
        self.run_tool()
        (request,) = self.pending()
        self.harness.clock.advance(3)
        self.grant(request, "allow_session", OTHER)
        (entry,) = self.audit()
        self.assertEqual(
            list(entry),
            [
                "id",
                "kind",
                "session_id",
                "tool_call_id",
                "subject",
                "asked_at",
                "outcome",
                "by",
                "client_id",
                "via",
                "settled_at",
            ],
        )
        self.assertEqual((entry["id"], entry["outcome"], entry["by"]), (request["id"], "granted_for_session", "client"))
        self.assertEqual((entry["client_id"], entry["via"]), (OTHER, "unix"))
        self.assertEqual(entry["settled_at"] - entry["asked_at"], 3)
        self.assertEqual(entry["subject"]["params"], {"path": "/project/a"})

    def test_a_client_that_does_not_say_who_it_is_is_nobody(self) -> None:
        self.run_tool()
        self.grant(self.pending()[0])
        self.assertEqual((self.audit()[0]["client_id"], self.audit()[0]["by"]), ("", "client"))
        odd = self.post("permissions/grant?client_id=me", {"permission": {"id": "x", "params": None}, "action": "deny"})
        self.assertEqual((odd.status, odd.message), (400, "client_id is not a valid UUID"))

    def test_pages_are_of_a_session_and_of_a_length(self) -> None:
        other = self.harness.session(self.workspace_id)
        for number, session in enumerate((self.session, other, self.session)):
            self.run_tool(session, call=f"c{number}")
            self.grant(self.pending()[0])
        self.assertEqual([one["tool_call_id"] for one in self.audit()], ["c2", "c1", "c0"])
        self.assertEqual([one["tool_call_id"] for one in self.audit(f"?session_id={self.session}")], ["c2", "c0"])
        (newest,) = self.audit("?limit=1")
        self.assertEqual([one["tool_call_id"] for one in self.audit(f"?before={newest['id']}&limit=1")], ["c1"])
        for limit in ("0", "-1", "x", "1001", "9" * 10):
            self.assertEqual(self.get(f"permissions/audit?limit={limit}").status, 400)


class Policies(DeskRoutes):
    def policy(self, body: Any, session: str = "") -> Answer:
        return self.harness.client.put(f"{self.root}/sessions/{session or self.session}/policy", body)

    def test_a_policy_is_set_field_by_field_and_read_back(self) -> None:
        path = f"sessions/{self.session}/policy"
        self.assertEqual(self.get(path).value, {"session_id": self.session, "unanswered": "ask", "skip": False})
        self.assertEqual(self.policy({"unanswered": "deny:30"}).value["unanswered"], "deny:30")
        whole = {"session_id": self.session, "unanswered": "deny:30", "skip": True}
        self.assertEqual((self.policy({"skip": True}).value, self.get(path).value), (whole, whole))
        self.assertEqual(self.policy({"unanswered": None}).value, whole)

    def test_what_is_no_policy_is_400(self) -> None:
        for text in ("", "maybe", "deny", "deny:", "deny:-1", "deny:x", "deny:nan", "deny:1e99", "ask:5", "DENY:5"):
            answer = self.policy({"unanswered": text})
            self.assertEqual((answer.status, answer.message[:15]), (400, "unanswered want"))
        self.assertEqual(self.policy({"skip": "yes"}).message, "failed to decode request")

    def test_an_unknown_session_has_none(self) -> None:
        for answer in (self.policy({"skip": True}, NO_SESSION), self.get(f"sessions/{NO_SESSION}/policy")):
            self.assertEqual((answer.status, answer.message), (500, "sql: no rows in result set"))

    def test_promise_43_a_prompt_that_nobody_answers_ends_by_its_policy(self) -> None:
        self.policy({"unanswered": "deny:30"})
        self.harness.client.stream(self.workspace_id)
        self.run_tool()
        self.harness.clock.advance(29)
        self.assertEqual(len(self.pending()), 1)
        self.harness.clock.advance(1)
        self.assertEqual((self.pending(), self.audit()[0]["by"]), ([], "policy"))

    def test_promise_49_skip_is_of_one_session_and_everybody_hears_of_it(self) -> None:
        stream = self.harness.client.stream(self.workspace_id, OTHER)
        self.policy({"skip": True})
        (told,) = stream.of("config_changed")
        self.assertEqual((told["session_id"], told["skip"]), (self.session, True))
        self.run_tool()
        self.assertEqual((self.pending(), self.tool.done), ([], ["c1"]))
        self.run_tool(self.harness.session(self.workspace_id), call="c2")
        self.assertEqual((len(self.pending()), self.get("permissions/skip").value), (1, {"skip": False}))
        self.assertEqual([one["by"] for one in self.audit()], ["", "skip", "client"])

    def test_a_deleted_session_takes_its_grants_and_its_policy_along(self) -> None:
        self.run_tool()
        self.grant(self.pending()[0], "allow_session")
        self.policy({"skip": True})
        self.assertEqual(self.harness.client.delete(f"{self.root}/sessions/{self.session}").status, 200)
        desk = self.harness.workspaces.list()[0].permissions
        self.assertEqual((desk._grants, desk.policies.skips(self.session)), (set(), False))  # type: ignore[arg-type]
        self.assertEqual(len(self.audit()), 2)
