"""Routes of the server itself, and of its clients' coming and going."""

import platform

from txcrush import __version__
from txcrush.core.workspaces import Workspaces
from txcrush.http.client_ids import body_client_id
from txcrush.http.routing import OK, Call, Reply, json_reply, route
from txcrush.model.errors import BadRequest, HostingLiveWorkspaces
from txcrush.wire.answers import Nothing
from txcrush.wire.requests import Control
from txcrush.wire.v1 import VersionInfo

VERSION = VersionInfo(
    version=__version__,
    commit="unknown",
    build_id=f"txcrush-{__version__}",
    go_version=f"python{platform.python_version()}",
    platform=f"{platform.system().lower()}/{platform.machine().lower()}",
)


class SystemRoutes:
    """Version, control, and the goodbye of a client."""

    def __init__(self, workspaces: Workspaces, *, replaceable: bool) -> None:
        self._workspaces = workspaces
        self._replaceable = replaceable

    @route("GET", "/v1/version", answers=VersionInfo)
    def version(self, _call: Call) -> Reply:
        """Tell which version this is, and where it runs."""
        return json_reply(VERSION)

    @route("GET", "/v1/config", answers=Nothing)
    def config(self, _call: Call) -> Reply:
        """Read nothing: an empty object. A global configuration holds keys; each workspace has its own."""
        return json_reply(Nothing())

    @route("POST", "/v1/control", Control, answers=None, errors=(BadRequest, HostingLiveWorkspaces))
    def control(self, call: Call) -> Reply:
        """Stop the server. `command` is `shutdown` or `shutdown_if_idle`; refused unless the server was started to be
        replaceable."""
        self._workspaces.control(call.body.command, replaceable=self._replaceable)
        return OK

    @route("DELETE", "/v1/clients/<client_id>", answers=None, errors=(BadRequest,))
    async def retire(self, call: Call) -> Reply:
        """Say goodbye for a client. Its claims on workspaces end; it cannot come back under this id."""
        await self._workspaces.retire(body_client_id(call.path["client_id"]))
        return OK
