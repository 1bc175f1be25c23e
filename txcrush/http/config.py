"""Routes that read and change a workspace's configuration."""

from msgspec import UNSET

from txcrush.core.events import EventLog
from txcrush.core.workspaces import Workspace, Workspaces
from txcrush.http.routing import OK, Call, Reply, json_reply, route
from txcrush.http.workspaces import Visible
from txcrush.model.config import Token
from txcrush.model.errors import BadRequest, Failed, Unsupported
from txcrush.model.events import Change, ConfigChanged, Event, EventKind
from txcrush.wire.config import decode_token
from txcrush.wire.requests import RefreshOAuth, RemoveConfig, SetCompact, SetConfig, SetModel, SetProviderKey

WORKSPACE = "/v1/workspaces/<workspace_id>"
CONFIG = f"{WORKSPACE}/config"


class ConfigRoutes:
    """One route family. Every change is told to all streams, the originator's too."""

    def __init__(self, workspaces: Workspaces, visible: Visible) -> None:
        self._workspaces = workspaces
        self._visible = visible

    @route("GET", CONFIG)
    def config(self, call: Call) -> Reply:
        workspace = self._workspaces.get(call.workspace_id)
        return json_reply(self._visible(call.request, workspace.settings.config))

    @route("GET", f"{WORKSPACE}/providers")
    def providers(self, call: Call) -> Reply:
        """The catalogue of providers with their models: this version ships none, and says it as the reference does."""
        self._workspaces.get(call.workspace_id)
        return json_reply(None)

    @route("POST", f"{CONFIG}/set", SetConfig)
    async def set(self, call: Call) -> Reply:
        workspace, body = self._workspaces.get(call.workspace_id), call.body
        await workspace.settings.set(body.scope, body.key, body.value)
        return await _told(workspace)

    @route("POST", f"{CONFIG}/remove", RemoveConfig)
    async def remove(self, call: Call) -> Reply:
        workspace, body = self._workspaces.get(call.workspace_id), call.body
        await workspace.settings.remove(body.scope, body.key)
        return await _told(workspace)

    @route("POST", f"{CONFIG}/compact", SetCompact)
    async def compact(self, call: Call) -> Reply:
        workspace, body = self._workspaces.get(call.workspace_id), call.body
        await workspace.settings.set(body.scope, "options.tui.compact_mode", body.enabled)
        return await _told(workspace)

    @route("POST", f"{CONFIG}/model", SetModel)
    async def model(self, call: Call) -> Reply:
        workspace, body = self._workspaces.get(call.workspace_id), call.body
        await workspace.settings.choose_model(body.scope, body.model_type, body.model)
        return await _told(workspace)

    @route("POST", f"{CONFIG}/provider-key", SetProviderKey)
    async def provider_key(self, call: Call) -> Reply:
        """Store a key or a token; its shape is checked before the workspace, as in the reference."""
        sets = _credentials(call.body)
        workspace = self._workspaces.get(call.workspace_id)
        await workspace.settings.set_provider_key(call.body.scope, call.body.provider_id, sets)
        return await _told(workspace)

    @route("POST", f"{CONFIG}/import-copilot")
    def import_copilot(self, call: Call) -> Reply:
        """No token is imported by this version; the answer is the reference's for a disk without one."""
        self._workspaces.get(call.workspace_id)
        return json_reply({"token": None, "success": False})

    @route("POST", f"{CONFIG}/refresh-oauth", RefreshOAuth)
    def refresh_oauth(self, call: Call) -> Reply:
        provider_id = call.body.provider_id
        provider = self._workspaces.get(call.workspace_id).settings.config.providers.get(provider_id)
        if provider is None:
            raise Failed(f"provider {provider_id} not found")
        if provider.oauth is None:
            raise Failed(f"provider {provider_id} does not have an OAuth token")
        raise Unsupported("OAuth tokens are not refreshed by this version of txcrush")


async def _told(workspace: Workspace) -> Reply:
    await publish_config_changed(workspace, workspace.events)
    return OK


async def publish_config_changed(workspace: Workspace, events: EventLog) -> None:
    """Tell every stream that the configuration is another."""
    changed = Event(EventKind.CONFIG_CHANGED, Change.UPDATED, ConfigChanged(workspace.id), key=workspace.id)
    await events.commit([], [changed])


def _credentials(body: SetProviderKey) -> dict[str, object]:
    """The keys to set in the provider's entry. Raises `BadRequest`; no text quotes a secret."""
    if body.kind == "string":
        if not isinstance(body.api_key, str):
            raise BadRequest(f"decode api key string: {_what_is_wrong(body.api_key, 'a string')}")
        return {"api_key": body.api_key}
    if body.kind == "oauth":
        token = _token(body.api_key)
        return {"api_key": token.access_token, "oauth": token}
    raise BadRequest(f'unsupported api key kind "{body.kind}"')


def _token(value: object) -> Token:
    try:
        return decode_token(value)
    except ValueError:
        raise BadRequest(f"decode api key oauth token: {_what_is_wrong(value, 'a token object')}") from None


def _what_is_wrong(value: object, wanted: str) -> str:
    return "unexpected end of JSON input" if value is UNSET else f"expected {wanted}"
