"""Runs commands in the workspace (`tools.md` 8)."""

from os import path as paths

from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import CancelledError, Deferred, TimeoutError

from txcrush.adapters.bash_lines import Judgement, Reach, judge, leads_out
from txcrush.adapters.tools import job_text
from txcrush.adapters.tools.specs import arguments, boolean, described, integer, text
from txcrush.core.jobs import Job, JobEnd, Jobs
from txcrush.core.observers import within
from txcrush.core.shell_commands import unreadable
from txcrush.model.errors import Failed, Refused
from txcrush.model.permissions import Ask
from txcrush.model.tools import ToolOutput, ToolUse, denied
from txcrush.ports import Clock, InThread, Permissions, Tool
from txcrush.wire.json import encode_text

DEFAULT_PATIENCE_S = 60
BACKGROUND_CHECK_S = 1.0
"""How long a command that goes to the background at once is given to fail or finish first."""

SPEC = described(
    "bash",
    {
        "description": text("What the command does, in five to ten words; people see it"),
        "command": text("The command line"),
        "working_dir": text("Directory to run it in; the workspace by default"),
        "run_in_background": boolean("True for what does not end by itself, such as a server"),
        "auto_background_after": integer(f"Seconds after which it goes on in the background ({DEFAULT_PATIENCE_S})"),
    },
    "description",
    "command",
)


class BashArguments(Struct):
    description: str = ""
    command: str = ""
    working_dir: str = ""
    run_in_background: bool = False
    auto_background_after: int = 0


class BashMetadata(Struct, omit_defaults=True, kw_only=True):
    """What clients draw the call from; times are Unix milliseconds."""

    start_time: int
    end_time: int
    output: str
    description: str
    working_directory: str
    background: bool = False
    shell_id: str = ""


