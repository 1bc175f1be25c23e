"""The message that a session is summed up in (`agent.md` 5.2), on request or because the context is nearly full.

`write` asks for it and may be cancelled at any await. What has to be written at the end, whichever it is, is said by
`kept`, `failed` and `withdrawn`: plain functions, so that nothing can come in between.
"""

from collections.abc import Sequence

from txcrush import failpoints
from txcrush.core import history, retries, usage
from txcrush.core.agents import Brain
from txcrush.core.asking import bare_request, system_turns
from txcrush.core.instructions import SUMMARY, summary_request
from txcrush.core.live_message import LiveMessage
from txcrush.core.sessions import Sessions, session_event
from txcrush.core.transcript import Addition, Transcript
from txcrush.model.errors import StorageFailed
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import Finish, FinishReason, Message
from txcrush.model.providers import ModelReply, UserTurn
from txcrush.model.providers import Turn as ModelTurn
from txcrush.model.sessions import Session
from txcrush.model.storage import PutSession
from txcrush.ports import Clock

SUMMARIZATION_ERROR = "Summarization Error"
ROOMY_WINDOW = 200_000
ROOM_LEFT = 20_000
SHARE_LEFT = 0.2

NOTHING = Addition((), ())


def is_nearly_full(window: int, used: int) -> bool:
    """Whether so many tokens leave a context window too little room; a window of 0 is unknown."""
    left = window - used
    return bool(window) and left <= (ROOM_LEFT if window > ROOMY_WINDOW else int(SHARE_LEFT * window))


class SummaryMessage:
    """One summary of a session, from the wish for it to its end."""

    def __init__(self, session_id: SessionId, sessions: Sessions, transcript: Transcript, clock: Clock) -> None:
        self._session_id = session_id
        self._sessions = sessions
        self._transcript = transcript
        self._clock = clock
        self._live: LiveMessage | None = None

    async def past(self) -> list[Message]:
        """What there is to sum up."""
        stored = await self._transcript.messages(self._session_id)
        return history.after_summary(stored, self._session().summary_message_id)

    async def write(self, brain: Brain, past: Sequence[Message]) -> ModelReply:
        """Have the model write it."""
        turns = _conversation(brain, past, self._session())
        live, addition = self._transcript.assistant(self._session_id, brain.model.id, brain.config.id, is_summary=True)
        self._live = live
        try:
            await self._transcript.add(addition)
        except StorageFailed:  # there is no such message to finish
            self.abandon()
            raise
        failpoints.SUMMARY_BEGUN()
        request = bare_request(brain, turns, self._session_id, 0)
        return await retries.ask(self._clock, lambda: brain.provider.stream(request, live), live.reset)

    # The end

    def kept(self, brain: Brain, reply: ModelReply) -> Addition:
        """It is the session's memory from now on; its size is all that the context gauge shows."""
        live = self._retired()
        if live is None:
            return NOTHING
        put, event = live.finish(self._finish(FinishReason.END_TURN))
        estimated = usage.estimated((), live.snapshot()).output
        price = usage.cost(reply.usage, brain.model, flat_rate=brain.config.flat_rate)
        session = self._sessions.changed(
            self._session_id,
            summary_message_id=MessageId(live.id),
            prompt_tokens=0,
            completion_tokens=reply.usage.output or estimated,
            cost=self._session().cost + price,
        )
        return Addition((put, PutSession(session)), (event, session_event(session)))

    def failed(self, details: str) -> Addition:
        """What was written so far stays, with the reason beneath it."""
        live = self._retired()
        if live is None:
            return NOTHING
        put, event = live.finish(self._finish(FinishReason.ERROR, SUMMARIZATION_ERROR, details))
        return Addition((put,), (event,))

    def withdrawn(self) -> Addition:
        """It was cancelled: the message goes."""
        live = self._retired()
        return NOTHING if live is None else self._transcript.deletion(live)

    def abandon(self) -> None:
        """There is nowhere to write it any more."""
        live = self._retired()
        if live is not None:
            live.discard()

    def _retired(self) -> LiveMessage | None:
        live, self._live = self._live, None
        if live is not None:
            self._transcript.ended(live)
        return live

    def _session(self) -> Session:
        return self._sessions.get(self._session_id)

    def _finish(self, reason: FinishReason, message: str = "", details: str = "") -> Finish:
        return Finish(reason, int(self._clock.seconds()), message, details)


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
