"""Containment on a real disk (`tools.md` 4.1, `contract.md` 6, promises 48 and 65)."""

import os
from pathlib import Path

import pytest

from txcrush.adapters.guarded_places import OwnPlaces, guarded_paths
from txcrush.adapters.places import Place, Places, cleaned, lies_in
from txcrush.model.config import Config, Options, TuiOptions
from txcrush.model.errors import Refused


class World:
    """A workspace, and a directory beside it."""

    def __init__(self, top: Path) -> None:
        self.root = top / "work"
        self.outside = top / "outside"
        self.home = top / "home"
        for directory in (self.root, self.outside, self.home):
            directory.mkdir()
        (self.outside / "secret").write_text("secret")
        self.hooks: dict[str, object] = {}
        self.skills_paths: tuple[str, ...] = ()
        self.places = Places(str(self.root), self._guarded)

    def _guarded(self) -> list[str]:
        options = Options(tui=TuiOptions(), skills_paths=self.skills_paths)
        config = Config(providers={}, options=options, hooks=self.hooks)
        own = OwnPlaces(
            state_dir=str(self.home / "state"), token_file=str(self.outside / "token"), env={"HOME": str(self.home)}
        )
        return list(guarded_paths(str(self.root), str(self.root / ".crush"), config, own))

    def resolved(self, path: str) -> Place:
        return self.places.resolved(path)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(Path(os.path.realpath(tmp_path)))


@pytest.mark.parametrize(
    ("name", "below"),
    [
        ("a.txt", "a.txt"),
        ("./b/../a.txt", "a.txt"),
        ("b//a.txt", "b/a.txt"),
        ("..a", "..a"),
        ("...", "..."),
        ("a.txt...", "a.txt..."),
        ("~/a", "~/a"),
        ("$HOME/a", "$HOME/a"),
        ("a/", "a"),
        ("A.TXT", "A.TXT"),
    ],
)
def test_d_20_names_inside_are_inside_and_nothing_is_expanded(world: World, name: str, below: str) -> None:
    place = world.resolved(name)
    assert (place.absolute, place.is_inside, place.is_guarded) == (f"{world.root}/{below}", True, False)


@pytest.mark.parametrize("name", ["..", "../x", "/etc/passwd", "//etc/passwd", "a/../../x", "../work2/x", "/"])
def test_promise_65_names_outside_are_outside(world: World, name: str) -> None:
    place = world.resolved(name)
    assert not place.is_inside
    assert not place.absolute.startswith("//")


def test_a_sibling_whose_name_begins_as_the_workspace_is_outside(world: World) -> None:
    assert not world.resolved(f"{world.root}-2/x").is_inside
    assert world.resolved(str(world.root)).is_inside


@pytest.mark.parametrize("name", ["a\0b", "x" * 256, "d/" * 3000 + "x", "\ud800"])
def test_promise_65_what_no_file_can_be_called_is_refused(world: World, name: str) -> None:
    with pytest.raises(Refused):
        world.resolved(name)


def test_d_20_a_link_that_leads_out_is_outside_wherever_it_stands(world: World) -> None:
    (world.root / "last").symlink_to(world.outside / "secret")
    (world.root / "middle").symlink_to(world.outside)
    (world.root / "dangling").symlink_to(world.outside / "not-yet")
    (world.root / "home").mkdir()
    (world.root / "home" / "link").symlink_to("../../outside")
    for name in ("last", "middle/secret", "middle/new/deep", "dangling", "home/link/secret"):
        assert not world.resolved(name).is_inside


def test_a_link_within_the_workspace_is_inside_and_names_its_target(world: World) -> None:
    (world.root / "real").write_text("x")
    (world.root / "link").symlink_to("real")
    place = world.resolved("link")
    assert (place.is_inside, place.absolute, place.real) == (True, f"{world.root}/link", f"{world.root}/real")


def test_a_workspace_that_is_named_through_a_link_takes_both_names(world: World) -> None:
    alias = world.outside / "alias"
    alias.symlink_to(world.root)
    places = Places(str(alias))
    assert places.resolved("a").is_inside
    assert places.resolved(f"{world.root}/a").is_inside
    assert not places.resolved(f"{world.outside}/a").is_inside


def test_the_root_directory_as_a_workspace_holds_everything() -> None:
    places = Places("/")
    assert places.resolved("/etc/passwd").is_inside
    assert places.relative("/etc/passwd") == "etc/passwd"


