"""Routes of the desk: permissions, questions, policies, and the audit trail."""

from msgspec import UNSET

from txcrush.core.permissions import Desk
from txcrush.core.workspaces import Workspace, Workspaces
from txcrush.http.callers import Callers
from txcrush.http.routing import OK, Call, Reply, json_reply, route
from txcrush.model.desk import DeskEntry, Unanswered, parse_unanswered
from txcrush.model.errors import BadRequest, DecodeFailed, SessionNotFound
from txcrush.model.ids import BatchId, PermissionId, SessionId
from txcrush.model.permissions import PermissionRequest, Verdict
from txcrush.model.questions import QuestionAnswer, QuestionBatch
from txcrush.wire.answers import Resolution, SkipBody
from txcrush.wire.json import encode_body
from txcrush.wire.parameters import Answering, AuditPage, CancellingQuestions, OutcomeLabel
from txcrush.wire.requests import Answer, Grant, PutPolicy, QuestionResponse, Skip
from txcrush.wire.v1 import PolicyBody

WORKSPACE = "/v1/workspaces/<workspace_id>"
POLICY = f"{WORKSPACE}/sessions/<session_id>/policy"
ACTIONS = frozenset(Verdict)
OUTCOME = "X-Outcome"
"""Tells those who came too late how the request ended; the reference's body has no room for it."""

PAGE = 100
LONGEST_PAGE = 1000


class PermissionRoutes:
    """One route family."""

    def __init__(self, workspaces: Workspaces, callers: Callers) -> None:
        self._workspaces = workspaces
        self._callers = callers

    @route("GET", f"{WORKSPACE}/permissions/skip", answers=SkipBody)
    def skip(self, call: Call) -> Reply:
        """Tell whether everything is granted unasked in the workspace."""
        return json_reply(SkipBody(self._desk(call).policies.skip))

    @route("POST", f"{WORKSPACE}/permissions/skip", Skip, answers=None, query=Answering, errors=(BadRequest,))
    async def set_skip(self, call: Call) -> Reply:
        """Switch whether everything is granted unasked in the workspace."""
        await self._desk(call).policies.switch(call.body.skip, self._callers.answerer(call))
        return OK

    @route(
        "POST",
        f"{WORKSPACE}/permissions/grant",
        Grant,
        answers=Resolution,
        query=Answering,
        labels=OutcomeLabel,
        errors=(BadRequest,),
    )
    async def grant(self, call: Call) -> Reply:
        """Answer a permission request. `action` is `allow`, `allow_session` or `deny`; the first answer wins. Of the
        request that is sent back only its `id` counts."""
        check_params(call.body)
        desk = self._desk(call)
        grant: Grant = call.body
        if grant.action not in ACTIONS:
            raise BadRequest("invalid permission action")
        permission_id = PermissionId("" if grant.permission is UNSET else grant.permission.id)
        resolved = await desk.answer(permission_id, Verdict(grant.action), self._callers.answerer(call))
        return await _resolution(desk, permission_id, resolved=resolved)

    @route("GET", f"{WORKSPACE}/permissions/pending", answers=list[PermissionRequest])
    def pending(self, call: Call) -> Reply:
        """List the permission requests that wait for an answer."""
        return json_reply(self._desk(call).pending())

    @route("GET", f"{WORKSPACE}/permissions/audit", answers=list[DeskEntry], query=AuditPage, errors=(BadRequest,))
    async def audit(self, call: Call) -> Reply:
        """Read the audit trail, the newest entry first. Who was asked what, who answered what, and when."""
        desk = self._desk(call)
        session_id = SessionId(call.query("session_id")) or None
        return json_reply(await desk.book.entries(session_id, call.query("before"), _limit(call)))

    @route("GET", POLICY, answers=PolicyBody, errors=(SessionNotFound,))
    def policy(self, call: Call) -> Reply:
        """Read what becomes of a session's requests that nobody answers."""
        workspace = self._workspaces.get(call.workspace_id)
        workspace.sessions.get(call.session_id)
        return json_reply(_policy(workspace, call.session_id))

    @route("PUT", POLICY, PutPolicy, answers=PolicyBody, query=Answering, errors=(BadRequest, SessionNotFound))
    async def set_policy(self, call: Call) -> Reply:
        """Set what becomes of a session's requests that nobody answers. `unanswered` is `ask`, `deny:SECONDS`, `allow`
        or `allow:SECONDS`; the answer is the policy as it is then."""
        workspace = self._workspaces.get(call.workspace_id)
        workspace.sessions.get(call.session_id)
        body: PutPolicy = call.body
        unanswered = None if body.unanswered is UNSET else _unanswered(body.unanswered)
        skip = None if body.skip is UNSET else body.skip
        policies = workspace.permissions.policies
        await policies.set(call.session_id, self._callers.answerer(call), unanswered=unanswered, skip=skip)
        return json_reply(_policy(workspace, call.session_id))

    @route(
        "POST",
        f"{WORKSPACE}/questions/answer",
        Answer,
        answers=Resolution,
        query=Answering,
        labels=OutcomeLabel,
        errors=(BadRequest,),
    )
    async def answer(self, call: Call) -> Reply:
        """Answer a batch of questions. An empty `batch_request_id` means the oldest; the first answer wins."""
        workspace = self._workspaces.get(call.workspace_id)
        body: Answer = call.body
        batch_id = BatchId(body.batch_request_id)
        answers = [_answer(response) for response in body.responses]
        resolved = await workspace.questions.answer(batch_id, answers, self._callers.answerer(call))
        return await _resolution(workspace.permissions, batch_id, resolved=resolved)

    @route(
        "POST",
        f"{WORKSPACE}/questions/cancel",
        answers=Resolution,
        query=CancellingQuestions,
        labels=OutcomeLabel,
        errors=(BadRequest,),
    )
    async def cancel_questions(self, call: Call) -> Reply:
        """Close a batch of questions without an answer. The agent goes on without."""
        workspace = self._workspaces.get(call.workspace_id)
        batch_id = BatchId(call.query("batch_request_id"))
        resolved = await workspace.questions.cancel(batch_id, self._callers.answerer(call))
        return await _resolution(workspace.permissions, batch_id, resolved=resolved)

    @route("GET", f"{WORKSPACE}/questions/pending", answers=list[QuestionBatch])
    def pending_questions(self, call: Call) -> Reply:
        """List the batches of questions that wait for an answer."""
        return json_reply(self._workspaces.get(call.workspace_id).questions.pending())

    def _desk(self, call: Call) -> Desk:
        return self._workspaces.get(call.workspace_id).permissions


