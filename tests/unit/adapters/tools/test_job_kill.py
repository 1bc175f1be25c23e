"""The `job_kill` tool."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.tools.job_kill import JobKill
from txcrush.core.jobs import Jobs
from txcrush.model.errors import Refused
from txcrush.model.tools import ToolOutput
from txcrush.testing.harness import program_of
from txcrush.testing.scripted_processes import ScriptedProcesses
from txcrush.testing.tool_calls import use_of
from txcrush.wire.json import parse_object


class JobKills(SynchronousTestCase):
    def setUp(self) -> None:
        self.processes = ScriptedProcesses()
        self.jobs = Jobs(self.processes, program_of, Clock(), "scope")
        self.tool = JobKill(self.jobs)
        self.jobs.start("make", "/w", "builds")

    def kill(self, shell_id: str) -> Deferred[ToolOutput]:
        return self.tool.run(use_of("job_kill", shell_id=shell_id))

    def test_t_job_02_the_job_is_ended_and_gone(self) -> None:
        output = self.successResultOf(self.kill("001"))
        self.assertIn("001 terminated successfully", output.content)
        self.assertEqual(parse_object(output.metadata), {"shell_id": "001", "command": "make", "description": "builds"})
        self.assertEqual(self.processes.children[0].graces, [2.0])
        self.failureResultOf(self.kill("001"), Refused)

    def test_t_job_02_an_unknown_id_is_an_error(self) -> None:
        unknown = self.failureResultOf(self.kill("0FF"), Refused)
        self.assertEqual(unknown.getErrorMessage(), "background shell not found: 0FF")
        self.assertEqual(self.failureResultOf(self.kill(""), Refused).getErrorMessage(), "missing shell_id")
