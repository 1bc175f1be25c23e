"""Being a client of one workspace: joining it, reading its sessions, leaving it."""

import uuid
from contextlib import suppress
from typing import Any

from twisted.internet.task import deferLater

from txcrush import __version__
from txcrush.cli._client import Client, Refused, Unreachable
from txcrush.cli._stream import EventStream

GOODBYE_S = 2.0
RECONNECT_S = (0.25, 0.5, 1.0, 2.0, 4.0)


class ServerLeaves(Refused):
    """The server is shutting down and has taken nothing: another one may."""


class Membership:
    """This process as a client of the workspace of a directory. `url` is the workspace's, once it has joined."""

    def __init__(self, client: Client, directory: str, data_dir: str = "") -> None:
        self.client = client
        self.client_id = str(uuid.uuid4())
        self.url = ""
        self._cursor = ""
        self._directory = directory
        self._data_dir = data_dir

    async def join(self) -> None:
        """Hold the workspace, which is opened where it is not. Raises `ServerLeaves`, `Refused` or `Unreachable`."""
        body = {
            "path": self._directory,
            "client_id": self.client_id,
            "data_dir": self._data_dir,
            "version": __version__,
        }
        try:
            workspace = await self.client.post("/v1/workspaces", body)
        except Refused as refused:
            if refused.status == 503:
                raise ServerLeaves(503, str(refused)) from refused
            raise
        self.url = f"/v1/workspaces/{workspace['id']}"

    async def sessions(self) -> list[dict[str, Any]]:
        """The workspace's sessions, last changed first."""
        found: list[dict[str, Any]] = await self.client.get(f"{self.url}/sessions")
        return found

    async def session(self, wanted: str) -> str:
        """The id of a session: of the one that changed last where nothing is wanted, else of the one with this id, or
        with the only id that begins so. Raises `Refused`."""
        if not wanted:
            return await self._latest()
        try:
            return str((await self.client.get(f"{self.url}/sessions/{wanted}"))["id"])
        except Refused as refused:
            begins = [one["id"] for one in await self.sessions() if one["id"].startswith(wanted)]
            if len(begins) == 1:
                return str(begins[0])
            problem = f"{len(begins)} sessions begin with {wanted}" if begins else f"no session {wanted} here"
            raise Refused(refused.status, f"{problem}; txcrush sessions lists them") from refused

    async def _latest(self) -> str:
        found = await self.sessions()
        if not found:
            raise Refused(404, "there is no session to continue here")
        return str(found[0]["id"])

    async def messages(self, session_id: str) -> list[dict[str, Any]]:
        """All of the session, oldest first."""
        found: list[dict[str, Any]] = await self.client.get(f"{self.url}/sessions/{session_id}/messages")
        return found

    async def is_busy(self, session_id: str) -> bool:
        return bool((await self.client.get(f"{self.url}/agent/sessions/{session_id}"))["is_busy"])

    async def stream(self) -> EventStream:
        """What happens from now on, or, where a stream broke, from there on."""
        resume = f"last_event_id={self._cursor}" if self._cursor else "rich=1"
        return await self.client.stream(f"{self.url}/events?client_id={self.client_id}&{resume}")

    async def come_back(self, reactor: Any, broken: EventStream) -> EventStream:
        """The stream broke: one that goes on where it ended. Where it cannot, its first event is a `reset`, and what
        was missed has to be read. Raises `Refused`, or `Unreachable` where the server stays away."""
        self._cursor = broken.cursor or self._cursor
        for delay in RECONNECT_S:
            await deferLater(reactor, delay)
            try:
                await self.join()
                return await self.stream()
            except Unreachable:
                continue
            except Refused as refused:
                if refused.status not in (204, 404, 503):  # closed just now, and ending
                    raise
        raise Unreachable("the server is gone; a run that was under way ends as interrupted when it starts again")

    async def leave(self) -> None:
        """Give up our claims. A run that goes on keeps its workspace open without them."""
        with suppress(Refused, Unreachable):  # a server that is gone has forgotten us
            await self.client.ask("DELETE", f"/v1/clients/{self.client_id}", within_s=GOODBYE_S)
