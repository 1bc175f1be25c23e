"""How a workspace stands, for a reader that cannot go on where it left off."""

from collections.abc import AsyncIterator, Sequence

from txcrush.core._runmachine import RunState
from txcrush.core.sessions import session_event
from txcrush.core.workspaces import Workspace
from txcrush.model.events import Event
from txcrush.model.ids import SessionId
from txcrush.model.messages import Message

SESSIONS = 200


class WorkspaceSnapshot:
    """One workspace, seen anew at each call; a `resuming.Snapshot`. The rest is read with GET."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def pending(self) -> Sequence[Event]:
        """Permission requests and the question batch that wait for an answer."""
        return self._workspace.pending_events()

    def sessions(self) -> Sequence[Event]:
        """The top-level sessions that changed last, the latest first."""
        return [session_event(session) for session in self._workspace.sessions.top_level()[:SESSIONS]]

    async def messages(self) -> AsyncIterator[Message]:
        """What has been said since each active run was accepted, session by session."""
        since: dict[SessionId, int] = {}
        for run in self._workspace.runs.live():
            if run.state in (RunState.ACTIVE, RunState.CANCELLING):
                since.setdefault(run.prompt.session_id, run.record.accepted_at)
        for session_id, accepted_at in since.items():
            for message in await self._workspace.transcript.messages(session_id):
                if message.created_at >= accepted_at:
                    yield message
