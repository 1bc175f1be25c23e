"""The `ls` tool on real trees."""

import os
import threading
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import CancelledError

from txcrush.adapters import directory_tree
from txcrush.adapters.directory_tree import TreeWalk
from txcrush.adapters.ignore_files import IgnoreFiles
from txcrush.model.config import ListLimits, ToolLimits
from txcrush.model.errors import Refused
from txcrush.testing.searched_project import SearchedProject, Shown

HOST_KEY = "/not-a-path-but-secret"


@pytest.fixture
def project(tmp_path: Path) -> SearchedProject:
    root = Path(os.path.realpath(tmp_path))
    return SearchedProject(root, reactor, {"GOPATH": f"{root}/go", "API_KEY": HOST_KEY, "WORD": "word"})


def tree(shown: Shown) -> list[str]:
    """The lines below the root's, without the mark."""
    lines = shown.text.splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("- "))
    return [line[2:].replace("- ", "") for line in lines[first + 1 :]]


def walk(project: SearchedProject, max_items: int) -> directory_tree.Tree:
    ignoring = IgnoreFiles({"HOME": str(project.root / "home")}).listed(str(project.path), ())
    walking = TreeWalk(ignoring, (str(project.path),), max_items=max_items, max_depth=0, is_stopped=lambda: False)
    return walking.tree(str(project.path))


@pytest_twisted.ensureDeferred
async def test_directories_come_first_then_names_and_what_is_in_them_is_set_in(project: SearchedProject) -> None:
    for name in ("b.py", "a.py", "src/x.py", "src/in/y.py", "Z/z.py"):
        project.write(name)
    (project.path / "empty").mkdir()
    shown = await project.call("ls")
    assert shown.text == (
        f"\n- {project.path}/\n  - Z/\n    - z.py\n  - empty/\n  - src/\n    - in/\n      - y.py\n    - x.py\n"
        "  - a.py\n  - b.py\n"
    )
    assert shown.metadata == {"number_of_files": 9, "truncated": False}


def test_t_ign_05_gitignored_names_at_every_depth_and_the_limit(project: SearchedProject) -> None:
    project.write(".gitignore", ".*\n")
    for name in ("a/b/.hidden", "a/.dir/x", ".env", "a/b/c.py", "d.py"):
        project.write(name)
    everything = walk(project, -1)
    assert ["/".join(entry.parts) for entry in everything.entries] == ["a", "d.py", "a/b", "a/b/c.py"]
    assert not everything.is_partial
    assert (len(walk(project, 2).entries), walk(project, 2).is_partial) == (2, True)
    assert (len(walk(project, 4).entries), walk(project, 4).is_partial) == (4, False)


@pytest_twisted.ensureDeferred
async def test_ignored_names_are_left_out_and_hidden_ones_are_not(project: SearchedProject) -> None:
    for name in (".env", "x.log", ".git/HEAD", "node_modules/m/x.js", "dist/x", "src/gen/x", "src/y.py"):
        project.write(name)
    project.write("src/.crushignore", "gen/\n")
    assert tree(await project.call("ls")) == ["src/", "  .crushignore", "  y.py", ".env"]
    assert tree(await project.call("ls", path="dist")) == ["x"]


@pytest_twisted.ensureDeferred
async def test_the_calls_patterns_leave_out_base_names(project: SearchedProject) -> None:
    for name in ("a.py", "a.md", "docs/b.md", "docs/c.py", "test/x.py"):
        project.write(name)
    assert tree(await project.call("ls", ignore=["*.md", "t?st"])) == ["docs/", "  c.py", "a.py"]


@pytest_twisted.ensureDeferred
async def test_depth_of_the_call_wins_over_the_configured_one(project: SearchedProject) -> None:
    project.write("a/b/c.py")
    assert tree(await project.call("ls", depth=1)) == ["a/"]
    project.limits = ToolLimits(ls=ListLimits(max_depth=2))
    shown = await project.call("ls")
    assert tree(shown) == ["a/", "  b/"]
    assert shown.text.splitlines()[0].startswith("The directory tree is shown up to a depth of 2.")
    shown = await project.call("ls", depth=3)
    assert "depth of 3" in shown.text and tree(shown) == ["a/", "  b/", "    c.py"]


@pytest_twisted.ensureDeferred
async def test_d_13_both_notes_are_given(project: SearchedProject) -> None:
    project.limits = ToolLimits(ls=ListLimits(max_depth=1, max_items=3))
    for name in "edcba":
        project.write(name)
    shown = await project.call("ls")
    more, shallow, empty, *_ = shown.text.splitlines()
    assert "more than 3 entries" in more and "depth of 1" in shallow and empty == ""
    assert tree(shown) == ["a", "b", "c"], "the order is that of the names"
    assert shown.metadata == {"number_of_files": 3, "truncated": True}


@pytest_twisted.ensureDeferred
async def test_1000_entries_are_shown_unless_configured(project: SearchedProject) -> None:
    for number in range(1001):
        project.write(f"d{number % 3}/f{number}")
    assert (await project.call("ls")).metadata == {"number_of_files": 1000, "truncated": True}
    project.limits = ToolLimits(ls=ListLimits(max_items=-1))
    assert (await project.call("ls")).metadata == {"number_of_files": 1004, "truncated": False}


@pytest_twisted.ensureDeferred
async def test_what_is_near_the_top_is_shown_before_what_is_deep(project: SearchedProject) -> None:
    project.limits = ToolLimits(ls=ListLimits(max_items=4))
    for number in range(10):
        project.write(f"a/f{number}")
    project.write("z/x")
    project.write("readme")
    assert tree(await project.call("ls")) == ["a/", "  f0", "z/", "readme"]


