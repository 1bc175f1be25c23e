"""The `edit` tool (`tools.md` 11) on a real disk."""

import os
from pathlib import Path

import pytest

from .file_world import FileWorld


@pytest.fixture
def world(tmp_path: Path) -> FileWorld:
    return FileWorld(tmp_path)


def test_a_replacement_says_so_with_what_clients_draw(world: FileWorld) -> None:
    file = world.put("a.txt", "one\ntwo\nthree\n")
    done = world.run("edit", file_path="a.txt", old_string="two", new_string="TWO")
    assert done.content == f"<result>\nContent replaced in file: {file}\n</result>\n"
    assert world.fact(done) == {
        "additions": 1,
        "removals": 1,
        "old_content": "one\ntwo\nthree\n",
        "new_content": "one\nTWO\nthree\n",
    }
    assert file.read_text() == "one\nTWO\nthree\n"


def test_the_question_holds_whole_contents_and_the_workspace(world: FileWorld) -> None:
    file = world.put("a.txt", "one\r\ntwo\r\n")
    world.run("edit", file_path="a.txt", old_string="two", new_string="2")
    world.run("edit", file_path="a.txt", old_string="one\n", new_string="")
    world.run("edit", file_path="new/b.txt", old_string="", new_string="x")
    replace, delete, create = world.desk.asks
    assert replace.params == {"file_path": str(file), "old_content": "one\ntwo\n", "new_content": "one\n2\n"}
    assert (replace.action, replace.tool_name, replace.path) == ("write", "edit", str(world.root))
    assert replace.description == f"Replace content in file {file}"
    assert delete.description == f"Delete content from file {file}"
    assert create.description == f"Create file {world.path('new/b.txt')}"
    assert create.params == {"file_path": world.path("new/b.txt"), "new_content": "x"}
    assert (replace.tool_call_id, replace.guarded, replace.session_id) == ("call_2", False, world.talk.session_id)


def test_outside_of_the_workspace_the_file_itself_is_asked_for(world: FileWorld) -> None:
    path = str(world.outside / "new.txt")
    world.desk.grant = False
    assert world.run("edit", file_path=path, old_string="", new_string="x").stop_turn
    assert world.desk.asks[0].path == path
    assert not os.path.exists(path)


def test_t_edit_11_a_crlf_file_stays_one(world: FileWorld) -> None:
    file = world.put("a.txt", "alpha\r\nbeta\r\n", read=False)
    assert not world.run("view", file_path="a.txt").is_error
    done = world.run("edit", file_path="a.txt", old_string="beta", new_string="BETA")
    assert f"Content replaced in file: {file}" in done.content
    assert file.read_bytes() == b"alpha\r\nBETA\r\n"
    assert world.reads() == [str(file)]
    fact = world.fact(done)
    assert (fact["old_content"], fact["new_content"]) == ("alpha\nbeta\n", "alpha\r\nBETA\r\n")


def test_t_edit_12_an_ambiguous_deletion_changes_nothing(world: FileWorld) -> None:
    file = world.put("a.txt", "x\nx\n")
    done = world.run("edit", file_path="a.txt", old_string="x", new_string="")
    assert done.is_error
    assert "multiple times" in done.content
    assert (file.read_text(), world.desk.asks) == ("x\nx\n", [])


def test_t_edit_02_a_corrected_edit_is_noted(world: FileWorld) -> None:
    world.put("a.go", "f {\n\tg()\n}\n")
    done = world.run("edit", file_path="a.go", old_string="f {\n    g()", new_string="f {\n    h()")
    assert "\nNote: old_string" in done.content
    assert (world.root / "a.go").read_text() == "f {\n\th()\n}\n"


def test_t_edit_09_a_text_that_is_not_there_comes_with_the_nearest(world: FileWorld) -> None:
    world.put("a.txt", "one\ntwo\nthree\n")
    done = world.run("edit", file_path="a.txt", old_string="one\ntwo\nfour", new_string="x")
    assert (done.is_error, done.metadata) == (True, "")
    assert "old_string not found" in done.content
    assert "Closest match at lines 1-3 (2/3" in done.content


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"file_path": "", "old_string": "a", "new_string": "b"}, "file_path is required"),
        ({"file_path": "absent", "old_string": "a", "new_string": "b"}, "file not found: {root}/absent"),
        ({"file_path": "sub", "old_string": "a", "new_string": "b"}, "is a directory, not a file: {root}/sub"),
        ({"file_path": "sub", "old_string": "", "new_string": "b"}, "is a directory, not a file: {root}/sub"),
        ({"file_path": "sub/a", "old_string": "", "new_string": "b"}, "file already exists: {root}/sub/a"),
        ({"file_path": "sub/a", "old_string": "a", "new_string": "b"}, "read the file before editing"),
        ({"file_path": "a\0b", "old_string": "a", "new_string": "b"}, "NUL"),
        ({"file_path": "sub/a/b", "old_string": "", "new_string": "b"}, "Not a directory"),
        ({"file_path": 7, "old_string": "a", "new_string": "b"}, "invalid parameters"),
    ],
)
def test_what_cannot_be_done_is_told_and_nobody_is_asked(
    world: FileWorld, arguments: dict[str, object], said: str
) -> None:
    world.put("sub/a", "a", read=False)
    done = world.run("edit", **arguments)
    assert done.is_error
    assert said.format(root=world.root) in done.content
    assert world.desk.asks == []


