"""Commands that run, over HTTP, in memory."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.ids import SessionId, WorkspaceId
from txcrush.testing.http_harness import HttpHarness


class JobsOverHttp(SynchronousTestCase):
    def setUp(self) -> None:
        self.harness = HttpHarness()
        self.workspace = self.harness.join()
        self.root = f"/v1/workspaces/{self.workspace}/jobs"
        jobs = self.harness.workspaces.get(WorkspaceId(self.workspace)).kit.jobs
        assert jobs is not None
        self.job = jobs.start("make", "/project", "builds")
        self.job.session_id, self.job.tool_call_id = SessionId("s"), "c1"
        self.child = self.harness.processes.children[-1]

    def test_promise_70_what_runs_is_listed(self) -> None:
        (listed,) = self.harness.client.get(self.root).value
        self.assertEqual(
            {name: listed[name] for name in ("id", "session_id", "tool_call_id", "command", "exit_code")},
            {"id": "001", "session_id": "s", "tool_call_id": "c1", "command": "make", "exit_code": None},
        )

    def test_what_it_has_written_so_far_can_be_read(self) -> None:
        self.child.write(b"one\n")
        first = self.harness.client.get(f"{self.root}/001").value
        self.assertEqual((first["out"], first["err"], first["job"]["exit_code"]), ("one\n", "", None))
        self.child.write(b"two\n")
        self.child.exit(3)
        second = self.harness.client.get(f"{self.root}/001").value
        self.assertEqual((second["out"], second["job"]["exit_code"]), ("one\ntwo\n", 3))

    def test_promise_70_it_can_be_ended(self) -> None:
        self.assertEqual(self.harness.client.post(f"{self.root}/001/kill").status, 200)
        self.assertEqual(self.harness.client.get(self.root).value, [])
        self.assertTrue(self.job.is_killed)

    def test_one_that_is_not_there_is_404(self) -> None:
        for answer in (
            self.harness.client.get(f"{self.root}/0FF"),
            self.harness.client.post(f"{self.root}/0FF/kill"),
        ):
            self.assertEqual((answer.status, answer.message), (404, "job not found"))
