"""Routes of MCP servers and language servers.

This version starts none of them: lists are empty, and what needs one says in the reference's words that there is none.
"""

from txcrush.core.workspaces import Workspaces
from txcrush.http.routing import OK, Call, Reply, json_reply, route
from txcrush.model.errors import BadRequest, Failed, NotFound
from txcrush.wire.requests import McpName, McpPrompt, McpResource, StartLsp

WORKSPACE = "/v1/workspaces/<workspace_id>"
NO_DOCKER = "docker mcp is not available, please ensure docker is installed and 'docker mcp version' succeeds"


class ExtensionRoutes:
    """One route family."""

    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces

    @route("GET", f"{WORKSPACE}/lsps")
    def language_servers(self, call: Call) -> Reply:
        """Servers by name: none."""
        self._workspaces.get(call.workspace_id)
        return json_reply({})

    @route("GET", f"{WORKSPACE}/mcp/states")
    def mcp_states(self, _call: Call) -> Reply:
        """Servers by name: none, also for an id that no workspace has, as in the reference."""
        return json_reply({})

    @route("GET", f"{WORKSPACE}/mcp/pending-auth")
    @route("GET", f"{WORKSPACE}/mcp/prompts")
    def nothing(self, call: Call) -> Reply:
        """A list of what there is: nothing."""
        self._workspaces.get(call.workspace_id)
        return json_reply([])

    @route("GET", f"{WORKSPACE}/lsps/<name>/diagnostics")
    def diagnostics(self, call: Call) -> Reply:
        self._workspaces.get(call.workspace_id)
        raise NotFound("LSP client not found")

    @route("POST", f"{WORKSPACE}/lsps/start", StartLsp)
    @route("POST", f"{WORKSPACE}/lsps/stop")
    @route("POST", f"{WORKSPACE}/mcp/refresh-tools", McpName)
    @route("POST", f"{WORKSPACE}/mcp/docker/disable")
    def nothing_to_do(self, call: Call) -> Reply:
        """Done for each of no servers."""
        self._workspaces.get(call.workspace_id)
        return OK

    @route("POST", f"{WORKSPACE}/mcp/refresh-prompts", McpName)
    @route("POST", f"{WORKSPACE}/mcp/refresh-resources", McpName)
    def nothing_to_refresh(self, _call: Call) -> Reply:
        """Done for each of no servers; the reference does not look at the workspace here."""
        return OK

    @route("GET", f"{WORKSPACE}/mcp/auth-url")
    def auth_url(self, call: Call) -> Reply:
        if not call.query("name"):
            raise BadRequest("name is required")
        return json_reply({})

    @route("POST", f"{WORKSPACE}/mcp/auth", McpName)
    def authorize(self, call: Call) -> Reply:
        self._workspaces.get(call.workspace_id)
        raise Failed(f"mcp '{call.body.name}' not found in configuration")

    @route("POST", f"{WORKSPACE}/mcp/get-prompt", McpPrompt)
    def get_prompt(self, call: Call) -> Reply:
        self._workspaces.get(call.workspace_id)
        raise Failed(f"mcp '{call.body.client_id}' not available")

    @route("POST", f"{WORKSPACE}/mcp/read-resource", McpResource)
    def read_resource(self, call: Call) -> Reply:
        self._workspaces.get(call.workspace_id)
        raise Failed(f"mcp '{call.body.name}' not available")

    @route("POST", f"{WORKSPACE}/mcp/docker/enable")
    def enable_docker(self, call: Call) -> Reply:
        self._workspaces.get(call.workspace_id)
        raise Failed(NO_DOCKER)
