"""A project's set-up over HTTP, in memory."""

from urllib.parse import quote

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

    def test_files_are_found_by_a_part_of_their_path(self) -> None:
        files = self.root.replace("/project", "/files")
        self.assertEqual(self.harness.client.get(f"{files}?query=src").value, ["src/app.py", "src/page.py"])
        self.assertEqual(self.harness.client.get(f"{files}?query=src&limit=1").value, ["src/app.py"])
        self.assertEqual(self.harness.client.get(f"{files}?query=nothing").value, [])
        for limit in ("0", "101", "-1", "many", "²"):
            answer = self.harness.client.get(f"{files}?limit={quote(limit)}")
            self.assertEqual((answer.status, answer.message), (400, "limit must be a number from 1 to 100"))
        long = self.harness.client.get(f"{files}?query={'x' * 5000}")
        self.assertEqual((long.status, long.message), (400, "query must not be longer than 4096 characters"))
