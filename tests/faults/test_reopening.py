"""The server is killed, another one starts, and no client comes back: what was begun ends, what was queued goes on."""

import os
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from txcrush.testing.live_server import PromptsModel, prompt_of
from txcrush.testing.spawned_server import SpawnedServer, configure

BOUND_S = 60


def bounded(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Deferred[None]]:
    """Whatever goes wrong, the test ends."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(test(*args, **kwargs)).addTimeout(BOUND_S, reactor)

    return run


@pytest.fixture
def home(short_path: Path) -> Path:
    return short_path


@pytest_twisted.async_yield_fixture
async def servers() -> AsyncIterator[list[SpawnedServer]]:
    """Those that a test has started; none of them outlives it."""
    started: list[SpawnedServer] = []
    yield started
    for server in started:
        await server.stop()


@pytest_twisted.async_yield_fixture
async def model(home: Path) -> AsyncIterator[PromptsModel]:
    model = PromptsModel.listen(reactor)
    configure(home / "project", model)
    yield model
    await model.stop()


async def started(home: Path, servers: list[SpawnedServer], *flags: str) -> SpawnedServer:
    servers.append(await SpawnedServer.start(reactor, home, *flags))
    return servers[-1]


def rows(server: SpawnedServer) -> list[tuple[Any, ...]]:
    """Workspace id, attempts and error of every entry of the register."""
    with sqlite3.connect(server.state / "server.db") as connection:
        return connection.execute("SELECT workspace_id, attempts, error FROM unfinished").fetchall()


async def busy(home: Path, servers: list[SpawnedServer], model: PromptsModel) -> tuple[str, str]:
    """A server with a run at the model and two behind it; the ids of workspace and session."""
    server = await started(home, servers)
    workspace = await server.client.join(str(home / "project"))
    session = await server.client.session(workspace)
    for name in ("one", "two", "three"):
        answer = await server.client.prompt(workspace, session, name, run_id=name)
        assert answer.status == 202
    exchange = await model.next_request()
    exchange.head()
    exchange.text("half an ans")
    return workspace, session


async def ended(server: SpawnedServer, workspace: str, run_id: str) -> dict[str, Any]:
    answer = await server.client.get(f"/v1/workspaces/{workspace}/runs/{run_id}?wait=30")
    assert answer.value["state"] == "ended", answer
    return answer.value


@bounded
async def test_promise_04_a_killed_servers_work_goes_on_without_a_client(home, servers, model) -> None:
    workspace, session = await busy(home, servers, model)
    assert [row[0] for row in rows(servers[0])] == [workspace]
    assert stat.S_IMODE(os.stat(servers[0].state / "server.db").st_mode) == 0o600
    await servers[0].kill()
    server = await started(home, servers)
    for name in ("two", "three"):
        exchange = await model.next_request()
        assert prompt_of(exchange) == name
        exchange.reply(f"done {name}")
    outcomes = {name: (await ended(server, workspace, name))["outcome"] for name in ("one", "two", "three")}
    assert outcomes == {"one": "cancelled", "two": "completed", "three": "completed"}
    messages = (await server.client.get(f"/v1/workspaces/{workspace}/sessions/{session}/messages")).value
    assert messages[1]["parts"][-1]["data"]["message"] == "Interrupted by a server restart"
    assert await server.client.join(str(home / "project")) == workspace


@bounded
async def test_a_workspace_that_was_released_opens_under_a_new_id(home, servers, model) -> None:
    workspace, _ = await busy(home, servers, model)
    await servers[0].kill()
    server = await started(home, servers, "--idle-exit", "0")
    for _ in range(2):
        (await model.next_request()).reply("done")
    await ended(server, workspace, "three")
    assert await server.client.join(str(home / "project")) == workspace
    assert await server.stop() == 0
    assert rows(server) == []
    again = await started(home, servers)
    assert await again.client.join(str(home / "project")) != workspace


@bounded
async def test_what_was_queued_when_the_server_was_told_to_stop_goes_on_at_the_next_start(home, servers, model) -> None:
    workspace, _ = await busy(home, servers, model)
    assert await servers[0].stop() == 0
    assert [row[0] for row in rows(servers[0])] == [workspace]
    server = await started(home, servers)
    assert prompt_of(await model.next_request()) == "two"
    assert (await server.client.get(f"/v1/workspaces/{workspace}")).status == 200


@bounded
async def test_a_directory_that_cannot_be_opened_stops_no_start_and_stays_listed(home, servers, model) -> None:
    workspace, _ = await busy(home, servers, model)
    await servers[0].kill()
    (database,) = (home / "project").rglob("txcrush.db")
    whole = database.read_bytes()
    for wal in database.parent.glob("txcrush.db-*"):
        wal.unlink()
    database.write_bytes(b"no database at all" * 1000)
    server = await started(home, servers)
    ((listed, attempts, error),) = rows(server)
    assert (listed, attempts) == (workspace, 0)
    assert "not a database" in error
    assert error in server.log
    await server.stop()
    database.write_bytes(whole)
    server = await started(home, servers)
    assert await server.client.join(str(home / "project")) == workspace


@bounded
async def test_a_directory_whose_opening_ends_the_server_is_left_alone_after_a_while(home, servers, model) -> None:
    await busy(home, servers, model)
    await servers[0].kill()
    with sqlite3.connect(servers[0].state / "server.db") as connection:
        connection.execute("UPDATE unfinished SET attempts = 5")
    server = await started(home, servers)
    ((workspace, attempts, error),) = rows(server)
    assert attempts == 5
    assert "ended the server 5 times in a row" in error
    assert (await server.client.get(f"/v1/workspaces/{workspace}")).status == 404
    await server.client.join(str(home / "project"))
    assert prompt_of(await model.next_request()) == "two"


@bounded
async def test_a_damaged_register_stops_no_start(home, servers, model) -> None:
    await busy(home, servers, model)
    await servers[0].kill()
    for file in servers[0].state.glob("server.db-*"):
        file.unlink()
    (servers[0].state / "server.db").write_bytes(b"scribble" * 1000)
    server = await started(home, servers)
    assert (server.state / "server.db.damaged").exists()
    assert rows(server) == []
