"""The data directory, its lock and the migrations, on a real disk."""

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from txcrush.adapters.sqlite import migrate
from txcrush.adapters.sqlite.files import Files, OpenSettings, open_files
from txcrush.adapters.sqlite.lock import DirectoryLock
from txcrush.model.errors import NoDataDirectory, StorageFailed
from txcrush.wire.stored import decode_lock_owner

NOW_S = 1_800_000_000.0
LOCKER = """
import os, sys
from txcrush.adapters.sqlite.lock import DirectoryLock
lock = DirectoryLock.take(sys.argv[1], "9.9", lambda: 0.0)
os.write(1, b"locked\\n")
sys.stdin.read()
"""


def opened(path: Path, *, skip_lock: bool = False, vfs: str = "", migrations: tuple[str, ...] | None = None) -> Files:
    settings = OpenSettings("0.1", skip_lock, busy_timeout_s=0.0, vfs=vfs, migrations=migrations)
    return open_files(str(path), settings, lambda: NOW_S, lambda: "an-id")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def pragma(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def test_the_directory_is_private_and_out_of_version_control(tmp_path: Path) -> None:
    opened(tmp_path / "a" / "data").close()
    assert mode(tmp_path / "a" / "data") == 0o700
    assert (tmp_path / "a" / "data" / ".gitignore").read_text() == "*\n"
    assert mode(tmp_path / "a" / "data" / "txcrush.db") == 0o600


def test_an_existing_directory_and_its_gitignore_are_left_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / ".gitignore").write_text("mine\n")
    opened(tmp_path).close()
    assert mode(tmp_path) == 0o755
    assert (tmp_path / ".gitignore").read_text() == "mine\n"


def test_a_directory_that_cannot_be_made_is_a_clear_failure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NoDataDirectory, match="Not a directory"):
        opened(tmp_path / "file" / "data")


def test_r_db_02_a_directory_held_by_another_process_is_refused_with_its_owner(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LOCKER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdin is not None
        assert holder.stdout.readline() == b"locked\n"
        with pytest.raises(StorageFailed) as caught:
            opened(tmp_path)
        holder.stdin.close()
        holder.wait(30)
    assert caught.value.message == (
        f"data directory already in use by another crush process: {tmp_path} "
        f"(owner pid={holder.pid} version=9.9 started_at=1970-01-01T00:00:00Z)"
    )
    assert not (tmp_path / "txcrush.db").exists()
    opened(tmp_path).close()


def test_r_db_02_a_lock_whose_owner_cannot_be_read_is_refused_all_the_same(tmp_path: Path) -> None:
    lock = DirectoryLock.take(str(tmp_path), "0.1", lambda: NOW_S)
    (tmp_path / "txcrush.lock").write_text("garbage")
    with pytest.raises(StorageFailed, match=f"already in use by another crush process: {tmp_path}$"):
        opened(tmp_path)
    lock.release()


def test_r_db_03_a_released_directory_can_be_opened_again(tmp_path: Path) -> None:
    first = opened(tmp_path)
    with pytest.raises(StorageFailed, match="already in use"):
        opened(tmp_path)
    first.close()
    opened(tmp_path).close()


def test_r_db_03_a_failed_opening_releases_the_lock(tmp_path: Path) -> None:
    (tmp_path / "txcrush.db").mkdir()
    with pytest.raises(StorageFailed, match="cannot be opened"):
        opened(tmp_path)
    (tmp_path / "txcrush.db").rmdir()
    opened(tmp_path).close()


def test_r_db_04_skipping_the_lock_ignores_its_holder(tmp_path: Path) -> None:
    lock = DirectoryLock.take(str(tmp_path), "0.1", lambda: NOW_S)
    opened(tmp_path, skip_lock=True).close()
    lock.release()


def test_r_db_05_the_lock_file_names_its_owner_is_private_and_stays(tmp_path: Path) -> None:
    files = opened(tmp_path)
    owner = decode_lock_owner((tmp_path / "txcrush.lock").read_bytes())
    assert (owner.pid, owner.version, owner.started_at) == (os.getpid(), "0.1", "2027-01-15T08:00:00Z")
    files.close()
    assert mode(tmp_path / "txcrush.lock") == 0o600
    opened(tmp_path).close()


def test_r_db_06_the_schema_is_there_once_it_is_open(tmp_path: Path) -> None:
    files = opened(tmp_path)
    assert pragma(files.writer, "user_version") == len(migrate.scripts())
    assert (files.head.generation, files.head.seq, files.head.position) == ("anid", 0, 0)
    files.close()


def test_p76_wal_is_on_when_read_back_and_gone_after_closing(tmp_path: Path) -> None:
    files = opened(tmp_path)
    assert files.journal_mode == pragma(files.writer, "journal_mode") == "wal"
    assert (tmp_path / "txcrush.db-wal").exists()
    files.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".gitignore", "txcrush.db", "txcrush.lock"]


def test_p76_without_shared_memory_the_journal_is_what_the_file_system_gives(tmp_path: Path) -> None:
    files = opened(tmp_path, vfs="unix-dotfile")
    assert files.journal_mode == pragma(files.writer, "journal_mode") == "delete"
    files.writer.execute("INSERT INTO meta VALUES ('a', 'b')")
    assert files.readers[0].execute("SELECT value FROM meta WHERE key = 'a'").fetchone() == ("b",)
    files.close()


def test_p77_the_writer_syncs_every_commit(tmp_path: Path) -> None:
    files = opened(tmp_path)
    wanted = {"synchronous": 2, "foreign_keys": 1, "page_size": 4096, "temp_store": 2, "cache_size": -8000}
    assert {name: pragma(files.writer, name) for name in wanted} == wanted
    assert pragma(files.writer, "secure_delete") == 1
    assert pragma(files.readers[0], "query_only") == 1
    files.close()


