"""The `glob` tool on real trees, with the real ripgrep."""

import os
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor

from txcrush.adapters.tools.glob import LIMIT
from txcrush.model.config import Timeout, ToolLimits
from txcrush.model.errors import Refused
from txcrush.testing.searched_project import SearchedProject, Shown


@pytest.fixture
def project(tmp_path: Path) -> SearchedProject:
    return SearchedProject(Path(os.path.realpath(tmp_path)), reactor)


def files(project: SearchedProject, shown: Shown) -> list[str]:
    """The files that are listed, in order, relative to the project."""
    listed = shown.text.split("\n\n")[0].splitlines()
    assert shown.metadata["number_of_files"] == (0 if shown.text == "No files found" else len(listed))
    return [] if shown.text == "No files found" else [os.path.relpath(name, project.path) for name in listed]


async def found(project: SearchedProject, pattern: str, path: str = "") -> list[str]:
    """The same, by name."""
    return sorted(files(project, await project.call("glob", pattern=pattern, path=path)))


@pytest_twisted.ensureDeferred
async def test_t_glob_01_two_stars_find_what_is_below_and_nothing_else(project: SearchedProject) -> None:
    for name in ("a/x.go", "a/b/c/y.go", "a/x.py", "b/z.go", "w.go"):
        project.write(name)
    assert await found(project, "a/**/*.go") == ["a/b/c/y.go", "a/x.go"]


@pytest_twisted.ensureDeferred
async def test_t_glob_02_a_linked_directory_is_not_followed(project: SearchedProject) -> None:
    project.write("../outside/x.go")
    project.write("y.go")
    (project.path / "link").symlink_to(project.root / "outside")
    assert await found(project, "**/*.go") == ["y.go"]
    assert project.desk.asks == []


@pytest_twisted.ensureDeferred
async def test_t_glob_03_of_500_files_no_more_than_the_limit_are_listed(project: SearchedProject) -> None:
    for number in range(500):
        project.write(f"f{number:03}.py", age_s=number)
    shown = await project.call("glob", pattern="**/*.py")
    assert files(project, shown) == [f"f{number:03}.py" for number in range(LIMIT)]
    assert shown.metadata == {"number_of_files": LIMIT, "truncated": True}
    assert len(shown.text.split("\n\n")) == 2


@pytest_twisted.ensureDeferred
async def test_t_glob_04_names_at_any_depth_literal_paths_and_a_missing_root(project: SearchedProject) -> None:
    """Of the fallback's facts those that hold for files: ripgrep lists no directories."""
    for name in ("main.go", "cmd/main.go", "pkg/a/main.go", "pkg/x.go"):
        project.write(name)
    assert await found(project, "**/main.go") == ["cmd/main.go", "main.go", "pkg/a/main.go"]
    assert await found(project, "pkg/**") == ["pkg/a/main.go", "pkg/x.go"]
    assert await found(project, "pkg/a/main.go") == ["pkg/a/main.go"]
    assert await found(project, "main.go") == ["main.go"]
    (project.path / "empty").mkdir()
    assert await found(project, "**", "empty") == []
    with pytest.raises(Refused, match=f"^error finding files: path does not exist: {project.path}/absent$"):
        await project.call("glob", pattern="*", path="absent")


@pytest_twisted.ensureDeferred
async def test_t_glob_05_newest_first_and_nothing_that_crushignore_names(project: SearchedProject) -> None:
    project.write(".crushignore", "*.secret\nprivate/\n")
    for number, name in enumerate(("b.py", "z/a.py", "a.py", "m/n/o.py")):
        project.write(name, age_s=number)
    project.write("x.secret")
    project.write("private/x.py")
    assert files(project, await project.call("glob", pattern="**/*")) == ["b.py", "z/a.py", "a.py", "m/n/o.py"]


