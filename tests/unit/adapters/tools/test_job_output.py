"""The `job_output` tool."""

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.tools.job_output import SPEC, JobOutput
from txcrush.core.jobs import Jobs
from txcrush.model.errors import Refused
from txcrush.model.tools import ToolOutput
from txcrush.testing.harness import program_of
from txcrush.testing.scripted_processes import ScriptedProcesses
from txcrush.testing.tool_calls import use_of
from txcrush.wire.json import parse_object


class JobOutputs(SynchronousTestCase):
    def setUp(self) -> None:
        self.processes = ScriptedProcesses()
        self.jobs = Jobs(self.processes, program_of, Clock(), "scope")
        self.tool = JobOutput(self.jobs, maybeDeferred)
        self.job = self.jobs.start("make", "/w", "builds")
        (self.child,) = self.processes.children

    def read(self, shell_id: str = "001", *, wait: bool = False) -> Deferred[ToolOutput]:
        return self.tool.run(use_of("job_output", shell_id=shell_id, wait=wait))

    def test_a_running_job(self) -> None:
        self.child.write(b"one\n")
        output = self.successResultOf(self.read())
        self.assertEqual(output.content, "Status: running\n\none\n")
        self.assertEqual(
            parse_object(output.metadata),
            {"shell_id": "001", "command": "make", "description": "builds", "done": False, "working_directory": "/w"},
        )

    def test_t_job_01_a_finished_job_stays_readable(self) -> None:
        self.child.write(b"out", b"err").exit(3)
        for _ in range(10):
            output = self.successResultOf(self.read())
            self.assertEqual(output.content, "Status: completed\n\nout\nerr\nExit code 3")
            self.assertTrue(parse_object(output.metadata)["done"])

    def test_t_job_03_a_silent_job(self) -> None:
        self.child.exit()
        self.assertEqual(self.successResultOf(self.read()).content, "Status: completed\n\nno output")

    def test_t_job_08_waiting_lasts_until_the_end(self) -> None:
        reading = self.read(wait=True)
        self.assertNoResult(reading)
        self.child.write(b"late").exit()
        self.assertEqual(self.successResultOf(reading).content, "Status: completed\n\nlate")

    def test_t_job_08_who_is_cancelled_waits_no_longer_and_the_job_goes_on(self) -> None:
        reading = self.read(wait=True)
        reading.cancel()
        self.failureResultOf(reading, CancelledError)
        self.assertEqual((self.child.graces, self.job.end), ([], None))

    def test_promise_70_a_lot_is_cut_in_the_middle(self) -> None:
        self.child.write(b"ab\n" * 1_000_000)
        content = self.successResultOf(self.read()).content
        self.assertLess(len(content), 50_000)
        self.assertIn("lines truncated", content)

    def test_an_id_that_is_missing_or_unknown(self) -> None:
        self.assertEqual(self.failureResultOf(self.read(""), Refused).getErrorMessage(), "missing shell_id")
        unknown = self.failureResultOf(self.read("0FF"), Refused)
        self.assertEqual(unknown.getErrorMessage(), "background shell not found: 0FF")

    def test_both_parameters_are_required(self) -> None:
        self.assertEqual(SPEC.required, ("shell_id", "wait"))
