"""Every path parameter of every tool, walked with names that try to leave the workspace (promise 65).

A tool that takes a path joins by a line in `PATHS`.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from .file_world import FileWorld

PATHS: Mapping[str, tuple[str, dict[str, object]]] = {
    "view": ("file_path", {}),
    "edit": ("file_path", {"old_string": "", "new_string": "written"}),
    "multiedit": ("file_path", {"edits": [{"old_string": "", "new_string": "written"}]}),
    "write": ("file_path", {"content": "written"}),
}
"""Tool, its path parameter, and what else it needs."""

OUTSIDE = [
    "../outside/x",
    "../../../../../../../../etc/hostname",
    "{outside}/secret.txt",
    "/{outside}/x",
    "{root}/../outside/x",
    "sub/../../outside/x",
    "./.././outside/x",
    "sub/..//../outside/x",
    "{root}2/x",
    "..",
    "/",
    "link/x",
    "link/../link/secret.txt",
    "last",
    "dangling",
]
REFUSED = ["a\0b", "{outside}/secret.txt\0.txt", "x" * 300, "x/" * 2100 + "y", "\ud800"]
INSIDE = ["~/x", "~root/x", "$HOME/x", "..x", "...", "x...", "sub/../x", "{root}//x", "X", "x ", "%2e%2e/x", "..\\x"]


@pytest.fixture
def world(tmp_path: Path) -> FileWorld:
    world = FileWorld(tmp_path)
    world.desk.grant = False
    (world.root / "sub").mkdir()
    (world.root / "link").symlink_to(world.outside)
    (world.root / "last").symlink_to(world.outside / "secret.txt")
    (world.root / "dangling").symlink_to(world.outside / "made")
    return world


def tree(top: Path) -> list[str]:
    return sorted(f"{here}/{name}" for here, _, names in os.walk(top) for name in names)


@pytest.mark.parametrize("tool", PATHS)
@pytest.mark.parametrize("name", OUTSIDE)
def test_promise_65_what_lies_outside_is_asked_for_or_refused(world: FileWorld, tool: str, name: str) -> None:
    before = tree(world.outside.parent)
    parameter, more = PATHS[tool]
    path = name.format(root=world.root, outside=world.outside)
    done = world.run(tool, **{parameter: path}, **more)
    assert done.is_error
    assert "secret\n" not in done.content
    assert all(not ask.path.startswith(str(world.root) + "/") for ask in world.desk.asks)
    assert tree(world.outside.parent) == before
    if tool == "view":
        assert done.content == "User denied permission"


@pytest.mark.parametrize("tool", PATHS)
@pytest.mark.parametrize("name", REFUSED)
def test_promise_65_what_is_no_name_is_refused(world: FileWorld, tool: str, name: str) -> None:
    parameter, more = PATHS[tool]
    done = world.run(tool, **{parameter: name.format(outside=world.outside)}, **more)
    assert (done.is_error, world.desk.asks) == (True, [])


@pytest.mark.parametrize("tool", [tool for tool in PATHS if tool != "view"])
@pytest.mark.parametrize("name", INSIDE)
def test_promise_65_odd_names_stay_inside(world: FileWorld, tool: str, name: str) -> None:
    world.desk.grant = True
    before = tree(world.outside.parent)
    parameter, more = PATHS[tool]
    assert not world.run(tool, **{parameter: name.format(root=world.root)}, **more).is_error
    (made,) = set(tree(world.outside.parent)) - set(before)
    assert made.startswith(f"{world.root}/")
    assert world.desk.asks[0].path == str(world.root)
