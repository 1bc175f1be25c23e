"""Routes of the project's set-up: does it need a context file, and how is one written."""

from txcrush.core.instructions import INIT_PROJECT
from txcrush.core.workspaces import Workspaces
from txcrush.http.config import publish_config_changed
from txcrush.http.routing import OK, Call, Reply, json_reply, route
from txcrush.ports import ProjectFiles

PROJECT = "/v1/workspaces/<workspace_id>/project"


class ProjectRoutes:
    """One route family."""

    def __init__(self, workspaces: Workspaces, files: ProjectFiles) -> None:
        self._workspaces = workspaces
        self._files = files

    @route("GET", f"{PROJECT}/needs-init")
    async def needs_init(self, call: Call) -> Reply:
        workspace = self._workspaces.get(call.workspace_id)
        needs = await self._files.needs_init(workspace.path, workspace.settings.data_dir)
        return json_reply({"needs_init": needs})

    @route("POST", f"{PROJECT}/init")
    async def init(self, call: Call) -> Reply:
        workspace = self._workspaces.get(call.workspace_id)
        await self._files.mark_initialized(workspace.settings.data_dir)
        await publish_config_changed(workspace, workspace.events)
        return OK

    @route("GET", f"{PROJECT}/init-prompt")
    def init_prompt(self, call: Call) -> Reply:
        options = self._workspaces.get(call.workspace_id).settings.config.options
        return json_reply({"prompt": INIT_PROJECT.format(name=options.initialize_as or "AGENTS.md")})
