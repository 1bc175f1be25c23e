"""What storage may take: the WAL on disk, and in memory what waits for a disk that hangs."""

import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from txcrush.adapters.sqlite import OpenSettings, OpenSqliteStore, SqliteStore
from txcrush.adapters.sqlite.backlog import SLOW_BYTES, SLOW_COUNT
from txcrush.adapters.sqlite.wal import KEEP_BYTES, WalBound
from txcrush.model.errors import StorageBusy
from txcrush.model.ids import MessageId, RunId, SessionId
from txcrush.model.messages import Message, Role, Text
from txcrush.model.runs import Prompt, RunRecord
from txcrush.model.sessions import Session
from txcrush.model.storage import PutMessage, PutSession
from txcrush.testing.live_server import LiveServer, PromptsModel
from txcrush.testing.scale import FULL

S1 = SessionId("s1")
MIB = 1024 * 1024
WRITES, BLOCK = (4000, 128 * 1024) if FULL else (150, 512 * 1024)
SLOW_READ = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) "
    "SELECT (SELECT count(*) FROM sessions), count(*) FROM n"
)


async def opened(path: Path) -> SqliteStore:
    from twisted.internet import reactor

    store = await OpenSqliteStore(reactor, lambda: 1000.0, lambda: "g", OpenSettings("0.1"))(str(path))  # type: ignore[arg-type]
    assert isinstance(store, SqliteStore)
    return store


def message(name: str, size: int) -> PutMessage:
    return PutMessage(Message(MessageId(name), S1, Role.USER, (Text("x" * size),)))


def record(number: int) -> RunRecord:
    prompt = Prompt(session_id=S1, text="hi", run_id=RunId(f"r{number}"))
    return RunRecord(id=prompt.run_id, minted=False, prompt=prompt, position=number, accepted_at=1)


@pytest_twisted.ensureDeferred
async def test_promise_76_the_wal_stays_bounded_under_reads_that_overlap_each_other(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    store = await opened(tmp_path)
    assert store.health().journal_mode == "wal"
    await store.write(PutSession(Session(id=S1)))
    wal = tmp_path / "txcrush.db-wal"
    largest, going = 0, True

    async def read() -> None:
        while going:
            reply: Deferred[Any] = Deferred()
            store._readers.read(lambda connection: connection.execute(SLOW_READ).fetchall(), reply)
            await reply

    reading = [Deferred.fromCoroutine(read()) for _ in range(2)]
    for number in range(WRITES):
        await store.write(message(f"m{number % 20}", BLOCK))
        largest = max(largest, wal.stat().st_size)
    going = False
    await gatherResults(reading)
    await store.close()
    record_property(
        "promise_76", f"WAL at most {largest / MIB:.0f} MiB while {WRITES * BLOCK / MIB:.0f} MiB were written"
    )
    assert largest <= 64 * MIB


@pytest_twisted.ensureDeferred
async def test_promise_76_a_database_that_was_in_wal_mode_is_opened_where_there_is_no_shared_memory(
    tmp_path: Path,
) -> None:
    store = await opened(tmp_path)
    await store.write(PutSession(Session(id=S1)))
    copies = {name: (tmp_path / name).read_bytes() for name in ("txcrush.db", "txcrush.db-wal")}
    await store.close()
    for name, content in copies.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "txcrush.db-shm").symlink_to("/nowhere/at/all")
    store = await opened(tmp_path)
    assert store.health().journal_mode == "delete"
    assert [one.id for one in await store.sessions()] == [S1]
    await store.write(message("m1", 10))
    assert len(await store.messages(S1)) == 1
    await store.close()


@pytest_twisted.ensureDeferred
async def test_promise_73_new_runs_are_refused_while_too_much_waits_for_the_disk(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    await store.write(PutSession(Session(id=S1)))
    gate = threading.Event()
    store._writer.after_all(lambda: gate.wait(30) and None)
    waiting = [store.write(message("m1", 1024 * 1024)) for _ in range(SLOW_BYTES // MIB)]
    health = store.health()
    assert health.waiting == len(waiting)
    assert SLOW_BYTES <= health.waiting_bytes < 2 * SLOW_BYTES
    with pytest.raises(StorageBusy, match="storage is too slow"):
        await store.accept_run(record(1))
    waiting.append(store.write(message("m2", 10)))
    gate.set()
    await gatherResults(waiting)
    assert store.health().waiting_bytes == 0
    assert await store.accept_run(record(1)) is None
    await store.close()


@pytest_twisted.ensureDeferred
async def test_promise_73_many_small_writes_are_too_much_as_well(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    gate = threading.Event()
    store._writer.after_all(lambda: gate.wait(30) and None)
    waiting = [store.write(PutSession(Session(id=S1))) for _ in range(SLOW_COUNT)]
    with pytest.raises(StorageBusy):
        await store.accept_run(record(1))
    gate.set()
    await gatherResults(waiting)
    await store.close()


@pytest_twisted.ensureDeferred
async def test_promise_73_growing_text_is_owed_to_a_hung_disk_once(short_path: Path) -> None:
    from twisted.internet import reactor

    model = PromptsModel.listen(reactor)  # type: ignore[arg-type]
    server = await LiveServer.start(reactor, short_path, model)
    client = server.client
    workspace = await client.join(server.project)
    stream = await client.stream(workspace)
    session = await client.session(workspace)
    held = client.prompt(workspace, session, "go")
    exchange = await model.next_request()
    exchange.head()
    exchange.text("begin")
    await stream.when(lambda event: event.kind == "message" and "begin" in str(event.payload))
    assert server._server is not None
    (found,) = server._server._workspaces.list()
    store: Any = found.store
    gate = threading.Event()
    store._writer.after_all(lambda: gate.wait(30) and None)
    for _ in range(40):
        exchange.text("x" * 5_000)
        await deferLater(reactor, 0.02)  # type: ignore[arg-type]
    exchange.finish()
    exchange.done()
    health = found.store.health()
    gate.set()
    assert (await held).status == 200
    assert health.waiting <= 8, health
    assert health.waiting_bytes < 1_000_000, health
    assert sum(len(frame.data) for batch in found.events._outbox for frame in batch.frames) < 1_000_000
    stream.close()
    await server.stop()
    await model.stop()


def test_promise_76_a_reader_that_never_ends_does_not_stop_the_writer(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with sqlite3.connect(path, isolation_level=None) as writer, sqlite3.connect(path, isolation_level=None) as reader:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute(f"PRAGMA journal_size_limit = {KEEP_BYTES}")
        writer.execute("CREATE TABLE t (v)")
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM t").fetchall()
        bound = WalBound(writer, str(path), 30.0)
        for _ in range(40):
            writer.execute("INSERT INTO t VALUES (?)", (os.urandom(MIB),))
            bound.keep()
        assert os.path.getsize(f"{path}-wal") > 32 * MIB
        reader.execute("COMMIT")
        for _ in range(8):
            writer.execute("INSERT INTO t VALUES (?)", (os.urandom(MIB),))
            bound.keep()
        assert os.path.getsize(f"{path}-wal") < 32 * MIB
        assert writer.execute("PRAGMA busy_timeout").fetchone() == (30_000,)
    writer.close()
    reader.close()
