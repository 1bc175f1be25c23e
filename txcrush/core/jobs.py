"""Shell commands that a workspace's agent runs, in the foreground and behind it (`tools.md` 9).

Theory. A job lives by itself: starting, running, ended. Tools only watch it, so a call that stops waiting (because it
takes too long, or because its run goes on to other things) changes nothing for the job. What ends one early is a kill,
and a kill ends everything that the command has started. What a command leaves behind when it ends is ended with the
workspace.
"""

from collections.abc import Callable

from msgspec import Struct
from twisted.internet.defer import Deferred, DeferredList, TimeoutError
from twisted.logger import Logger
from twisted.python.failure import Failure

from txcrush.core.kept_output import KeptOutput
from txcrush.core.observers import OneShot, within
from txcrush.model.errors import CannotStart, Failed
from txcrush.model.ids import SessionId
from txcrush.model.processes import Program, ShellLine
from txcrush.ports import Child, Clock, MakeProgram, Processes

MOST_RUNNING = 50
MOST_FINISHED = 100
"""Finished jobs that are kept; the oldest goes first. Each holds at most half a megabyte of output."""

KEPT_S = 8 * 3600.0
"""Seconds that a finished job can still be read."""

CLOSE_GRACE_S = 1.0
CLOSE_S = 3.0
"""Seconds that closing may take: the server as a whole has seven."""

TOO_MANY = (
    f"maximum number of background jobs ({MOST_RUNNING}) reached. Please terminate or wait for some jobs to complete"
)

log = Logger()


class JobEnd(Struct, frozen=True):
    """How a job ended. `failure` says why it could not be started; `at` is Unix time in seconds."""

    status: int
    at: float
    failure: str = ""
    killed: bool = False


class Job:
    """One command. `started_at` is Unix time in seconds; `end` is None while it runs. `session_id` and `tool_call_id`
    say who has started it, where that is known."""

    def __init__(self, job_id: str, line: ShellLine, description: str, now_s: float) -> None:
        self.id = job_id
        self.line = line
        self.description = description
        self.started_at = now_s
        self.session_id = SessionId("")
        self.tool_call_id = ""
        self.out, self.err = KeptOutput(), KeptOutput()
        self.end: JobEnd | None = None
        self.is_killed = False
        self.started: OneShot[Child | None] = OneShot()
        self.done: OneShot[JobEnd] = OneShot()

    @property
    def command(self) -> str:
        return self.line.command

    @property
    def working_dir(self) -> str:
        return self.line.cwd

    def when_done(self) -> Deferred[JobEnd]:
        """Fires when the shell has exited; giving up the Deferred leaves the job alone."""
        return self.done.when()


class Jobs:
    """The jobs of one workspace; nobody else sees them (D-24). `scope` is the mark of all that they start.

    `withheld` gives names and values of variables that no command must see.
    """

    def __init__(
        self,
        processes: Processes,
        make_program: MakeProgram,
        clock: Clock,
        scope: str,
        withheld: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        self._processes = processes
        self._make_program = make_program
        self._clock = clock
        self._scope = scope
        self._withheld = withheld
        self._begun = 0
        self._jobs: dict[str, Job] = {}
        self._closed = False

    def start(self, command: str, working_dir: str, description: str = "", *, only_parse: bool = False) -> Job:
        """Begin to run a command. Raises `Failed` where too many run already, or when the workspace closes, and
        `Refused` where there is no bash."""
        self.drop_old()
        if self._closed:
            raise Failed("the workspace is closing")
        if sum(job.end is None for job in self._jobs.values()) >= MOST_RUNNING:
            raise Failed(TOO_MANY)
        self._begun += 1
        number = self._begun
        line = ShellLine(
            command=command,
            cwd=working_dir,
            mark=f"{self._scope}/{number}",
            withheld=self._withheld(),
            only_parse=only_parse,
        )
        program = self._make_program(line)
        job = self._jobs[f"{number:03X}"] = Job(f"{number:03X}", line, description, self._clock.seconds())
        Deferred.fromCoroutine(self._live(job, program)).addErrback(self._broke, job)
        return job

    def find(self, job_id: str) -> Job | None:
        return self._jobs.get(job_id)

    def all(self) -> list[Job]:
        """Every job that can be asked for, oldest first."""
        return list(self._jobs.values())

    def forget(self, job: Job) -> None:
        """The job has been told of and needs no id any more. What it left behind goes on."""
        self._jobs.pop(job.id, None)
        job.out.close()
        job.err.close()

    def kill(self, job: Job, grace_s: float = 2.0) -> Deferred[None]:
        """End the job and all that it has started, and remove it. Fires when that is done, whoever stops waiting."""
        self._jobs.pop(job.id, None)
        job.is_killed = True
        killed: OneShot[None] = OneShot()
        Deferred.fromCoroutine(self._kill(job, grace_s)).addErrback(self._broke, job).addBoth(killed.fire)
        return killed.when()

    def drop_old(self) -> None:
        """Forget what ended too long ago, and the oldest of too many."""
        finished = [job for job in self._jobs.values() if job.end is not None]
        finished.sort(key=lambda job: job.end.at if job.end else 0.0)
        since = self._clock.seconds() - KEPT_S
        for place, job in enumerate(finished):
            too_many = len(finished) - place > MOST_FINISHED
            if too_many or (job.end is not None and job.end.at < since):
                self.forget(job)

    async def close(self, deadline_s: float = CLOSE_S) -> None:
        """End every job, all at once, and everything that earlier ones have left behind."""
        self._closed = True
        if not self._begun:
            return
        jobs, self._jobs = self._jobs, {}
        for job in jobs.values():
            job.is_killed = job.end is None
        starting = [job.started.when() for job in jobs.values()]
        try:
            await within(deadline_s, self._clock, self._end_all(starting))
        except TimeoutError:
            log.warn("what commands have left running did not end within {limit} s", limit=deadline_s)

    def _end_all(self, starting: "list[Deferred[Child | None]]") -> "Deferred[None]":
        async def work() -> None:
            await DeferredList(starting)
            await self._processes.end(self._scope, CLOSE_GRACE_S)

        return Deferred.fromCoroutine(work())

    async def _live(self, job: Job, program: Program) -> None:
        try:
            child = await self._processes.start(program, job.out.take, job.err.take)
        except CannotStart as error:
            job.started.fire(None)
            self._finish(job, 1, error.message)
            return
        job.started.fire(child)
        self._finish(job, await child.when_exited())

    def _finish(self, job: Job, status: int, failure: str = "") -> None:
        if job.end is not None:
            return
        job.end = JobEnd(status, self._clock.seconds(), failure, job.is_killed)
        job.done.fire(job.end)

    async def _kill(self, job: Job, grace_s: float) -> None:
        child = await job.started.when()
        if child is not None:
            await child.kill(grace_s)

    def _broke(self, failure: Failure, job: Job) -> None:
        """A defect: nobody waits for ever because of it."""
        log.failure("job {id} failed", failure=failure, id=job.id)
        job.started.fire(None)
        self._finish(job, 1, "internal error")