async def _resolution(desk: Desk, entry_id: str, *, resolved: bool) -> Reply:
    outcome = None if resolved or not entry_id else await desk.book.outcome_of(entry_id)
    return Reply(body=encode_body(Resolution(resolved)), headers={OUTCOME: outcome.value} if outcome else {})


def _limit(call: Call) -> int:
    text = call.query("limit") or str(PAGE)
    if not (text.isascii() and text.isdecimal() and len(text) < 5 and 1 <= int(text) <= LONGEST_PAGE):
        raise BadRequest(f"limit must be a number from 1 to {LONGEST_PAGE}")
    return int(text)


def _policy(workspace: Workspace, session_id: SessionId) -> PolicyBody:
    policies = workspace.permissions.policies
    return PolicyBody(session_id, str(policies.unanswered(session_id)), policies.skips(session_id))


def _unanswered(text: str) -> Unanswered:
    try:
        return parse_unanswered(text)
    except ValueError as error:
        raise BadRequest(f"unanswered {error}") from error


def _answer(response: QuestionResponse) -> QuestionAnswer:
    return QuestionAnswer(
        question_id=response.request_id,
        selected_ids=tuple(response.selected_ids),
        fill_in_text=response.fill_in_text,
        yes=response.yes,
        notes=response.notes,
    )


def check_params(grant: Grant) -> None:
    """A request that is sent back must hold `params`, an object or null; a text only for MCP tools (`contract.md` 5).
    Raises `DecodeFailed`."""
    asked = grant.permission
    if asked is UNSET:
        return
    if asked.params is UNSET:
        raise DecodeFailed
    is_text_allowed = asked.tool_name.startswith("mcp_")
    if not (
        asked.params is None or isinstance(asked.params, dict) or (isinstance(asked.params, str) and is_text_allowed)
    ):
        raise DecodeFailed
