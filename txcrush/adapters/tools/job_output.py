"""Reads what a background job has written (`tools.md` 9.2)."""

from msgspec import Struct
from twisted.internet.defer import Deferred

from txcrush.adapters.tools import job_text
from txcrush.adapters.tools.specs import arguments, boolean, described, text
from txcrush.core.jobs import Job, Jobs
from txcrush.model.errors import Refused
from txcrush.model.tools import ToolOutput, ToolUse
from txcrush.ports import InThread, Tool
from txcrush.wire.json import encode_text

SPEC = described(
    "job_output",
    {
        "shell_id": text("The job's ID"),
        "wait": boolean("True to wait until the job has ended"),
    },
    "shell_id",
    "wait",
)


class OutputArguments(Struct):
    shell_id: str = ""
    wait: bool = False


class OutputMetadata(Struct, kw_only=True):
    """What clients draw the call from."""

    shell_id: str
    command: str
    description: str
    done: bool
    working_directory: str


class JobOutput:
    """The `job_output` tool. Nothing is used up: every call gives all there is."""

    spec = SPEC

    def __init__(self, jobs: Jobs, in_thread: InThread) -> None:
        self._jobs = jobs
        self._in_thread = in_thread

    def run(self, use: ToolUse) -> Deferred[ToolOutput]:
        """See `ports.Tool`. Cancelling stops the waiting; the job goes on."""
        return Deferred.fromCoroutine(self._run(arguments(use, OutputArguments)))

    async def _run(self, given: OutputArguments) -> ToolOutput:
        job = asked_for(self._jobs, given.shell_id)
        if given.wait:
            await job.when_done()
        out, err = job_text.parts_of(job)
        if job_text.is_short(out, err):
            output = job_text.output(out, err, job.end)
        else:
            output = await self._in_thread(job_text.output, out, err, job.end)
        done = job.end is not None
        metadata = OutputMetadata(
            shell_id=job.id,
            command=job.command,
            description=job.description,
            done=done,
            working_directory=job.working_dir,
        )
        return ToolOutput(
            content=f"Status: {'completed' if done else 'running'}\n\n{output}", metadata=encode_text(metadata)
        )


def asked_for(jobs: Jobs, shell_id: str) -> Job:
    """The job. Raises `Refused`."""
    if not shell_id:
        raise Refused("missing shell_id")
    job = jobs.find(shell_id)
    if job is None:
        raise Refused(f"background shell not found: {shell_id}")
    return job


_: type[Tool] = JobOutput
