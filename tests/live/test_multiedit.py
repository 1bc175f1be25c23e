"""The `multiedit` tool (`tools.md` 12) on a real disk."""

from pathlib import Path

import pytest

from .file_world import FileWorld


@pytest.fixture
def world(tmp_path: Path) -> FileWorld:
    return FileWorld(tmp_path)


def edit(old: str, new: str, **more: object) -> dict[str, object]:
    return {"old_string": old, "new_string": new, **more}


def test_t_med_02_all_edits_are_made_with_one_question(world: FileWorld) -> None:
    file = world.put("a.txt", "one\ntwo\n")
    done = world.run("multiedit", file_path="a.txt", edits=[edit("one", "1"), edit("two", "2")])
    assert done.content == f"<result>\nApplied 2 edits to file: {file}\n</result>\n"
    (ask,) = world.desk.asks
    assert ask.description == f"Apply 2 edits to file {file}"
    assert ask.params == {"file_path": str(file), "old_content": "one\ntwo\n", "new_content": "1\n2\n"}
    assert (ask.tool_name, ask.action, ask.path) == ("multiedit", "write", str(world.root))


def test_t_med_04_partial_failure_is_a_success(world: FileWorld) -> None:
    file = world.put("a.txt", "one\ntwo\n")
    done = world.run("multiedit", file_path="a.txt", edits=[edit("two", "TWO"), edit("absent", "x")])
    assert not done.is_error
    assert f"Applied 1 of 2 edits to file: {file} (1 edit(s) failed)" in done.content
    fact = world.fact(done)
    assert (fact["edits_applied"], fact["edits_failed"][0]["index"]) == (1, 2)
    assert fact["edits_failed"][0]["edit"] == edit("absent", "x")
    assert (fact["old_content"], fact["new_content"]) == ("one\ntwo\n", "one\nTWO\n")
    assert world.desk.asks[0].description == f"Apply 1 of 2 edits to file {file} (1 failed)"


def test_t_med_05_a_file_is_created_in_a_new_directory(world: FileWorld) -> None:
    edits = [edit("", "a\nb\n"), edit("a", "A"), edit("absent", "x")]
    done = world.run("multiedit", file_path="new/a.txt", edits=edits)
    path = world.path("new/a.txt")
    assert f"File created with 2 of 3 edits: {path} (1 edit(s) failed)" in done.content
    fact = world.fact(done)
    assert (fact["edits_applied"], fact["edits_failed"][0]["index"], fact.get("old_content", "")) == (2, 3, "")
    assert (world.root / "new/a.txt").read_text() == "A\nb\n"
    assert world.desk.asks[0].description == f"Create file {path} with 2 of 3 edits (1 failed)"


def test_creation_needs_a_free_name(world: FileWorld) -> None:
    world.put("a.txt", "a")
    (world.root / "sub").mkdir()
    for name in ("a.txt", "sub"):
        done = world.run("multiedit", file_path=name, edits=[edit("", "x")])
        assert (done.is_error, done.content) == (True, f"file already exists: {world.path(name)}")


def test_t_med_02_where_all_fail_nothing_is_asked_and_the_failures_are_told(world: FileWorld) -> None:
    file = world.put("a.txt", "a")
    done = world.run("multiedit", file_path="a.txt", edits=[edit("x", "y"), edit("z", "y")])
    assert (done.is_error, done.content) == (True, "no changes made - all 2 edit(s) failed")
    fact = world.fact(done)
    assert {key: fact[key] for key in ("additions", "removals", "edits_applied")} == {
        "additions": 0,
        "removals": 0,
        "edits_applied": 0,
    }
    assert [failed["index"] for failed in fact["edits_failed"]] == [1, 2]
    assert (file.read_text(), world.desk.asks) == ("a", [])


def test_t_med_03_edits_that_change_nothing_are_told(world: FileWorld) -> None:
    world.put("a.txt", "a")
    done = world.run("multiedit", file_path="a.txt", edits=[edit("a", "a")])
    assert (done.is_error, "identical content" in done.content) == (True, True)


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ([], "at least one edit operation is required"),
        ([edit("a", "b"), edit("", "c")], "edit 2: only the first edit can have empty old_string (for file creation)"),
        ("text", "invalid parameters"),
        ([{"old_string": "a"}], "invalid parameters"),
    ],
)
def test_unusable_lists_are_refused(world: FileWorld, edits: object, said: str) -> None:
    world.put("a.txt", "a")
    done = world.run("multiedit", file_path="a.txt", edits=edits)
    assert (done.is_error, said in done.content) == (True, True)


def test_a_path_is_required_and_the_file_must_be_read(world: FileWorld) -> None:
    assert world.run("multiedit", file_path="", edits=[]).content == "file_path is required"
    world.put("a.txt", "a", read=False)
    assert "must read" in world.run("multiedit", file_path="a.txt", edits=[edit("a", "b")]).content


def test_t_med_06_a_corrected_edit_is_noted(world: FileWorld) -> None:
    world.put("a.txt", "\ta b\n")
    assert "Note:" in world.run("multiedit", file_path="a.txt", edits=[edit("a  b", "c")]).content
    assert "Note:" not in world.run("multiedit", file_path="a.txt", edits=[edit("c", "d")]).content


def test_a_crlf_file_stays_one_and_the_metadata_is_lf(world: FileWorld) -> None:
    file = world.put("a.txt", "a\r\nb\r\n")
    done = world.run("multiedit", file_path="a.txt", edits=[edit("a\nb", "c\nd")])
    assert file.read_bytes() == b"c\r\nd\r\n"
    assert world.fact(done)["new_content"] == "c\nd\n"


def test_denied_edits_show_what_was_refused(world: FileWorld) -> None:
    world.put("a.txt", "a")
    world.desk.grant = False
    done = world.run("multiedit", file_path="a.txt", edits=[edit("a", "b")])
    assert done.stop_turn
    assert world.fact(done)["edits_applied"] == 1
