"""Lets a tool that looks around into a place: unasked inside the workspace, with somebody's word outside, and where
keys are kept if it shows contents."""

import os

from txcrush.adapters.places import Place, Places
from txcrush.adapters.private_places import PrivatePlaces
from txcrush.model.permissions import Ask
from txcrush.model.tools import ToolUse
from txcrush.ports import InThread, Permissions

PRIVATE = "Search where keys may be kept"


class Gate:
    """One workspace's; its directory is `root`, with symbolic links resolved `real_root()`. `private` knows where keys
    are kept."""

    def __init__(
        self, root: str, permissions: Permissions, in_thread: InThread, private: PrivatePlaces | None = None
    ) -> None:
        self.root = root
        self.private = private
        self._places = Places(root, private=private)
        self._permissions = permissions
        self._in_thread = in_thread

    async def admits(
        self,
        use: ToolUse,
        path: str,
        *,
        action: str,
        description: str,
        params: dict[str, object],
        shows_contents: bool = False,
    ) -> Place | None:
        """The place that the path stands for, relative to the workspace; None where it is outside, or private and its
        contents are to be shown, and that is refused. `description` is what is asked outside, without the path. Fails
        with `Refused` for what no file can be called.

        What was looked at before the question is what the tool works with after it: `Place.real`.
        """
        place: Place = await self._in_thread(self._places.resolved, path)
        is_private = place.is_private and shows_contents
        if place.is_inside and not is_private:
            return place
        if is_private:
            description = PRIVATE
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
