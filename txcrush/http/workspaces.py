"""Routes of workspaces: create, read, leave, and what a client looks at."""

from collections.abc import Callable

from twisted.web.iweb import IRequest

from txcrush import __version__
from txcrush.core.workspace_request import WorkspaceRequest
from txcrush.core.workspaces import Workspace, Workspaces
from txcrush.http.client_ids import body_client_id, query_client_id
from txcrush.http.routing import OK, Call, Reply, json_reply, route
from txcrush.model.config import Config
from txcrush.model.errors import BadRequest, ClientNotAttached, ClientRetired, Failed, ShuttingDown
from txcrush.model.ids import SessionId
from txcrush.wire.parameters import Leaving, Looking
from txcrush.wire.requests import CreateWorkspace, CurrentSession
from txcrush.wire.skills import skill_state
from txcrush.wire.v1 import WorkspaceBody

Visible = Callable[[IRequest, Config], Config]
"""The configuration as this request's connection may see it: keys are redacted on TCP."""


class WorkspaceRoutes:
    """One route family; `visible` decides what of a configuration is shown."""

    def __init__(self, workspaces: Workspaces, visible: Visible, shows_env: Callable[[IRequest], bool]) -> None:
        self._workspaces = workspaces
        self._visible = visible
        self._shows_env = shows_env

    @route("GET", "/v1/workspaces", answers=list[WorkspaceBody])
    def list(self, call: Call) -> Reply:
        """List the workspaces that are open."""
        return json_reply([self._body(call, workspace) for workspace in self._workspaces.list()])

    @route(
        "POST",
        "/v1/workspaces",
        CreateWorkspace,
        answers=WorkspaceBody,
        errors=(BadRequest, ClientRetired, Failed, ShuttingDown),
    )
    async def create(self, call: Call) -> Reply:
        """Open the workspace of a directory, or join the one that is open. The client claims it with that."""
        asked: CreateWorkspace = call.body
        if not asked.path:
            raise BadRequest("path is required")
        if "\0" in asked.path + asked.data_dir:
            raise BadRequest("path and data_dir must not contain a NUL character")
        request = WorkspaceRequest(
            path=asked.path,
            client_id=body_client_id(asked.client_id),
            data_dir=asked.data_dir,
            debug=asked.debug,
            yolo=asked.yolo,
            env=tuple(asked.env),
            channels=tuple(asked.channels),
        )
        return json_reply(self._body(call, await self._workspaces.create(request)))

    @route("GET", "/v1/workspaces/<workspace_id>", answers=WorkspaceBody)
    def get(self, call: Call) -> Reply:
        """Read a workspace. Keys and variables are hidden on TCP."""
        return json_reply(self._body(call, self._workspaces.get(call.workspace_id)))

    @route("DELETE", "/v1/workspaces/<workspace_id>", answers=None, query=Leaving, errors=(BadRequest,))
    def release(self, call: Call) -> Reply:
        """Leave a workspace. It closes when nobody claims it and nothing runs in it."""
        self._workspaces.release(call.workspace_id, query_client_id(call))
        return OK

    @route(
        "POST",
        "/v1/workspaces/<workspace_id>/current-session",
        CurrentSession,
        check=query_client_id,
        answers=None,
        query=Looking,
        errors=(BadRequest, ClientNotAttached),
    )
    def current_session(self, call: Call) -> Reply:
        """Say which session a client looks at. Empty for none."""
        workspace = self._workspaces.get(call.workspace_id)
        workspace.claims.look_at(query_client_id(call), SessionId(call.body.session_id))
        return OK

    def _body(self, call: Call, workspace: Workspace) -> WorkspaceBody:
        config = workspace.settings.config
        return WorkspaceBody(
            id=workspace.id,
            path=workspace.path,
            yolo=workspace.permissions.policies.skip,
            debug=config.options.debug,
            data_dir=workspace.settings.data_dir,
            version=__version__,
            config=self._visible(call.request, config),
            env=workspace.env if self._shows_env(call.request) else (),
            channels=workspace.channels,
            skills=tuple(skill_state(found) for found in workspace.skills.states),
        )
