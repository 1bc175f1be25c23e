"""Routes of the project: its set-up (does it need a context file, and how is one written), the names of its files."""

from txcrush.core.instructions import INIT_PROJECT
from txcrush.core.workspaces import Workspaces
from txcrush.http.config import publish_config_changed
from txcrush.http.routing import OK, Call, Reply, json_reply, route
from txcrush.model.errors import BadRequest, Failed
from txcrush.ports import FindFileNames, ProjectFiles
from txcrush.wire.answers import InitPrompt, NeedsInit
from txcrush.wire.parameters import FileNames

WORKSPACE = "/v1/workspaces/<workspace_id>"
PROJECT = f"{WORKSPACE}/project"
MOST_NAMES = 100
LONGEST_NAME = 4096


class ProjectRoutes:
    """One route family."""

    def __init__(self, workspaces: Workspaces, files: ProjectFiles, find_names: FindFileNames) -> None:
        self._workspaces = workspaces
        self._files = files
        self._find_names = find_names

    @route("GET", f"{PROJECT}/needs-init", answers=NeedsInit)
    async def needs_init(self, call: Call) -> Reply:
        """Tell whether the project wants to be set up. Nobody has done it, and there is no context file."""
        workspace = self._workspaces.get(call.workspace_id)
        needs = await self._files.needs_init(workspace.path, workspace.settings.data_dir)
        return json_reply(NeedsInit(needs))

    @route("POST", f"{PROJECT}/init", answers=None, errors=(Failed,))
    async def init(self, call: Call) -> Reply:
        """Note that the project is set up."""
        workspace = self._workspaces.get(call.workspace_id)
        await self._files.mark_initialized(workspace.settings.data_dir)
        await publish_config_changed(workspace, workspace.events)
        return OK

    @route("GET", f"{PROJECT}/init-prompt", answers=InitPrompt)
    def init_prompt(self, call: Call) -> Reply:
        """Read the prompt that has the agent write the project's context file."""
        options = self._workspaces.get(call.workspace_id).settings.config.options
        return json_reply(InitPrompt(INIT_PROJECT.format(name=options.initialize_as or "AGENTS.md")))

    @route("GET", f"{WORKSPACE}/files", answers=list[str], query=FileNames, errors=(BadRequest,))
    async def names(self, call: Call) -> Reply:
        """List paths of files that fit a part of one, the best first."""
        limit, wanted = call.query("limit") or "20", call.query("query")
        if not limit.isdecimal() or not 1 <= int(limit) <= MOST_NAMES:
            raise BadRequest(f"limit must be a number from 1 to {MOST_NAMES}")
        if len(wanted) > LONGEST_NAME:
            raise BadRequest(f"query must not be longer than {LONGEST_NAME} characters")
        workspace = self._workspaces.get(call.workspace_id)
        return json_reply(list(await self._find_names(workspace.path, wanted, int(limit))))
