"""A database that is damaged is put aside with what could not be read, and the server goes on with the rest."""

import os
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from txcrush.adapters.sqlite import OpenSettings, OpenSqliteStore, SqliteStore
from txcrush.model.errors import StorageDamaged, StorageFailed
from txcrush.model.ids import MessageId, RunId, SessionId
from txcrush.model.messages import Finish, FinishReason, Message, Role, Text
from txcrush.model.runs import Outcome, Prompt, RunEnd, RunRecord
from txcrush.model.sessions import Session
from txcrush.model.storage import BeginRun, EndRun, PutMessage, PutSession
from txcrush.testing.live_server import LiveServer
from txcrush.testing.scale import FULL

OFFSETS = 200 if FULL else 25
SESSIONS, MESSAGES = 12, 240


def opener(**settings: Any) -> OpenSqliteStore:
    from twisted.internet import reactor

    return OpenSqliteStore(reactor, lambda: 1_800_000_000.0, lambda: "g", OpenSettings("0.1", **settings))


async def opened(path: Path, **settings: Any) -> SqliteStore:
    store = await opener(**settings)(str(path))
    assert isinstance(store, SqliteStore)
    return store


def message(number: int, owner: str = "") -> PutMessage:
    parts = (Text(f"words of {number} " * 20), Finish(FinishReason.END_TURN, 5))
    session_id = SessionId(owner or f"s{number % SESSIONS}")
    return PutMessage(Message(MessageId(f"m{number}"), session_id, Role.ASSISTANT, parts, created_at=number))


async def filled(path: Path) -> None:
    """A data directory with sessions, messages and runs, one of them without an end."""
    store = await opened(path)
    await store.write(*(PutSession(Session(id=SessionId(f"s{n}"), title=f"Session {n}")) for n in range(SESSIONS)))
    await store.write(*(message(number) for number in range(MESSAGES)))
    for number in range(4):
        run_id = RunId(f"r{number}")
        prompt = Prompt(session_id=SessionId("s0"), text="do it", run_id=run_id)
        await store.accept_run(RunRecord(id=run_id, minted=False, prompt=prompt, position=number + 1, accepted_at=5))
        if number < 3:
            await store.write(BeginRun(run_id, 6), EndRun(run_id, RunEnd(outcome=Outcome.COMPLETED, text="done")))
    await store.close()


def aside(path: Path) -> list[str]:
    """The names of what was moved aside."""
    return sorted(one.name for one in path.iterdir() if ".corrupt-" in one.name)


async def usable(path: Path) -> SqliteStore:
    """Opens, reads everything that a start reads, and writes; may be refused once, by what is found at reading."""
    for _ in range(2):
        store = await opened(path)
        try:
            await store.sessions()
            await store.unfinished_runs()
            await store.unfinished_messages()
            await store.pending_desk_entries()
            await store.policies()
            for number in range(SESSIONS):
                await store.messages(SessionId(f"s{number}"))
            await store.write(PutSession(Session(id=SessionId("new"))), message(10_000, "new"))
        except StorageDamaged:
            await store.close()
        else:
            return store
    raise AssertionError("refused twice")


