"""Permissions and questions over HTTP, in memory."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcrush.testing.answer import Answer
from txcrush.testing.http_harness import HttpHarness


class Permissions(SynchronousTestCase):
    def setUp(self) -> None:
        self.harness = HttpHarness()
        self.root = f"/v1/workspaces/{self.harness.join()}"

    def post(self, path: str, body: Any) -> Answer:
        return self.harness.client.post(f"{self.root}/{path}", body)

    def test_skipping_is_the_creators_wish_until_somebody_changes_it(self) -> None:
        path = f"{self.root}/permissions/skip"
        self.assertEqual(self.harness.client.get(path).body, b'{"skip":false}\n')
        self.assertEqual(self.post("permissions/skip", {"SKIP": True}).status, 200)
        self.assertEqual(self.harness.client.get(path).value, {"skip": True})
        self.assertTrue(self.harness.client.get(self.root).value["yolo"])
        self.assertEqual(self.post("permissions/skip", {}).status, 200)
        self.assertEqual(self.harness.client.get(path).value, {"skip": False})

    def test_a_grant_of_what_is_not_pending_resolves_nothing(self) -> None:
        for permission in (
            {"id": "x", "tool_name": "bash", "params": {"command": "true"}},
            {"id": "x", "tool_name": "bash", "params": None},
            {"id": "x", "tool_name": "mcp_a_b", "params": "{}"},
        ):
            for action in ("allow", "allow_session", "deny"):
                answer = self.post("permissions/grant", {"permission": permission, "action": action})
                self.assertEqual((answer.status, answer.value), (200, {"resolved": False}))

    def test_a_grant_without_an_action_is_400(self) -> None:
        for body in ({}, {"action": ""}, {"action": "ALLOW"}, {"action": "maybe"}):
            answer = self.post("permissions/grant", body)
            self.assertEqual((answer.status, answer.message), (400, "invalid permission action"))

    def test_p41_a_request_that_is_sent_back_must_have_its_shape(self) -> None:
        for permission in (
            {"id": "x", "tool_name": "bash"},
            {"id": "x", "tool_name": "bash", "params": [1]},
            {"id": "x", "tool_name": "bash", "params": "{}"},
            {"id": "x", "tool_name": "mcp_a_b", "params": 7},
            {"id": 7, "params": {}},
        ):
            answer = self.post("permissions/grant", {"permission": permission, "action": "allow"})
            self.assertEqual((answer.status, answer.message), (400, "failed to decode request"))

    def test_nothing_is_pending(self) -> None:
        for what in ("permissions", "questions"):
            self.assertEqual(self.harness.client.get(f"{self.root}/{what}/pending").value, [])
        body = {"responses": [{"request_id": "q", "selected_ids": ["a"], "yes": None, "notes": {"a": "b"}}]}
        self.assertEqual(self.post("questions/answer", body).value, {"resolved": False})
        self.assertEqual(self.harness.client.post(f"{self.root}/questions/cancel").value, {"resolved": False})
