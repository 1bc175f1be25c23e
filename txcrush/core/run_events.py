"""What is published when a run ends. Pure functions; the order is part of the contract: `agent_event`, then
`run_complete`."""

from collections.abc import Sequence

from txcrush.core.run import Run
from txcrush.model.events import AgentEvent, AgentEventType, Change, Event, EventKind, RunComplete
from txcrush.model.runs import Outcome, RunEnd

CONTEXT_CANCELED = "context canceled"
"""What stands in `error` where a turn that had begun was cancelled."""


def of_end(run: Run, folded: Sequence[Run], end: RunEnd, title: str, *, on_entry: bool = False) -> list[Event]:
    """Everything that tells of a turn's end. A folded prompt shares it; one with a run id of its own is told of too."""
    told = [completion(one, end) for one in folded if one.public_id]
    return [*_of_agent(run, end, title), completion(run, end, on_entry=on_entry), *told]


def completion(run: Run, end: RunEnd, *, on_entry: bool = False) -> Event:
    """The run's one `run_complete`. `on_entry`: the run was cancelled before its turn began."""
    cancelled = end.outcome == Outcome.CANCELLED
    error = CONTEXT_CANCELED if cancelled and not on_entry else end.error
    payload = RunComplete(
        session_id=run.prompt.session_id,
        run_id=run.public_id,
        message_id=end.message_id,
        text=end.text,
        error=error,
        cancelled=cancelled,
    )
    return Event(EventKind.RUN_COMPLETE, Change.UPDATED, payload, key=run.id)


def _of_agent(run: Run, end: RunEnd, title: str) -> list[Event]:
    """What is said of the agent: nothing after a cancel."""
    session_id = run.prompt.session_id
    if end.outcome == Outcome.COMPLETED:
        event = AgentEvent(type=AgentEventType.FINISHED, session_id=session_id, session_title=title)
    elif end.outcome == Outcome.FAILED:
        event = AgentEvent(type=AgentEventType.ERROR, session_id=session_id, run_id=run.public_id, error=end.error)
    else:
        return []
    return [Event(EventKind.AGENT_EVENT, Change.CREATED, event, key=session_id)]
