"""Routes of sessions, their messages, their files and what was read of them."""

from collections.abc import Sequence

from msgspec import UNSET

from txcrush.core.file_records import NEVER, timestamp
from txcrush.core.workspaces import Workspace, Workspaces
from txcrush.http.routing import OK, Call, Reply, json_reply, route
from txcrush.model.errors import BadRequest, SessionNotFound
from txcrush.model.ids import SessionId
from txcrush.model.sessions import Session
from txcrush.wire.answers import HistoryRow, history_rows
from txcrush.wire.parameters import OneRead
from txcrush.wire.requests import CreateSession, FileRead, PutSession
from txcrush.wire.v1 import MessageBody, SessionBody, message_body, session_body

WORKSPACE = "/v1/workspaces/<workspace_id>"
SESSION = f"{WORKSPACE}/sessions/<session_id>"


class SessionRoutes:
    """One route family."""

    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces

    @route("GET", f"{WORKSPACE}/sessions", answers=list[SessionBody])
    def list(self, call: Call) -> Reply:
        """List the sessions of a workspace, without those of sub-agents."""
        workspace = self._workspaces.get(call.workspace_id)
        return json_reply([_body(workspace, session) for session in workspace.sessions.top_level()])

    @route("POST", f"{WORKSPACE}/sessions", CreateSession, answers=SessionBody)
    async def create(self, call: Call) -> Reply:
        """Begin a session."""
        workspace = self._workspaces.get(call.workspace_id)
        return json_reply(_body(workspace, await workspace.sessions.create(call.body.title)))

    @route("GET", SESSION, answers=SessionBody, errors=(SessionNotFound,))
    def get(self, call: Call) -> Reply:
        """Read a session."""
        workspace = self._workspaces.get(call.workspace_id)
        return json_reply(_body(workspace, workspace.sessions.get(call.session_id)))

    @route("PUT", SESSION, PutSession, answers=SessionBody, errors=(SessionNotFound, BadRequest))
    async def put(self, call: Call) -> Reply:
        """Change the fields of a session that are present. Which session is said by the `id` of the body."""
        workspace = self._workspaces.get(call.workspace_id)
        body: PutSession = call.body
        session = await workspace.sessions.update(SessionId(body.id), **_changes(body))
        return json_reply(_body(workspace, session))

    @route("DELETE", SESSION, answers=None)
    async def delete(self, call: Call) -> Reply:
        """Delete a session with all that it holds. Answered when what ran in it has ended."""
        await self._workspaces.get(call.workspace_id).delete_session(call.session_id)
        return OK

    @route("GET", f"{SESSION}/messages", answers=Sequence[MessageBody])
    async def messages(self, call: Call) -> Reply:
        """List the messages of a session, the oldest first."""
        workspace = self._workspaces.get(call.workspace_id)
        found = await workspace.transcript.messages(call.session_id)
        return json_reply([message_body(message) for message in found])

    @route("GET", f"{SESSION}/messages/user", answers=Sequence[MessageBody])
    async def session_prompts(self, call: Call) -> Reply:
        """List what people wrote in a session."""
        return await self._prompts(call, call.session_id)

    @route("GET", f"{WORKSPACE}/messages/user", answers=Sequence[MessageBody])
    async def all_prompts(self, call: Call) -> Reply:
        """List what people wrote in all sessions of a workspace."""
        return await self._prompts(call, None)

    async def _prompts(self, call: Call, session_id: SessionId | None) -> Reply:
        workspace = self._workspaces.get(call.workspace_id)
        found = await workspace.transcript.user_messages(session_id)
        return json_reply([message_body(message) for message in found])

    @route("GET", f"{SESSION}/history", answers=Sequence[HistoryRow])
    async def history(self, call: Call) -> Reply:
        """List the versions of the files that a session has changed."""
        workspace = self._workspaces.get(call.workspace_id)
        return json_reply(history_rows(await workspace.file_history.versions(call.session_id)))

    @route("GET", f"{SESSION}/filetracker/files", answers=Sequence[str])
    async def read_files(self, call: Call) -> Reply:
        """List the files that a session has read."""
        workspace = self._workspaces.get(call.workspace_id)
        return json_reply(await workspace.file_tracker.files(call.session_id))

    @route("POST", f"{WORKSPACE}/filetracker/read", FileRead, answers=None)
    async def mark_read(self, call: Call) -> Reply:
        """Note that a session has read a file. An unknown session is no error."""
        workspace = self._workspaces.get(call.workspace_id)
        await workspace.file_tracker.record(SessionId(call.body.session_id), call.body.path)
        return OK

    @route("GET", f"{WORKSPACE}/filetracker/lastread", answers=str, query=OneRead)
    async def last_read(self, call: Call) -> Reply:
        """Tell when a session has read a file. `0001-01-01T00:00:00Z` where it has not."""
        workspace = self._workspaces.get(call.workspace_id)
        mark = await workspace.file_tracker.last_read(SessionId(call.query("session_id")), call.query("path"))
        return json_reply(timestamp(mark.at) if mark is not None else NEVER)


def _body(workspace: Workspace, session: Session) -> SessionBody:
    return session_body(
        session,
        is_busy=workspace.runs.is_busy(session.id),
        attached_clients=workspace.claims.attached(session.id),
    )


def _changes(body: PutSession) -> dict[str, object]:
    """The fields that the body sets, in whichever spelling; the wire's wins over Go's."""
    if not body.id:
        raise SessionNotFound
    given = {
        "prompt_tokens": body.go_prompt_tokens,
        "completion_tokens": body.go_completion_tokens,
        "summary_message_id": body.go_summary_message_id,
    }
    for name in ("title", "prompt_tokens", "completion_tokens", "summary_message_id", "cost", "todos"):
        if getattr(body, name) is not UNSET:
            given[name] = getattr(body, name)
    changes: dict[str, object] = {name: value for name, value in given.items() if value is not UNSET}
    for name in ("prompt_tokens", "completion_tokens", "cost"):
        value = changes.get(name, 0)
        if isinstance(value, int | float) and value < 0:
            raise BadRequest(f"{name} must not be negative")
    return changes
