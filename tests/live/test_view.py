"""The `view` tool (`tools.md` 14) on a real disk."""

import base64
import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from txcrush.testing.harness import configuration

from .file_world import FileWorld

PNG = b"\x89PNG\r\n\x1a\n" + b"p" * 20
JPEG = b"\xff\xd8\xff\xe0" + b"j" * 20


@pytest.fixture
def world(tmp_path: Path) -> FileWorld:
    return FileWorld(tmp_path)


def test_lines_are_numbered_and_the_metadata_has_them_without(world: FileWorld) -> None:
    file = world.put("old.txt", "alpha\nsame same\n", read=False)
    done = world.run("view", file_path="old.txt")
    assert done.content == "<file>\n     1|alpha\n     2|same same\n     3|\n</file>\n"
    assert world.fact(done) == {"content": "alpha\nsame same\n", "file_path": str(file)}
    assert (world.reads(), world.desk.asks) == ([str(file)], [])


def test_t_view_01_offset_and_limit(world: FileWorld) -> None:
    world.put("a.txt", "1\n2\n3\n4\n5", read=False)
    shown = world.run("view", file_path="a.txt", limit=4).content
    assert "     4|4\n\n(" in shown
    assert "offset 4)" in shown
    assert "(" not in world.run("view", file_path="a.txt", limit=5).content
    assert world.run("view", file_path="a.txt", offset=4).content == "<file>\n     5|5\n</file>\n"
    assert world.run("view", file_path="a.txt", offset=10).content == "<file>\n\n</file>\n"


def test_200_lines_are_shown_where_nothing_else_is_said(world: FileWorld) -> None:
    world.put("a.txt", "x\n" * 300, read=False)
    for limit in (0, -5):
        shown = world.run("view", file_path="a.txt", limit=limit).content
        assert "   200|x" in shown
        assert "   201|x" not in shown


def test_d_19_a_negative_offset_is_none(world: FileWorld) -> None:
    world.put("a.txt", "a", read=False)
    assert world.run("view", file_path="a.txt", offset=-3).content == "<file>\n     1|a\n</file>\n"


def test_t_view_02_a_line_of_two_megabytes_is_cut(world: FileWorld) -> None:
    world.put("a.txt", "x" * 2_000_000, read=False)
    assert f"     1|{'x' * 2000}...\n" in world.run("view", file_path="a.txt").content


def test_t_view_03_a_line_behind_a_huge_one_can_be_read(world: FileWorld) -> None:
    world.put("a.txt", "y" * 300_000 + "\ntarget line\nmore", read=False)
    done = world.run("view", file_path="a.txt", offset=1, limit=1)
    assert "     2|target line\n" in done.content
    assert world.fact(done)["content"] == "target line"


def test_t_view_04_a_section_that_is_too_large_is_refused(world: FileWorld) -> None:
    world.put("a.txt", ("z" * 2000 + "\n") * 200, read=False)
    done = world.run("view", file_path="a.txt")
    assert (done.is_error, "Content section is too large" in done.content) == (True, True)
    assert "204800" in done.content
    assert world.reads() == []


def test_t_view_05_a_section_of_exactly_the_limit_is_allowed(world: FileWorld) -> None:
    line = "a" * 1023
    world.put("a.txt", "\n".join([line] * 199 + [line + "a"]), read=False)
    assert not world.run("view", file_path="a.txt").is_error
    world.put("b.txt", "\n".join([line + "b"] + [line] * 198 + [line + "a"]), read=False)
    assert world.run("view", file_path="b.txt").is_error


def test_binary_files_are_refused_and_not_counted_as_read(world: FileWorld) -> None:
    world.put("a.bin", b"\xff\xfe\x00\x01", read=False)
    done = world.run("view", file_path="a.bin")
    assert (done.is_error, done.content) == (True, "File content is not valid UTF-8")
    assert world.reads() == []


def test_similar_names_are_told_of_a_missing_file(world: FileWorld) -> None:
    for name in ("config.yaml", "my-config.YAML.bak", "other"):
        world.put(name, "", read=False)
    text = world.run("view", file_path="Config.yaml").content
    assert f"File not found: {world.path('Config.yaml')}\n\n" in text
    assert set(text.split("\n")[3:]) == {world.path("config.yaml"), world.path("my-config.YAML.bak")}
    for number in range(5):
        world.put(f"many{number}", "", read=False)
    assert len(world.run("view", file_path="many").content.split("\n")) == 3 + 3
    assert world.run("view", file_path="nothing-like-it").content.endswith("nothing-like-it")
    assert "file not found" in world.run("view", file_path="no/dir/at/all").content.lower()


def test_directories_and_empty_paths_are_told(world: FileWorld) -> None:
    assert world.run("view", file_path=".").content == f"Path is a directory, not a file: {world.root}"
    assert world.run("view", file_path="").content == "file_path is required"


def test_a_file_outside_is_asked_for(world: FileWorld) -> None:
    path = str(world.outside / "secret.txt")
    assert "secret" in world.run("view", file_path=path, limit=3).content
    (ask,) = world.desk.asks
    assert (ask.tool_name, ask.action, ask.path) == ("view", "read", path)
    assert ask.description == f"Read file outside working directory: {path}"
    assert ask.params == {"file_path": path, "offset": 0, "limit": 3}
    world.desk.grant = False
    done = world.run("view", file_path="../outside/secret.txt")
    assert (done.content, done.stop_turn, done.metadata) == ("User denied permission", True, "")