@pytest_twisted.ensureDeferred
async def test_linked_directories_are_followed_without_loops_and_not_outwards(project: SearchedProject) -> None:
    project.write("real/x.py")
    project.write("../outside/secret.py")
    (project.path / "real" / "up").symlink_to(project.path)
    (project.path / "link").symlink_to("real")
    (project.path / "away").symlink_to(project.root / "outside")
    (project.path / "dangling").symlink_to("absent")
    assert tree(await project.call("ls")) == [
        "away/",
        "link/",
        "  up/",
        "  x.py",
        "real/",
        "  up/",
        "  x.py",
        "dangling",
    ]
    assert project.desk.asks == []


@pytest_twisted.ensureDeferred
async def test_a_missing_directory_is_refused_and_a_file_is_an_empty_tree(project: SearchedProject) -> None:
    with pytest.raises(Refused, match=f"^path does not exist: {project.path}/absent$"):
        await project.call("ls", path="absent")
    project.write("x.py")
    shown = await project.call("ls", path="x.py")
    assert shown.metadata == {"number_of_files": 0, "truncated": False}
    assert tree(shown) == []
    with pytest.raises(Refused, match="NUL"):
        await project.call("ls", path="x\0")


@pytest_twisted.ensureDeferred
async def test_home_and_variables_are_expanded_in_the_path(project: SearchedProject) -> None:
    home = project.root / "home"
    project.write(f"{home}/in-home")
    project.write(f"{project.root}/go/in-go")
    project.write("sub/in-sub")
    assert tree(await project.call("ls", path="~")) == ["in-home"]
    assert tree(await project.call("ls", path="$HOME/")) == ["in-home"]
    assert tree(await project.call("ls", path="${GOPATH}")) == ["in-go"]
    assert tree(await project.call("ls", path="$PWD/sub")) == ["in-sub"]
    with pytest.raises(Refused, match="command substitution"):
        await project.call("ls", path="$(pwd)")


@pytest_twisted.ensureDeferred
async def test_no_secret_is_told_by_expanding_it(project: SearchedProject) -> None:
    for path in ("absent/$API_KEY", "absent/$WORD"):
        with pytest.raises(Refused) as refused:
            await project.call("ls", path=path)
        assert refused.value.message == f"path does not exist: {project.path}/absent"


@pytest_twisted.ensureDeferred
async def test_promise_65_a_path_that_leads_out_asks(project: SearchedProject) -> None:
    outside = project.write("../outside/x.py").parent
    (project.path / "link").symlink_to(outside)
    project.desk.grant = False
    ways = ("../outside", str(outside), "link", "~", "$GOPATH", "/", "//", "sub/../../outside")
    for number, way in enumerate(ways, 1):
        shown = await project.call("ls", path=way)
        assert (shown.text, shown.is_error, shown.stop_turn) == ("User denied permission", True, True), way
        assert len(project.desk.asks) == number
    ask = project.desk.asks[0]
    assert (ask.tool_name, ask.tool_call_id, ask.action, ask.path) == ("ls", "call-1", "list", str(outside))
    assert ask.description == f"List directory outside working directory: {outside}"
    assert ask.params == {"path": "../outside", "ignore": None, "depth": 0}
    project.desk.grant = True
    assert tree(await project.call("ls", path="../outside", ignore=["*.md"], depth=2)) == ["x.py"]
    assert project.desk.asks[-1].params == {"path": "../outside", "ignore": ("*.md",), "depth": 2}


@pytest_twisted.ensureDeferred
async def test_d_20_a_name_with_two_dots_inside_the_workspace_asks_nobody(project: SearchedProject) -> None:
    project.write("..inside/x.py")
    assert tree(await project.call("ls", path="..inside")) == ["x.py"]
    assert project.desk.asks == []


@pytest_twisted.ensureDeferred
async def test_a_directory_that_may_not_be_read_is_shown_closed(
    project: SearchedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("closed/x")
    project.write("open/y")
    scandir = os.scandir

    def guarded(path: str) -> object:
        if path.endswith(("closed", "project")) and (path.endswith("closed") or is_root_closed):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    is_root_closed = False
    monkeypatch.setattr(directory_tree.os, "scandir", guarded)
    assert tree(await project.call("ls")) == ["closed/", "open/", "  y"]
    is_root_closed = True
    with pytest.raises(Refused, match=f"^error listing directory: Permission denied: {project.path}$"):
        await project.call("ls")


@pytest_twisted.ensureDeferred
async def test_a_cancelled_walk_stops(project: SearchedProject, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        project.write(f"d{number}/x")
    read: list[str] = []
    is_cancelled = threading.Event()
    has_begun = threading.Event()
    scandir = os.scandir

    def slow(path: str) -> object:
        read.append(path)
        has_begun.set()
        is_cancelled.wait(20)
        return scandir(path)

    monkeypatch.setattr(directory_tree.os, "scandir", slow)
    running = project.start("ls")
    while not has_begun.is_set():
        await project.turn()
    running.cancel()
    with pytest.raises(CancelledError):
        await running
    is_cancelled.set()
    await project.turns(20)
    assert read == [str(project.path)]


def test_huge_directories_and_trees_are_looked_at_in_part(
    project: SearchedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        project.write(f"d{number % 4}/f{number}")
    monkeypatch.setattr(directory_tree, "MAX_ENTRIES", 3)
    found = walk(project, -1)
    assert found.is_partial and len(found.entries) == 3 + 3 * 3
    monkeypatch.setattr(directory_tree, "MAX_LOOKED_AT", 5)
    assert len(walk(project, -1).entries) == 3 + 3
