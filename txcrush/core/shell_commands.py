"""Commands that people run themselves in a workspace's directory, beside the agent (`protocol.md` 6.9)."""

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct
from twisted.internet.defer import CancelledError, TimeoutError
from twisted.logger import Logger

from txcrush import failpoints
from txcrush.core.kept_output import KeptOutput, whole
from txcrush.core.observers import within
from txcrush.core.sessions import Sessions
from txcrush.core.transcript import Transcript
from txcrush.model.errors import CannotStart, Failed, WorkspaceClosing
from txcrush.model.ids import SessionId
from txcrush.model.messages import ShellCommand
from txcrush.model.processes import ShellLine
from txcrush.ports import Clock, MakeProgram, Processes

COLOURED = {"COLORTERM": "truecolor", "CLICOLOR_FORCE": "1", "FORCE_COLOR": "1"}
"""A terminal shows the output."""

KEPT_BYTES = 512 * 1024
"""Kept of the beginning, and again of the end, of each stream."""

MOST_RUNNING = 50
CLOSE_GRACE_S = 1.0
CLOSE_S = 3.0

UNREADABLE = "bash: -c: line "
"""How bash begins to complain of a line that it cannot parse, with status 2."""

log = Logger()


class ShellAnswer(Struct, frozen=True):
    """What a command gave: standard output, then what it wrote to standard error."""

    output: str
    exit_code: int


class ShellCommands:
    """The commands of one workspace, whose directory is `path`. `scope` is the mark of all that they start; `env` is
    what the workspace's client has set; `withheld` gives names and values of variables that no command must
    see. `when_idle` is called whenever the last one has ended."""

    def __init__(
        self,
        processes: Processes,
        make_program: MakeProgram,
        transcript: Transcript,
        sessions: Sessions,
        clock: Clock,
        *,
        path: str,
        scope: str,
        env: Mapping[str, str],
        withheld: Callable[[], frozenset[str]],
        when_idle: Callable[[], None],
    ) -> None:
        self._processes = processes
        self._make_program = make_program
        self._transcript = transcript
        self._sessions = sessions
        self._clock = clock
        self._path = path
        self._scope = scope
        self._env = env
        self._withheld = withheld
        self._when_idle = when_idle
        self._begun = 0
        self._running = 0
        self._is_closed = False

    async def run(self, session_id: SessionId, command: str, columns: int = 0) -> ShellAnswer:
        """Run the command to its end and keep it as a message of the session, if there is such a session.

        Cancelling ends it with everything that it started, and keeps nothing.
        """
        if self._is_closed:
            raise WorkspaceClosing
        if self._running >= MOST_RUNNING:
            raise Failed(f"{MOST_RUNNING} shell commands run already")
        self._begun += 1
        self._running += 1
        try:
            return await self._kept(session_id, command, columns)
        finally:
            self._running -= 1
            if not self._running:
                self._when_idle()

    def take_env(self, env: Mapping[str, str]) -> None:
        """From now on commands have this environment."""
        self._env = env

    @property
    def any_running(self) -> bool:
        return self._running > 0

    async def _kept(self, session_id: SessionId, command: str, columns: int) -> ShellAnswer:
        answer = await self._answer(self._line(command, columns))
        failpoints.SHELL_EXITED()
        if self._is_closed:
            raise WorkspaceClosing
        if self._sessions.exists(session_id):
            part = ShellCommand(command, answer.output, answer.exit_code)
            await self._transcript.add(self._transcript.shell(session_id, part))
        return answer

    async def close(self) -> None:
        """End what runs, and what earlier commands have left behind."""
        self._is_closed = True
        if not self._begun:
            return
        try:
            await within(CLOSE_S, self._clock, self._processes.end(self._scope, CLOSE_GRACE_S))
        except TimeoutError:
            log.warn("what shell commands have left running did not end within {limit} s", limit=CLOSE_S)

    def _line(self, command: str, columns: int) -> ShellLine:
        return ShellLine(
            command=command,
            cwd=self._path,
            mark=f"{self._scope}/{self._begun}",
            env={**self._env, **COLOURED, **({"COLUMNS": str(columns)} if columns > 0 else {})},
            withheld=self._withheld(),
            blocks=False,
        )

    async def _answer(self, line: ShellLine) -> ShellAnswer:
        out, err = KeptOutput(KEPT_BYTES), KeptOutput(KEPT_BYTES)
        try:
            child = await self._processes.start(self._make_program(line), out.take, err.take)
        except CannotStart as error:
            return ShellAnswer(error.message, 1)
        failpoints.SHELL_RUNNING()
        try:
            status = await child.when_exited()
        except CancelledError:
            await child.kill()
            raise
        stdout, stderr = whole(out.parts), whole(err.parts)
        out.close()
        err.close()
        if unreadable(status, stdout, stderr):
            return ShellAnswer("", 1)
        return ShellAnswer(f"{stdout}\n{stderr}" if stdout and stderr else stdout + stderr, status)


def unreadable(status: int, stdout: str, stderr: str) -> str:
    """What bash says of a line that it could not parse, and so did not run; empty where it could."""
    if status != 2 or stdout or not stderr.startswith(UNREADABLE):
        return ""
    return stderr.partition("\n")[0].removeprefix("bash: -c: ")


def pairs(lines: Iterable[str]) -> dict[str, str]:
    """`NAME=VALUE` lines as a client sends its environment; the last of a name counts, others are left out."""
    split = (line.partition("=") for line in lines)
    return {name: value for name, found, value in split if name and found and "\0" not in name + value}
