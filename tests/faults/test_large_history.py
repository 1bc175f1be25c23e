"""A data directory of many sessions and messages is opened, listed and read as quickly as a small one."""

import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest_twisted

from txcrush.testing.live_server import LiveServer
from txcrush.testing.loop_lag import LoopLag
from txcrush.testing.scale import FULL, scaled

SESSIONS, MESSAGES = scaled(1_000, 10_000), scaled(100_000, 1_000_000)
ASKS = 20
FILL = """
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :sessions - 1)
INSERT INTO sessions (id, title, message_count, updated_at, created_at)
SELECT printf('s%06d', i), 'Session ' || i, :messages / :sessions, 1800000000 + i, 1800000000 + i FROM n;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :messages - 1)
INSERT INTO messages (id, session_id, role, parts, model, created_at, updated_at, finished_at, provider)
SELECT printf('m%07d', i), printf('s%06d', i % :sessions),
    CASE i / :sessions % 2 WHEN 0 THEN 'user' ELSE 'assistant' END,
    '[{"type":"text","data":{"text":"' || replace(hex(zeroblob(100)), '0', 'word ') ||
    '"}},{"type":"finish","data":{"reason":"end_turn","time":1800000000}}]',
    'm', 1800000000 + i, 1800000000 + i, 1800000000 + i, 'p' FROM n;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :messages / 20)
INSERT INTO runs (id, minted, session_id, client_run_id, prompt, when_busy, position, accepted_at, began_at)
SELECT 'r' || i, 0, 's000000', 'r' || i, 'do it', '', i + 1, 1800000000, 1800000000 FROM n;
INSERT INTO run_ends (run_id, outcome, message_id, text, error, reason, source, ended_at)
SELECT id, 'completed', '', 'done', '', '', '', 1800000000 FROM runs;
COMMIT;
"""


def fill(database: Path) -> None:
    """Write the rows."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    for statement in FILL.split(";")[:-1]:
        named = {"sessions": SESSIONS, "messages": MESSAGES}
        connection.execute(statement, {name: value for name, value in named.items() if f":{name}" in statement})
    connection.close()


async def timed(ask: Callable[[], Awaitable[object]], times: int = ASKS) -> float:
    """The 95th percentile, in milliseconds."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        await ask()
        taken.append(1000 * (time.perf_counter() - began))
    return sorted(taken)[int(0.95 * len(taken)) - 1]


@pytest_twisted.ensureDeferred
async def test_promise_83_many_sessions_and_messages_are_listed_and_opened_quickly(
    short_path: Path, record_property: Callable[[str, object], None]
) -> None:
    from twisted.internet import reactor

    server = await LiveServer.start(reactor, short_path)
    await server.client.join(server.project)
    await server.stop()
    fill(Path(server.project) / ".crush" / "txcrush.db")
    server = await LiveServer.start(reactor, short_path)
    client = server.client
    lag = LoopLag(reactor)
    lag.start()
    began = time.perf_counter()
    workspace = await client.join(server.project)
    opened_ms = 1000 * (time.perf_counter() - began)
    base = f"/v1/workspaces/{workspace}/sessions"
    assert len((await client.get(base)).value) == SESSIONS
    assert len((await client.get(f"{base}/s000007/messages")).value) == MESSAGES // SESSIONS
    listed_ms = await timed(lambda: client.get(base))
    read_ms = await timed(lambda: client.get(f"{base}/s000007/messages"))
    lag.stop()
    record_property(
        "promise_83",
        f"{SESSIONS} sessions, {MESSAGES} messages: open {opened_ms:.0f} ms, p95 list {listed_ms:.0f} ms, "
        f"p95 messages {read_ms:.0f} ms",
    )
    record_property("promise_81", f"longest lag {lag.longest_ms:.0f} ms, p99.9 {lag.at_ms(0.999):.0f} ms")
    assert not FULL or max(listed_ms, read_ms) < 200
    await server.stop()
