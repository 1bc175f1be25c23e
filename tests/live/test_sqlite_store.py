"""The SQLite store with its threads, on a real disk, under a real reactor."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.threads import deferToThread

from txcrush.adapters.sqlite import OpenSettings, OpenSqliteStore, SqliteStore
from txcrush.model.errors import CursorTooOld, StorageFailed
from txcrush.model.events import Change, EventKind, LoggedEvent
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import Finish, FinishReason, Message, Role, Text
from txcrush.model.sessions import Session
from txcrush.model.storage import AppendEvent, PutMessage, PutSession

S1 = SessionId("s1")
WRITER = """
import os, sys
from twisted.internet import asyncioreactor
asyncioreactor.install()
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from txcrush.adapters.sqlite import OpenSettings, OpenSqliteStore
from txcrush.model.ids import SessionId
from txcrush.model.sessions import Session
from txcrush.model.storage import PutSession

async def main():
    store = await OpenSqliteStore(reactor, lambda: 0.0, lambda: "g", OpenSettings("0"))(sys.argv[1])
    number = 0
    while True:
        group = []
        for number in range(number + 1, number + 8):
            written = store.write(PutSession(Session(id=SessionId(str(number)))))
            written.addCallback(lambda _, number=number: os.write(1, b"%d\\n" % number))
            group.append(written)
        await gatherResults(group)