def test_an_edit_that_changes_nothing_is_told(world: FileWorld) -> None:
    world.put("a.txt", "a")
    assert world.run("edit", file_path="a.txt", old_string="a", new_string="a").is_error


def test_denied_edits_still_show_what_was_refused(world: FileWorld) -> None:
    file = world.put("a.txt", "a\r\n")
    world.desk.grant = False
    done = world.run("edit", file_path="a.txt", old_string="a", new_string="b")
    assert (done.content, done.is_error, done.stop_turn) == ("User denied permission", True, True)
    assert world.fact(done) == {"additions": 1, "removals": 1, "old_content": "a\n", "new_content": "b\n"}
    assert (file.read_bytes(), world.history()) == (b"a\r\n", [])


def test_d_08_directories_are_made_after_the_grant(world: FileWorld) -> None:
    world.desk.grant = None
    waiting = world.start("edit", file_path="new/deep/a.txt", old_string="", new_string="x")
    assert not (world.root / "new").exists()
    world.desk.waiting[0].callback(True)
    assert waiting.called
    assert (world.root / "new/deep/a.txt").read_text() == "x"
    assert (world.root / "new").stat().st_mode & 0o777 == 0o755
    assert (world.root / "new/deep/a.txt").stat().st_mode & 0o777 == 0o644


def test_a_file_that_changes_while_the_user_thinks_is_not_overwritten(world: FileWorld) -> None:
    file = world.put("a.txt", "a")
    world.desk.grant = None
    done = world.start("edit", file_path="a.txt", old_string="a", new_string="b")
    file.write_text("changed")
    world.desk.waiting[0].callback(True)
    assert "modified meanwhile" in done.result.content
    assert file.read_text() == "changed"


def test_a_file_that_is_made_while_the_user_thinks_is_not_overwritten(world: FileWorld) -> None:
    world.desk.grant = None
    done = world.start("edit", file_path="a.txt", old_string="", new_string="b")
    (world.root / "a.txt").write_text("theirs")
    world.desk.waiting[0].callback(True)
    assert "made meanwhile" in done.result.content
    assert (world.root / "a.txt").read_text() == "theirs"


def test_d_23_mixed_line_ends_are_kept_and_noted(world: FileWorld) -> None:
    file = world.put("a.txt", "a\r\nb\nc\r\n")
    done = world.run("edit", file_path="a.txt", old_string="b", new_string="B\nB2")
    assert file.read_bytes() == b"a\r\nB\nB2\nc\r\n"
    assert "CRLF" in done.content


def test_a_bom_stays_the_first_character(world: FileWorld) -> None:
    file = world.put("a.txt", "\ufeffa\nb\n")
    world.run("edit", file_path="a.txt", old_string="\ufeffa", new_string="\ufeffA")
    world.run("edit", file_path="a.txt", old_string="b", new_string="B")
    assert file.read_text() == "\ufeffA\nB\n"


def test_bytes_that_are_no_text_are_kept_where_they_are_not_edited(world: FileWorld) -> None:
    file = world.put("a.txt", b"line\n" * 3 + b"caf\xe9\n", read=False)
    assert not world.run("view", file_path="a.txt", limit=2).is_error
    done = world.run("edit", file_path="a.txt", old_string="line", new_string="LINE", replace_all=True)
    assert file.read_bytes() == b"LINE\n" * 3 + b"caf\xe9\n"
    assert world.fact(done)["new_content"].endswith("caf\ufffd\n")
    assert world.history()[-1].content.endswith("caf\ufffd\n")


def test_a_file_over_the_bound_is_refused(world: FileWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("txcrush.adapters.tools.file_changes.MAX_FILE_BYTES", 100)
    world.put("a.txt", "x" * 101)
    assert "too large" in world.run("edit", file_path="a.txt", old_string="x" * 101, new_string="").content


def test_promise_48_guarded_files_are_asked_for_whatever_is_allowed(world: FileWorld) -> None:
    for number, name in enumerate((".git/hooks/pre-commit", "crush.json", ".crush/x", ".agents/skills/a/SKILL.md")):
        world.run("edit", file_path=name, old_string="", new_string="x")
        assert world.desk.asks[number].guarded
    world.run("edit", file_path="plain", old_string="", new_string="x")
    assert not world.desk.asks[-1].guarded


def test_a_cancelled_question_changes_nothing(world: FileWorld) -> None:
    world.desk.grant = None
    done = world.start("edit", file_path="a.txt", old_string="", new_string="b")
    done.addErrback(lambda failure: None)
    done.cancel()
    assert len(world.desk.cancelled) == 1
    assert not (world.root / "a.txt").exists()
