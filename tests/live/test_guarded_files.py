"""Nobody writes the server's or the agent's own files unasked, also where nothing else is asked (promise 48)."""

import os
from pathlib import Path

import pytest

from txcrush.model.permissions import Verdict
from txcrush.testing.conversation import now

from .file_world import FileWorld

GUARDED = [
    "crush.json",
    "sub/.crushrc",
    ".CRUSH.json",
    ".crush/txcrush.db",
    ".git/config",
    ".git/hooks/pre-commit",
    "nested/.git/hooks/post-merge",
    ".agents/skills/cook/SKILL.md",
    "hooked/config",
    "innocent.json",
    "../home/state/token",
    "../home/.config/crush/crush.json",
]
CALLS: dict[str, dict[str, object]] = {
    "edit": {"old_string": "", "new_string": "x"},
    "multiedit": {"edits": [{"old_string": "", "new_string": "x"}]},
    "write": {"content": "x"},
}


@pytest.fixture
def world(tmp_path: Path) -> FileWorld:
    world = FileWorld(tmp_path, own_desk=True)
    world.talk.workspace.permissions.skip = True
    (world.root / ".git").mkdir()
    (world.root / "hooked").symlink_to(".git")
    (world.root / "innocent.json").symlink_to("crush.json")
    return world


@pytest.mark.parametrize("tool", CALLS)
@pytest.mark.parametrize("name", GUARDED)
def test_promise_48_it_is_asked_for_although_requests_are_skipped(world: FileWorld, tool: str, name: str) -> None:
    desk = world.talk.workspace.permissions
    done = world.start(tool, file_path=name, **CALLS[tool])
    (request,) = desk.pending()
    assert not done.called
    assert not os.path.exists(world.root / name)
    now(desk.answer(request.id, Verdict.DENY))
    assert (done.result.stop_turn, os.path.exists(world.root / name)) == (True, False)


def test_promise_48_a_grant_for_the_session_is_for_nothing_guarded(world: FileWorld) -> None:
    desk = world.talk.workspace.permissions
    first = world.start("write", file_path=".git/config", content="x")
    now(desk.answer(desk.pending()[0].id, Verdict.ALLOW_SESSION))
    assert not first.result.is_error
    world.start("write", file_path=".git/hooks/pre-commit", content="x")
    assert len(desk.pending()) == 1


def test_other_files_are_written_unasked_then(world: FileWorld) -> None:
    assert not world.run("write", file_path="a.txt", content="x").is_error
    assert not world.run("write", file_path=str(world.outside / "b.txt"), content="x").is_error
