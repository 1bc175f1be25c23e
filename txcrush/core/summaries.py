"""Summaries on request: what was said so far becomes one message, and later turns begin from it (`agent.md` 5.2).

A summary holds its session's slot as a run does, so prompts queue behind it and a cancel reaches it; it is no run: it
has no prompt, no run id and no `run_complete`. Like a run it belongs to the server, not to the request.
"""

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from txcrush.core import history, retries, usage
from txcrush.core.agents import Brain
from txcrush.core.asking import bare_request, system_turns
from txcrush.core.instructions import SUMMARY, summary_request
from txcrush.core.live_message import LiveMessage
from txcrush.core.observers import OneShot
from txcrush.core.run import Cancellation
from txcrush.core.runs import Runs
from txcrush.core.sessions import session_event
from txcrush.core.turn import Equipment, describe
from txcrush.model.errors import CrushError, Failed, SessionNotFound
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import Finish, FinishReason, Message
from txcrush.model.providers import ModelReply, UserTurn
from txcrush.model.providers import Turn as ModelTurn
from txcrush.model.sessions import Session
from txcrush.model.storage import PutSession

SUMMARIZATION_ERROR = "Summarization Error"

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
        self._live: LiveMessage | None = None
        self._brain: Brain | None = None
        self._reply: ModelReply | None = None
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
        if self._live is not None:
            self._with.transcript.ended(self._live)
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
        session = self._session()
        stored = await self._with.transcript.messages(self._session_id)
        past = history.after_summary(stored, session.summary_message_id)
        if not past:
            return
        brain = self._brain = (await self._with.agents.prepare()).large
        turns = _conversation(brain, past, session)
        self._live, addition = self._with.transcript.assistant(
            self._session_id, brain.model.id, brain.config.id, is_summary=True
        )
        live = self._live
        await self._with.transcript.add(addition)
        request = bare_request(brain, turns, self._session_id, 0)
        self._reply = await retries.ask(self._with.clock, lambda: brain.provider.stream(request, live), live.reset)

    def _session(self) -> Session:
        try:
            return self._with.sessions.get(self._session_id)
        except SessionNotFound as error:
            raise Failed(f"failed to get session: {error.message}") from error

    # The end

    async def _put_away(self, error: Exception | None) -> CrushError | None:
        """Write the end; returns what is told to those who wait."""
        if self._cancelled:
            if self._live is not None:
                await self._with.transcript.delete(self._live)
            return None
        if error is not None:
            return await self._failed(error)
        if self._live is not None and self._brain is not None and self._reply is not None:
            await self._stored(self._live, self._brain, self._reply)
        return None

    async def _failed(self, error: Exception) -> CrushError:
        if not isinstance(error, CrushError):
            log.failure("a summary failed")
        if self._live is not None:
            _, details = describe(error)
            put, event = self._live.finish(self._finish(FinishReason.ERROR, SUMMARIZATION_ERROR, details))
            await self._with.events.commit([put], [event])
        return error if isinstance(error, CrushError) else Failed(str(error))

    async def _stored(self, live: LiveMessage, brain: Brain, reply: ModelReply) -> None:
        """The summary is the session's memory from now on; its size is all that the context gauge shows."""
        put, event = live.finish(self._finish(FinishReason.END_TURN))
        session = self._with.sessions.get(self._session_id)
        estimated = usage.estimated((), live.snapshot()).output
        session = self._with.sessions.changed(
            self._session_id,
            summary_message_id=MessageId(live.id),
            prompt_tokens=0,
            completion_tokens=reply.usage.output or estimated,
            cost=session.cost + usage.cost(reply.usage, brain.model, flat_rate=brain.config.flat_rate),
        )
        await self._with.events.commit([put, PutSession(session)], [event, session_event(session)])

    def _finish(self, reason: FinishReason, message: str = "", details: str = "") -> Finish:
        return Finish(reason, int(self._with.clock.seconds()), message, details)


def _conversation(brain: Brain, past: Sequence[Message], session: Session) -> list[ModelTurn]:
    """The past as the model knows it, and the wish for a summary."""
    turns = history.past_turns(
        past,
        summary_id=session.summary_message_id,
        provider=brain.config.id,
        supports_images=brain.model.supports_attachments,
    )
    todos = [f"- [{todo.status}] {todo.content}" for todo in session.todos]
    return [*system_turns(brain, SUMMARY), *turns, UserTurn(summary_request(todos))]
