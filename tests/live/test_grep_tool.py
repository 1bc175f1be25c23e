"""The `grep` tool on real trees, with the real ripgrep."""

import os
from pathlib import Path

import psutil
import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import CancelledError

from txcrush.model.config import Timeout, ToolLimits
from txcrush.model.errors import Refused
from txcrush.testing.searched_project import SearchedProject, Shown


@pytest.fixture
def project(tmp_path: Path) -> SearchedProject:
    return SearchedProject(Path(os.path.realpath(tmp_path)), reactor)


def files(project: SearchedProject, shown: Shown) -> list[str]:
    """The files that are shown, in order, relative to the project."""
    named = [line[:-1] for line in shown.text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    return [os.path.relpath(name, project.path) for name in named]


@pytest_twisted.ensureDeferred
async def test_t_grep_01_ignore_files_of_the_root_are_honoured_outside_of_git(project: SearchedProject) -> None:
    for name in ("kept.py", "by_git.py", "by_crush.txt", "in/by_git.py", "dir/x.py"):
        project.write(name, "needle\n")
    project.write(".gitignore", "by_git.py\ndir/\n")
    project.write(".crushignore", "by_crush.txt\n")
    assert files(project, await project.call("grep", pattern="needle")) == ["kept.py"]
    assert files(project, await project.call("grep", pattern="needle", include="*.{py,txt}")) == ["kept.py"]


@pytest_twisted.ensureDeferred
async def test_t_grep_02_dot_files_and_binary_files_are_not_searched(project: SearchedProject) -> None:
    found = ["a.py", "b.md", "c/d.json", "e.sh"]
    for name in found:
        project.write(name, "first\n  a needle\n")
    project.write(".hidden", "needle\n")
    project.write(".dir/x.py", "needle\n")
    project.write("x.bin", b"needle\0needle\n")
    project.write("late.bin", b"needle\n" + b"x" * 300_000 + b"\0\n")
    shown = await project.call("grep", pattern="needle")
    assert files(project, shown) == sorted(found)
    assert shown.text.count("  Line 2, Char 5: a needle\n") == 4
    assert shown.metadata == {"number_of_matches": 4, "truncated": False}
    assert files(project, await project.call("grep", pattern="needle", include="**")) == sorted(found)


@pytest_twisted.ensureDeferred
async def test_t_grep_03_every_matching_line_is_reported(project: SearchedProject) -> None:
    path = project.write("x.txt", "Hello world.\nnothing\n Hello world. world.\n")
    shown = await project.call("grep", pattern=r"world\.")
    assert shown.text == (
        f"Found 2 matches\n{path}:\n  Line 1, Char 7: Hello world.\n  Line 3, Char 8: Hello world. world.\n"
    )


@pytest_twisted.ensureDeferred
async def test_t_grep_04_lines_columns_and_relative_paths(project: SearchedProject) -> None:
    project.write("sub/x.txt", "one\nü, looking: THIS\n")
    assert "sub/x.txt:\n  Line 2, Char 14: ü, looking: THIS" in (
        await project.call("grep", pattern="THIS", path="sub")
    ).text.replace(str(project.path), "ABSOLUTE")
    shown = await project.call("grep", pattern="THIS", path="./sub/x.txt")
    assert shown.text == "Found 1 matches\nsub/x.txt:\n  Line 2, Char 14: ü, looking: THIS\n"
    absolute = await project.call("grep", pattern="THIS", path=str(project.path / "sub"))
    assert f"\n{project.path}/sub/x.txt:\n" in absolute.text


TEXTS = {
    "a.go": "package x\n",
    "b.yaml": "a: b\n",
    "c.json": "{}\n",
    "d.md": "# x\n",
    "e.sh": "#!/bin/sh\n",
    "f.xml": "<?xml version='1.0'?>\n",
    "g.css": "a {}\n",
    "h.bat": "@echo off\r\n",
}
BINARIES = {
    "a.exe": b"MZ\x90\0",
    "b.png": b"\x89PNG\r\n\x1a\n\0",
    "c.jpg": b"\xff\xd8\xff\xe0\0\x10JFIF",
    "d.zip": b"PK\x03\x04\0",
    "e.pdf": b"%PDF-1.4\n\0",
}


@pytest_twisted.ensureDeferred
async def test_t_grep_05_what_is_text_is_searched_and_what_is_not_is_not(project: SearchedProject) -> None:
    for name, start in TEXTS.items():
        project.write(name, start + "needle\n")
    for name, raw in BINARIES.items():
        project.write(name, raw + b"\nneedle\n")
    assert files(project, await project.call("grep", pattern="needle")) == sorted(TEXTS)


@pytest_twisted.ensureDeferred
async def test_t_grep_06_braces_in_the_include(project: SearchedProject) -> None:
    for name in ("a.js", "b.ts", "c.go", "in/d.ts"):
        project.write(name, "needle\n")
    shown = await project.call("grep", pattern="needle", include="*.{js,ts}")
    assert files(project, shown) == ["a.js", "b.ts", "in/d.ts"]
    shown = await project.call("grep", pattern="needle", include="in/**")
    assert files(project, shown) == ["in/d.ts"]


@pytest_twisted.ensureDeferred
async def test_t_grep_07_the_same_search_twice_gives_the_same(project: SearchedProject) -> None:
    """Patterns are compiled in the child: there is nothing here that could be cached wrongly."""
    project.write("a.py", "needle\n")
    first = await project.call("grep", pattern="need+le")
    assert await project.call("grep", pattern="need+le") == first
    project.write("b.py", "needle\n")
    assert files(project, await project.call("grep", pattern="need+le")) == ["a.py", "b.py"]


@pytest_twisted.ensureDeferred
async def test_d_01_a_relative_path_is_the_workspaces(
    project: SearchedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("sub/x.py", "needle\n")
    monkeypatch.chdir("/")
    assert (await project.call("grep", pattern="needle", path="sub")).metadata["number_of_matches"] == 1


@pytest_twisted.ensureDeferred
async def test_d_03_the_newest_file_comes_first_and_ties_by_path(project: SearchedProject) -> None:
    for name, age_s in {"old.py": 50, "z_new.py": 1, "b_tie.py": 20, "a/tie.py": 20}.items():
        project.write(name, "needle\nneedle\n", age_s=age_s)
    shown = await project.call("grep", pattern="needle")
    assert files(project, shown) == ["z_new.py", "a/tie.py", "b_tie.py", "old.py"]
    assert [line.split(",")[0] for line in shown.text.splitlines() if "Line" in line] == ["  Line 1", "  Line 2"] * 4


@pytest_twisted.ensureDeferred
async def test_d_04_a_pattern_may_begin_with_a_dash(project: SearchedProject) -> None:
    project.write("x.py", "a --files b\n-e\n")
    for pattern in ("--files", "-e", "--"):
        shown = await project.call("grep", pattern=pattern)
        assert not shown.is_error and shown.metadata["number_of_matches"] > 0, pattern


@pytest_twisted.ensureDeferred
async def test_d_05_an_include_brings_nothing_ignored_back(project: SearchedProject) -> None:
    project.write(".gitignore", "*.gen.py\n")
    project.write("in/.crushignore", "secret.*\n")
    for name in ("a.py", "a.gen.py", "in/secret.py", "node_modules/m.py", ".hidden.py", ".git/x.py"):
        project.write(name, "needle\n")
    for include in ("*.py", "**", "**/*.py", "*"):
        assert files(project, await project.call("grep", pattern="needle", include=include)) == ["a.py"], include
    shown = await project.call("grep", pattern="needle", include=".hid*.py")
    assert files(project, shown) == [".hidden.py"], "a glob that begins with a dot asks for such names"


@pytest_twisted.ensureDeferred
async def test_d_06_a_nested_gitignore_counts_outside_of_git(project: SearchedProject) -> None:
    project.write("in/.gitignore", "x.py\n")
    for name in ("x.py", "in/x.py", "in/y.py"):
        project.write(name, "needle\n")
    assert files(project, await project.call("grep", pattern="needle")) == ["in/y.py", "x.py"]


@pytest_twisted.ensureDeferred
async def test_ignore_files_above_the_workspace_say_nothing_those_of_its_root_do(project: SearchedProject) -> None:
    project.write("../.gitignore", "*\n")
    project.write(".gitignore", "gen.py\n")
    project.write("in/deep/gen.py", "needle\n")
    project.write("in/deep/x.py", "needle\n")
    assert files(project, await project.call("grep", pattern="needle", path=f"{project.path}/in")) == ["in/deep/x.py"]


@pytest_twisted.ensureDeferred
async def test_the_users_own_ignore_files_count(project: SearchedProject) -> None:
    home = project.root / "home"
    project.write(f"{home}/.gitconfig", "[user]\n name = x\n[core]\n excludesFile = ~/mine\n")
    project.write(f"{home}/mine", "by_git.py\n")
    project.write(f"{home}/.config/crush/ignore", "by_crush.py\n")
    for name in ("by_git.py", "by_crush.py", "x.py"):
        project.write(name, "needle\n")
    assert files(project, await project.call("grep", pattern="needle", include="*.py")) == ["x.py"]


@pytest_twisted.ensureDeferred
async def test_a_path_that_is_ignored_is_searched_when_it_is_named(project: SearchedProject) -> None:
    project.write(".gitignore", "gen/\nsecret.txt\n")
    project.write("gen/x.py", "needle\n")
    project.write("secret.txt", "needle\n")
    assert files(project, await project.call("grep", pattern="needle", path=f"{project.path}/gen")) == ["gen/x.py"]
    assert (await project.call("grep", pattern="needle", path="secret.txt")).metadata["number_of_matches"] == 1


@pytest_twisted.ensureDeferred
async def test_literal_text_is_no_expression(project: SearchedProject) -> None:
    project.write("x.py", "axb(c\na.b(c\n\\.+*?()[]{}^$|\n")
    assert (await project.call("grep", pattern="a.b(", literal_text=True)).text.count("Line 2, Char 1: a.b(c") == 1
    shown = await project.call("grep", pattern="\\.+*?()[]{}^$|", literal_text=True)
    assert "Line 3, Char 1" in shown.text


@pytest_twisted.ensureDeferred
async def test_at_most_100_matches_are_shown_the_newest(project: SearchedProject) -> None:
    for number in range(12):
        project.write(f"f{number:02}.py", "needle\n" * 10, age_s=12 - number)
    shown = await project.call("grep", pattern="needle")
    assert shown.metadata == {"number_of_matches": 100, "truncated": True}
    assert shown.text.startswith("Found 100 matches\n")
    assert shown.text.endswith("\n\n" + shown.text.splitlines()[-1] + "\n")
    assert files(project, shown) == [f"f{number:02}.py" for number in range(11, 1, -1)]


@pytest_twisted.ensureDeferred
async def test_exactly_100_matches_are_all(project: SearchedProject) -> None:
    project.write("one.py", "needle\n" * 100)
    assert (await project.call("grep", pattern="needle")).metadata == {"number_of_matches": 100, "truncated": False}
    project.write("one.py", "needle\n" * 101)
    assert (await project.call("grep", pattern="needle")).metadata == {"number_of_matches": 100, "truncated": True}


@pytest_twisted.ensureDeferred
async def test_of_300_matching_files_the_newest_100_are_shown(project: SearchedProject) -> None:
    for number in range(300):
        project.write(f"f{number:03}.py", "needle\n", age_s=number)
    shown = await project.call("grep", pattern="needle")
    assert files(project, shown) == [f"f{number:03}.py" for number in range(100)]
    assert shown.metadata["truncated"]


@pytest_twisted.ensureDeferred
async def test_a_long_line_is_cut_and_costs_nothing(project: SearchedProject) -> None:
    project.write("min.js", "x" * 5_000_000 + "needle" + "y" * 5_000_000 + "\n")
    shown = await project.call("grep", pattern="needle")
    assert f"  Line 1, Char 5000001: {'x' * 497}...\n" in shown.text
    assert len(shown.text) < 1000


@pytest_twisted.ensureDeferred
async def test_nothing_found_says_so(project: SearchedProject) -> None:
    project.write("x.py", "a\n")
    shown = await project.call("grep", pattern="needle")
    assert (shown.text, shown.is_error) == ("No files found", False)
    assert shown.metadata == {"number_of_matches": 0, "truncated": False}


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_searched_is_refused_in_words(project: SearchedProject) -> None:
    project.write("x.py", "a\n")
    for arguments, words in (
        ({"pattern": ""}, "^pattern is required$"),
        ({"pattern": "("}, r"^error searching files: invalid regex pattern: unclosed group: `\(`$"),
        ({"pattern": "a\nb"}, "^error searching files: invalid regex pattern: "),
        ({"pattern": "a", "include": "[z"}, "^error searching files: invalid include pattern: "),
        ({"pattern": "a", "path": "absent"}, f"^error searching files: path does not exist: {project.path}/absent$"),
        ({"pattern": "a", "path": "x\0y"}, "NUL"),
        ({"pattern": "a", "path": "x" * 300}, "too long"),
        ({"pattern": "a\0b"}, "could not be started"),
    ):
        with pytest.raises(Refused, match=words):
            await project.call("grep", **arguments)
    os.mkfifo(project.path / "pipe")
    with pytest.raises(Refused, match="neither a file nor a directory"):
        await project.call("grep", pattern="a", path="pipe")


@pytest_twisted.ensureDeferred
async def test_unreadable_files_are_passed_over(project: SearchedProject) -> None:
    project.write("x.py", "needle\n")
    project.write("y\nz.py", "needle\n")
    (project.path / "dangling.py").symlink_to("absent")
    os.mkfifo(project.path / "pipe.py")
    project.write("closed.py", "needle\n").chmod(0)
    shown = await project.call("grep", pattern="needle")
    assert shown.metadata["number_of_matches"] in (2, 3), "root may read everything"


@pytest_twisted.ensureDeferred
async def test_links_out_of_the_workspace_are_not_followed(project: SearchedProject) -> None:
    project.write("../outside/x.py", "needle\n")
    (project.path / "link").symlink_to(project.root / "outside")
    (project.path / "link.py").symlink_to(project.root / "outside" / "x.py")
    assert (await project.call("grep", pattern="needle")).text == "No files found"
    assert project.desk.asks == []


@pytest_twisted.ensureDeferred
async def test_promise_65_a_path_that_leads_out_asks(project: SearchedProject) -> None:
    outside = project.write("../outside/x.py", "needle\n").parent
    project.write("../project2/x.py", "needle\n")
    project.write("..inside/x.py", "needle\n")
    (project.path / "link").symlink_to(outside)
    (project.path / "in").mkdir()
    (project.path / "in" / "link.py").symlink_to(outside / "x.py")
    ways = (str(outside), "../outside", "in/../../outside", "link", "link/x.py", "in/link.py", "//", "../project2")
    for number, way in enumerate(ways, 1):
        project.desk.grant = False
        shown = await project.call("grep", pattern="needle", path=way)
        assert (shown.text, shown.stop_turn) == ("User denied permission", True), way
        assert len(project.desk.asks) == number, way
    ask = project.desk.asks[1]
    assert (ask.tool_name, ask.action, ask.path) == ("grep", "search", str(outside))
    assert ask.description == f"Search outside working directory: {outside}"
    assert ask.params == {"pattern": "needle", "path": "../outside", "include": "", "literal_text": False}
    assert project.desk.asks[3].description.endswith(f"{project.path}/link (which is {outside})")
    project.desk.grant = True
    shown = await project.call("grep", pattern="needle", path="link")
    assert shown.text == "Found 1 matches\nlink/x.py:\n  Line 1, Char 1: needle\n"


@pytest_twisted.ensureDeferred
async def test_d_20_a_name_with_two_dots_inside_the_workspace_asks_nobody(project: SearchedProject) -> None:
    project.write("..inside/x.py", "needle\n")
    assert (await project.call("grep", pattern="needle", path="..inside")).metadata["number_of_matches"] == 1
    assert project.desk.asks == []


@pytest_twisted.ensureDeferred
async def test_a_link_swapped_while_somebody_is_asked_leads_where_it_led(project: SearchedProject) -> None:
    shown_place = project.write("../outside/x.py", "needle one\n").parent
    other_place = project.write("../other/x.py", "needle two\n").parent
    link = project.path / "link"
    link.symlink_to(shown_place)
    project.desk.grant = None
    running = project.start("grep", pattern="needle", path="link")
    while not project.desk.waiting:
        await project.turn()
    link.unlink()
    link.symlink_to(other_place)
    project.desk.waiting[0].callback(True)
    assert "needle one" in (await running).content


@pytest_twisted.ensureDeferred
async def test_time_that_is_up_is_told(project: SearchedProject) -> None:
    project.limits = ToolLimits(grep=Timeout(timeout=1))
    for number in range(2000):
        project.write(f"d{number % 50}/f{number}.py", "haystack\n" * 50)
    with pytest.raises(Refused, match="before the time was up"):
        await project.call("grep", pattern="needle")


@pytest_twisted.ensureDeferred
async def test_cancelling_leaves_no_child(project: SearchedProject) -> None:
    for number in range(3000):
        project.write(f"d{number % 50}/f{number}.py", "haystack\n" * 50)
    running = project.start("grep", pattern="needle")
    await project.turn()
    running.cancel()
    with pytest.raises(CancelledError):
        await running
    assert [child.pid for child in psutil.Process().children() if child.name() == "rg"] == []
