"""Errands: what a tool has another agent do, in a session below the caller's (`agent.md` 9).

Theory. An errand is a turn like any other, but it is part of the run whose tool sent it: it is no row among the runs,
it is not started again after a restart, and it ends when its caller is cancelled. The tool's Deferred may be cancelled;
what the errand writes at its end is a task of its own, which is not.
"""

from collections.abc import Callable, Coroutine, Iterable

from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from txcrush import failpoints
from txcrush.core import run_events
from txcrush.core.agents import Agents, Crew
from txcrush.core.endings import failed, judged
from txcrush.core.equipment import Equipment
from txcrush.core.observers import OneShot, apart
from txcrush.core.queue import UNTRACKED
from txcrush.core.run import BY_DELETION, BY_USER, Cancellation, Run
from txcrush.core.toolbox import Toolbox
from txcrush.core.turn import Turn
from txcrush.model.config import Model, SelectedModel
from txcrush.model.errors import CrushError, Failed, Refused, StorageFailed
from txcrush.model.ids import RunId, SessionId
from txcrush.model.runs import Outcome, Prompt, RunEnd, RunRecord
from txcrush.model.sessions import Session
from txcrush.model.tools import ToolOutput, ToolUse
from txcrush.ports import NewId, Tool

NO_TEXT = "Sub-agent completed but produced no text output."

log = Logger()


class Errand(Struct, frozen=True, kw_only=True):
    """What is to be done, with which tools, and under which title clients find it.

    `slot` names the model that does it. An `announced` errand is told of by a `run_complete` of its own.
    """

    prompt: str
    title: str
    instructions: str
    tools: tuple[Tool, ...]
    slot: str = "large"
    announced: bool = False


class _Hired:
    """The staff of one errand: a `turn.Staff`."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew

    async def prepare(self) -> Crew:
        return self._crew

    def current(self) -> tuple[SelectedModel, Model] | None:
        return self._crew.large.choice, self._crew.large.model


class SubAgents:
    """Sends agents on errands.

    `equipment` is what the workspace's turns work with, but for the tools, which `make_toolbox` packs. `active` gives a
    session's active run: its errands end for the same reason, and use up the same budget.
    """

    def __init__(
        self,
        equipment: Equipment,
        agents: Agents,
        new_id: NewId,
        make_toolbox: Callable[[Iterable[Tool]], Toolbox],
        active: Callable[[SessionId], Run | None],
    ) -> None:
        self._with = equipment
        self._sessions = equipment.sessions
        self._agents = agents
        self._clock = equipment.clock
        self._new_id = new_id
        self._make_toolbox = make_toolbox
        self._active = active
        self._errands: dict[SessionId, tuple[Run, OneShot[None]]] = {}

    async def run(self, use: ToolUse, errand: Errand) -> ToolOutput:
        """Have the errand done for the call; its last words are the result.

        Raises `Refused` for what the caller's model should know: a failure, an answer without text. Fails where the
        errand cannot even begin. Cancelling ends the errand, and returns when that is written.
        """
        crew = self._crew(errand)
        session = await self._open(use, errand)
        failpoints.ERRAND_OPENED()
        run = self._run_in(session, errand.prompt, self._caller(use.session_id))
        equipment = replace(self._with, agents=_Hired(crew), toolbox=self._make_toolbox(errand.tools))
        turn = Turn(run, equipment, list, lambda _: ())
        end = await self._cancellable(run, self._live(run, turn, errand, use.session_id), use.session_id)
        if end.outcome != Outcome.COMPLETED:
            raise Refused(f"Failed to generate response: {end.error or run_events.CONTEXT_CANCELED}")
        if not end.text.strip():
            raise Refused(NO_TEXT)
        return ToolOutput(content=end.text)

    async def empty(self, session_id: SessionId) -> None:
        """End the errand of a session that is being deleted, and wait until it has ended; its caller goes on."""
        if session_id in self._errands:
            run, gone = self._errands[session_id]
            run.cancel(BY_DELETION)
            await gone.when()

    def _crew(self, errand: Errand) -> Crew:
        brain = self._agents.crew_of(errand.slot)
        return Crew(brain, brain, errand.instructions, interactive=False)

    async def _open(self, use: ToolUse, errand: Errand) -> Session:
        """The session of the errand; clients know it by its id."""
        session_id = SessionId(f"{use.message_id}$${use.call.id}")
        if self._sessions.exists(session_id):
            raise Failed(f"the model has used the call id {use.call.id} twice in one message")
        return await self._sessions.create(errand.title, session_id=session_id, parent=use.session_id)

    def _caller(self, session_id: SessionId) -> Run | None:
        errand = self._errands.get(session_id)
        return errand[0] if errand else self._active(session_id)

    def _run_in(self, session: Session, prompt: str, caller: Run | None) -> Run:
        record = RunRecord(
            id=RunId(self._new_id()),
            minted=True,
            prompt=Prompt(session_id=session.id, text=prompt),
            position=UNTRACKED,
            accepted_at=int(self._clock.seconds()),
        )
        run = Run(record, caller.ledger if caller else None)
        run.kept()
        run.activate()
        return run

    async def _cancellable(
        self, run: Run, work: Coroutine[Deferred[object], object, RunEnd], caller: SessionId
    ) -> RunEnd:
        """The end of the work. Cancelling cancels the run, and waits until it has ended."""
        task = Deferred.fromCoroutine(work)
        try:
            return await apart(task)
        except CancelledError:
            run.cancel(_why(self._caller(caller)))
            await apart(task)
            raise

    async def _live(self, run: Run, turn: Turn, errand: Errand, caller: SessionId) -> RunEnd:
        """Do the work and write its end; whatever happens, there is one."""
        session_id, gone = run.prompt.session_id, OneShot[None]()
        self._errands[session_id] = run, gone
        try:
            end = await self._worked(run, turn, errand)
            failpoints.ERRAND_ENDED()
            await self._charge(caller, session_id)
            failpoints.ERRAND_CHARGED()
        finally:
            del self._errands[session_id]
            gone.fire(None)
        return end

    async def _worked(self, run: Run, turn: Turn, errand: Errand) -> RunEnd:
        error = await run.work(turn.take())
        closing, end = judged(run, turn, error)
        end = replace(end, ended_at=int(self._clock.seconds()))
        told = [run_events.completion(run, end)] if errand.announced else []
        try:
            await self._with.events.commit(closing.changes, [*closing.events, *told])
        except StorageFailed as unwritten:
            end = failed(unwritten, closing)
        run.finish(end)
        return end

    async def _charge(self, caller: SessionId, child: SessionId) -> None:
        """Add what the errand cost to the caller's session, also where it failed: it was paid for."""
        try:
            cost = self._sessions.get(child).cost
            if cost:
                await self._sessions.update(caller, cost=self._sessions.get(caller).cost + cost)
        except CrushError as error:
            log.error("the cost of {child} is not in {caller}: {reason}", child=child, caller=caller, reason=str(error))


def _why(caller: Run | None) -> Cancellation:
    """Why an errand is cancelled: for its caller's reason, where that has one."""
    if caller is None:
        return BY_USER
    stopped = caller.ledger.stopped
    return caller.cancellation or (Cancellation(str(stopped), "budget") if stopped else BY_USER)