@pytest_twisted.ensureDeferred
async def test_promise_75_a_byte_changed_anywhere_never_keeps_the_database_from_being_opened(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    await filled(tmp_path / "sound")
    sound = (tmp_path / "sound" / "txcrush.db").read_bytes()
    chance = random.Random(75)
    offsets = [chance.randrange(len(sound)) for _ in range(OFFSETS - 5)] + [0, 18, 28, 56, 100]
    moved = kept = 0
    for number, offset in enumerate(offsets):
        path = tmp_path / f"flip-{number}"
        path.mkdir()
        flipped = bytearray(sound)
        flipped[offset] ^= 0xFF
        (path / "txcrush.db").write_bytes(flipped)
        store = await usable(path)
        found = [one for n in range(SESSIONS) for one in await store.messages(SessionId(f"s{n}"))]
        moved += bool(aside(path))
        kept += len(found)
        await store.close()
    share = kept / len(offsets) / MESSAGES
    record_property("promise_75", f"{len(offsets)} flips, {moved} moved aside, {share:.0%} of the messages kept")
    assert moved > 0
    assert kept > 0.8 * MESSAGES * len(offsets)


@pytest_twisted.ensureDeferred
async def test_promise_75_flips_in_the_header_of_every_page_are_found_and_the_rest_is_salvaged(tmp_path: Path) -> None:
    await filled(tmp_path / "sound")
    sound = (tmp_path / "sound" / "txcrush.db").read_bytes()
    pages = list(range(1, len(sound) // 4096))
    for page in pages if FULL else pages[:6]:
        path = tmp_path / f"page-{page}"
        path.mkdir()
        flipped = bytearray(sound)
        for offset in range(page * 4096, page * 4096 + 8):
            flipped[offset] ^= 0xFF
        (path / "txcrush.db").write_bytes(flipped)
        store = await usable(path)
        assert aside(path) == ["txcrush.db.corrupt-20270115T080000Z"], page
        assert (path / aside(path)[0]).read_bytes() == flipped
        assert store.health().moved_aside == str(path / aside(path)[0])
        await store.close()


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.95])
@pytest_twisted.ensureDeferred
async def test_promise_75_a_truncated_database_is_opened(tmp_path: Path, share: float) -> None:
    await filled(tmp_path)
    database = tmp_path / "txcrush.db"
    os.truncate(database, int(database.stat().st_size * share))
    store = await usable(tmp_path)
    assert len(aside(tmp_path)) == (share > 0)
    await store.close()


@pytest_twisted.ensureDeferred
async def test_promise_75_what_is_no_database_is_moved_aside_byte_for_byte(tmp_path: Path) -> None:
    garbage = os.urandom(20_000)
    (tmp_path / "txcrush.db").write_bytes(garbage)
    store = await usable(tmp_path)
    assert [(tmp_path / name).read_bytes() for name in aside(tmp_path)] == [garbage]
    assert [one.id for one in await store.sessions()] == ["new"] or await store.sessions()
    await store.close()


def crashed(path: Path, target: Path) -> None:
    """Copy a directory that is open, as a killed process would leave it."""
    target.mkdir()
    for name in ("txcrush.db", "txcrush.db-wal"):
        (target / name).write_bytes((path / name).read_bytes())


@pytest_twisted.ensureDeferred
async def test_promise_75_a_lost_or_damaged_wal_costs_what_it_held_and_nothing_else(tmp_path: Path) -> None:
    await filled(tmp_path / "a")
    store = await opened(tmp_path / "a")
    await store.write(*(message(number) for number in range(MESSAGES, 2 * MESSAGES)))
    for name in ("lost", "cut", "flipped"):
        crashed(tmp_path / "a", tmp_path / name)
    await store.close()
    (tmp_path / "lost" / "txcrush.db-wal").unlink()
    os.truncate(tmp_path / "cut" / "txcrush.db-wal", 10_000)
    wal = bytearray((tmp_path / "flipped" / "txcrush.db-wal").read_bytes())
    wal[5000] ^= 0xFF
    (tmp_path / "flipped" / "txcrush.db-wal").write_bytes(wal)
    for name in ("lost", "cut", "flipped"):
        store = await usable(tmp_path / name)
        assert len([one for n in range(SESSIONS) for one in await store.messages(SessionId(f"s{n}"))]) >= MESSAGES
        await store.close()


@pytest_twisted.ensureDeferred
async def test_promise_75_a_run_without_an_end_never_starts_again_after_salvage(tmp_path: Path) -> None:
    await filled(tmp_path)
    database = bytearray((tmp_path / "txcrush.db").read_bytes())
    database[-4096:] = b"\xff" * 4096
    (tmp_path / "txcrush.db").write_bytes(database)
    store = await usable(tmp_path)
    assert aside(tmp_path)
    assert [bool(run.began_at) for run in await store.unfinished_runs()] == [True]
    await store.close()


@pytest_twisted.ensureDeferred
async def test_promise_75_damage_that_a_read_comes_upon_is_repaired_at_the_next_opening(tmp_path: Path) -> None:
    await filled(tmp_path)
    with sqlite3.connect(tmp_path / "txcrush.db") as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'messages'").fetchone()
    connection.close()
    store = await opened(tmp_path)
    database = bytearray((tmp_path / "txcrush.db").read_bytes())
    database[(root - 1) * 4096 : (root - 1) * 4096 + 100] = b"\xff" * 100
    (tmp_path / "txcrush.db").write_bytes(database)
    with pytest.raises(StorageDamaged, match="the database file is damaged"):
        await store.messages(SessionId("s1"))
    assert (tmp_path / "txcrush.db-suspect").exists()
    await store.close()
    store = await usable(tmp_path)
    assert not (tmp_path / "txcrush.db-suspect").exists()
    assert {one.title for one in await store.sessions()} >= {f"Session {n}" for n in range(SESSIONS)}
    await store.close()


@pytest_twisted.ensureDeferred
async def test_promise_75_who_does_not_hold_the_lock_moves_nothing(tmp_path: Path) -> None:
    (tmp_path / "txcrush.db").write_bytes(b"garbage" * 1000)
    with pytest.raises(StorageFailed, match="not a database"):
        await opened(tmp_path, skip_lock=True)
    assert (tmp_path / "txcrush.db").read_bytes() == b"garbage" * 1000


@pytest_twisted.ensureDeferred
async def test_promise_75_a_replacement_that_was_cut_off_is_finished(tmp_path: Path) -> None:
    await filled(tmp_path)
    (tmp_path / "txcrush.db").rename(tmp_path / "txcrush.db.fresh")
    (tmp_path / "txcrush.db-wal").write_bytes(b"of another database" * 1000)
    store = await usable(tmp_path)
    assert len(await store.sessions()) == SESSIONS + 1
    await store.close()


@pytest_twisted.ensureDeferred
async def test_promise_75_a_server_starts_over_a_damaged_database_and_says_so(short_path: Path) -> None:
    from twisted.internet import reactor

    data = short_path / "project" / ".crush"
    data.mkdir(parents=True)
    (data / "txcrush.db").write_bytes(b"garbage" * 1000)
    server = await LiveServer.start(reactor, short_path)
    workspace = await server.client.join(server.project)
    assert (await server.client.get(f"/v1/workspaces/{workspace}/sessions")).value == []
    await server.client.session(workspace)
    assert len(aside(data)) == 1
    await server.stop()
