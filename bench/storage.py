"""How fast the store is, as ratios to a bare `sqlite3` loop on the same disk in the same minute.

`python bench/storage.py [WRITES]` prints durable writes per second one at a time and in groups, and the time that a
read takes to a thread and back. The absolute figures are those of the disk; the ratios are the store's.
"""

import sqlite3
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from twisted.internet import asyncioreactor

asyncioreactor.install()  # type: ignore[no-untyped-call]

from twisted.internet import reactor  # noqa: E402
from twisted.internet.defer import Deferred, gatherResults  # noqa: E402
from twisted.internet.task import react  # noqa: E402

from txcrush.adapters.sqlite import OpenSettings, OpenSqliteStore  # noqa: E402
from txcrush.model.ids import MessageId, SessionId  # noqa: E402
from txcrush.model.messages import Message, Role, Text  # noqa: E402
from txcrush.model.sessions import Session  # noqa: E402
from txcrush.model.storage import PutMessage, PutSession  # noqa: E402
from txcrush.ports import Store  # noqa: E402

SESSION = SessionId("s")


def put(number: int) -> PutMessage:
    return PutMessage(Message(MessageId(str(number)), SESSION, Role.USER, (Text("x" * 500),)))


def bare(folder: Path, writes: int) -> float:
    """Seconds of a loop that inserts and commits one row at a time."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL").fetchone()
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE t (id TEXT PRIMARY KEY, body TEXT)")
    began = time.perf_counter()
    for number in range(writes):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO t VALUES (?, ?)", (str(number), "x" * 500))
        connection.execute("COMMIT")
    taken = time.perf_counter() - began
    connection.close()
    return taken


async def single(store: Store, writes: int) -> None:
    for number in range(writes):
        await store.write(put(number))


async def grouped(store: Store, writes: int) -> None:
    await gatherResults([store.write(put(number)) for number in range(writes)])


async def hops(store: Store, reads: int) -> None:
    for _ in range(reads):
        await store.message(MessageId("none"))


async def timed(work: Callable[[Store, int], Awaitable[Any]], store: Store, count: int) -> float:
    began = time.perf_counter()
    await work(store, count)
    return time.perf_counter() - began


async def measure(folder: Path, writes: int) -> None:
    open_store = OpenSqliteStore(reactor, time.time, lambda: str(uuid.uuid4()), OpenSettings("bench"))  # type: ignore[arg-type]
    store = await open_store(str(folder / "data"))
    await store.write(PutSession(Session(id=SESSION)))
    base = bare(folder, writes)
    rows = [("bare loop", base)]
    rows += [("single", await timed(single, store, writes)), ("grouped", await timed(grouped, store, writes))]
    for name, taken in rows:
        print(f"{name:10} {writes / taken:9.0f} durable writes/s   {base / taken:6.2f} of the bare loop")
    hop = await timed(hops, store, writes)
    print(f"{'read':10} {hop / writes * 1e6:9.0f} µs to a thread and back")
    await store.close()


async def main() -> None:
    writes = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as folder:
        await measure(Path(folder), writes)


if __name__ == "__main__":
    react(lambda _: Deferred.fromCoroutine(main()))
