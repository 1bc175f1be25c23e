"""The server is killed, another one starts, and no client comes back: what was begun ends, what was queued goes on."""

import os
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import Any

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from txcrush.testing.killed_world import KilledWorld
from txcrush.testing.live_server import prompt_of

BOUND_S = 60


def bounded(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Deferred[None]]:
    """Whatever goes wrong, the test ends."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(test(*args, **kwargs)).addTimeout(BOUND_S, reactor)

    return run


@pytest_twisted.async_yield_fixture
async def world(short_path: Path) -> AsyncIterator[KilledWorld]:
    made = KilledWorld(reactor, short_path)
    yield made
    await made.close()


async def make_busy(world: KilledWorld) -> str:
    """A server with a run at the model and two behind it; the id of the session."""
    await world.start()
    await world.join()
    session = await world.client.session(world.workspace)
    for name in ("one", "two", "three"):
        await world.prompt(session, name, name)
    exchange = await world.model.next_request()
    exchange.head()
    exchange.text("half an ans")
    return session


async def joined(world: KilledWorld) -> str:
    return await world.client.join(str(world.project))


@bounded
async def test_promise_04_a_killed_servers_work_goes_on_without_a_client(world: KilledWorld) -> None:
    session = await make_busy(world)
    assert [row[0] for row in world.register()] == [world.workspace]
    assert stat.S_IMODE(os.stat(world.server.state / "server.db").st_mode) == 0o600
    await world.restart()
    for name in ("two", "three"):
        exchange = await world.model.next_request()
        assert prompt_of(exchange) == name
        exchange.reply(f"done {name}")
    outcomes = {name: (await world.ended(name))["outcome"] for name in ("one", "two", "three")}
    assert outcomes == {"one": "cancelled", "two": "completed", "three": "completed"}
    messages = (await world.client.get(f"/v1/workspaces/{world.workspace}/sessions/{session}/messages")).value
    assert messages[1]["parts"][-1]["data"]["message"] == "Interrupted by a server restart"
    assert await joined(world) == world.workspace


@bounded
async def test_a_workspace_that_closed_with_nothing_left_opens_under_a_new_id(world: KilledWorld) -> None:
    await make_busy(world)
    await world.restart()
    for _ in range(2):
        (await world.model.next_request()).reply("done")
    await world.ended("three")
    assert await joined(world) == world.workspace
    assert await world.server.stop() == 0
    assert world.register() == []
    await world.start()
    assert await joined(world) != world.workspace


@bounded
async def test_what_was_queued_when_the_server_was_told_to_stop_goes_on_at_the_next_start(world: KilledWorld) -> None:
    await make_busy(world)
    assert await world.server.stop() == 0
    assert [row[0] for row in world.register()] == [world.workspace]
    await world.start()
    assert prompt_of(await world.model.next_request()) == "two"
    assert (await world.client.get(f"/v1/workspaces/{world.workspace}")).status == 200


@bounded
async def test_a_directory_that_cannot_be_opened_stops_no_start_and_stays_listed(world: KilledWorld) -> None:
    await make_busy(world)
    await world.server.stop()
    (lock,) = world.project.rglob("txcrush.lock")
    lock.unlink()
    lock.mkdir()
    await world.start()
    ((listed, attempts, error),) = world.register()
    assert (listed, attempts) == (world.workspace, 0)
    assert "the lock of the data directory cannot be opened" in error
    assert error in world.server.log
    await world.server.stop()
    lock.rmdir()
    await world.start()
    assert prompt_of(await world.model.next_request()) == "two"
    assert await joined(world) == world.workspace


@bounded
async def test_a_directory_whose_opening_ends_the_server_is_left_alone_after_a_while(world: KilledWorld) -> None:
    await make_busy(world)
    await world.server.kill()
    with sqlite3.connect(world.server.state / "server.db") as connection:
        connection.execute("UPDATE unfinished SET attempts = 5")
    connection.close()
    await world.start()
    ((workspace, attempts, error),) = world.register()
    assert attempts == 5
    assert "ended the server 5 times in a row" in error
    assert (await world.client.get(f"/v1/workspaces/{workspace}")).status == 404
    await joined(world)
    assert prompt_of(await world.model.next_request()) == "two"


@bounded
async def test_a_damaged_register_stops_no_start(world: KilledWorld) -> None:
    await make_busy(world)
    await world.server.kill()
    for file in world.server.state.glob("server.db-*"):
        file.unlink()
    (world.server.state / "server.db").write_bytes(b"scribble" * 1000)
    await world.start()
    assert (world.server.state / "server.db.damaged").exists()
    assert world.register() == []
