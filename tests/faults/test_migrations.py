"""The start of a database is cut off at every point of it, for real: a process opens it and is killed, or refused
(promise 78). Crush's own databases are opened."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from txcrush import failpoints
from txcrush.adapters.sqlite import migrate, queries
from txcrush.adapters.sqlite.crush import NEWEST
from txcrush.adapters.sqlite.files import Files, OpenSettings, open_files
from txcrush.model.errors import StorageFailed
from txcrush.testing import crush_database, scratch
from txcrush.testing.scale import FULL

POINTS = [name for name in failpoints.points() if name.startswith(("open.", "migration.", "crush."))]
LIMIT_S = 60

FORKING = """
import os, shutil, sys
from txcrush import failpoints
from txcrush.adapters.sqlite.files import OpenSettings, open_files
from txcrush.model.errors import StorageFailed

def opened(folder, failpoint):
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        failpoints.arm(failpoint)
        try:
            open_files(folder, OpenSettings("0.1"), lambda: 1800000000.0, lambda: "anid").close()
        except StorageFailed:
            os._exit(3)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

left, work, action, *points = sys.argv[1:]
for point in points:
    for nth in range(1, 200):
        folder = f"{work}/{point}-{nth}"
        shutil.copytree(left, folder)
        status = opened(folder, f"{point}:{nth}={action}")
        if status == 0:
            shutil.rmtree(folder)
            break
        assert status == {"kill": -9, "error": 3}[action], (point, nth, status)
"""
"""Opens a copy of a directory for each time of each point, in a process of its own; what was cut off stays."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Quick to write to."""
    made = scratch.directory()
    yield made
    shutil.rmtree(made)


def opened(folder: Path) -> Files:
    return open_files(str(folder), OpenSettings("0.1"), lambda: 1_800_000_000.0, lambda: "anid")


