"""Routes of permissions and questions."""

from msgspec import UNSET

from txcrush.core.workspaces import Workspaces
from txcrush.http.routing import OK, Call, Reply, json_reply, route
from txcrush.model.errors import BadRequest, DecodeFailed
from txcrush.model.ids import PermissionId
from txcrush.model.permissions import Verdict
from txcrush.wire.requests import Answer, Grant, Skip

WORKSPACE = "/v1/workspaces/<workspace_id>"
ACTIONS = frozenset(Verdict)
UNRESOLVED = {"resolved": False}


class PermissionRoutes:
    """One route family."""

    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces

    @route("GET", f"{WORKSPACE}/permissions/skip")
    def skip(self, call: Call) -> Reply:
        return json_reply({"skip": self._workspaces.get(call.workspace_id).permissions.skip})

    @route("POST", f"{WORKSPACE}/permissions/skip", Skip)
    def set_skip(self, call: Call) -> Reply:
        self._workspaces.get(call.workspace_id).permissions.skip = call.body.skip
        return OK

    @route("POST", f"{WORKSPACE}/permissions/grant", Grant)
    async def grant(self, call: Call) -> Reply:
        """The first answer wins; of what the client sends back only the id counts."""
        check_params(call.body)
        workspace = self._workspaces.get(call.workspace_id)
        grant: Grant = call.body
        if grant.action not in ACTIONS:
            raise BadRequest("invalid permission action")
        permission_id = PermissionId("" if grant.permission is UNSET else grant.permission.id)
        return json_reply({"resolved": await workspace.permissions.answer(permission_id, Verdict(grant.action))})

    @route("GET", f"{WORKSPACE}/permissions/pending")
    def pending(self, call: Call) -> Reply:
        return json_reply(self._workspaces.get(call.workspace_id).permissions.pending())

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
