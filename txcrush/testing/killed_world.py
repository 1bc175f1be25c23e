"""A project, its model, and one server after the other, each in a process of its own that a test can kill."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from txcrush.testing.live_client import LiveClient
from txcrush.testing.live_server import PromptsModel
from txcrush.testing.model_server import Exchange
from txcrush.testing.spawned_server import SpawnedServer, configure


class KilledWorld:
    """`start` starts a server over what the last one left, `kill` ends it as `kill -9` does. `close` ends everything.

    `model` plays the provider of `project`; `handler` answers its requests for prompts, where there is one.
    """

    server: SpawnedServer

    def __init__(self, reactor: Any, home: Path, handler: Callable[[Exchange], None] | None = None) -> None:
        self._reactor = reactor
        self._home = home
        self.project = home / "project"
        self.model: Any = PromptsModel.listen(reactor, handler)
        self.workspace = ""
        self._started: list[SpawnedServer] = []
        configure(self.project, self.model)

    @property
    def client(self) -> LiveClient:
        return self.server.client

    async def start(self, *flags: str) -> SpawnedServer:
        """A server that answers."""
        self.server = await SpawnedServer.start(self._reactor, self._home, *flags)
        self._started.append(self.server)
        return self.server

    async def join(self) -> str:
        """A client comes; returns the workspace's id."""
        self.workspace = await self.client.join(str(self.project))
        return self.workspace

    async def restart(self, *flags: str) -> None:
        """Kill the server and start another; nobody joins."""
        await self.server.kill()
        await self.start(*flags)

    async def prompt(self, session: str, text: str, run_id: str, **fields: Any) -> None:
        """A prompt that the server has acknowledged."""
        answer = await self.client.prompt(self.workspace, session, text, run_id=run_id, **fields)
        assert answer.status == 202, answer

    async def ended(self, run_id: str) -> dict[str, Any]:
        """The run, once it has ended."""
        answer = await self.client.get(f"/v1/workspaces/{self.workspace}/runs/{run_id}?wait=60")
        assert answer.status == 200, answer
        assert answer.value["state"] == "ended", answer
        shown: dict[str, Any] = answer.value
        return shown

    def register(self) -> list[tuple[Any, ...]]:
        """Workspace id, attempts and error of every entry of the server's register."""
        return _rows(self.server.state / "server.db", "SELECT workspace_id, attempts, error FROM unfinished")

    def stored(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the project's database."""
        (database,) = self.project.rglob("txcrush.db")
        return _rows(database, query)

    async def close(self) -> None:
        for server in self._started:
            await server.stop()
        await self.model.stop()


def _rows(database: Path, query: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(database)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()
