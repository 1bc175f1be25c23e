"""The rules of the house, told by the tree itself. `docs/design/README.md` says why each exists."""

import ast
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "txcrush"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "vendor" not in path.parts)
TESTS = sorted((ROOT / "tests").rglob("*.py"))

MODULE_LINES = 400
FUNCTION_LINES = 60
NESTING = 3
"""Blocks inside blocks within one function; an `elif` stands beside its `if`."""

GLANCE_LINES = 20

VAGUE = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}
OF_THE_MACHINE = ("/work/" + "main", "/work/" + "shared", "/tmp/" + "venv", "/opt/" + "wheels", "/root/" + ".")
REGISTRIES = ("pypi" + ".org", "python" + "hosted.org", "registry." + "npmjs", "proxy.golang" + ".org")
TEXT_SUFFIXES = {
    ".py",
    ".md",
    ".toml",
    ".ini",
    ".sql",
    ".cfg",
    ".txt",
    ".yml",
    ".yaml",
    ".json",
    ".html",
    ".js",
    ".css",
    "",
}
OUTSIDE = {".git", "dist", "build", "node_modules", "vendor", "__pycache__"}

Function = ast.FunctionDef | ast.AsyncFunctionDef
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.With, ast.AsyncWith, ast.Match)


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def nodes(kind: type | tuple[type, ...], paths: list[Path] = MODULES) -> Iterator[tuple[Path, ast.AST]]:
    for path in paths:
        for node in ast.walk(parsed(path)):
            if isinstance(node, kind):
                yield path, node