def test_d_20_a_link_that_leads_out_asks_and_one_that_stays_does_not(world: FileWorld) -> None:
    world.put("real.txt", "real", read=False)
    (world.root / "in").symlink_to("real.txt")
    (world.root / "out").symlink_to(world.outside / "secret.txt")
    world.desk.grant = False
    assert "real" in world.run("view", file_path="in").content
    assert world.run("view", file_path="out").content == "User denied permission"


def test_what_was_granted_is_what_is_read(world: FileWorld) -> None:
    (world.outside / "other.txt").write_text("other")
    link = world.root / "link"
    link.symlink_to(world.outside / "secret.txt")
    world.desk.grant = None
    done = world.start("view", file_path="link")
    link.unlink()
    link.symlink_to(world.outside / "other.txt")
    world.desk.waiting[0].callback(True)
    assert "secret" in done.result.content


def test_pipes_and_devices_are_refused_at_once(world: FileWorld) -> None:
    os.mkfifo(world.root / "pipe")
    for name in ("pipe", "pipe.png"):
        (world.root / "pipe.png").unlink(missing_ok=True)
        (world.root / "pipe.png").symlink_to("pipe")
        assert "not a regular file" in world.run("view", file_path=name, supports_images=True).content
    assert "not a regular file" in world.run("view", file_path="/dev/zero").content
    world.run("view", file_path="pipe")
    assert world.reads() == []


def skilled(tmp_path: Path) -> FileWorld:
    """A world whose skills lie outside of the workspace."""
    config = configuration()
    options = replace(config.options, skills_paths=("~/skills",))
    world = FileWorld(tmp_path, config=replace(config, options=options))
    skill = world.home / "skills/cook/SKILL.md"
    skill.parent.mkdir(parents=True)
    skill.write_text("---\nname: cook\ndescription: Cooks.\n---\n" + "step\n" * 500)
    (skill.parent / "big.md").write_text("b" * 1000 + "\n" + ("c" * 1000 + "\n") * 300)
    return world


def test_a_skills_directory_is_read_unasked_and_whole(tmp_path: Path) -> None:
    world = skilled(tmp_path)
    done = world.run("view", file_path=str(world.home / "skills/cook/SKILL.md"))
    assert "   504|step" in done.content
    fact = world.fact(done)
    assert (fact["resource_type"], fact["resource_name"], fact["resource_description"]) == ("skill", "cook", "Cooks.")
    big = world.run("view", file_path=str(world.home / "skills/cook/big.md"))
    assert not big.is_error
    assert "resource_type" not in world.fact(big)
    assert world.desk.asks == []


def test_a_link_out_of_a_skills_directory_asks(tmp_path: Path) -> None:
    world = skilled(tmp_path)
    (world.home / "skills/out").symlink_to(world.outside / "secret.txt")
    world.desk.grant = False
    assert world.run("view", file_path=str(world.home / "skills/out")).stop_turn


def test_t_view_06_builtin_skills_are_read(world: FileWorld) -> None:
    path = "crush://skills/crush-config/SKILL.md"
    done = world.run("view", file_path=path)
    fact = world.fact(done)
    assert (fact["file_path"], fact["resource_type"], fact["resource_name"]) == (path, "skill", "crush-config")
    assert fact["resource_description"]
    assert "     1|---\n" in done.content
    assert "     1|" not in world.run("view", file_path=path, offset=5).content
    assert (world.reads(), world.desk.asks) == ([], [])


@pytest.mark.parametrize(
    "rest", ["absent/SKILL.md", "", "..", "../skills/jq/SKILL.md", "jq", "/etc/passwd", "jq/../jq/SKILL.md", "a\0"]
)
def test_t_view_06_other_builtin_paths_are_not_found(world: FileWorld, rest: str) -> None:
    done = world.run("view", file_path=f"crush://skills/{rest}")
    assert (done.is_error, done.content) == (True, f"Builtin file not found: crush://skills/{rest}")


def test_an_image_is_data_of_its_type(world: FileWorld) -> None:
    world.put("a.PNG", PNG, read=False)
    done = world.run("view", file_path="a.PNG", supports_images=True)
    assert (base64.b64decode(done.data), done.mime_type, done.metadata) == (PNG, "image/png", "")
    assert world.reads() == []


def test_t_view_07_an_image_that_is_too_large_is_refused_first(world: FileWorld) -> None:
    world.put("a.png", PNG + b"x" * 204_800, read=False)
    for supports_images in (True, False):
        done = world.run("view", file_path="a.png", supports_images=supports_images)
        assert (done.is_error, f"({204_800 + len(PNG)} bytes)" in done.content) == (True, True)


def test_a_model_without_images_is_told(world: FileWorld) -> None:
    world.put("a.gif", b"GIF89a", read=False)
    done = world.run("view", file_path="a.gif")
    assert (done.is_error, "Plain Model" in done.content) == (True, True)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.png", JPEG, "image/jpeg"),
        ("a.jpg", PNG, "image/png"),
        ("a.jpeg", b"GIF87a..", "image/gif"),
        ("a.gif", b"RIFF0000WEBPVP8 ", "image/webp"),
        ("a.webp", b"unknown", "image/webp"),
        ("b.jpg", b"", "image/jpeg"),
    ],
)
def test_t_view_08_the_content_decides_the_type(world: FileWorld, name: str, content: bytes, kind: str) -> None:
    world.put(name, content, read=False)
    assert world.run("view", file_path=name, supports_images=True).mime_type == kind
