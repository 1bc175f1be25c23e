"""What every `Register` promises: the suite that the fake and the SQLite adapter both pass."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from txcrush.adapters.sqlite import SqliteRegister
from txcrush.model.ids import WorkspaceId
from txcrush.model.register import Listed
from txcrush.ports import Register
from txcrush.testing.memory_register import MemoryRegister


def entry(name: str = "/a", **changes: Any) -> Listed:
    values = {"data_dir": name, "path": f"{name}/..", "workspace_id": WorkspaceId("w1"), "channels": ("x", "y")}
    return Listed(**{**values, **changes})


@pytest_twisted.async_yield_fixture(params=["memory", "sqlite"])
async def register(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Register]:
    made: Register = MemoryRegister()
    if request.param == "sqlite":
        made = SqliteRegister(str(tmp_path / "state"), deferToThread)
    yield made
    await made.close()


@pytest_twisted.ensureDeferred
async def test_entries_come_in_the_order_in_which_they_were_listed(register: Register) -> None:
    assert await register.entries() == []
    for name in ("/b", "/a"):
        await register.add(entry(name, debug=True))
    assert await register.entries() == [entry("/b", debug=True), entry("/a", debug=True)]


@pytest_twisted.ensureDeferred
async def test_listing_again_says_who_it_is_now_and_keeps_what_is_known_of_failures(register: Register) -> None:
    await register.add(entry())
    await register.attempt("/a")
    await register.skipped("/a", "why", 7)
    await register.add(entry(workspace_id=WorkspaceId("w2"), channels=()))
    (known,) = await register.entries()
    assert known == entry(workspace_id=WorkspaceId("w2"), channels=(), attempts=1, error="why", failing_since=7)


@pytest_twisted.ensureDeferred
async def test_attempts_are_counted_until_it_is_known_how_they_went(register: Register) -> None:
    await register.add(entry())
    for count in (1, 2):
        await register.attempt("/a")
        assert (await register.entries())[0].attempts == count
    await register.failed("/a", "locked", 7)
    await register.failed("/a", "broken", 9)
    assert await register.entries() == [entry(error="broken", failing_since=7)]
    await register.attempt("/a")
    await register.opened("/a")
    assert await register.entries() == [entry()]


@pytest_twisted.ensureDeferred
async def test_what_is_removed_is_gone_and_unknown_ones_are_fine(register: Register) -> None:
    await register.add(entry())
    for name in ("/b", "/a", "/a"):
        await register.remove(name)
    for call in (register.attempt, register.opened):
        await call("/a")
    await register.failed("/a", "x", 1)
    assert await register.entries() == []


@pytest_twisted.ensureDeferred
async def test_calls_happen_in_their_order(register: Register) -> None:
    calls = [register.add(entry()), register.remove("/a"), register.add(entry(debug=True)), register.attempt("/a")]
    for call in calls:
        await call
    assert await register.entries() == [entry(debug=True, attempts=1)]
