"""Programs that do what a test says, when the test says so."""

from collections.abc import Callable

from twisted.internet.defer import Deferred, DeferredList, fail, succeed

from txcrush.core.observers import OneShot
from txcrush.model.errors import CannotStart
from txcrush.model.processes import Program
from txcrush.ports import Child, Processes, TakeBytes

KILLED = 130
"""The status of a program that an interrupt ended."""

Story = Callable[["ScriptedChild"], object]


class ScriptedChild:
    """A program that was started. It runs until the test, or a kill, ends it; a `stubborn` one lives until the grace of
    a kill is over, which is when the test calls `give_in`."""

    def __init__(self, program: Program, out: TakeBytes, err: TakeBytes) -> None:
        self.program = program
        self.is_stubborn = False
        self.graces: list[float] = []
        self._out, self._err = out, err
        self._exited: OneShot[int] = OneShot()
        self._gone: OneShot[None] = OneShot()

    @property
    def command(self) -> str:
        """The line, where the program is a shell."""
        return self.program.argv[-1]

    @property
    def has_exited(self) -> bool:
        return self._exited.happened

    def write(self, out: bytes = b"", err: bytes = b"") -> "ScriptedChild":
        """Output, also after the exit: by what was left behind."""
        if out:
            self._out(out)
        if err:
            self._err(err)
        return self

    def exit(self, status: int = 0) -> None:
        """The program itself ends."""
        self._exited.fire(status)

    def give_in(self) -> None:
        """A kill succeeds."""
        self._exited.fire(KILLED)
        self._gone.fire(None)

    def when_exited(self) -> Deferred[int]:
        """See `ports.Child`."""
        return self._exited.when()

    def kill(self, grace_s: float = 2.0) -> Deferred[None]:
        """See `ports.Child`."""
        self.graces.append(grace_s)
        if not self.is_stubborn:
            self.give_in()
        return self._gone.when()


class ScriptedProcesses:
    """`children` holds what was started, in order. `missing` are programs and directories that are not there; `story`
    is told to each child as it starts."""

    def __init__(self, story: Story = lambda _child: None) -> None:
        self.children: list[ScriptedChild] = []
        self.missing: set[str] = set()
        self.ended: list[str] = []
        self.story = story

    def start(self, program: Program, out: TakeBytes, err: TakeBytes) -> Deferred[Child]:
        """See `ports.Processes`."""
        for name in (program.argv[0], program.cwd):
            if name in self.missing:
                return fail(CannotStart(f"could not run command: could not stat: {name}: no such file or directory"))
        child = ScriptedChild(program, out, err)
        self.children.append(child)
        self.story(child)
        return succeed(child)

    def end(self, mark: str, grace_s: float = 2.0) -> Deferred[None]:
        """See `ports.Processes`."""
        self.ended.append(mark)
        killing = [child.kill(grace_s) for child in self.children if f"{child.program.mark}/".startswith(f"{mark}/")]
        return DeferredList(killing).addCallback(lambda _: None)


def _conforms(processes: ScriptedProcesses) -> Processes:
    return processes
