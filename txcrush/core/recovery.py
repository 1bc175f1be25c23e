"""What a server does with the runs that its predecessor left (`contract.md` 4).

A run whose provider request may have gone out is over: it ends as interrupted, its partial text kept, its open tool
calls answered, and no tool runs again. One that had not come that far is still waiting, and starts in its order.
"""

from collections.abc import Iterable, Sequence

from txcrush import failpoints
from txcrush.core import run_events
from txcrush.core.closing import CANCELLED_TOOL
from txcrush.core.events import EventLog
from txcrush.core.live_message import message_event
from txcrush.core.run import BY_STOP, Run
from txcrush.core.sessions import Sessions
from txcrush.core.transcript import STOP
from txcrush.model.events import Change, Event
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import Finish, FinishReason, Message, Part, Reasoning, Role, ToolCall, ToolResult
from txcrush.model.runs import Outcome, RunEnd, RunRecord
from txcrush.model.storage import DeleteMessage, EndRun, PutMessage, StoreChange
from txcrush.ports import Clock, NewId, Store


class Recovery:
    """Ends what was interrupted, and says what still waits."""

    def __init__(self, store: Store, events: EventLog, sessions: Sessions, clock: Clock, new_id: NewId) -> None:
        self._store = store
        self._events = events
        self._sessions = sessions
        self._clock = clock
        self._new_id = new_id

    async def recover(self) -> list[RunRecord]:
        """End every run that had begun, and every message that no run is left to finish; returns the other runs, in
        order."""
        unfinished = await self._store.unfinished_runs()
        for begun in _turns(record for record in unfinished if record.began_at):
            failpoints.RECOVERY_RUN()
            await self._interrupt(*begun)
        failpoints.RECOVERY_MESSAGES()
        await self._put_away(await self._store.unfinished_messages())
        return [record for record in unfinished if not record.began_at]

    async def _interrupt(self, record: RunRecord, *folded: RunRecord) -> None:
        """End a run, and with it those that had joined its turn; they share what is told of it, as ever."""
        now = int(self._clock.seconds())
        messages = await self._store.messages(record.prompt.session_id)
        changes, events, last = self._closed(messages, now)
        end = RunEnd(
            outcome=Outcome.CANCELLED,
            reason=BY_STOP.reason,
            source=BY_STOP.source,
            message_id=last.id if last else MessageId(""),
            text=last.text if last else "",
            ended_at=now,
        )
        told = run_events.of_end(Run(record), [Run(one) for one in folded], end, "")
        ends = [EndRun(one.id, end) for one in (record, *folded)]
        await self._events.commit([*changes, *ends], [*events, *told])

    async def _put_away(self, unfinished: Sequence[Message]) -> None:
        """Half a summary is of no use to anybody; what else was said is kept, and closed."""
        for message in unfinished:
            if message.is_summary_message:
                changes = [DeleteMessage(message.id), *self._sessions.counted(message.session_id, -1)]
                await self._events.commit(changes, [message_event(message, Change.DELETED)])
        for session_id in {message.session_id for message in unfinished if not message.is_summary_message}:
            stored = await self._store.messages(session_id)
            closing, events, _ = self._closed(stored, int(self._clock.seconds()))
            await self._events.commit(closing, events)

    def _closed(self, messages: Sequence[Message], now: int) -> tuple[list[StoreChange], list[Event], Message | None]:
        """The session's open assistant messages, closed, with the results that their calls lack; and the last."""
        changes: list[StoreChange] = []
        events: list[Event] = []
        closed = None
        for message in _open(messages):
            for result in self._missing_results(message, messages, now):
                changes += [PutMessage(result), *self._sessions.counted(result.session_id, 1)]
                events.append(message_event(result, Change.CREATED))
            closed = message.with_parts(tuple(_closed_parts(message, now)), now)
            changes.append(PutMessage(closed))
            events.append(message_event(closed))
        return changes, events, closed

    def _missing_results(self, last: Message, messages: Sequence[Message], now: int) -> list[Message]:
        answered = {part.tool_call_id for message in messages for part in message.parts if isinstance(part, ToolResult)}
        return [
            Message(
                MessageId(self._new_id()),
                last.session_id,
                Role.TOOL,
                (ToolResult(call.id, call.name, CANCELLED_TOOL, is_error=True), STOP),
                created_at=now,
                updated_at=now,
            )
            for call in last.tool_calls
            if call.id not in answered
        ]


def _turns(begun: Iterable[RunRecord]) -> list[list[RunRecord]]:
    """The runs of each session that had begun: it has one turn at a time, so all but the first had joined that."""
    turns: dict[SessionId, list[RunRecord]] = {}
    for record in begun:
        turns.setdefault(record.prompt.session_id, []).append(record)
    return list(turns.values())


def _open(messages: Sequence[Message]) -> list[Message]:
    """The assistant messages without a finish, wherever they stand: a clock that was set back may have put others
    behind them. Where there is none, the last, if its turn was to go on. Summaries are none of a turn's answers."""
    said = [message for message in messages if message.role == Role.ASSISTANT and not message.is_summary_message]
    unfinished = [message for message in said if message.finish is None]
    goes_on = [message for message in said[-1:] if message.finish and message.finish.reason == FinishReason.TOOL_USE]
    return unfinished or goes_on


def _closed_parts(message: Message, now: int) -> list[Part]:
    kept = [_closed_part(part, now) for part in message.parts if not isinstance(part, Finish)]
    return [*kept, Finish(FinishReason.CANCELED, now, BY_STOP.reason)]


def _closed_part(part: Part, now: int) -> Part:
    if isinstance(part, ToolCall) and not part.finished:
        return ToolCall(part.id, part.name, "{}", part.provider_executed, finished=True)
    if isinstance(part, Reasoning) and not part.finished_at:
        return Reasoning(
            part.thinking,
            part.signature,
            part.started_at,
            now,
            part.thought_signature,
            part.tool_id,
            part.responses_data,
        )
    return part