Deferred.fromCoroutine(main())
reactor.run()
"""


def opener(log_bytes: int = 64 * 1024 * 1024, **settings: Any) -> OpenSqliteStore:
    from twisted.internet import reactor

    return OpenSqliteStore(reactor, lambda: 1000.0, lambda: "g", OpenSettings("0.1", **settings), log_bytes)  # type: ignore[arg-type]


async def opened(path: Path, **settings: Any) -> SqliteStore:
    store = await opener(**settings)(str(path))
    assert isinstance(store, SqliteStore)
    return store


def session(name: str = S1, title: str = "") -> PutSession:
    return PutSession(Session(id=SessionId(name), title=title))


def message(name: str, text: str) -> PutMessage:
    return PutMessage(Message(MessageId(name), S1, Role.USER, (Text(text),)))


def threads_of(path: Path) -> list[str]:
    return [thread.name for thread in threading.enumerate() if str(path) in thread.name]


async def refused(deferred: "Deferred[Any]") -> str:
    with pytest.raises(StorageFailed) as caught:
        await deferred
    return caught.value.message


@pytest_twisted.ensureDeferred
async def test_r_db_01_relative_and_absolute_paths_are_one_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    open_store = opener(skip_lock=True)
    first = await open_store("data")
    other = await open_store(str(tmp_path / "other"))
    assert "already in use by this crush process" in await refused(open_store(str(tmp_path / "data")))
    await gatherResults([first.close(), other.close()])
    await (await open_store(str(tmp_path / "data"))).close()


@pytest_twisted.ensureDeferred
async def test_r_db_03_a_directory_whose_opening_failed_can_be_opened(tmp_path: Path) -> None:
    open_store = opener()
    (tmp_path / "txcrush.db").mkdir()
    assert "cannot be opened" in await refused(open_store(str(tmp_path)))
    (tmp_path / "txcrush.db").rmdir()
    await (await open_store(str(tmp_path))).close()


@pytest_twisted.ensureDeferred
async def test_closing_ends_the_threads(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    assert len(threads_of(tmp_path)) == 3
    await store.close()
    assert threads_of(tmp_path) == []


@pytest_twisted.ensureDeferred
async def test_an_opening_that_nobody_waits_for_any_more_is_closed_again(tmp_path: Path) -> None:
    open_store = opener()
    opening = open_store(str(tmp_path))
    opening.cancel()
    with pytest.raises(CancelledError):
        await opening
    for _ in range(10_000):  # turns of the reactor, until the thread has opened it and another has closed it
        try:
            store = await open_store(str(tmp_path))
        except StorageFailed as error:
            assert "already in use by this crush process" in error.message
            await deferToThread(lambda: None)
        else:
            break
    await store.close()


@pytest_twisted.ensureDeferred
async def test_a_burst_of_writes_is_reported_with_few_calls_to_the_reactor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from twisted.internet import reactor

    store = await opened(tmp_path)
    writer = store._writer
    reports: list[int] = []
    report = writer._call_from_thread

    def counted(call: Any, writes: list[Any], *rest: Any) -> None:
        reports.append(len(writes))
        report(call, writes, *rest)

    monkeypatch.setattr(writer, "_call_from_thread", counted)
    gate = threading.Event()
    writer.after_all(lambda: gate.wait(30) and None)
    writes = [store.write(session(str(number))) for number in range(600)]
    reactor.callLater(0, gate.set)  # type: ignore[attr-defined]
    await gatherResults(writes)
    assert sum(reports) == 600
    assert len(reports) <= 4
    await store.close()


@pytest_twisted.ensureDeferred
async def test_a_slow_read_delays_neither_writes_nor_short_reads(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    gate = threading.Event()
    slow = store._read(lambda _: gate.wait(30))
    await store.write(session())
    assert len(await store.sessions()) == 1
    assert not slow.called
    gate.set()
    assert await slow is True
    await store.close()


@pytest_twisted.ensureDeferred
async def test_p73_a_full_disk_fails_the_writes_and_nothing_else_and_ends_with_the_lack_of_space(
    tmp_path: Path,
) -> None:
    store = await opened(tmp_path)
    await store.write(session())
    connection = store._files.writer
    (pages,) = await store._write(lambda c: c.execute("PRAGMA page_count").fetchone())
    await store._write(lambda c: c.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    writes = [store.write(message(f"m{number}", "x" * 20_000)) for number in range(5)]
    for write in writes:
        assert (await refused(write)).startswith("the disk is full")
    assert await store.messages(S1) == []
    assert len(await store.sessions()) == 1
    await store._write(lambda c: c.execute("PRAGMA max_page_count = 100000").fetchone())
    await store.write(message("m9", "x" * 20_000))
    assert [one.id for one in await store.messages(S1)] == ["m9"]
    await store.close()
    with pytest.raises(sqlite3.ProgrammingError):
        connection.execute("SELECT 1")


@pytest_twisted.ensureDeferred
async def test_p73_a_database_that_became_read_only_fails_writes_clearly_and_reads_work(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    await store.write(session())
    await store._write(lambda c: c.execute("PRAGMA query_only = ON").fetchone())
    assert (await refused(store.write(session("s2")))).startswith("the database is read-only")
    assert len(await store.sessions()) == 1
    await store.close()


@pytest_twisted.ensureDeferred
async def test_p74_a_write_that_another_process_blocks_fails_clearly_and_the_next_one_works(tmp_path: Path) -> None:
    store = await opened(tmp_path, busy_timeout_s=0.01)
    other = sqlite3.connect(tmp_path / "txcrush.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert (await refused(store.write(session()))).startswith("the database is locked by another process")
    assert await store.sessions() == []
    other.execute("ROLLBACK")
    other.close()
    await store.write(session())
    await store.close()


@pytest_twisted.ensureDeferred
async def test_a_row_of_an_unknown_part_is_left_out_of_the_list(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    await store.write(session(), message("m1", "x"))
    await store._write(lambda c: c.execute('UPDATE messages SET parts = \'[{"type":"new","data":1}]\'') and None)
    assert await store.messages(S1) == []
    assert "unknown type 'new'" in await refused(store.message(MessageId("m1")))
    assert len(await store.sessions()) == 1
    await store.close()


@pytest_twisted.ensureDeferred
async def test_finished_at_follows_from_the_finish_part(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    ended = Message(MessageId("a"), S1, Role.ASSISTANT, (Finish(FinishReason.END_TURN, 7),))
    user = Message(MessageId("b"), S1, Role.USER, (Text(""), Finish(FinishReason.STOP, 0)))
    await store.write(session(), PutMessage(ended), PutMessage(user), message("c", ""))
    found = await store._read(lambda c: c.execute("SELECT finished_at FROM messages ORDER BY id").fetchall())
    assert found == [(7,), (None,), (None,)]
    await store.close()


@pytest_twisted.ensureDeferred
async def test_the_log_is_trimmed_while_it_grows_and_its_number_survives_a_restart(tmp_path: Path) -> None:
    open_store = opener(log_bytes=20_000)
    store = await open_store(str(tmp_path))
    for seq in range(1, 101):
        logged = LoggedEvent(seq=seq, kind=EventKind.SESSION, change=Change.UPDATED, key="", body=b"x" * 936, at=1000)
        await store.write(AppendEvent(logged))
    with pytest.raises(CursorTooOld):
        await store.events_after(1, 10)
    await store.close()
    store = await open_store(str(tmp_path))
    assert store.head().seq == 100
    kept = await store.events_after(99, 10)
    assert [event.seq for event in kept] == [100]
    await store.close()


@pytest_twisted.ensureDeferred
async def test_more_than_the_queue_holds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("txcrush.adapters.sqlite.backlog.FULL_COUNT", 2)
    monkeypatch.setattr("txcrush.adapters.sqlite.store.READS_LIMIT", 2)
    store = await opened(tmp_path)
    writes = [store.write(session(str(number))) for number in range(3)]
    assert "cannot keep up" in await refused(writes[2])
    await gatherResults(writes[:2])
    await store.write(session())
    reads = [store.sessions() for _ in range(3)]
    assert "cannot keep up" in await refused(reads[2])
    assert [len(found) for found in await gatherResults(reads[:2])] == [3, 3]
    await store.close()


def _kill_after(path: Path, acknowledged: int) -> list[int]:
    """Let a child write until it has acknowledged that many, kill it, and tell what it acknowledged."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(acknowledged)]
        child.kill()
        lines += child.stdout.readlines()
    return [int(line) for line in lines if line.endswith(b"\n")]


@pytest.mark.parametrize("acknowledged", [1, 50, 200])
@pytest_twisted.ensureDeferred
async def test_p77_after_kill_9_every_acknowledged_write_is_there(tmp_path: Path, acknowledged: int) -> None:
    numbers = await deferToThread(_kill_after, tmp_path, acknowledged)
    assert len(numbers) >= acknowledged
    store = await opened(tmp_path)
    found = {int(one.id) for one in await store.sessions()}
    assert set(numbers) <= found
    assert found == set(range(1, max(found) + 1))  # in the order of the calls: no gap
    assert await store._read(lambda c: c.execute("PRAGMA integrity_check").fetchone()) == ("ok",)
    await store.close()


@pytest_twisted.ensureDeferred
async def test_the_files_stay_private(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    await store.write(session())
    for name in ("txcrush.db", "txcrush.db-wal", "txcrush.lock"):
        assert stat.S_IMODE(os.stat(tmp_path / name).st_mode) == 0o600
    await store.close()
