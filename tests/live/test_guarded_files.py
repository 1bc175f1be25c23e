"""Nobody writes the server's or the agent's own files unasked, also where nothing else is asked (promise 48)."""

import os
from pathlib import Path

import pytest

from txcrush.model.desk import Answerer, Settler
from txcrush.model.permissions import Verdict
from txcrush.testing.conversation import now

from .file_world import FileWorld

ME = Answerer(Settler.CLIENT, "11111111-1111-4111-8111-111111111111")
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
    "../home/.bashrc",
    "../home/.profile",
    "../home/.zshenv",
    "../home/.gitconfig",
    "../home/.config/git/config",
    "../home/.config/fish/conf.d/x.fish",
    "../home/.ssh/authorized_keys",
]
HOOKS = [
    "tools/hooks/pre-commit",
    "tools/HOOKS/pre-push",
    "linked-hooks/pre-commit",
    "included/hooks/pre-commit",
    "../outside/hooks/post-merge",
]
HOOKED = """[user]
\tname = a
[core]
\tbare = false
\thooksPath = tools/hooks  # ours
[include]
\tpath = more
"""
CALLS: dict[str, dict[str, object]] = {
    "edit": {"old_string": "", "new_string": "x"},
    "multiedit": {"edits": [{"old_string": "", "new_string": "x"}]},
    "write": {"content": "x"},
}


@pytest.fixture
def world(tmp_path: Path) -> FileWorld:
    world = FileWorld(tmp_path, own_desk=True)
    now(world.talk.workspace.permissions.policies.switch(True, ME))
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
    now(desk.answer(request.id, Verdict.DENY, ME))
    assert (done.result.stop_turn, os.path.exists(world.root / name)) == (True, False)


@pytest.mark.parametrize("name", HOOKS)
def test_promise_48_hooks_are_guarded_where_git_is_told_to_look_for_them(world: FileWorld, name: str) -> None:
    (world.root / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (world.root / ".git" / "config").write_text(HOOKED)
    (world.root / ".git" / "more").write_text("[core] hooksPath = included/hooks\n")
    (world.root / "tools" / "hooks").mkdir(parents=True)
    (world.root / "linked-hooks").symlink_to("tools/hooks")
    (world.home / ".gitconfig").write_text(f'[Core]\n\tHOOKSPATH = "{world.outside}/hooks" ; mine\n')
    world.start("write", file_path=name, content="x")
    assert len(world.talk.workspace.permissions.pending()) == 1
    assert not world.run("write", file_path="tools/other", content="x").is_error


def test_promise_48_hooks_are_guarded_where_they_lie_among_other_files(world: FileWorld) -> None:
    (world.root / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (world.root / ".git" / "config").write_text("[core]\n\thookspath = .\n")
    assert not world.run("write", file_path="other", content="x").is_error
    world.start("write", file_path="pre-commit", content="x")
    assert len(world.talk.workspace.permissions.pending()) == 1


def test_promise_48_a_grant_for_the_session_is_for_nothing_guarded(world: FileWorld) -> None:
    desk = world.talk.workspace.permissions
    first = world.start("write", file_path=".git/config", content="x")
    now(desk.answer(desk.pending()[0].id, Verdict.ALLOW_SESSION, ME))
    assert not first.result.is_error
    world.start("write", file_path=".git/hooks/pre-commit", content="x")
    assert len(desk.pending()) == 1


def test_other_files_are_written_unasked_then(world: FileWorld) -> None:
    assert not world.run("write", file_path="a.txt", content="x").is_error
    assert not world.run("write", file_path=str(world.outside / "b.txt"), content="x").is_error
