"""What was acknowledged is there after `kill -9`, and after a loss of power (promises 16 and 77)."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList

from txcrush.testing import scratch
from txcrush.testing.aftermath import Snapshot
from txcrush.testing.nursery import Nursery
from txcrush.testing.played_model import says
from txcrush.testing.scale import FULL
from txcrush.testing.stage import Stage

KILLS = 500 if FULL else 10
OUTAGES = 100 if FULL else 3
PROMPTS = 12
"""A round sends so many, one right after the other, to as many sessions as there are below."""

SESSIONS = 3
SHIM = Path(scratch.__file__).with_name("unsynced.c")

needs_a_compiler = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None, reason="the shim that forgets is compiled for Linux"
)


class Rounds:
    """A server that is killed over and over, and a client that notes each prompt that was acknowledged."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self.stage = stage
        self.chance = random.Random(seed)
        self.sessions: list[str] = []
        self.sent = 0

    async def one(self) -> None:
        """Start, send, and kill once some have been acknowledged; the rest is on its way."""
        stage = self.stage
        await stage.launch()
        await stage.enter()
        while len(self.sessions) < SESSIONS:
            self.sessions.append(await stage.client.session(stage.workspace))
        wanted = len(stage.acknowledged) + self.chance.randint(1, PROMPTS - 2)
        sending = [self._send() for _ in range(PROMPTS)]
        await stage.until(lambda: len(stage.acknowledged) >= wanted)
        await stage.kill()
        await DeferredList(sending, consumeErrors=True)

    def _send(self) -> Deferred[Any]:
        self.sent += 1
        text = f"prompt {self.sent}"
        self.stage.model.plays(text, says(f"answer {self.sent}"))
        session = self.chance.choice(self.sessions)
        return self.stage.prompt(text, session=session, run_id=f"r{self.sent}", prefer="respond-async")

    async def settled(self) -> Snapshot:
        """What there is once a last server has done all that was left."""
        await self.stage.launch()
        await self.stage.enter()
        await self.stage.until(self.stage.is_idle)
        assert await self.stage.stop() == 0
        return Snapshot.of(self.stage.database)


def lost(stage: Stage, after: Snapshot) -> list[str]:
    """The acknowledged prompts that are not there, are there twice, have no end, or more than one."""
    kept = Counter(run["prompt"] for run in after.runs)
    ended = Counter(end["run_id"] for end in after.ends)
    told = Counter(event["key"] for event in after.events if event["kind"] == "run_complete")
    ids = {run["prompt"]: run["id"] for run in after.runs}
    once = (1, 1, 1)
    return [text for text in stage.acknowledged if (kept[text], ended[ids.get(text)], told[ids.get(text)]) != once]


def out_of_order(after: Snapshot) -> list[str]:
    """The sessions whose prompts were not said in the order of their acceptance."""
    places = {message["id"]: place for place, message in enumerate(after.messages)}
    said: dict[str, list[int]] = {}
    for run in sorted(after.runs, key=lambda run: run["position"]):
        said.setdefault(run["session_id"], []).append(places[run["user_message_id"]])
    return [session for session, order in said.items() if order != sorted(order)]


async def stage_of(nursery: Nursery) -> AsyncIterator[Stage]:
    stage = Stage(reactor, nursery, scratch.directory())
    yield stage
    await stage.close()
    await nursery.stop()
    shutil.rmtree(stage.directory)


@pytest_twisted.async_yield_fixture
async def stage() -> AsyncIterator[Stage]:
    async for made in stage_of(Nursery.start(reactor)):
        yield made


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("shim") / "unsynced.so"
    order = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library), str(SHIM), "-ldl"]
    subprocess.run(order, check=True, timeout=60)
    return library


@pytest_twisted.async_yield_fixture
async def forgetful(shim: Path) -> AsyncIterator[Stage]:
    """A stage whose servers leave a copy of what they synced."""
    async for made in stage_of(Nursery.start(reactor, {"LD_PRELOAD": str(shim)})):
        yield made


@pytest_twisted.ensureDeferred
async def test_promise_77_and_16_what_was_acknowledged_outlives_kill_9(
    stage: Stage, record_property: Callable[[str, object], None]
) -> None:
    rounds = Rounds(stage, seed=77)
    for _ in range(KILLS):
        await rounds.one()
    after = await rounds.settled()
    assert (after.health, lost(stage, after), out_of_order(after)) == ([], [], [])
    record_property("promise_77", f"{KILLS} kills, 0 of {len(stage.acknowledged)} acknowledged prompts lost")
    record_property("promise_16", f"{len(after.runs)} prompts over {KILLS} kills, 0 reordered, 0 lost")


def lose_power(database: Path) -> None:
    """What was not synced is gone."""
    for name in (f"{database}-wal", f"{database}-shm", str(database)):
        Path(name).unlink(missing_ok=True)
        if os.path.exists(f"{name}.synced"):
            os.replace(f"{name}.synced", name)
    shutil.copy(database, f"{database}.synced")


@needs_a_compiler
@pytest_twisted.ensureDeferred
async def test_promise_77_what_was_acknowledged_outlives_a_loss_of_power(
    forgetful: Stage, record_property: Callable[[str, object], None]
) -> None:
    rounds = Rounds(forgetful, seed=7)
    for _ in range(OUTAGES):
        await rounds.one()
        lose_power(forgetful.database)
        assert Snapshot.of(forgetful.database).health == []
    after = await rounds.settled()
    assert (after.health, lost(forgetful, after), out_of_order(after)) == ([], [], [])
    record_property(
        "promise_77", f"{OUTAGES} power losses, 0 of {len(forgetful.acknowledged)} acknowledged prompts lost"
    )


WRITING = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL").fetchone()
connection.execute(f"PRAGMA synchronous = {sys.argv[2]}")
connection.execute("CREATE TABLE t (a)")
connection.execute("INSERT INTO t VALUES (1)")
os.kill(os.getpid(), 9)
"""


@needs_a_compiler
@pytest.mark.parametrize(("synchronous", "is_kept"), [("NORMAL", False), ("FULL", True)])
def test_the_shim_forgets_what_was_not_synced(tmp_path: Path, shim: Path, synchronous: str, is_kept: bool) -> None:
    database = tmp_path / "some.db"
    order = [sys.executable, "-c", WRITING, str(database), synchronous]
    subprocess.run(order, timeout=60, check=False, env=os.environ | {"LD_PRELOAD": str(shim)})
    lose_power(database)
    connection = sqlite3.connect(database)
    there = connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (1,)
    connection.close()
    assert there is is_kept
