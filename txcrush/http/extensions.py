"""Routes of MCP servers and language servers.

This version starts none of them: lists are empty, and what needs one says in the reference's words that there is none.
"""

from txcrush.core.workspaces import Workspaces
from txcrush.http.routing import OK, Call, Reply, json_reply, route
from txcrush.model.errors import BadRequest, Failed, NotFound
from txcrush.wire.answers import InitPrompt, LspInfo, McpAuthUrl, McpInfo, McpLogin, McpPromptInfo, Nothing
from txcrush.wire.parameters import OneServer
from txcrush.wire.requests import McpName, McpPrompt, McpResource, StartLsp

WORKSPACE = "/v1/workspaces/<workspace_id>"
NO_DOCKER = "docker mcp is not available, please ensure docker is installed and 'docker mcp version' succeeds"


class ExtensionRoutes:
    """One route family."""

    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces

    @route("GET", f"{WORKSPACE}/lsps", answers=dict[str, LspInfo])
    def language_servers(self, call: Call) -> Reply:
        """List the language servers, by name. This version starts none."""
        self._workspaces.get(call.workspace_id)
        return json_reply({})

    @route("GET", f"{WORKSPACE}/lsps/<name>/diagnostics", answers=dict[str, list[object]], errors=(NotFound,))
    def diagnostics(self, call: Call) -> Reply:
        """Read what a language server finds wrong, by the file's URI. This version starts none."""
        self._workspaces.get(call.workspace_id)
        raise NotFound("LSP client not found")

    @route("POST", f"{WORKSPACE}/lsps/start", StartLsp, answers=None)
    def start_language_servers(self, call: Call) -> Reply:
        """Start the language servers that a file needs. This version has none."""
        return self._done_for_none(call)

    @route("POST", f"{WORKSPACE}/lsps/stop", answers=None)
    def stop_language_servers(self, call: Call) -> Reply:
        """Stop all language servers."""
        return self._done_for_none(call)

    @route("GET", f"{WORKSPACE}/mcp/states", answers=dict[str, McpInfo])
    def mcp_states(self, _call: Call) -> Reply:
        """List the MCP servers, by name. This version starts none, also for an id that no workspace has."""
        return json_reply({})

    @route("GET", f"{WORKSPACE}/mcp/prompts", answers=list[McpPromptInfo])
    def mcp_prompts(self, call: Call) -> Reply:
        """List the prompts that MCP servers offer. This version starts none."""
        self._workspaces.get(call.workspace_id)
        return json_reply([])

    @route("POST", f"{WORKSPACE}/mcp/get-prompt", McpPrompt, answers=InitPrompt, errors=(Failed,))
    def get_prompt(self, call: Call) -> Reply:
        """Read a prompt of an MCP server. This version starts none."""
        self._workspaces.get(call.workspace_id)
        raise Failed(f"mcp '{call.body.client_id}' not available")

    @route("POST", f"{WORKSPACE}/mcp/read-resource", McpResource, answers=list[object], errors=(Failed,))
    def read_resource(self, call: Call) -> Reply:
        """Read a resource of an MCP server. This version starts none."""
        self._workspaces.get(call.workspace_id)
        raise Failed(f"mcp '{call.body.name}' not available")

    @route("POST", f"{WORKSPACE}/mcp/refresh-tools", McpName, answers=None)
    def refresh_tools(self, call: Call) -> Reply:
        """Ask an MCP server for its tools again."""
        return self._done_for_none(call)

    @route("POST", f"{WORKSPACE}/mcp/refresh-prompts", McpName, answers=None)
    def refresh_prompts(self, _call: Call) -> Reply:
        """Ask an MCP server for its prompts again. The workspace is not looked at."""
        return OK

    @route("POST", f"{WORKSPACE}/mcp/refresh-resources", McpName, answers=None)
    def refresh_resources(self, _call: Call) -> Reply:
        """Ask an MCP server for its resources again. The workspace is not looked at."""
        return OK

    @route("GET", f"{WORKSPACE}/mcp/pending-auth", answers=list[McpLogin])
    def pending_auth(self, call: Call) -> Reply:
        """List the MCP servers that wait for a login. This version starts none."""
        self._workspaces.get(call.workspace_id)
        return json_reply([])

    @route("GET", f"{WORKSPACE}/mcp/auth-url", answers=McpAuthUrl, query=OneServer, errors=(BadRequest,))
    def auth_url(self, call: Call) -> Reply:
        """Read where to log in to an MCP server. An empty object where there is nothing to do."""
        if not call.query("name"):
            raise BadRequest("name is required")
        return json_reply(McpAuthUrl())

    @route("POST", f"{WORKSPACE}/mcp/auth", McpName, answers=Nothing, errors=(Failed,))
    def authorize(self, call: Call) -> Reply:
        """Log in to an MCP server. This version starts none."""
        self._workspaces.get(call.workspace_id)
        raise Failed(f"mcp '{call.body.name}' not found in configuration")

    @route("POST", f"{WORKSPACE}/mcp/docker/enable", answers=None, errors=(Failed,))
    def enable_docker(self, call: Call) -> Reply:
        """Use Docker's MCP servers. This version cannot."""
        self._workspaces.get(call.workspace_id)
        raise Failed(NO_DOCKER)

    @route("POST", f"{WORKSPACE}/mcp/docker/disable", answers=None)
    def disable_docker(self, call: Call) -> Reply:
        """Do without Docker's MCP servers."""
        return self._done_for_none(call)

    def _done_for_none(self, call: Call) -> Reply:
        """Done for each of no servers."""
        self._workspaces.get(call.workspace_id)
        return OK
