"""Routes of runs, and of those who are attached: what goes on in a workspace, whoever began it (`contract.md` 7)."""

from collections.abc import Sequence

from twisted.internet.defer import TimeoutError

from txcrush.core._runmachine import RunState
from txcrush.core.run import Run
from txcrush.core.workspaces import Workspace, Workspaces
from txcrush.http.callers import Callers
from txcrush.http.routing import Call, Reply, json_reply, route
from txcrush.model.errors import BadRequest, RunCancelled, RunNotFound
from txcrush.model.ids import RunId, SessionId
from txcrush.model.runs import RunRecord
from txcrush.ports import Clock
from txcrush.wire.parameters import OneRun, RunsPage
from txcrush.wire.runs import ClientBody, RunBody, run_body

WORKSPACE = "/v1/workspaces/<workspace_id>"
RUN = f"{WORKSPACE}/runs/<path:run_id>"

PAGE = 100
LONGEST_PAGE = 1000
LONGEST_WAIT_S = 3600
_STATES = tuple(state.value for state in RunState)


class RunRoutes:
    """One route family."""

    def __init__(self, workspaces: Workspaces, clock: Clock, callers: Callers) -> None:
        self._workspaces = workspaces
        self._clock = clock
        self._callers = callers

    @route("GET", f"{WORKSPACE}/runs", answers=list[RunBody], query=RunsPage, errors=(BadRequest,))
    async def list(self, call: Call) -> Reply:
        """List the runs of a workspace or of one session, the newest first. Without the texts of their answers."""
        workspace = self._workspaces.get(call.workspace_id)
        state = _state(call)
        limit = _number(call, "limit", PAGE, 1, LONGEST_PAGE)
        session_id, before = SessionId(call.query("session_id")) or None, RunId(call.query("before"))
        is_ended = None if state is None else state == RunState.ENDED
        most = LONGEST_PAGE if is_ended is False else limit
        records = await workspace.store.runs(session_id, before, most, is_ended=is_ended)
        if is_ended is not True and not before:
            records = [*_unkept(workspace, records, session_id), *records]
        shown = [_shown(workspace, record) for record in records]
        return json_reply([one for one in shown if state in (None, one.state)][:limit])

    @route("GET", RUN, cancellable=True, answers=RunBody, query=OneRun, errors=(RunNotFound, BadRequest))
    async def get(self, call: Call) -> Reply:
        """Read one run. With `wait` the answer is held until the run has ended, and no longer than so many seconds."""
        workspace = self._workspaces.get(call.workspace_id)
        run_id, seconds = RunId(call.path["run_id"]), _number(call, "wait", 0, 0, LONGEST_WAIT_S)
        run = workspace.runs.find(run_id)
        if run is not None and seconds:
            await self._ended(run, seconds)
        return json_reply(await _of(workspace, run_id, run))

    @route("POST", f"{RUN}/cancel", answers=RunBody, errors=(RunNotFound,))
    async def cancel(self, call: Call) -> Reply:
        """Cancel one run and no other. One that has ended stays as it is. The answer is how it stands then."""
        workspace = self._workspaces.get(call.workspace_id)
        run_id = RunId(call.path["run_id"])
        run = workspace.runs.find(run_id)
        if run is not None:
            workspace.runs.cancel_run(run)
        return json_reply(await _of(workspace, run_id, run))

    @route("GET", f"{WORKSPACE}/clients", answers=Sequence[ClientBody])
    def clients(self, call: Call) -> Reply:
        """List who is attached to a workspace, those who came first at the front. They hold it open."""
        workspace = self._workspaces.get(call.workspace_id)
        attached = []
        for client_id, claim in workspace.claims.clients().items():
            body = ClientBody(client_id=client_id, since=int(claim.since), streams=claim.streams)
            body.session_id = claim.current_session
            peer = self._callers.peer(workspace.id, client_id)
            if peer is not None:
                body.user_agent, body.via, body.pid = peer.user_agent, peer.via, peer.pid
            attached.append(body)
        return json_reply(attached)

    async def _ended(self, run: Run, seconds: int) -> None:
        """Returns when the run has ended or the time is over. Who goes takes only this watcher away."""
        try:
            await run.when_ended().addTimeout(seconds, self._clock)
        except RunCancelled:
            return
        except TimeoutError:
            return


async def _of(workspace: Workspace, run_id: RunId, run: Run | None) -> RunBody:
    """How a run stands. Raises `RunNotFound`."""
    record = await workspace.store.run(run_id)
    if run is not None and (record is None or record.end is None):
        record = run.record if record is None or run.end is not None else record
        return run_body(record, run.state, run.ledger.usage)
    if record is None:
        raise RunNotFound
    return run_body(record, RunState.ENDED)


def _shown(workspace: Workspace, record: RunRecord) -> RunBody:
    """A row of the list: without the answer, which may be long."""
    run = workspace.runs.find(record.id) if record.end is None else None
    body = run_body(record, RunState.ENDED) if run is None else run_body(record, run.state, run.ledger.usage)
    body.text = ""
    return body


def _unkept(workspace: Workspace, records: list[RunRecord], session_id: SessionId | None) -> list[RunRecord]:
    """Runs that were accepted just now and are not stored yet, the newest first."""
    stored = {record.id for record in records}
    newest = max((record.position for record in records), default=0)
    accepted = (run.record for run in reversed(workspace.runs.live()) if run.state == RunState.ACCEPTED)
    return [
        record
        for record in accepted
        if record.id not in stored and record.position > newest and session_id in (None, record.prompt.session_id)
    ]


def _state(call: Call) -> str | None:
    state = call.query("state")
    if state and state not in _STATES:
        raise BadRequest(f"unknown state {state!r}: use one of {', '.join(_STATES)}, or leave it out")
    return state or None


def _number(call: Call, name: str, default: int, least: int, most: int) -> int:
    text = call.query(name) or str(default)
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and least <= int(text) <= most):
        raise BadRequest(f"{name} must be a number from {least} to {most}")
    return int(text)
