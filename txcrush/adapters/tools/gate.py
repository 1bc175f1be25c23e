"""Lets a tool that looks around into a place: unasked inside the workspace, with somebody's word outside."""

import os

from txcrush.adapters.places import Place, Places
from txcrush.model.permissions import Ask
from txcrush.model.tools import ToolUse
from txcrush.ports import InThread, Permissions


class Gate:
    """One workspace's; its directory is `root`, with symbolic links resolved `real_root()`."""

    def __init__(self, root: str, permissions: Permissions, in_thread: InThread) -> None:
        self.root = root
        self._places = Places(root)
        self._permissions = permissions
        self._in_thread = in_thread

    async def admits(
        self, use: ToolUse, path: str, *, action: str, description: str, params: dict[str, object]
    ) -> Place | None:
        """The place that the path stands for, relative to the workspace; None where it is outside and refused.
        `description` is what is asked, without the path. Fails with `Refused` for what no file can be called.

        What was looked at before the question is what the tool works with after it: `Place.real`.
        """
        place: Place = await self._in_thread(self._places.resolved, path)
        if place.is_inside:
            return place
        leads = "" if place.real == place.absolute else f" (which is {place.real})"
        granted = await self._permissions.ask(
            Ask(
                session_id=use.session_id,
                tool_call_id=use.call.id,
                tool_name=use.call.name,
                action=action,
                description=f"{description}: {place.absolute}{leads}",
                path=place.real,
                params=params,
            )
        )
        return place if granted else None

    def real_root(self) -> str:
        """Blocks."""
        return os.path.realpath(self.root)
