"""An assistant message while the model writes it.

Theory. Text and reasoning grow in memory. The first delta is shown at once, later ones at most every window, which
follows the measured cost of one publication (8 to 33 ms). Rows follow on a slower timer of their own. What clients
rely on (a tool call begun or complete, the end of reasoning, the finish) goes to disk first and is then published, at
once; no timer is left behind it. See R-STREAM in `agent.md` 3, as `contract.md` 1 amends it.
"""

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from txcrush import failpoints
from txcrush.core.events import EventLog
from txcrush.model.errors import StorageFailed
from txcrush.model.events import AgentEvent, AgentEventType, Change, Event, EventKind
from txcrush.model.messages import Finish, Message, Part, Reasoning, Text, ToolCall
from txcrush.model.storage import PutMessage, StoreChange
from txcrush.ports import Clock

WINDOW_MIN_S = 0.008
WINDOW_MAX_S = 0.033
ROW_S = 0.05
REFUSED_ROW_S = 1.0

log = Logger()


def message_event(message: Message, change: Change = Change.UPDATED, *, replaceable: bool = False) -> Event:
    return Event(EventKind.MESSAGE, change, message, key=message.id, replaceable=replaceable)


class LiveMessage:
    """One message in the making; it is a `StreamSink` of the provider. Rows are `row_s` behind, at 0 not at all."""

    def __init__(self, message: Message, events: EventLog, clock: Clock, *, row_s: float = ROW_S) -> None:
        self._base = message
        self._events = events
        self._clock = clock
        self._row_s = row_s
        self._order: list[str] = []
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._reasoning = Reasoning("")
        self._calls: dict[str, ToolCall] = {}
        self._finish: Finish | None = None
        self._shown = False
        self._window_s = WINDOW_MIN_S
        self._show_timer: IDelayedCall | None = None
        self._row_timer: IDelayedCall | None = None
        self._unwritten = False
        self._is_writing = False
        self._refusals = 0
        self._closed = False

    @property
    def id(self) -> str:
        return self._base.id

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        return tuple(self._calls.values())

    def snapshot(self) -> Message:
        """The message as it is now."""
        made: dict[str, tuple[Part, ...]] = {
            "reasoning": (self._joined_reasoning(),),
            "text": (Text("".join(self._text)),),
            "calls": self.calls,
        }
        parts = [part for kind in self._order for part in made[kind]]
        if self._finish is not None:
            parts.append(self._finish)
        return self._base.with_parts(tuple(parts), int(self._clock.seconds()))

    # What the provider says

    def text(self, delta: str) -> None:
        if not self._order:
            delta = delta.removeprefix("\n")
        if delta:
            self._note("text")
            self._text.append(delta)
            self._grew()
            failpoints.STREAM_TEXT()

    def reasoning(self, delta: str) -> None:
        if "reasoning" not in self._order:
            self._reasoning = Reasoning("", started_at=int(self._clock.seconds()))
        self._note("reasoning")
        self._thinking.append(delta)
        self._grew()

    def reasoning_ended(self, signature: str = "") -> None:
        if self._end_reasoning(signature):
            self.save()

    def tool_started(self, call_id: str, name: str) -> None:
        self._note("calls")
        self._calls[call_id] = ToolCall(call_id, name)
        self.save()
        failpoints.STREAM_CALL()

    def tool_call(self, call_id: str, name: str, arguments: str) -> None:
        self._note("calls")
        self._calls[call_id] = ToolCall(call_id, name, arguments, finished=True)
        self.save()
        failpoints.STREAM_CALLED()

    def stalled(self, wait_s: float) -> None:
        if not self._closed:
            said = f"the provider has sent nothing new for {wait_s:g} s; a cancel ends the wait"
            session_id = self._base.session_id
            event = AgentEvent(type=AgentEventType.STALLED, session_id=session_id, progress=said)
            self._events.show(Event(EventKind.AGENT_EVENT, Change.CREATED, event, key=session_id))

    # What the turn does with it

    def replace_input(self, call_id: str, arguments: str) -> None:
        """The call's input as it is stored from now on."""
        call = self._calls[call_id]
        self._calls[call_id] = ToolCall(call.id, call.name, arguments, finished=True)

    def reset(self) -> None:
        """Forget what was streamed, for another try."""
        if self._order or self._finish:
            self._order.clear()
            self._text.clear()
            self._thinking.clear()
            self._calls.clear()
            self._finish = None
            self.save()

    def close(self) -> list[str]:
        """The turn was cut off: close the reasoning and every unfinished call; returns the ids of all calls."""
        self._end_reasoning("")
        for call in self.calls:
            if not call.finished:
                self.replace_input(call.id, "{}")
        return list(self._calls)

    def finish(self, finish: Finish) -> tuple[StoreChange, Event]:
        """Put the finish part at the end (there is at most one): what to commit, and what to publish after it."""
        self._finish = finish
        self.discard()
        message = self.snapshot()
        return PutMessage(message), message_event(message)

    def save(self) -> Deferred[None]:
        """Write and publish the state now. A failure is reported, and the next flush writes again."""
        if self._closed:
            return succeed(None)
        self._stop_timers()
        self._shown = True
        message = self.snapshot()
        return self._write(message, [message_event(message)])

    def flush(self) -> None:
        """Write what has not been written; the write is in the store's queue when this returns."""
        if self._unwritten and not self._closed:
            self._stop_row_timer()
            self._write(self.snapshot())

    def discard(self) -> None:
        """The message is gone, or its last state is in other hands: nothing more is written or shown from here."""
        self._closed = True
        self._stop_timers()

    # Growth

    def _grew(self) -> None:
        if self._closed:
            return
        if not self._shown:
            self._show()
        elif self._show_timer is None:
            self._show_timer = self._later(self._window_s, self._show_later)
        self._unwritten = True
        if not self._row_s and not self._refusals:
            self._write_row()
        elif self._row_timer is None:
            self._row_timer = self._later(self._row_pause_s, self._write_row)

    def _show_later(self) -> None:
        self._show_timer = None
        self._show()

    def _show(self) -> None:
        self._shown = True
        began = self._clock.seconds()
        self._events.show(message_event(self.snapshot(), replaceable=True))
        cost = self._clock.seconds() - began
        self._window_s = min(WINDOW_MAX_S, max(WINDOW_MIN_S, 2 * cost))

    def _write_row(self) -> None:
        """One row at a time: a disk that hangs is owed the last state of the message, not every one."""
        self._row_timer = None
        if self._is_writing:
            return
        self._is_writing = True
        self._write(self.snapshot()).addBoth(self._row_settled)

    def _row_settled(self, _: object) -> None:
        self._is_writing = False
        if self._unwritten and not self._closed and self._row_timer is None:
            self._row_timer = self._later(self._row_pause_s, self._write_row)

    @property
    def _row_pause_s(self) -> float:
        """What the store refuses is not tried twenty times a second."""
        return REFUSED_ROW_S if self._refusals else self._row_s

    def _write(self, message: Message, events: Sequence[Event] = ()) -> Deferred[None]:
        self._unwritten = False
        writing = self._events.commit([PutMessage(message)], events)
        return writing.addCallbacks(self._was_written, self._not_written)

    def _was_written(self, _: None) -> None:
        self._refusals = 0

    def _not_written(self, failure: Failure) -> None:
        self._unwritten = True
        self._refusals += 1
        if failure.check(StorageFailed) is None:
            log.failure("a message could not be saved", failure=failure)
        else:
            log.error("message {message_id} could not be saved: {reason}", message_id=self.id, reason=failure.value)

    def _later(self, delay_s: float, call: Callable[[], None]) -> IDelayedCall:
        return self._clock.callLater(delay_s, call)

    def _stop_timers(self) -> None:
        if self._show_timer is not None:
            self._show_timer.cancel()
            self._show_timer = None
        self._stop_row_timer()

    def _stop_row_timer(self) -> None:
        if self._row_timer is not None:
            self._row_timer.cancel()
            self._row_timer = None

    def _note(self, kind: str) -> None:
        if kind not in self._order:
            self._order.append(kind)

    def _joined_reasoning(self) -> Reasoning:
        one = self._reasoning
        return Reasoning("".join(self._thinking), one.signature, one.started_at, one.finished_at)

    def _end_reasoning(self, signature: str) -> bool:
        """Set the end once, and keep the provider's latest seal; says whether anything is new."""
        if "reasoning" not in self._order:
            return False
        one = self._reasoning
        ended_at = one.finished_at or int(self._clock.seconds())
        self._reasoning = Reasoning("", signature or one.signature, one.started_at, ended_at)
        return self._reasoning != one
