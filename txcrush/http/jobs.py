"""Routes of shell commands that run: which there are, what one has written so far, and its end."""

from txcrush.core.jobs import Job, Jobs
from txcrush.core.kept_output import whole
from txcrush.core.workspaces import Workspaces
from txcrush.http.routing import OK, Call, Reply, json_reply, route
from txcrush.model.errors import NotFound
from txcrush.wire.jobs import JobBody, JobOutputBody

JOBS = "/v1/workspaces/<workspace_id>/jobs"
JOB = f"{JOBS}/<job_id>"


class JobRoutes:
    """One route family."""

    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces

    @route("GET", JOBS, answers=list[JobBody])
    def list(self, call: Call) -> Reply:
        """List the shell commands that tools have started. Those that run or can still be read, the oldest first."""
        jobs = self._jobs(call)
        return json_reply([_body(job) for job in jobs.all()] if jobs else [])

    @route("GET", JOB, answers=JobOutputBody, errors=(NotFound,))
    def get(self, call: Call) -> Reply:
        """Read one shell command and what it has written so far. Of each stream the beginning and the end, 128 KiB of
        both."""
        job = self._job(call)
        return json_reply(JobOutputBody(job=_body(job), out=whole(job.out.parts), err=whole(job.err.parts)))

    @route("POST", f"{JOB}/kill", answers=None, errors=(NotFound,))
    async def kill(self, call: Call) -> Reply:
        """End a shell command and all that it has started. Answered when that is done."""
        job = self._job(call)
        jobs = self._jobs(call)
        assert jobs is not None
        await jobs.kill(job)
        return OK

    def _jobs(self, call: Call) -> Jobs | None:
        return self._workspaces.get(call.workspace_id).kit.jobs

    def _job(self, call: Call) -> Job:
        jobs = self._jobs(call)
        job = None if jobs is None else jobs.find(call.path["job_id"])
        if job is None:
            raise NotFound("job not found")
        return job


def _body(job: Job) -> JobBody:
    return JobBody(
        id=job.id,
        session_id=job.session_id,
        tool_call_id=job.tool_call_id,
        command=job.command,
        description=job.description,
        working_dir=job.working_dir,
        started_at=int(job.started_at),
        exit_code=None if job.end is None else job.end.status,
    )
