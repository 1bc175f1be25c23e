"""A project's set-up over HTTP, in memory."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.testing.http_harness import HttpHarness


class Project(SynchronousTestCase):
    def setUp(self) -> None:
        self.harness = HttpHarness()
        self.workspace = self.harness.join()
        self.root = f"/v1/workspaces/{self.workspace}/project"

    def test_marking_it_is_told_to_all_streams(self) -> None:
        stream = self.harness.client.stream(self.workspace)
        answer = self.harness.client.post(f"{self.root}/init")
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertEqual(stream.of("config_changed"), [{"workspace_id": self.workspace}])

    def test_the_prompt_names_the_file_to_write(self) -> None:
        prompt = self.harness.client.get(f"{self.root}/init-prompt").value["prompt"]
        self.assertIn("AGENTS.md", prompt)
        self.assertNotIn("{", prompt)