class BashTool:
    """The `bash` tool. `workspace` is the directory that a relative `working_dir` stands under (D-01); `reach` says
    what no line of the workspace reaches unasked."""

    spec = SPEC

    def __init__(
        self,
        workspace: str,
        permissions: Permissions,
        jobs: Jobs,
        clock: Clock,
        in_thread: InThread,
        reach: Reach | None = None,
    ) -> None:
        self._reach = reach
        self._workspace = workspace
        self._permissions = permissions
        self._jobs = jobs
        self._clock = clock
        self._in_thread = in_thread

    def run(self, use: ToolUse) -> Deferred[ToolOutput]:
        """See `ports.Tool`. Cancelling ends a command in the foreground with all that it started; a job that has gone
        to the background goes on."""
        return Deferred.fromCoroutine(self._run(use, arguments(use, BashArguments)))

    async def _run(self, use: ToolUse, given: BashArguments) -> ToolOutput:
        if not given.command:
            raise Refused("missing command")
        if not use.session_id:
            raise Failed("session ID is required for executing a shell command")
        working_dir = self._resolved(given.working_dir)
        judgement, unasked = await self._in_thread(self._judged, given.command, working_dir)
        if not unasked and not await self._may(use, given, judgement, working_dir):
            return denied()
        refusal = await self._refusal(judgement, given.command, working_dir)
        if refusal:
            return self._refused(given, working_dir, refusal)
        command = judgement.command if unasked else given.command
        return await self._watched(self._started(command, working_dir, given), given)

    def _resolved(self, working_dir: str) -> str:
        return paths.normpath(paths.join(self._workspace, working_dir))

    def _judged(self, command: str, working_dir: str) -> tuple[Judgement, bool]:
        """The judgement of the line, and whether it may run unasked here: not where a link leads what it reads out of
        the workspace, nor where it would show what is private. Runs in a thread."""
        judgement = judge(command)
        reach = self._reach
        if not judgement.runs_unasked:
            starts = reach is not None and reach.names_started(command, working_dir, self._workspace)
            return (replace(judgement, guarded=True) if starts else judgement), False
        if reach is not None and reach.shows_private(judgement, working_dir):
            return replace(judgement, keys=(command,)), False
        return judgement, not leads_out(judgement.reads, working_dir, self._workspace)

    def _may(self, use: ToolUse, given: BashArguments, judgement: Judgement, working_dir: str) -> Deferred[bool]:
        return self._permissions.ask(
            Ask(
                session_id=use.session_id,
                tool_call_id=use.call.id,
                tool_name=SPEC.name,
                action="execute",
                description=f"Execute command: {given.command}",
                path=working_dir,
                params={
                    "description": given.description,
                    "command": given.command,
                    "working_dir": given.working_dir,
                    "run_in_background": given.run_in_background,
                    "auto_background_after": given.auto_background_after,
                },
                keys=judgement.keys,
                guarded=judgement.guarded,
            )
        )

    # What never starts

    async def _refusal(self, judgement: Judgement, command: str, working_dir: str) -> str:
        """Why the line is not run, or nothing."""
        if judgement.blocked:
            return f'command is not allowed for security reasons: "{judgement.blocked}"'
        if judgement.parse_error:
            return await self._unreadable(command, working_dir)
        return ""

    async def _unreadable(self, command: str, working_dir: str) -> str:
        """What bash itself says of a line that our parser could not read; nothing where bash can."""
        job = self._jobs.start(command, working_dir, only_parse=True)
        try:
            end = await job.when_done()
            reason = unreadable(end.status, "", job.err.parts[0])
        except CancelledError:
            await self._jobs.kill(job)
            raise
        finally:
            self._jobs.forget(job)
        return f"could not parse command: {reason}" if reason else ""

    def _refused(self, given: BashArguments, working_dir: str, refusal: str) -> ToolOutput:
        body = job_text.body(("", 0, ""), ("", 0, ""), JobEnd(1, 0.0, refusal))
        return self._told(self._clock.seconds(), given, working_dir, body)

    # What runs

    def _started(self, command: str, working_dir: str, given: BashArguments) -> Job:
        try:
            return self._jobs.start(command, working_dir, given.description)
        except Failed as error:
            what = "error starting background shell" if given.run_in_background else "error starting shell"
            raise Failed(f"{what}: {error.message}") from error

    async def _watched(self, job: Job, given: BashArguments) -> ToolOutput:
        patience_s = given.auto_background_after if given.auto_background_after > 0 else DEFAULT_PATIENCE_S
        try:
            end = await within(
                BACKGROUND_CHECK_S if given.run_in_background else patience_s, self._clock, job.when_done()
            )
        except TimeoutError:
            return self._moved(job, given)
        except CancelledError:
            await self._jobs.kill(job)
            raise
        return await self._completed(job, end, given)

    async def _completed(self, job: Job, end: JobEnd, given: BashArguments) -> ToolOutput:
        out, err = job_text.parts_of(job)
        self._jobs.forget(job)
        reason = unreadable(end.status, out[0], err[0])
        if reason:
            return self._refused(given, job.working_dir, f"could not parse command: {reason}")
        if job_text.is_short(out, err):
            body = job_text.body(out, err, end)
        else:
            body = await self._in_thread(job_text.body, out, err, end)
        return self._told(job.started_at, given, job.working_dir, body, background=given.run_in_background)

    def _moved(self, job: Job, given: BashArguments) -> ToolOutput:
        if given.run_in_background:
            said = f"Background shell started with ID: {job.id}"
        else:
            said = f"The command has not ended yet and was moved to background.\n\nBackground shell ID: {job.id}"
        metadata = self._metadata(job.started_at, given, job.working_dir, "", background=True, shell_id=job.id)
        return ToolOutput(
            content=f"{said}\n\nSee what it writes with job_output; end it with job_kill.", metadata=metadata
        )

    def _told(
        self, started_at: float, given: BashArguments, working_dir: str, body: str, *, background: bool = False
    ) -> ToolOutput:
        metadata = self._metadata(started_at, given, working_dir, body, background=background)
        return ToolOutput(content=job_text.with_directory(body, working_dir), metadata=metadata)

    def _metadata(
        self,
        started_at: float,
        given: BashArguments,
        working_dir: str,
        body: str,
        *,
        background: bool = False,
        shell_id: str = "",
    ) -> str:
        return encode_text(
            BashMetadata(
                start_time=int(started_at * 1000),
                end_time=int(self._clock.seconds() * 1000),
                output=body,
                description=given.description,
                working_directory=working_dir,
                background=background,
                shell_id=shell_id,
            )
        )


_: type[Tool] = BashTool
