"""Ends a background job (`tools.md` 9.3)."""

from msgspec import Struct
from twisted.internet.defer import Deferred

from txcrush.adapters.tools.job_output import asked_for
from txcrush.adapters.tools.specs import arguments, described, text
from txcrush.core.jobs import Jobs
from txcrush.model.tools import ToolOutput, ToolUse
from txcrush.ports import Tool
from txcrush.wire.json import encode_text

SPEC = described("job_kill", {"shell_id": text("The job's ID")}, "shell_id")


class KillArguments(Struct):
    shell_id: str = ""


class KillMetadata(Struct, kw_only=True):
    """What clients draw the call from."""

    shell_id: str
    command: str
    description: str


class JobKill:
    """The `job_kill` tool: the command, and everything that it started."""

    spec = SPEC

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def run(self, use: ToolUse) -> Deferred[ToolOutput]:
        """See `ports.Tool`."""
        return Deferred.fromCoroutine(self._run(arguments(use, KillArguments)))

    async def _run(self, given: KillArguments) -> ToolOutput:
        job = asked_for(self._jobs, given.shell_id)
        await self._jobs.kill(job)
        metadata = KillMetadata(shell_id=job.id, command=job.command, description=job.description)
        return ToolOutput(content=f"Background shell {job.id} terminated successfully", metadata=encode_text(metadata))


_: type[Tool] = JobKill
