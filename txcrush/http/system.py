"""Routes of the server itself, and of its clients' coming and going."""

import platform

from txcrush import __version__
from txcrush.core.workspaces import Workspaces
from txcrush.http.client_ids import body_client_id
from txcrush.http.routing import OK, Call, Reply, json_reply, route
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

    @route("GET", "/v1/version")
    def version(self, _call: Call) -> Reply:
        return json_reply(VERSION)

    @route("GET", "/v1/config")
    def config(self, _call: Call) -> Reply:
        """The reference serves an empty object here, and so do we: a global configuration holds keys."""
        return json_reply({})

    @route("POST", "/v1/control", Control)
    def control(self, call: Call) -> Reply:
        self._workspaces.control(call.body.command, replaceable=self._replaceable)
        return OK

    @route("DELETE", "/v1/clients/<client_id>")
    async def retire(self, call: Call) -> Reply:
        await self._workspaces.retire(body_client_id(call.path["client_id"]))
        return OK
