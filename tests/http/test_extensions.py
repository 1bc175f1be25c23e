"""MCP and LSP over HTTP: this version starts none, and says so as the reference would."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.testing.http_harness import HttpHarness


class Extensions(SynchronousTestCase):
    def setUp(self) -> None:
        self.harness = HttpHarness()
        self.root = f"/v1/workspaces/{self.harness.join()}"

    def test_what_wants_a_server_says_that_there_is_none(self) -> None:
        for path, body, expected in [
            ("mcp/auth", {"name": "x"}, (500, "mcp 'x' not found in configuration")),
            (
                "mcp/get-prompt",
                {"client_id": "x", "prompt_id": "p", "args": {}},
                (500, "mcp 'x' not available"),
            ),
            ("mcp/get-prompt", {"args": {"a": 1}}, (400, "failed to decode request")),
            ("mcp/read-resource", {"name": "x"}, (500, "mcp 'x' not available")),
        ]:
            answer = self.harness.client.post(f"{self.root}/{path}", body)
            self.assertEqual((answer.status, answer.message), expected)

    def test_an_auth_url_wants_a_name_and_no_workspace(self) -> None:
        for root in (self.root, "/v1/workspaces/nobody"):
            answer = self.harness.client.get(f"{root}/mcp/auth-url")
            self.assertEqual((answer.status, answer.message), (400, "name is required"))
            self.assertEqual(self.harness.client.get(f"{root}/mcp/auth-url?name=x").value, {})

    def test_no_language_server_runs(self) -> None:
        self.assertEqual(self.harness.client.get(f"{self.root}/lsps").value, {})
        answer = self.harness.client.get(f"{self.root}/lsps/a%20b/diagnostics")
        self.assertEqual((answer.status, answer.message), (404, "LSP client not found"))