def depth(node: ast.AST) -> int:
    """How deep blocks stand in each other below this node, functions inside it not counted."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (*Function.__args__, ast.Lambda, ast.ClassDef)):
            continue
        chained = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        deepest = max(deepest, depth(child) + (isinstance(child, BLOCKS) and not chained))
    return deepest


def test_no_module_is_longer_than_400_lines() -> None:
    assert [named(path) for path in MODULES if len(path.read_text().splitlines()) > MODULE_LINES] == []


def test_no_function_is_longer_than_60_lines() -> None:
    long = [
        f"{named(path)}:{node.lineno} {node.name}"
        for path, node in nodes(Function.__args__)
        if node.end_lineno - node.lineno >= FUNCTION_LINES
    ]
    assert long == []


def test_no_function_nests_more_than_3_blocks() -> None:
    deep = [f"{named(p)}:{node.lineno} {node.name}" for p, node in nodes(Function.__args__) if depth(node) > NESTING]
    assert deep == []


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert [named(path) for path in MODULES if path.stem.strip("_") in VAGUE] == []


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    assert isinstance(node, ast.ImportFrom)
    return [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]


def test_json_is_read_and_written_in_wire_only() -> None:
    elsewhere = [
        f"{named(path)}:{node.lineno}"
        for path, node in nodes((ast.Import, ast.ImportFrom))
        if PACKAGE / "wire" not in path.parents and {"json", "msgspec.json"} & set(imported(node))
    ]
    assert elsewhere == []


def test_no_module_imports_the_reactor_when_it_is_imported() -> None:
    eager = [
        f"{named(path)}:{node.lineno}"
        for path in MODULES
        for node in parsed(path).body
        if isinstance(node, (ast.Import, ast.ImportFrom)) and "twisted.internet.reactor" in imported(node)
    ]
    assert eager == []


def test_wire_and_model_know_no_network() -> None:
    edges = ("twisted.web", "twisted.internet.endpoints", "twisted.internet.reactor", "socket")
    reached = [
        f"{named(path)}:{node.lineno}"
        for path, node in nodes((ast.Import, ast.ImportFrom))
        if {PACKAGE / "wire", PACKAGE / "model"} & set(path.parents)
        and any(name.startswith(edges) for name in imported(node))
    ]
    assert reached == []


def test_no_handler_swallows_an_exception_by_passing() -> None:
    silent = [
        f"{named(path)}:{node.lineno}"
        for path, node in nodes(ast.ExceptHandler, MODULES + TESTS)
        if all(isinstance(step, ast.Pass) or ast.unparse(step) == "..." for step in node.body)
    ]
    assert silent == []


def test_no_test_sleeps() -> None:
    asleep = [
        f"{named(path)}:{node.lineno}"
        for path, node in nodes(ast.Call, TESTS)
        if ast.unparse(node.func) in ("time.sleep", "asyncio.sleep", "sleep")
    ]
    assert asleep == []


def test_no_test_uses_the_async_test_case_of_trial() -> None:
    wrong = [
        f"{named(path)}:{node.lineno}"
        for path, node in nodes((ast.Import, ast.ImportFrom), TESTS)
        if "twisted.trial.unittest.TestCase" in imported(node)
    ]
    assert wrong == []


def speaks_for_itself(node: ast.AST) -> bool:
    """Whether name and annotations say it all: a class of mere fields, a function that fits in a glance."""
    if isinstance(node, ast.ClassDef):
        return not any(isinstance(item, Function) and not item.name.startswith("_") for item in node.body)
    assert isinstance(node, Function)
    return node.end_lineno - node.lineno < GLANCE_LINES


def undocumented(path: Path) -> Iterator[str]:
    """The module, and what is public in it, where they have no docstring and need one."""
    module = parsed(path)
    if ast.get_docstring(module) is None:
        yield named(path)
    for node in module.body:
        public = isinstance(node, (*Function.__args__, ast.ClassDef)) and not node.name.startswith("_")
        if public and ast.get_docstring(node) is None and not speaks_for_itself(node):
            yield f"{named(path)}:{node.lineno} {node.name}"


def test_every_module_class_and_function_that_needs_a_docstring_has_one() -> None:
    assert [line for path in MODULES for line in undocumented(path)] == []


def mirrored(path: Path) -> bool:
    """Whether `tests/unit/core/test_runs.py` has its `core/runs.py`, `core/_runs.py` or `core/runs/`."""
    folder = PACKAGE / path.parent.relative_to(ROOT / "tests" / "unit")
    name = path.stem.removeprefix("test_")
    return any((folder / candidate).exists() for candidate in (f"{name}.py", f"_{name}.py", name))


def test_every_unit_test_mirrors_a_module() -> None:
    assert [
        named(path) for path in TESTS if "unit" in path.parts and path.name[:5] == "test_" and not mirrored(path)
    ] == []


def written_files() -> Iterator[tuple[Path, str]]:
    for path in sorted(ROOT.rglob("*")):
        inside = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part not in (".ci", ".gitignore") for part in inside)
        if path.is_file() and path.suffix in TEXT_SUFFIXES and not hidden and not OUTSIDE.intersection(inside):
            yield path, path.read_text(errors="replace")


def test_nothing_is_left_for_later() -> None:
    words = ("TO" + "DO", "FIX" + "ME", "XX" + "X")
    left = [named(path) for path, text in written_files() if path.suffix == ".py" and any(w in text for w in words)]
    assert left == []


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    tied = [
        f"{named(path)}: {word}"
        for path, text in written_files()
        for word in OF_THE_MACHINE + REGISTRIES
        if word in text
    ]
    assert tied == []


def test_nothing_under_twisted_is_a_package() -> None:
    assert list((ROOT / "twisted").rglob("__init__.py")) == []


def test_twist_lists_the_plugin() -> None:
    code = "from twisted.application.twist._twist import Twist; Twist.main(['twist', '--help'])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert [line.split()[:1] for line in answer.stdout.splitlines()].count(["crush"]) == 1


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names in a wheel built from this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_the_wheel_holds_the_plugin_and_every_file_of_the_package(wheel: list[str]) -> None:
    ours = {named(path) for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert sorted(ours - set(wheel)) == []
    assert {"twisted/plugins/txcrush_plugin.py", "txcrush/py.typed"} <= set(wheel)
    assert [
        name for name in wheel if name.startswith("txcrush/adapters/sqlite/schema/") and name.endswith(".sql")
    ] != []


def test_the_wheel_holds_nothing_that_the_machine_made(wheel: list[str]) -> None:
    assert [name for name in wheel if name.endswith(("dropin.cache", ".pyc"))] == []
    assert [name for name in wheel if name.startswith("twisted/")] == ["twisted/plugins/txcrush_plugin.py"]


LATE = (
    "html_to_markdown",
    "hypothesis",
    "json_repair",
    "lxml",
    "psutil",
    "tree_sitter",
    "tree_sitter_bash",
    "treq",
    "twisted.web.client",
    "txcrush.adapters.providers.builder",
    "txcrush.adapters.tools.palette",
    "wcwidth",
    "yaml",
)
"""What a server starts without: each is imported where it is used first, or a moment later."""


def test_the_server_starts_without_the_libraries_that_only_some_runs_need() -> None:
    code = f"import sys, txcrush.wiring; print(*(name for name in {LATE!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []
