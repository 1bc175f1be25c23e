"""A real server whose data directory lies on a small file system that fills up, or that another process locks."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from txcrush.testing.answer import Answer
from txcrush.testing.live_server import LiveServer, PromptsModel
from txcrush.testing.loop_lag import LoopLag
from txcrush.testing.scale import FULL

SIZE = 4 * 1024 * 1024
POLLS = 200
HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
"""


@pytest.fixture
def small_disk(short_path: Path) -> Iterator[Path]:
    """The data directory of the project in `short_path`, on a file system of 4 MiB."""
    path = short_path / "project" / ".crush"
    path.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(path)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a small file system cannot be mounted here: that takes root, and a kernel that lets it")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def fill(path: Path) -> None:
    """Take what is left, to the last page."""
    with open(path / "filler", "wb", buffering=0) as filler:
        for size in (65536, 4096):
            _write_all(filler, bytes(size))


def _write_all(filler: Any, block: bytes) -> None:
    try:
        while True:
            filler.write(block)
    except OSError as error:
        assert "No space left" in str(error)


class Place:
    """A server with a workspace and a session."""

    def __init__(self, reactor: Any, server: LiveServer, model: PromptsModel) -> None:
        self.reactor = reactor
        self.server = server
        self.model = model
        self.client = server.client
        self.workspace = self.session = ""

    async def get(self, rest: str) -> Answer:
        return await self.client.get(f"/v1/workspaces/{self.workspace}/{rest}")

    async def says(self, text: str) -> None:
        (await self.model.next_request()).reply(text)

    async def prompted(self, text: str) -> Answer:
        """A prompt that the model answers."""
        answer = self.client.prompt(self.workspace, self.session, text)
        await self.says(f"to {text}")
        return await answer

    async def until(self, holds: Callable[[], Any]) -> None:
        """Ask until the coroutine says that it is so."""
        for _ in range(POLLS):
            if await holds():
                return
            await deferLater(self.reactor, 0.1)
        raise AssertionError("it never came true")

    async def finishes(self) -> list[str]:
        """How the session's answers ended."""
        messages = (await self.get(f"sessions/{self.session}/messages")).value
        parts = [part for message in messages if message["role"] == "assistant" for part in message["parts"]]
        return [part["data"]["reason"] for part in parts if part["type"] == "finish"]


@pytest_twisted.async_yield_fixture
async def place(short_path: Path) -> AsyncIterator[Place]:
    from twisted.internet import reactor

    model = PromptsModel.listen(reactor)  # type: ignore[arg-type]
    server = await LiveServer.start(reactor, short_path, model)
    found = Place(reactor, server, model)  # type: ignore[arg-type]
    found.workspace = await server.client.join(server.project)
    stream = await server.client.stream(found.workspace)
    found.session = await server.client.session(found.workspace)
    yield found
    stream.close()
    await server.stop()
    await model.stop()


@pytest_twisted.ensureDeferred
async def test_promise_73_a_prompt_on_a_full_disk_is_refused_clearly_and_reads_answer(
    small_disk: Path, place: Place
) -> None:
    assert (await place.prompted("one")).status == 200
    fill(small_disk)
    for _ in range(3):
        refused = await place.client.prompt(place.workspace, place.session, "two")
        assert refused.status == 500
        assert "the disk is full" in refused.value["message"]
    assert (await place.get("sessions")).status == 200
    assert await place.finishes() == ["end_turn"]
    (small_disk / "filler").unlink()
    assert (await place.prompted("three")).status == 200
    assert await place.finishes() == ["end_turn", "end_turn"]


@pytest_twisted.ensureDeferred
async def test_promise_73_a_run_that_meets_a_full_disk_ends_and_is_written_when_there_is_space(
    small_disk: Path, place: Place
) -> None:
    held = place.client.prompt(place.workspace, place.session, "one", key="k1")
    exchange = await place.model.next_request()
    exchange.head()
    exchange.text("half an ")
    fill(small_disk)
    exchange.text("answer" + " and more" * 20_000)
    exchange.finish()
    exchange.done()
    answer = await held
    assert answer.status == 500
    assert "the disk is full" in answer.value["message"]
    assert (await place.get(f"sessions/{place.session}/messages")).status == 200
    (small_disk / "filler").unlink()

    async def is_written() -> bool:
        return await place.finishes() == ["end_turn"]

    await place.until(is_written)
    again = await place.client.prompt(place.workspace, place.session, "one", key="k1")
    assert again.status == 500  # the same run, ended for good, as it was told
    assert (await place.prompted("two")).status == 200


@pytest_twisted.ensureDeferred
async def test_promise_74_a_second_process_that_locks_the_database_holds_nothing_but_writes(
    short_path: Path, place: Place, record_property: Callable[[str, object], None]
) -> None:
    assert (await place.prompted("one")).status == 200
    database = short_path / "project" / ".crush" / "txcrush.db"
    command = [sys.executable, "-c", HOLDER, str(database)]
    lag = LoopLag(place.reactor)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None and holder.stdout is not None
        assert await deferToThread(holder.stdout.readline) == "held\n"
        lag.start()
        waiting = place.client.prompt(place.workspace, place.session, "two")
        assert (await place.get("sessions")).status == 200
        stuck = await place.get(f"sessions/{place.session}/messages")
        assert stuck.status == 503
        assert "storage is too slow" in stuck.value["message"]
        lag.stop()
        holder.stdin.write("\n")
        holder.stdin.flush()
        await place.says("to two")
        assert (await waiting).status == 200
    assert await place.finishes() == ["end_turn", "end_turn"]
    record_property("promise_74", f"longest block of the event loop {lag.longest_ms:.0f} ms while locked for 5 s")
    assert len(lag.lags_s) > 100
    assert not FULL or lag.longest_ms < 50


@pytest_twisted.ensureDeferred
async def test_promise_74_a_second_server_on_the_directory_is_refused_clearly(short_path: Path, place: Place) -> None:
    from twisted.internet import reactor

    other = short_path / "other"
    other.mkdir()
    second = await LiveServer.start(reactor, other)
    client_id = "22222222-2222-4222-8222-222222222222"
    refused = await second.client.post("/v1/workspaces", {"path": place.server.project, "client_id": client_id})
    assert refused.status == 500
    assert "already in use by another crush process" in refused.value["message"]
    assert (await place.prompted("one")).status == 200
    await second.stop()
