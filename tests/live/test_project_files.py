"""Context files and the initialisation mark on a real disk."""

import os
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor

from txcrush.adapters.guarded_places import OwnPlaces
from txcrush.adapters.project_files import MAX_FILE_BYTES, MAX_FILES, DiskProjectFiles
from txcrush.core.config_defaults import CONTEXT_PATHS
from txcrush.model.config import Config, Options, TuiOptions


class World:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.project = root / "project"
        self.project.mkdir()
        self.env = {"HOME": str(root / "home"), "NOTES": str(root / "notes.md")}

    def files(self, trust: bool = False) -> DiskProjectFiles:
        own = OwnPlaces(state_dir="", token_file="", env=self.env)
        return DiskProjectFiles(reactor, own, trust_projects=trust)  # type: ignore[arg-type]

    def write(self, name: str, text: str) -> Path:
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    async def context(self, *more: str, user: tuple[str, ...] = (), trust: bool = False) -> str:
        options = Options(
            tui=TuiOptions(), context_paths=tuple(sorted((*CONTEXT_PATHS, *more))), global_context_paths=user
        )
        return await self.files(trust).context(str(self.project), Config(providers={}, options=options))

    async def needs_init(self) -> bool:
        return await self.files().needs_init(str(self.project), str(self.project / ".crush"))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(Path(os.path.realpath(tmp_path)))


@pytest_twisted.ensureDeferred
async def test_without_context_files_there_is_no_text(world: World) -> None:
    assert await world.context() == ""


@pytest_twisted.ensureDeferred
async def test_files_come_in_sorted_order_with_their_paths(world: World) -> None:
    world.write("GEMINI.md", "third")
    world.write("AGENTS.md", "second")
    world.write(".cursor/rules/b.md", "rule b")
    world.write(".cursor/rules/a/x.md", "rule a")
    text = await world.context()
    assert [text.index(part) for part in ("rule b", "rule a", "second", "third")] == sorted(
        text.index(part) for part in ("rule b", "rule a", "second", "third")
    )
    assert f'<file path="{world.project}/AGENTS.md">\nsecond\n</file>' in text
    assert f"{world.project}/.cursor/rules/a/x.md" in text


@pytest_twisted.ensureDeferred
async def test_a_lone_lower_case_spelling_is_read(world: World) -> None:
    world.write("agents.md", "lower")
    assert "lower" in await world.context()


@pytest_twisted.ensureDeferred
async def test_of_several_spellings_the_first_that_exists_is_read(world: World) -> None:
    world.write("Agents.md", "capital")
    world.write("agents.md", "lower")
    text = await world.context()
    assert "capital" in text
    assert "lower" not in text


@pytest_twisted.ensureDeferred
async def test_a_file_with_two_names_is_read_once(world: World) -> None:
    os.symlink(world.write("AGENTS.md", "once"), world.project / "CLAUDE.md")
    assert (await world.context()).count("once") == 1


@pytest_twisted.ensureDeferred
async def test_the_users_files_come_after_the_projects(world: World) -> None:
    world.write("AGENTS.md", "mine")
    (world.root / "notes.md").write_text("notes")
    (world.root / "home").mkdir()
    (world.root / "home" / "h.md").write_text("from home")
    text = await world.context(user=("$NOTES", "~/h.md", "$(id)", str(world.root / "absent.md")))
    assert text.index("mine") < text.index("<user_context>") < text.index("notes")
    assert "from home" in text


@pytest_twisted.ensureDeferred
async def test_a_large_file_is_cut_with_a_note(world: World) -> None:
    world.write("AGENTS.md", "x" * (MAX_FILE_BYTES + 5))
    text = await world.context()
    assert "x" * MAX_FILE_BYTES in text
    assert "x" * (MAX_FILE_BYTES + 1) not in text
    assert "[cut after 256 KiB]" in text


@pytest_twisted.ensureDeferred
async def test_all_files_together_are_bounded_with_a_note(world: World) -> None:
    for number in range(MAX_FILES + 5):
        world.write(f".cursor/rules/{number:04}.md", "rule")
    text = await world.context()
    assert text.count("<file ") == MAX_FILES
    assert "more context files were left out" in text


@pytest_twisted.ensureDeferred
async def test_what_is_no_text_file_is_passed_over(world: World) -> None:
    os.mkfifo(world.project / "AGENTS.md")
    (world.project / "CLAUDE.md").write_bytes(b"a\0b")
    (world.project / "GEMINI.md").write_bytes(b"caf\xe9")
    text = await world.context()
    assert text.count("<file ") == 1
    assert "caf\ufffd" in text


@pytest_twisted.ensureDeferred
async def test_a_link_out_of_an_untrusted_project_is_not_followed(world: World) -> None:
    secret = world.root / "secret"
    secret.write_text("s3cret")
    (world.root / "rules").mkdir()
    (world.root / "rules" / "r.md").write_text("s3cret")
    (world.project / ".cursor").mkdir()
    os.symlink(secret, world.project / "AGENTS.md")
    os.symlink(world.root / "rules", world.project / ".cursor" / "rules")
    assert await world.context("../secret") == ""
    assert (await world.context(trust=True)).count("s3cret") == 2


@pytest_twisted.ensureDeferred
async def test_a_project_without_a_context_file_needs_initialising_until_it_is_marked(world: World) -> None:
    world.write("main.py", "print(1)")
    assert await world.needs_init()
    await world.files().mark_initialized(str(world.project / ".crush"))
    assert not await world.needs_init()
    assert (world.project / ".crush" / "init").read_bytes() == b""
    await world.files().mark_initialized(str(world.project / ".crush"))


@pytest_twisted.ensureDeferred
async def test_a_context_file_in_any_spelling_means_initialised(world: World) -> None:
    world.write("main.py", "x")
    for name in ("AGENTS.md", "aGeNtS.Md", "copilot-instructions.md"):
        path = world.write(name, "x")
        assert not await world.needs_init()
        path.unlink()


@pytest_twisted.ensureDeferred
async def test_an_empty_project_needs_nothing(world: World) -> None:
    (world.project / ".crush").mkdir()
    assert not await world.needs_init()
    world.write("crush.json", "{}")
    assert await world.needs_init()


@pytest_twisted.ensureDeferred
async def test_what_holds_keys_is_no_context_under_any_name(world: World) -> None:
    secret = world.write(".crush/crush.json", "a-key")
    world.write(".crush/notes.md", "a-key")
    (world.project / "AGENTS.md").symlink_to(".crush/crush.json")
    (world.project / "docs").symlink_to(".crush")
    os.link(secret, world.project / "hard.md")
    world.write(".crush/skills/cook/SKILL.md", "stir")
    user = world.root / "home" / ".ssh" / "id"
    user.parent.mkdir(parents=True)
    user.write_text("a-key")
    names = (".crush", ".crush/crush.json", "docs", "docs/crush.json", "hard.md", "../home/.ssh/id")
    for trust in (False, True):
        told = await world.context(*names, user=(str(user),), trust=trust)
        assert ("a-key" in told, "stir" in told) == (False, True)
