"""Skills on a real disk, some of it laid out by a stranger."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor

from txcrush.adapters import skill_files
from txcrush.adapters.providers._dialects import SUPPORTED_TYPES
from txcrush.adapters.skill_files import DiskSkillFiles
from txcrush.core.trust import NEEDS_TRUST
from txcrush.model.config import Config, Options, TuiOptions
from txcrush.model.errors import Failed
from txcrush.model.skills import BrokenSkill, FoundSkill, Skill, SkillSource

BUILTIN = ["crush-config", "crush-hooks", "jq"]


def text_of(name: str) -> str:
    return f"---\nname: {name}\ndescription: About {name}.\n---\n\n# {name}\n"


class World:
    """A project, and a user's directory beside it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.project = root / "project"
        self.project.mkdir()
        self.outside = root / "outside"
        self.outside.mkdir()
        self.env = {"HOME": str(root / "home"), "MINE": str(root / "mine")}

    def skill(self, where: str, text: str | None = None) -> Path:
        """Write the skill of a directory, named as it is."""
        file = self.root / where / "SKILL.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text_of(file.parent.name) if text is None else text)
        return file

    def files(self, trust: bool) -> DiskSkillFiles:
        return DiskSkillFiles(reactor, self.env, trust_projects=trust)  # type: ignore[arg-type]

    async def all(self, *paths: str, trust: bool = False) -> Sequence[FoundSkill]:
        known = paths or (str(self.project / ".crush/skills"),)
        config = Config(providers={}, options=Options(tui=TuiOptions(), skills_paths=known))
        return await self.files(trust).find(str(self.project), config)

    async def found(self, *paths: str, trust: bool = False) -> list[FoundSkill]:
        """What was found beside the server's own."""
        return [each for each in await self.all(*paths, trust=trust) if not each.path.startswith("crush://")]

    async def names(self, *paths: str, trust: bool = False) -> list[str]:
        return [each.name for each in await self.found(*paths, trust=trust)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(Path(os.path.realpath(tmp_path)))


@pytest_twisted.ensureDeferred
async def test_t_skl_05_the_servers_own_skills_come_first_and_work(world: World) -> None:
    found = await world.all()
    assert [(each.name, each.path) for each in found] == [(name, f"crush://skills/{name}/SKILL.md") for name in BUILTIN]
    for each in found:
        assert isinstance(each, Skill)
        assert (each.source, each.label) == (SkillSource.SYSTEM, f"system:{each.name}")
        assert (await world.files(False).read(str(world.project), each)).startswith(b"---\nname: ")


@pytest_twisted.ensureDeferred
async def test_t_skl_03_skills_are_found_at_any_depth_and_in_the_order_of_their_paths(world: World) -> None:
    world.skill("project/.crush/skills/skill-one")
    world.skill("project/.crush/skills/nested/deep/skill-two")
    world.skill("project/.crush/skills/mismatch", text_of("other"))
    found = await world.found()
    assert [each.name for each in found] == ["other", "skill-two", "skill-one"]
    damaged = found[0]
    assert isinstance(damaged, BrokenSkill)
    assert damaged.path == str(world.project / ".crush/skills/mismatch/SKILL.md")
    assert damaged.error == 'name "other" must match directory "mismatch"'


@pytest_twisted.ensureDeferred
async def test_t_skl_03_empty_and_missing_paths_hold_nothing(world: World) -> None:
    (world.project / ".crush/skills").mkdir(parents=True)
    file = world.skill("project/plain")
    assert await world.found(str(world.project / ".crush/skills"), str(world.root / "nowhere"), str(file)) == []


@pytest_twisted.ensureDeferred
async def test_t_skl_08_home_and_variables_are_expanded_and_these_skills_are_the_users(world: World) -> None:
    world.skill("home/.agents/skills/cook")
    world.skill("mine/sing")
    found = await world.found("~/.agents/skills", "$MINE", "${NOWHERE:?}")
    assert [each.label for each in found if isinstance(each, Skill)] == ["user:cook", "user:sing"]


@pytest_twisted.ensureDeferred
async def test_a_project_skill_says_so(world: World) -> None:
    world.skill("project/.agents/skills/cook")
    (cook,) = await world.found(f"{world.project}/./.agents/skills/")
    assert isinstance(cook, Skill)
    assert (cook.label, cook.path) == ("project:cook", str(world.project / ".agents/skills/cook/SKILL.md"))


@pytest_twisted.ensureDeferred
async def test_a_relative_path_finds_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.skill("project/other/paint")
    monkeypatch.chdir(world.project)
    assert await world.found("./other", "other", "") == []


@pytest_twisted.ensureDeferred
async def test_a_path_that_no_system_knows_is_passed_over(world: World) -> None:
    world.skill("project/.crush/skills/cook")
    assert await world.names("/a\0b", "/a\udcff", str(world.project / ".crush/skills")) == ["cook"]


@pytest_twisted.ensureDeferred
async def test_links_in_a_circle_end_and_each_file_is_found_once(world: World) -> None:
    skills = world.skill("project/.crush/skills/cook").parent.parent
    (skills / "again").symlink_to(skills)
    (skills / "cook" / "up").symlink_to("..")
    (skills / "self").symlink_to("self")
    (world.project / ".claude").mkdir()
    (world.project / ".claude/skills").symlink_to(skills)
    assert await world.names(str(skills), str(world.project / ".claude/skills")) == ["cook"]


@pytest_twisted.ensureDeferred
async def test_a_link_out_of_the_project_is_followed_only_once_projects_are_trusted(world: World) -> None:
    world.skill("outside/whole/cook")
    world.skill("outside/sing")
    world.skill("outside/paint")
    skills = world.skill("project/.crush/skills/own").parent.parent
    (world.project / ".agents").symlink_to(world.outside / "whole")
    (skills / "sing").symlink_to(world.outside / "sing")
    (skills / "paint").mkdir()
    (skills / "paint/SKILL.md").symlink_to(world.outside / "paint/SKILL.md")
    paths = (str(world.project / ".agents"), str(skills))
    assert await world.names(*paths) == ["own"]
    assert await world.names(*paths, trust=True) == ["cook", "own", "paint", "sing"]


@pytest_twisted.ensureDeferred
async def test_the_users_own_links_are_followed_always(world: World) -> None:
    world.skill("outside/cook")
    mine = world.skill("mine/sing").parent.parent
    (mine / "cook").symlink_to(world.outside / "cook")
    assert await world.names("$MINE") == ["cook", "sing"]


@pytest_twisted.ensureDeferred
async def test_a_link_within_the_work_tree_is_followed(world: World) -> None:
    (world.root / ".git").mkdir()
    (world.root / ".git/HEAD").write_text("ref: refs/heads/main\n")
    world.skill("shared/cook")
    (world.project / ".crush").mkdir()
    (world.project / ".crush/skills").symlink_to(world.root / "shared")
    assert await world.names() == ["cook"]


@pytest_twisted.ensureDeferred
async def test_a_file_that_cannot_be_used_is_told_and_spoils_nothing(world: World) -> None:
    world.skill("project/.crush/skills/cook")
    world.skill("project/.crush/skills/plain", "no front matter")
    (world.skill("project/.crush/skills/raw")).write_bytes(b"---\nname: \xff\xfe\n---\n")
    (world.project / ".crush/skills/pipe").mkdir()
    os.mkfifo(world.project / ".crush/skills/pipe/SKILL.md")
    found = {each.path.split("/")[-2]: each for each in await world.found()}
    assert sorted(found) == ["cook", "plain", "raw"]
    assert getattr(found["plain"], "error", "") == "no YAML frontmatter found"
    assert isinstance(found["raw"], BrokenSkill)
    assert isinstance(found["cook"], Skill)


@pytest_twisted.ensureDeferred
async def test_a_file_that_may_not_be_read_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, limit: int) -> bytes:
        raise PermissionError(13, "Permission denied", path)

    world.skill("project/.crush/skills/cook")
    monkeypatch.setattr(skill_files, "read_regular", refuse)
    (cook,) = await world.found()
    assert getattr(cook, "error", "") == "reading SKILL.md: Permission denied"