def test_a_path_with_odd_characters_is_itself(tmp_path: Path) -> None:
    folder = tmp_path / "a?b#c%20 d"
    opened(folder).close()
    assert (folder / "txcrush.db").stat().st_size > 0


@pytest.mark.parametrize("wal_left", [False, True])
def test_p78_a_newer_database_is_refused_and_not_a_byte_is_changed(tmp_path: Path, wal_left: bool) -> None:
    files = opened(tmp_path)
    files.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    files.writer.execute("PRAGMA user_version = 999")
    if wal_left:  # as a killed process leaves it
        kept = snapshot(tmp_path)
        files.close()
        for name, content in kept.items():
            (tmp_path / name).write_bytes(content)
    else:
        files.close()
    (tmp_path / "txcrush.db-shm").unlink(missing_ok=True)
    before = {name: content for name, content in snapshot(tmp_path).items() if name.startswith("txcrush.db")}
    known = len(migrate.scripts())
    with pytest.raises(StorageFailed, match=rf"written by a newer txcrush \(schema 999, this program knows {known}\)"):
        opened(tmp_path)
    after = snapshot(tmp_path)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) <= {".gitignore", "txcrush.lock", "txcrush.db-shm"}
    assert wal_left or "txcrush.db-shm" not in after


def test_p78_the_database_of_another_program_is_refused(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "txcrush.db")
    other.execute("CREATE TABLE theirs (a)")
    other.close()
    before = (tmp_path / "txcrush.db").read_bytes()
    with pytest.raises(StorageFailed, match="is not a database of txcrush"):
        opened(tmp_path)
    assert (tmp_path / "txcrush.db").read_bytes() == before


SECOND = "ALTER TABLE sessions ADD COLUMN colour TEXT;\nCREATE TABLE extra (a);\nINSERT INTO extra VALUES (1);"


def test_p78_an_upgrade_first_copies_the_old_database(tmp_path: Path) -> None:
    first = migrate.scripts()[:1]
    files = opened(tmp_path, migrations=first)
    files.writer.execute("INSERT INTO meta VALUES ('mine', 'kept')")
    files.close()
    files = opened(tmp_path, migrations=(*first, SECOND))
    assert pragma(files.writer, "user_version") == 2
    assert files.writer.execute("SELECT value FROM meta WHERE key = 'mine'").fetchone() == ("kept",)
    files.close()
    backup = sqlite3.connect(tmp_path / "txcrush.db.backup-1")
    assert pragma(backup, "user_version") == 1
    assert backup.execute("SELECT value FROM meta WHERE key = 'mine'").fetchone() == ("kept",)
    backup.close()
    assert mode(tmp_path / "txcrush.db.backup-1") == 0o600


def test_p78_a_database_of_the_first_version_becomes_a_current_one(tmp_path: Path) -> None:
    opened(tmp_path, migrations=migrate.scripts()[:1]).close()
    files = opened(tmp_path)
    assert pragma(files.writer, "user_version") == len(migrate.scripts())
    assert files.writer.execute("SELECT count(*) FROM desk").fetchone() == (0,)
    files.close()


def test_p78_a_new_database_and_a_current_one_are_not_copied(tmp_path: Path) -> None:
    opened(tmp_path).close()
    opened(tmp_path).close()
    assert [path.name for path in tmp_path.iterdir() if "backup" in path.name] == []


@pytest.mark.parametrize("statements", range(4))
def test_p78_an_upgrade_interrupted_at_any_statement_did_not_happen_and_resumes(
    tmp_path: Path, statements: int
) -> None:
    first = migrate.scripts()[:1]
    opened(tmp_path, migrations=first).close()
    broken = "\n".join([*SECOND.splitlines()[:statements], "SELECT interrupted();"])
    with pytest.raises(StorageFailed, match="interrupted"):
        opened(tmp_path, migrations=(*first, broken))
    files = opened(tmp_path, migrations=first)
    assert pragma(files.writer, "user_version") == 1
    assert files.writer.execute("SELECT count(*) FROM sqlite_master WHERE name = 'extra'").fetchone() == (0,)
    files.close()
    files = opened(tmp_path, migrations=(*first, SECOND))
    assert files.writer.execute("SELECT a, 2 FROM extra").fetchone() == (1, pragma(files.writer, "user_version"))
    files.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write to every file")
def test_p73_a_read_only_database_is_a_clear_failure(tmp_path: Path) -> None:
    opened(tmp_path).close()
    (tmp_path / "txcrush.db").chmod(0o400)
    with pytest.raises(StorageFailed, match=r"read-only|cannot be opened|denied"):
        opened(tmp_path)


def test_p74_a_database_locked_by_another_program_is_a_clear_failure(tmp_path: Path) -> None:
    opened(tmp_path, vfs="").close()
    other = sqlite3.connect(tmp_path / "txcrush.db", isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageFailed, match="locked by another process"):
        opened(tmp_path)
    other.close()
    opened(tmp_path).close()


def test_d_21_marks_of_an_older_database_stay_and_know_no_state(tmp_path: Path) -> None:
    files = opened(tmp_path, migrations=migrate.scripts()[:1])
    files.writer.execute("INSERT INTO sessions (id, title, updated_at, created_at) VALUES ('s', '', 1, 1)")
    files.writer.execute("INSERT INTO read_files VALUES ('s', '/a', 5)")
    files.close()
    files = opened(tmp_path)
    assert files.writer.execute("SELECT path, read_at, size, mtime_ns FROM read_files").fetchall() == [("/a", 5, -1, 0)]
    files.close()