def left_by(version: int) -> Callable[[Path], None]:
    """A database of an earlier version of ours, with something in it."""

    def leave(folder: Path) -> None:
        if not version:
            return
        with closing(sqlite3.connect(folder / "txcrush.db", isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            migrate.migrate(connection, str(folder / "txcrush.db"), migrate.scripts()[:version])
            connection.execute("INSERT INTO sessions (id, title, updated_at, created_at) VALUES ('s', 'Mine', 1, 1)")

    return leave


def left_by_crush(name: str) -> Callable[[Path], None]:
    return lambda folder: crush_database.write(folder / name)


LEFT = {
    "nothing": left_by(0),
    **{f"version {number}": left_by(number) for number in range(1, len(migrate.scripts()))},
    "crush beside": left_by_crush("crush.db"),
    "crush under our name": left_by_crush("txcrush.db"),
}


LAST = f"version {len(migrate.scripts()) - 1}"
EVERY_WAY = [(left, action) for left in LEFT for action in ("kill", "error")]
WAYS = EVERY_WAY if FULL else [("nothing", "kill"), (LAST, "kill"), (LAST, "error"), ("crush under our name", "kill")]


def schema(connection: sqlite3.Connection) -> set[str]:
    """What there is, by kind and name; Crush's own bookkeeping left out."""
    found = connection.execute("SELECT type || ' ' || name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
    return {name for (name,) in found} - {"table goose_db_version"}


def columns(connection: sqlite3.Connection) -> dict[str, set[str]]:
    tables = [name.split()[1] for name in schema(connection) if name.startswith("table")]
    return {name: {row[1] for row in connection.execute(f"PRAGMA table_info({name})")} for name in tables}


@pytest.mark.parametrize(("left", "action"), WAYS)
def test_promise_78_an_upgrade_that_is_cut_off_anywhere_is_done_at_the_next_start(
    folder: Path, left: str, action: str, record_property: Callable[[str, object], None]
) -> None:
    (folder / "left").mkdir()
    LEFT[left](folder / "left")
    shutil.copytree(folder / "left", folder / "whole")
    whole = opened(folder / "whole")
    wanted = schema(whole.writer), columns(whole.writer), queries.sessions(whole.writer)
    whole.close()
    (folder / "cut").mkdir()
    points = [name for name in POINTS if action == "kill" or failpoints.can_refuse(name)]
    order = [sys.executable, "-c", FORKING, str(folder / "left"), str(folder / "cut"), action, *points]
    subprocess.run(order, check=True, timeout=LIMIT_S)
    cut = sorted((folder / "cut").iterdir())
    statements = sum(len(migrate.statements(script)) for script in migrate.scripts())
    assert len(cut) >= (statements if left == "nothing" else 5)
    for one in cut:
        files = opened(one)
        got = schema(files.writer), columns(files.writer), queries.sessions(files.writer)
        assert files.writer.execute("PRAGMA integrity_check").fetchall() == [("ok",)], one.name
        files.close()
        assert got == wanted, one.name
        assert not list(one.glob("*.partial")), one.name
    record_property("promise_78", f"{len(cut)} cuts of {left} by {action}")


def test_promise_78_a_database_of_crush_beside_ours_is_copied_and_not_changed(tmp_path: Path) -> None:
    crush_database.write(tmp_path / "crush.db")
    before = hashlib.sha256((tmp_path / "crush.db").read_bytes()).digest()
    files = opened(tmp_path)
    first, second = sorted(queries.sessions(files.writer), key=lambda session: session.created_at)
    assert (first.title, first.cost, first.message_count, second.message_count) == ("From Crush", 0.5, 4, 2)
    assert [message.text for message in queries.messages(files.writer, first.id)] == ["hello", "", "", "hi"]
    assert [message.text for message in queries.unfinished_messages(files.writer)] == ["half a"]
    assert files.writer.execute("SELECT count(*) FROM sqlite_master WHERE type = 'trigger'").fetchone() == (0,)
    files.writer.execute("DELETE FROM sessions")
    files.close()
    assert hashlib.sha256((tmp_path / "crush.db").read_bytes()).digest() == before
    files = opened(tmp_path)
    assert queries.sessions(files.writer) == []  # what was deleted here is not copied again
    files.close()


def test_promise_78_a_database_of_crush_under_our_name_is_copied_before_it_is_adopted(tmp_path: Path) -> None:
    crush_database.write(tmp_path / "txcrush.db")
    opened(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "txcrush.db.backup-crush")) as kept:
        assert kept.execute("SELECT count(*) FROM sqlite_master WHERE type = 'trigger'").fetchone() == (4,)
        assert kept.execute("SELECT count(*) FROM messages").fetchone() == (6,)


@pytest.mark.parametrize(("version", "age"), [(NEWEST + 1, "a newer"), (NEWEST - 1, "an older")])
def test_promise_78_an_unknown_schema_of_crush_is_refused_under_our_name_and_left_alone_beside(
    tmp_path: Path, version: int, age: str
) -> None:
    (tmp_path / "ours").mkdir()
    crush_database.write(tmp_path / "ours" / "txcrush.db", version)
    before = (tmp_path / "ours" / "txcrush.db").read_bytes()
    with pytest.raises(StorageFailed, match=f"{age} Crush has written the database"):
        opened(tmp_path / "ours")
    assert (tmp_path / "ours" / "txcrush.db").read_bytes() == before
    (tmp_path / "theirs").mkdir()
    crush_database.write(tmp_path / "theirs" / "crush.db", version)
    files = opened(tmp_path / "theirs")
    assert queries.sessions(files.writer) == []
    files.close()


def test_a_crush_database_that_cannot_be_read_keeps_nobody_from_starting(tmp_path: Path) -> None:
    (tmp_path / "crush.db").write_bytes(b"no database at all" * 100)
    opened(tmp_path).close()
    assert sorted(os.listdir(tmp_path)) == [".gitignore", "crush.db", "txcrush.db", "txcrush.lock"]
