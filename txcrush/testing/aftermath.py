"""What must be true of a database after its server was killed and another one has taken it up."""

import os
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from msgspec import Struct

from txcrush.wire.json import parse_list

Row = dict[str, Any]
INTERRUPTED = "Interrupted by a server restart"


class Snapshot(Struct, frozen=True):
    """The rows of a database's tables, in the order in which they were made. `health` is what SQLite finds wrong."""

    sessions: list[Row]
    messages: list[Row]
    runs: list[Row]
    ends: list[Row]
    events: list[Row]
    desk: list[Row]
    health: list[str]

    @classmethod
    def of(cls, database: Path) -> "Snapshot":
        """Read a copy: whoever opens the last connection to a database in WAL mode changes its files."""
        with tempfile.TemporaryDirectory(prefix="tx") as folder:
            for suffix in ("", "-wal"):
                if os.path.exists(f"{database}{suffix}"):
                    shutil.copy(f"{database}{suffix}", folder)
            with closing(sqlite3.connect(os.path.join(folder, database.name))) as connection:
                connection.row_factory = sqlite3.Row
                sessions, messages, runs, ends, events, desk = (_rows(connection, table) for table in _TABLES)
                return cls(sessions, messages, runs, ends, events, desk, _health(connection))

    def end_of(self, run_id: str) -> Row | None:
        return next((end for end in self.ends if end["run_id"] == run_id), None)

    def message(self, message_id: str) -> Row | None:
        return next((one for one in self.messages if one["id"] == message_id), None)


_TABLES = ("sessions", "messages", "runs", "run_ends", "events", "desk")


def _rows(connection: sqlite3.Connection, table: str) -> list[Row]:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
        return []
    return [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY rowid")]


def _health(connection: sqlite3.Connection) -> list[str]:
    found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
    broken = [f"{tuple(row)}" for row in connection.execute("PRAGMA foreign_key_check")]
    return [line for line in found if line != "ok"] + broken


def parts(message: Row, kind: str) -> list[Row]:
    """The data of a message's parts of one kind."""
    found: Any = parse_list(message["parts"])
    return [part["data"] for part in found if part["type"] == kind]


def violations(before: Snapshot, after: Snapshot, effects: Path) -> list[str]:
    """All that the promises forbid. `before` is what the dead left, `after` what there is once nothing runs any more;
    `effects` is a directory with a file for each call, a byte in it for each time that it ran."""
    return [
        *after.health,
        *_ends(before, after),
        *_completions(after),
        *_log(before, after),
        *_messages(before, after),
        *_calls(after),
        *_order(after),
        *_desk(before, after),
        *(f"{one.name} ran {one.stat().st_size} times" for one in effects.iterdir() if one.stat().st_size > 1),
    ]


def _ends(before: Snapshot, after: Snapshot) -> Iterator[str]:
    """Promises 3 and 4: what had begun is interrupted, what had not is done, what had ended stays."""
    for run in after.runs:
        end, left = after.end_of(run["id"]), before.end_of(run["id"])
        if end is None:
            yield f"run {run['id']} has no end"
        elif left is not None and left != end:
            yield f"run {run['id']} has another end than before: {left} {end}"
    for run in before.runs:
        end = after.end_of(run["id"])
        if end is None or before.end_of(run["id"]):
            continue
        gone = not any(one["id"] == run["session_id"] for one in before.sessions)
        if run["began_at"] and (end["outcome"], end["reason"]) != ("cancelled", INTERRUPTED):
            yield f"run {run['id']} had begun and ended so: {end}"
        if not run["began_at"] and not gone and end["outcome"] != "completed":
            yield f"run {run['id']} had not begun and ended so: {end}"


def _completions(after: Snapshot) -> Iterator[str]:
    """Promise 3: one `run_complete` each; a folded prompt without a run id shares that of its turn."""
    told = Counter(event["key"] for event in after.events if event["kind"] == "run_complete")
    for run in after.runs:
        shares = run["minted"] and run["when_busy"] == "steer"
        if told[run["id"]] != 1 and not (shares and not told[run["id"]]):
            yield f"run {run['id']} was told complete {told[run['id']]} times"
    yield from (f"{key} was told complete {count} times" for key, count in told.items() if count > 1)


def _log(before: Snapshot, after: Snapshot) -> Iterator[str]:
    """Promise 25: what was logged stays, but for updates that a later one replaced; what comes is numbered above."""
    logged = {event["seq"]: event for event in after.events}
    for event in before.events:
        replaceable = event["kind"] == "message" and event["change"] == "updated"
        if logged.get(event["seq"]) != event and not (replaceable and event["seq"] not in logged):
            yield f"event {event['seq']} is not what it was"
    last = max((event["seq"] for event in before.events), default=0)
    new = set(logged) - {event["seq"] for event in before.events}
    if new and min(new) <= last:
        yield f"event {min(new)} comes after {last}"


def _messages(before: Snapshot, after: Snapshot) -> Iterator[str]:
    """Promise 4: text is kept, every message is closed, and sessions know how many they have."""
    sessions = {session["id"] for session in after.sessions}
    for one in before.messages:
        kept = after.message(one["id"])
        if kept is None and not one["is_summary_message"] and one["session_id"] in sessions:
            yield f"message {one['id']} of {one['role']} is lost"
        if kept and not _text(kept).startswith(_text(one)):
            yield f"message {one['id']} said {_text(one)!r}, and now {_text(kept)!r}"
    for one in after.messages:
        if one["role"] == "assistant" and not parts(one, "finish"):
            yield f"message {one['id']} is not finished"
    counts = Counter(one["session_id"] for one in after.messages)
    for session in after.sessions:
        if session["message_count"] != counts[session["id"]]:
            yield f"session {session['id']} counts {session['message_count']}, and has {counts[session['id']]}"


def _text(message: Row) -> str:
    return "".join(part["text"] for part in parts(message, "text"))


def _calls(after: Snapshot) -> Iterator[str]:
    """Every call has one result."""
    results = Counter(part["tool_call_id"] for one in after.messages for part in parts(one, "tool_result"))
    made = [part["id"] for one in after.messages for part in parts(one, "tool_call")]
    yield from (f"call {one} has {results[one]} results" for one in made if results[one] != 1)


def _order(after: Snapshot) -> Iterator[str]:
    """Promise 16: what has a turn of its own is answered in the order in which it was accepted."""
    places = {one["id"]: place for place, one in enumerate(after.messages)}
    for session in {run["session_id"] for run in after.runs}:
        own = [run for run in after.runs if run["session_id"] == session and not run["minted"]]
        own.sort(key=lambda run: run["position"])
        said = [places[run["user_message_id"]] for run in own if run["user_message_id"] in places]
        if said != sorted(said):
            yield f"the prompts of session {session} were said in the order {said}"


def _desk(before: Snapshot, after: Snapshot) -> Iterator[str]:
    """Promises 39 and 44: nothing waits for ever, what was settled stays so, and what waited is interrupted."""
    now = {entry["id"]: entry for entry in after.desk}
    yield from (f"{one['kind']} {one['id']} is pending" for one in after.desk if one["outcome"] == "pending")
    for entry in before.desk:
        outcome = now[entry["id"]]["outcome"]
        if outcome != (entry["outcome"] if entry["outcome"] != "pending" else "interrupted"):
            yield f"{entry['kind']} {entry['id']} was {entry['outcome']} and is {outcome}"
