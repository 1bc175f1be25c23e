"""Summaries on request: what was said so far becomes one message, and later turns begin from it (`agent.md` 5.2).

A summary holds its session's slot as a run does, so prompts queue behind it and a cancel reaches it; it is no run: it
has no prompt, no run id and no `run_complete`. Like a run it belongs to the server, not to the request.
"""

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from txcrush import failpoints
from txcrush.core.agents import Brain
from txcrush.core.closing import describe
from txcrush.core.equipment import Equipment
from txcrush.core.observers import OneShot
from txcrush.core.run import Cancellation
from txcrush.core.runs import Runs
from txcrush.core.summary_message import NOTHING, SummaryMessage
from txcrush.core.transcript import Addition
from txcrush.model.errors import CrushError, Failed, SessionNotFound
from txcrush.model.ids import SessionId
from txcrush.model.providers import ModelReply
from txcrush.model.sessions import Session

log = Logger()


class Summaries:
    """Makes summaries of a workspace's sessions."""

    def __init__(self, equipment: Equipment, runs: Runs) -> None:
        self._equipment = equipment
        self._runs = runs

    def start(self, session_id: SessionId) -> "Summary":
        """Begin one. Raises `SessionProcessing` where the session is busy, `WorkspaceClosing` where all is ending."""
        summary = Summary(session_id, self._equipment)
        self._runs.hold(session_id, summary)
        return summary


class Summary:
    """One summary in the making."""

    def __init__(self, session_id: SessionId, equipment: Equipment) -> None:
        self._session_id = session_id
        self._with = equipment
        self._message: SummaryMessage | None = None
        self._written: tuple[Brain, ModelReply] | None = None
        self._work: Deferred[None] | None = None
        self._cancelled = False
        self._ended: OneShot[CrushError | None] = OneShot()

    async def when_done(self) -> None:
        """Returns when the summary is stored, was cancelled, or had nothing to sum up. Raises what went wrong."""
        error = await self._ended.when()
        if error is not None:
            raise error

    # What the registry of runs does with it

    def cancel(self, _cancellation: Cancellation) -> None:
        """Give the summary up; only the first time counts."""
        if not self._cancelled:
            self._cancelled = True
            if self._work is not None:
                self._work.cancel()

    async def work(self) -> None:
        """Make it, and put it away; never raises."""
        error = await self._made()
        try:
            told = await self._put_away(error)
        except CrushError as unwritten:
            told = unwritten
        self._ended.fire(told)

    async def _made(self) -> Exception | None:
        """What stopped it. That it was cancelled is told by our own mark, not by the exception."""
        self._work = Deferred.fromCoroutine(self._make())
        try:
            await self._work
        except Exception as error:
            return error
        return None

    async def _make(self) -> None:
        session_id = self._session().id
        self._message = message = SummaryMessage(
            session_id, self._with.sessions, self._with.transcript, self._with.clock
        )
        past = await message.past()
        if past:
            brain = (await self._with.agents.prepare()).large
            self._written = brain, await message.write(brain, past)

    def _session(self) -> Session:
        try:
            return self._with.sessions.get(self._session_id)
        except SessionNotFound as error:
            raise Failed(f"failed to get session: {error.message}") from error

    # The end

    async def _put_away(self, error: Exception | None) -> CrushError | None:
        """Write the end; returns what is told to those who wait."""
        last = self._last(error)
        if last.changes:
            failpoints.SUMMARY_WRITTEN()
            await self._with.transcript.add(last)
            failpoints.SUMMARY_KEPT()
        if self._cancelled or error is None:
            return None
        if not isinstance(error, CrushError):
            log.failure("a summary failed", failure=Failure(error))
        return error if isinstance(error, CrushError) else Failed(str(error))

    def _last(self, error: Exception | None) -> Addition:
        """What is left to write."""
        message = self._message
        if message is None:
            return NOTHING
        if self._cancelled:
            return message.withdrawn()
        if error is not None:
            return message.failed(describe(error)[1])
        return message.kept(*self._written) if self._written else NOTHING
