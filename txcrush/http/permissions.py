"""Routes of permissions and questions.

No tool of this version asks for anything, so nothing is ever pending: what is answered here is the truth about that.
"""

from msgspec import UNSET

from txcrush.core.workspaces import Workspaces
from txcrush.http.routing import OK, Call, Reply, json_reply, route
from txcrush.model.errors import BadRequest, DecodeFailed
from txcrush.wire.requests import Answer, Grant, Skip

WORKSPACE = "/v1/workspaces/<workspace_id>"
ACTIONS = frozenset({"allow", "allow_session", "deny"})
TYPED_TOOLS = frozenset({"bash", "edit", "write", "multiedit", "download", "fetch", "agentic_fetch", "view", "ls"})
UNRESOLVED = {"resolved": False}


class PermissionRoutes:
    """One route family."""

    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces

    @route("GET", f"{WORKSPACE}/permissions/skip")
    def skip(self, call: Call) -> Reply:
        return json_reply({"skip": self._workspaces.get(call.workspace_id).skip_permissions})

    @route("POST", f"{WORKSPACE}/permissions/skip", Skip)
    def set_skip(self, call: Call) -> Reply:
        self._workspaces.get(call.workspace_id).skip_permissions = call.body.skip
        return OK

    @route("POST", f"{WORKSPACE}/permissions/grant", Grant)
    def grant(self, call: Call) -> Reply:
        check_params(call.body)
        self._workspaces.get(call.workspace_id)
        if call.body.action not in ACTIONS:
            raise BadRequest("invalid permission action")
        return json_reply(UNRESOLVED)

    @route("GET", f"{WORKSPACE}/permissions/pending")
    def pending(self, call: Call) -> Reply:
        self._workspaces.get(call.workspace_id)
        return json_reply([])

    @route("POST", f"{WORKSPACE}/questions/answer", Answer)
    def answer(self, call: Call) -> Reply:
        self._workspaces.get(call.workspace_id)
        return json_reply(UNRESOLVED)

    @route("POST", f"{WORKSPACE}/questions/cancel")
    def cancel_questions(self, call: Call) -> Reply:
        self._workspaces.get(call.workspace_id)
        return json_reply(UNRESOLVED)

    @route("GET", f"{WORKSPACE}/questions/pending")
    def pending_questions(self, call: Call) -> Reply:
        self._workspaces.get(call.workspace_id)
        return json_reply([])


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
