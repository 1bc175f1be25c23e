"""Routes that read and change a workspace's configuration."""

from msgspec import UNSET

from txcrush.core.events import EventLog
from txcrush.core.workspaces import Workspace, Workspaces
from txcrush.http.routing import OK, Call, Reply, json_reply, route
from txcrush.http.workspaces import Visible
from txcrush.model.config import Config, Token
from txcrush.model.errors import BadRequest, Failed, Unsupported
from txcrush.model.events import Change, ConfigChanged, Event, EventKind
from txcrush.wire.answers import ImportedToken
from txcrush.wire.config import decode_token
from txcrush.wire.requests import RefreshOAuth, RemoveConfig, SetCompact, SetConfig, SetModel, SetProviderKey

WORKSPACE = "/v1/workspaces/<workspace_id>"
CONFIG = f"{WORKSPACE}/config"


class ConfigRoutes:
    """One route family. Every change is told to all streams, the originator's too."""

    def __init__(self, workspaces: Workspaces, visible: Visible) -> None:
        self._workspaces = workspaces
        self._visible = visible

    @route("GET", CONFIG, answers=Config)
    def config(self, call: Call) -> Reply:
        """Read the configuration in force. Keys and variables are hidden on TCP."""
        workspace = self._workspaces.get(call.workspace_id)
        return json_reply(self._visible(call.request, workspace.settings.config))

    @route("GET", f"{WORKSPACE}/providers", answers=list[object] | None)
    def providers(self, call: Call) -> Reply:
        """List the catalogue of providers. This version ships none: the answer is `null`."""
        self._workspaces.get(call.workspace_id)
        return json_reply(None)

    @route("POST", f"{CONFIG}/set", SetConfig, answers=None, errors=(BadRequest, Failed))
    async def set(self, call: Call) -> Reply:
        """Set one key of the configuration. `key` is a path with dots, `scope` 0 the global file and 1 the
        workspace's."""
        workspace, body = self._workspaces.get(call.workspace_id), call.body
        await workspace.settings.set(body.scope, body.key, body.value)
        return await _told(workspace)

    @route("POST", f"{CONFIG}/remove", RemoveConfig, answers=None, errors=(BadRequest, Failed))
    async def remove(self, call: Call) -> Reply:
        """Remove one key of the configuration."""
        workspace, body = self._workspaces.get(call.workspace_id), call.body
        await workspace.settings.remove(body.scope, body.key)
        return await _told(workspace)

    @route("POST", f"{CONFIG}/compact", SetCompact, answers=None, errors=(BadRequest, Failed))
    async def compact(self, call: Call) -> Reply:
        """Switch the compact mode of terminals."""
        workspace, body = self._workspaces.get(call.workspace_id), call.body
        await workspace.settings.set(body.scope, "options.tui.compact_mode", body.enabled)
        return await _told(workspace)

    @route("POST", f"{CONFIG}/model", SetModel, answers=None, errors=(BadRequest, Failed))
    async def model(self, call: Call) -> Reply:
        """Choose the model of a slot, `large` or `small`. Turns that begin from now on use it."""
        workspace, body = self._workspaces.get(call.workspace_id), call.body
        await workspace.settings.choose_model(body.scope, body.model_type, body.model)
        return await _told(workspace)

    @route("POST", f"{CONFIG}/provider-key", SetProviderKey, answers=None, errors=(BadRequest, Failed))
    async def provider_key(self, call: Call) -> Reply:
        """Store a provider's key or OAuth token. `kind` says which: `string` or `oauth`; `api_key` holds it."""
        # Its shape is checked before the workspace, as in the reference.
        sets = _credentials(call.body)
        workspace = self._workspaces.get(call.workspace_id)
        await workspace.settings.set_provider_key(call.body.scope, call.body.provider_id, sets)
        return await _told(workspace)

    @route("POST", f"{CONFIG}/import-copilot", answers=ImportedToken)
    def import_copilot(self, call: Call) -> Reply:
        """Import a token of Copilot's. This version finds none."""
        self._workspaces.get(call.workspace_id)
        return json_reply(ImportedToken(None, False))

    @route("POST", f"{CONFIG}/refresh-oauth", RefreshOAuth, answers=None, errors=(Failed, Unsupported))
    def refresh_oauth(self, call: Call) -> Reply:
        """Refresh a provider's OAuth token. This version cannot: the answer is an error."""
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