@pytest_twisted.ensureDeferred
async def test_d_01_a_relative_path_is_the_workspaces(
    project: SearchedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("sub/in/x.py")
    monkeypatch.chdir("/")
    assert (await project.call("glob", pattern="in/*.py", path="sub")).text == "sub/in/x.py"
    assert (await project.call("glob", pattern="*.py", path="./sub/in/")).text == "sub/in/x.py"
    assert (await project.call("glob", pattern="sub/in/*.py")).text == f"{project.path}/sub/in/x.py"


@pytest_twisted.ensureDeferred
async def test_d_02_a_workspace_below_a_directory_called_build_is_like_any_other(
    project: SearchedProject,
) -> None:
    root = project.root / "build" / ".hidden"
    root.mkdir(parents=True)
    project = SearchedProject(root, reactor)
    for name in ("x.py", "build/y.py", ".dot.py", "vendor/z.py", "a/node_modules/m.py", "a/.b/c.py"):
        project.write(name)
    assert await found(project, "**/*.py") == ["x.py"]
    assert await found(project, "**") == ["x.py"]
    assert await found(project, "build/*.py") == ["build/y.py"]
    assert await found(project, "*.py", f"{project.path}/vendor") == ["vendor/z.py"]


@pytest_twisted.ensureDeferred
async def test_d_03_newest_first_ties_by_path(project: SearchedProject) -> None:
    for name, age_s in {"zz.py": 0, "b.py": 9, "a/long/way/x.py": 9, "c.py": 9, "old.py": 99}.items():
        project.write(name, age_s=age_s)
    expected = ["zz.py", "a/long/way/x.py", "b.py", "c.py", "old.py"]
    for _ in range(3):
        assert files(project, await project.call("glob", pattern="**/*.py")) == expected


@pytest_twisted.ensureDeferred
async def test_d_03_ties_at_the_limit_are_settled_by_path_too(project: SearchedProject) -> None:
    for number in range(LIMIT + 50):
        project.write(f"f{number:03}.py", age_s=5)
    shown = await project.call("glob", pattern="*.py")
    assert files(project, shown) == [f"f{number:03}.py" for number in range(LIMIT)]


@pytest_twisted.ensureDeferred
async def test_d_05_a_pattern_brings_nothing_ignored_back(project: SearchedProject) -> None:
    project.write(".gitignore", "*.gen.py\nignored/\n")
    project.write("in/.gitignore", "secret.py\n")
    for name in ("a.py", "a.gen.py", "ignored/b.py", "in/secret.py", "in/c.py", "node_modules/m.py", ".h.py"):
        project.write(name)
    for pattern in ("**/*.py", "**", "**/*"):
        assert await found(project, pattern) == ["a.py", "in/c.py"], pattern
    assert await found(project, "in/*.py") == ["in/c.py"]


@pytest_twisted.ensureDeferred
async def test_what_programs_make_is_listed_unless_an_ignore_file_names_it(project: SearchedProject) -> None:
    for name in ("app.log", "Cargo.lock", "x.so"):
        project.write(name)
    assert await found(project, "*") == ["Cargo.lock", "app.log", "x.so"]


@pytest_twisted.ensureDeferred
async def test_a_star_stays_in_its_directory_and_braces_choose(project: SearchedProject) -> None:
    for name in ("x.py", "src/a.ts", "src/b.js", "src/c.go", "lib/a.ts", "src/in/d.ts", "!odd.py"):
        project.write(name)
    assert await found(project, "*.py") == ["!odd.py", "x.py"]
    assert await found(project, "!odd.py") == ["!odd.py"]
    assert await found(project, "src/*.{ts,js}") == ["src/a.ts", "src/b.js"]
    assert await found(project, "{src,lib}/a.ts") == ["lib/a.ts", "src/a.ts"]
    assert await found(project, "src/[ab].*") == ["src/a.ts", "src/b.js"]
    assert await found(project, "./src/*.go") == ["src/c.go"]


@pytest_twisted.ensureDeferred
async def test_an_absolute_pattern_in_the_workspace_works(project: SearchedProject) -> None:
    project.write("src/in/x.py")
    for pattern in (f"{project.path}/**/*.py", f"{project.path}/src/in/x.py"):
        assert (await project.call("glob", pattern=pattern)).text == f"{project.path}/src/in/x.py"
        assert await found(project, pattern, "elsewhere") == ["src/in/x.py"]
    assert project.desk.asks == []


@pytest_twisted.ensureDeferred
async def test_promise_65_a_path_or_pattern_that_leads_out_asks(project: SearchedProject) -> None:
    outside = project.write("../outside/x.py").parent
    (project.path / "link").symlink_to(outside)
    project.desk.grant = False
    ways = (("*", "../outside"), ("../outside/*.py", ""), (f"{outside}/*.py", ""), ("link/*", ""), ("*", "/"))
    for number, (pattern, path) in enumerate(ways, 1):
        shown = await project.call("glob", pattern=pattern, path=path)
        assert (shown.text, shown.stop_turn) == ("User denied permission", True), pattern
        assert len(project.desk.asks) == number
    ask = project.desk.asks[1]
    assert (ask.tool_name, ask.action, ask.path) == ("glob", "list", str(outside))
    assert ask.params == {"pattern": "../outside/*.py", "path": ""}
    assert await found(project, "*/../../outside/*.py") == [], "behind a wildcard two dots lead nowhere"
    project.desk.grant = True
    assert (await project.call("glob", pattern=f"{outside}/*.py")).text == f"{outside}/x.py"


@pytest_twisted.ensureDeferred
async def test_nothing_found_says_so(project: SearchedProject) -> None:
    shown = await project.call("glob", pattern="*.zzz")
    assert (shown.text, shown.is_error) == ("No files found", False)
    assert shown.metadata == {"number_of_files": 0, "truncated": False}


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_listed_is_refused_in_words(project: SearchedProject) -> None:
    project.write("x.py")
    for arguments, words in (
        ({"pattern": ""}, "^pattern is required$"),
        ({"pattern": "[a"}, "^error finding files: error parsing glob"),
        ({"pattern": "*", "path": "x.py"}, "^error finding files: not a directory: "),
        ({"pattern": "a\0*"}, "could not be started"),
        ({"pattern": "y" * 300 + "/*"}, "too long"),
    ):
        with pytest.raises(Refused, match=words):
            await project.call("glob", **arguments)


@pytest_twisted.ensureDeferred
async def test_time_that_is_up_is_told(project: SearchedProject) -> None:
    project.limits = ToolLimits(glob=Timeout(timeout=1))
    for number in range(2000):
        project.write(f"d{number % 50}/f{number}.py")
    with pytest.raises(Refused, match=r"^error finding files: not done after 1e-09 s"):
        await project.call("glob", pattern="**/*.py")