def test_cleaning_and_comparing_are_by_components() -> None:
    assert [cleaned(path) for path in ("//a//b/", "/a/./b/../c", "/..", "//")] == ["/a/b", "/a/c", "/", "/"]
    assert lies_in("/a/b", "/a")
    assert not lies_in("/ab", "/a")


GUARDED = [
    "crush.json",
    ".crush.json",
    "crushrc",
    ".crushrc",
    "sub/crush.json",
    "CRUSH.JSON",
    "crush.json.",
    ".crush/txcrush.db",
    ".crush/anything/deep",
    ".CRUSH/crush.json",
    ".git",
    ".git/config",
    ".git/hooks/pre-commit",
    ".GIT/Config",
    ".git./config",
    ".g\u200cit/config",
    "git~1/config",
    "nested/.git/hooks/post-checkout",
    ".git/modules/sub/config",
    ".git/worktrees/tree/config.worktree",
    ".agents/skills/cook/SKILL.md",
    ".crush/skills/cook/SKILL.md",
    ".claude/skills/x",
    ".Cursor/Skills/x",
    ".gitconfig",
]


@pytest.mark.parametrize("name", GUARDED)
def test_promise_48_own_configuration_skills_and_git_are_guarded(world: World, name: str) -> None:
    assert world.resolved(name).is_guarded


@pytest.mark.parametrize(
    "name", ["a.txt", ".gitignore", ".github/workflows/x.yml", "crush.json.md", "hooks/x", "config"]
)
def test_ordinary_files_are_not_guarded(world: World, name: str) -> None:
    assert not world.resolved(name).is_guarded


def test_promise_48_the_users_and_the_servers_directories_are_guarded(world: World) -> None:
    home = world.home
    for path in (
        home / ".config/crush/crush.json",
        home / ".config/crush/CRUSH.md",
        home / ".local/share/crush/crush.json",
        home / ".config/git/config",
        home / ".gitconfig",
        home / "state/token",
        world.outside / "token",
    ):
        assert world.resolved(str(path)).is_guarded
    assert not world.resolved(str(home / "notes.txt")).is_guarded


def test_promise_48_configured_skills_and_the_scripts_of_hooks_are_guarded(world: World) -> None:
    world.skills_paths = ("~/mine", str(world.outside / "more"))
    world.hooks = {"PreToolUse": [{"command": "bash ./scripts/check.sh --fast"}, {"command": "'unclosed"}]}
    (world.root / "scripts").mkdir()
    (world.root / "scripts/check.sh").write_text("exit 0")
    assert world.resolved("scripts/check.sh").is_guarded
    assert not world.resolved("scripts/other.sh").is_guarded
    assert world.resolved(str(world.home / "mine/cook/SKILL.md")).is_guarded
    assert world.resolved(str(world.outside / "more/cook/SKILL.md")).is_guarded


def test_a_skills_path_that_holds_the_workspace_does_not_guard_all_of_it(world: World) -> None:
    world.skills_paths = (str(world.root), "/")
    assert not world.resolved("a.txt").is_guarded


def test_promise_48_a_link_to_what_is_guarded_is_guarded(world: World) -> None:
    (world.root / ".git").mkdir()
    (world.root / "plain").symlink_to(".git")
    (world.root / "innocent").symlink_to("crush.json")
    assert world.resolved("plain/config").is_guarded
    assert world.resolved("innocent").is_guarded


def test_promise_48_what_git_is_linked_to_is_guarded(world: World) -> None:
    (world.root / ".git").mkdir()
    (world.root / "shared-hooks").mkdir()
    (world.root / ".git/hooks").symlink_to("../shared-hooks")
    assert world.resolved("shared-hooks/pre-commit").is_guarded


def test_promise_48_git_directories_of_another_name_are_guarded(world: World) -> None:
    bare = world.root / "bare.git"
    for name in ("objects", "refs", "hooks"):
        (bare / name).mkdir(parents=True)
    (bare / "HEAD").write_text("ref: refs/heads/main\n")
    tree = world.outside / "gitdirs" / "tree"
    tree.mkdir(parents=True)
    (tree / "HEAD").write_text("ref: refs/heads/main\n")
    (tree / "commondir").write_text("../..\n")
    assert world.resolved("bare.git/config").is_guarded
    assert world.resolved("bare.git/hooks/update").is_guarded
    assert not world.resolved("bare.git/description").is_guarded
    assert world.resolved(str(tree / "config.worktree")).is_guarded
