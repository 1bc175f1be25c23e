"""What was read, what has changed since, and the versions that stay, over a real disk (`tools.md` 5, 6)."""

import os
from pathlib import Path

import pytest

from .file_world import FileWorld


@pytest.fixture
def world(tmp_path: Path) -> FileWorld:
    return FileWorld(tmp_path)


def contents(world: FileWorld) -> list[tuple[int, str]]:
    return [(one.version, one.content) for one in world.history()]


def test_d_21_a_change_within_the_same_second_is_seen(world: FileWorld) -> None:
    file = world.put("a.txt", "a")
    found = file.stat()
    file.write_text("b")
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns + 1))
    assert "modified since" in world.run("edit", file_path="a.txt", old_string="b", new_string="c").content
    file.write_text("bb")
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert "modified since" in world.run("write", file_path="a.txt", content="c").content


def test_a_change_is_a_reading_too(world: FileWorld) -> None:
    world.run("write", file_path="a.txt", content="a\n")
    assert not world.run("edit", file_path="a.txt", old_string="a", new_string="b").is_error
    edits = [{"old_string": "b", "new_string": "c"}]
    assert not world.run("multiedit", file_path="a.txt", edits=edits).is_error
    assert world.reads() == [world.path("a.txt")]


def test_d_18_an_existing_file_is_stored_once_and_a_new_one_begins_empty(world: FileWorld) -> None:
    world.put("old.txt", "old")
    world.run("edit", file_path="old.txt", old_string="old", new_string="new")
    assert contents(world) == [(0, "old"), (1, "new")]
    world.run("write", file_path="made.txt", content="made")
    assert [one for one in contents(world) if one[1] in ("", "made")] == [(0, ""), (1, "made")]


def test_what_somebody_changed_in_between_is_kept(world: FileWorld) -> None:
    file = world.put("a.txt", "a")
    world.run("write", file_path="a.txt", content="b")
    file.write_text("theirs")
    world.run("view", file_path="a.txt")
    world.run("write", file_path="a.txt", content="c")
    assert contents(world) == [(0, "a"), (1, "b"), (2, "theirs"), (3, "c")]


def test_versions_hold_what_is_on_the_disk(world: FileWorld) -> None:
    world.put("a.txt", "a\r\nb\r\n")
    world.run("edit", file_path="a.txt", old_string="a", new_string="A")
    world.run("edit", file_path="a.txt", old_string="b", new_string="B")
    assert contents(world) == [(0, "a\r\nb\r\n"), (1, "A\r\nb\r\n"), (2, "A\r\nB\r\n")]


def test_every_version_is_an_event_with_an_absolute_path(world: FileWorld) -> None:
    world.run("write", file_path="a.txt", content="a")
    told = [(kind, change, body["path"], body["version"]) for kind, change, body in world.talk.listener.events]
    assert told == [("file", "created", world.path("a.txt"), 0), ("file", "created", world.path("a.txt"), 1)]


def test_a_file_is_known_by_the_name_it_was_read_under(world: FileWorld) -> None:
    world.put("real.txt", "a")
    (world.root / "link").symlink_to("real.txt")
    assert "must read" in world.run("edit", file_path="link", old_string="a", new_string="b").content
    world.run("view", file_path="link")
    assert not world.run("edit", file_path="link", old_string="a", new_string="b").is_error
    assert (world.root / "real.txt").read_text() == "b"


def test_a_denied_change_is_neither_read_nor_kept(world: FileWorld) -> None:
    world.desk.grant = False
    world.run("write", file_path="a.txt", content="a")
    assert (world.reads(), world.history()) == ([], [])
