"""The prompt: held until its run has ended, or answered at once (`contract.md` 1).

The run is the registry's. The request only watches it: a dropped connection takes its watcher away and nothing else.
"""

from twisted.internet.defer import TimeoutError

from txcrush.core._runmachine import RunState
from txcrush.core.run import BY_STOP, Run
from txcrush.core.workspaces import Workspaces
from txcrush.http.callers import Callers
from txcrush.http.generations import Generations
from txcrush.http.preferences import Waiting as HowLong
from txcrush.http.preferences import waiting
from txcrush.http.routing import Call, Reply, error_reply, route
from txcrush.model.budgets import Budget
from txcrush.model.errors import (
    AgentNotInitialized,
    BadRequest,
    CrushError,
    PromptEmpty,
    RunCancelled,
    RunFailed,
    RunIdReused,
    SessionBusy,
    SessionIdMissing,
    ShuttingDown,
    WorkspaceClosing,
)
from txcrush.model.ids import RunId, SessionId
from txcrush.model.runs import Outcome, Prompt, RunEnd, WhenBusy
from txcrush.ports import Clock
from txcrush.wire.parameters import RunLabels, Waiting
from txcrush.wire.requests import SubmitPrompt

LONGEST_RUN_ID = 255
REFUSALS = (
    AgentNotInitialized,
    BadRequest,
    PromptEmpty,
    SessionIdMissing,
    SessionBusy,
    RunIdReused,
    RunFailed,
    WorkspaceClosing,
    ShuttingDown,
)


class PromptRoutes:
    """One route family."""

    def __init__(self, workspaces: Workspaces, clock: Clock, generations: Generations, callers: Callers) -> None:
        self._workspaces = workspaces
        self._generations = generations
        self._clock = clock
        self._callers = callers

    @route(
        "POST",
        "/v1/workspaces/<workspace_id>/agent",
        SubmitPrompt,
        answers={200: None, 202: None},
        headers=Waiting,
        labels=RunLabels,
        errors=REFUSALS,
    )
    async def submit(self, call: Call) -> Reply:
        """Prompt the agent in a session.

        With a `run_id`, or `Prefer: respond-async`, it is answered 202 at once, and the end comes as `run_complete` on
        the event stream. Else the answer is held until the run has ended: 200 when it is done or was cancelled, 500
        when it failed, 503 when the server stops. A prompt that has to wait for its turn is answered 200 at once:
        `X-Run-State` says `queued`. A dropped connection changes nothing for the run. The same `run_id` again joins
        its run.

        `when_busy` says what becomes of it in a busy session: `queue`, `steer` (joins the active turn), `interrupt` or
        `reject` (409); without it a prompt joins the turn, and one with a `run_id` queues. `max_cost` (US dollars),
        `max_tokens`, `max_steps` and `max_seconds` end a run that wants more.
        """
        # The order of checks is part of the protocol (R-ACC-05).
        workspace = self._workspaces.get(call.workspace_id)
        if not workspace.agents.is_ready:
            raise AgentNotInitialized
        prompt = _prompt(call)
        how = waiting(call.header("Prefer"), has_run_id=bool(prompt.run_id))
        run = workspace.runs.accept(prompt, self._callers.client_id(call))
        try:
            reply = await self._answer(run, how)
        except RunFailed as error:
            is_told = how.seconds is None and self._generations.hears_by_events(call, workspace)
            reply = Reply(202) if is_told else error_reply(error)
        except CrushError as error:
            reply = error_reply(error)
        return _labelled(reply, run, how)

    async def _answer(self, run: Run, how: HowLong) -> Reply:
        if how.seconds is None:
            return await self._held(run)
        if how.seconds:
            return await self._watched(run, how.seconds)
        await run.when_kept()
        if run.end is not None and how.applied.startswith("wait"):
            return _reply_to(run.end)
        return Reply(202)

    async def _held(self, run: Run) -> Reply:
        """Wait for the end. A prompt that has to queue is answered at once: terminals show their queue only then."""
        await run.when_kept()
        if await run.when_placed() in (RunState.QUEUED, RunState.FOLDED) and not run.interrupts:
            return Reply(200, headers={"X-Run-State": "queued"})
        return await _end(run)

    async def _watched(self, run: Run, seconds: float) -> Reply:
        await run.when_kept()
        watcher = run.when_ended().addTimeout(seconds, self._clock)
        try:
            return _reply_to(await watcher)
        except TimeoutError:
            return Reply(202)
        except RunCancelled as cancelled:
            return _reply_to_cancelled(cancelled.source)


async def _end(run: Run) -> Reply:
    try:
        return _reply_to(await run.when_ended())
    except RunCancelled as cancelled:
        return _reply_to_cancelled(cancelled.source)


def _reply_to(end: RunEnd) -> Reply:
    if end.outcome == Outcome.FAILED:
        raise RunFailed(end.error)
    return Reply(200)


def _reply_to_cancelled(source: str) -> Reply:
    """A run that somebody cancelled is no error for whoever asked for it; a server that stops is."""
    if source == BY_STOP.source:
        raise ShuttingDown
    return Reply(200)


def _prompt(call: Call) -> Prompt:
    body: SubmitPrompt = call.body
    if body.when_busy not in {choice.value for choice in WhenBusy}:
        choices = ", ".join(choice.value for choice in WhenBusy if choice.value)
        raise BadRequest(f"unknown when_busy {body.when_busy!r}: use one of {choices}, or leave it out")
    budget = _budget(body)
    if body.when_busy == WhenBusy.STEER and not budget.is_empty:
        raise BadRequest("a prompt that joins another's turn can have no limits of its own: leave out when_busy")
    return Prompt(
        session_id=SessionId(body.session_id),
        text=body.prompt,
        run_id=_run_id("run_id", body.run_id),
        key=_run_id("Idempotency-Key", call.header("Idempotency-Key")),
        attachments=body.attachments,
        when_busy=WhenBusy(body.when_busy),
        budget=budget,
    )


def _budget(body: SubmitPrompt) -> Budget:
    budget = Budget(cost=body.max_cost, tokens=body.max_tokens, steps=body.max_steps, seconds=body.max_seconds)
    for name in budget.__struct_fields__:
        limit = getattr(budget, name)
        if limit is not None and not limit > 0:
            raise BadRequest(f"max_{name} must be more than 0, or left out")
    return budget


def _run_id(name: str, text: str) -> RunId:
    """An id that can stand in a header (answers carry it) and in an event."""
    if len(text) > LONGEST_RUN_ID or not (text.isascii() and text.isprintable()):
        raise BadRequest(f"{name} must be at most {LONGEST_RUN_ID} printable ASCII characters")
    return RunId(text)


def _labelled(reply: Reply, run: Run, how: HowLong) -> Reply:
    """Which run it is, and how it stands."""
    headers = {"X-Run-Id": run.id, "X-Run-State": run.state.value, **reply.headers}
    if how.applied:
        headers["Preference-Applied"] = how.applied
    return Reply(reply.status, reply.body, headers)
