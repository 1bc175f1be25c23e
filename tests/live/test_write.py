"""The `write` tool (`tools.md` 13) on a real disk."""

import os
from pathlib import Path

import pytest

from .file_world import FileWorld


@pytest.fixture
def world(tmp_path: Path) -> FileWorld:
    return FileWorld(tmp_path)


def test_a_new_file_comes_with_its_diff(world: FileWorld) -> None:
    done = world.run("write", file_path="rel/deep.txt", content="deep\n")
    assert done.content == f"<result>\nFile successfully written: {world.path('rel/deep.txt')}\n</result>"
    assert world.fact(done) == {
        "diff": "--- a/rel/deep.txt\n+++ b/rel/deep.txt\n@@ -0,0 +1 @@\n+deep\n",
        "additions": 1,
        "removals": 0,
    }
    (ask,) = world.desk.asks
    assert ask.description == f"Create file {world.path('rel/deep.txt')}"
    assert ask.params == {"file_path": world.path("rel/deep.txt"), "new_content": "deep\n"}


def test_t_wrt_01_empty_content_makes_an_empty_file(world: FileWorld) -> None:
    done = world.run("write", file_path="a.txt", content="")
    assert not done.is_error
    assert (world.root / "a.txt").read_bytes() == b""
    assert world.fact(done) == {"diff": "", "additions": 0, "removals": 0}


def test_what_is_given_is_what_is_stored(world: FileWorld) -> None:
    file = world.put("a.txt", "a\r\nb\r\n")
    world.run("write", file_path="a.txt", content="x\r\ny\n")
    assert file.read_bytes() == b"x\r\ny\n"
    assert world.desk.asks[0].params == {
        "file_path": str(file),
        "old_content": "a\r\nb\r\n",
        "new_content": "x\r\ny\n",
    }


def test_a_file_that_was_never_read_is_not_overwritten(world: FileWorld) -> None:
    file = world.put("a.txt", "a", read=False)
    done = world.run("write", file_path="a.txt", content="b")
    assert done.is_error
    assert "last read: 0001-01-01T00:00:00Z" in done.content
    assert (file.read_text(), world.desk.asks) == ("a", [])


def test_a_file_that_has_changed_since_is_not_overwritten(world: FileWorld) -> None:
    file = world.put("a.txt", "a")
    os.utime(file, (1_900_000_000, 1_900_000_000))
    done = world.run("write", file_path="a.txt", content="b")
    assert f"File {file} has been modified since it was last read" in done.content
    assert "2030-03-17T17:46:40Z" in done.content


def test_the_same_content_and_directories_are_told(world: FileWorld) -> None:
    file = world.put("a.txt", "a")
    same = world.run("write", file_path="a.txt", content="a")
    assert (same.is_error, same.content) == (
        True,
        f"File {file} already contains the exact content. No changes made.",
    )
    assert "is a directory, not a file" in world.run("write", file_path=".", content="a").content
    assert world.run("write", file_path="", content="a").content == "file_path is required"
    assert world.desk.asks == []


def test_denied_writes_show_the_diff_that_was_refused(world: FileWorld) -> None:
    world.put("a.txt", "a\n")
    world.desk.grant = False
    done = world.run("write", file_path="a.txt", content="b\n")
    assert (done.content, done.stop_turn) == ("User denied permission", True)
    assert world.fact(done)["additions"] == 1
    assert (world.root / "a.txt").read_text() == "a\n"


def test_a_file_outside_is_named_without_its_leading_slash(world: FileWorld) -> None:
    path = str(world.outside / "new.txt")
    done = world.run("write", file_path=path, content="x\n")
    assert world.fact(done)["diff"].startswith(f"--- a{path}\n+++ b{path}\n")
    assert world.desk.asks[0].path == path