@pytest_twisted.ensureDeferred
async def test_a_name_that_is_not_utf_8_is_passed_over(world: World) -> None:
    world.skill("project/.crush/skills/cook")
    try:
        world.skill(os.fsdecode(b"project/.crush/skills/\xff"), text_of("x"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert await world.names() == ["cook"]


@pytest_twisted.ensureDeferred
async def test_the_insides_of_git_and_of_packages_are_not_searched(world: World) -> None:
    world.skill("project/.crush/skills/.git/cook")
    world.skill("project/.crush/skills/node_modules/sing")
    assert await world.names() == []


@pytest_twisted.ensureDeferred
async def test_the_search_is_bounded_and_finds_what_is_near(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skill_files, "MAX_ENTRIES", 20)
    for number in range(30):
        (world.project / f".crush/skills/a/b/{number}").mkdir(parents=True)
    world.skill("project/.crush/skills/z")
    assert await world.names() == ["z"]


@pytest_twisted.ensureDeferred
async def test_the_number_of_skills_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skill_files, "MAX_SKILLS", 3)
    for number in range(5):
        world.skill(f"project/.crush/skills/s{number}")
    world.skill("mine/first")
    assert sorted(await world.names("$MINE", str(world.project / ".crush/skills"))) == ["first", "s0", "s1"]


@pytest_twisted.ensureDeferred
async def test_a_skill_is_read_as_it_is_now(world: World) -> None:
    file = world.skill("project/.crush/skills/cook")
    (cook,) = await world.found()
    assert isinstance(cook, Skill)
    file.write_bytes(b"new \xff")
    assert await world.files(False).read(str(world.project), cook) == b"new \xff"


@pytest_twisted.ensureDeferred
async def test_reading_refuses_what_is_gone_too_large_or_leads_out_by_now(world: World) -> None:
    file = world.skill("project/.crush/skills/cook")
    (cook,) = await world.found()
    assert isinstance(cook, Skill)
    file.write_bytes(b"x" * (skill_files.MAX_FILE_BYTES + 1))
    await _assert_refused(world, cook, "larger than")
    file.unlink()
    await _assert_refused(world, cook, "No such file")
    file.symlink_to(world.skill("outside/cook"))
    await _assert_refused(world, cook, "outside of the project")
    assert await world.files(True).read(str(world.project), cook) == text_of("cook").encode()


async def _assert_refused(world: World, skill: Skill, reason: str) -> None:
    with pytest.raises(Failed, match=reason):
        await world.files(False).read(str(world.project), skill)


@pytest_twisted.ensureDeferred
async def test_what_crush_config_says_of_provider_types_and_trust_is_what_the_code_does(world: World) -> None:
    (config,) = [each for each in await world.all() if each.name == "crush-config"]
    assert isinstance(config, Skill)
    text = (await world.files(False).read(str(world.project), config)).decode()
    for word in (*SUPPORTED_TYPES, *NEEDS_TRUST):
        assert f"`{word}`" in text
