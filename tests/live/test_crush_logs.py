"""The `crush_logs` tool on real files (`tools.md` 28.2)."""

import json
import os
from collections.abc import Awaitable
from pathlib import Path

import pytest
from twisted.internet.defer import maybeDeferred

from txcrush.adapters import log_file
from txcrush.adapters.log_file import MAX_LINE, STEP, log_end
from txcrush.adapters.tools.crush_logs import SPEC, CrushLogs
from txcrush.model.errors import Refused
from txcrush.testing.conversation import now
from txcrush.testing.tool_calls import use_of
from txcrush.wire.log_lines import shown_line


class World:
    """A data directory with a log in it, or none."""

    def __init__(self, top: Path) -> None:
        self.data_dir = top / "project" / ".crush"
        self.log = self.data_dir / "logs" / "crush.log"
        self.log.parent.mkdir(parents=True)

    def write(self, *lines: object, end: str = "\n") -> None:
        self.log.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + end)

    def shown(self, **arguments: object) -> str:
        """What the tool answers. The functions that belong into a thread are called at once."""
        tool = CrushLogs(str(self.data_dir), maybeDeferred, lambda text: text.replace("canary", "*"))
        answer: Awaitable[object] = tool.run(use_of("crush_logs", **arguments))
        return str(now(answer).content)  # type: ignore[attr-defined]

    def messages(self, **arguments: object) -> list[str]:
        """The last word of each line."""
        return [line.split(" ")[-1] for line in self.shown(**arguments).splitlines()]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def entries(count: int) -> list[object]:
    return [{"time": "2027-01-01T10:20:30Z", "level": "INFO", "msg": f"m{number}"} for number in range(count)]


def test_t_log_01_fifty_lines_by_default_and_a_hundred_at_most(world: World) -> None:
    world.write(*entries(150))
    newest = [f"m{number}" for number in range(150)]
    assert world.messages() == newest[-50:]
    assert world.messages(lines=0) == world.messages(lines=-3) == world.messages(lines=None) == newest[-50:]
    assert world.messages(lines=7) == newest[-7:]
    assert world.messages(lines=101) == world.messages(lines=100) == newest[-100:]
    assert list(SPEC.properties) == ["lines"] and SPEC.required == ()


def test_t_log_01_missing_and_empty(world: World) -> None:
    assert world.shown() == "No log file found"
    world.log.write_text("")
    assert world.shown() == "Log file is empty"
    world.log.unlink()
    world.log.parent.rmdir()
    assert world.shown() == "No log file found"


def test_t_log_01_malformed_lines_are_passed_over(world: World) -> None:
    world.write("nonsense", {"msg": "a"}, "", "[1]", '{"msg":', {"msg": "b"}, "\x00")
    assert world.messages() == ["a", "b"]
    assert world.messages(lines=1) == ["b"]
    world.write("nonsense", "more")
    assert world.shown() == "The log file holds no entry that can be read"


def test_t_log_01_a_line_that_is_too_long_is_passed_over(world: World) -> None:
    fits = {"msg": "fits", "x": "y" * (MAX_LINE - 30)}
    world.write({"msg": "a"}, {"msg": "big", "x": "y" * MAX_LINE}, fits, {"msg": "b"})
    lines = world.shown().splitlines()
    assert [line.split()[3] for line in lines] == ["a", "fits", "b"]


def test_t_log_01_the_last_line_may_be_half_written(world: World) -> None:
    world.write({"msg": "a"}, {"msg": "b"}, '{"msg":"c', end="")
    assert world.messages() == ["a", "b"]
    world.write({"msg": "a"}, {"msg": "b"}, end="")
    assert world.messages() == ["a", "b"]


def test_t_log_03_oldest_first_across_the_steps_of_reading(world: World) -> None:
    sizes = (1, STEP - 11, STEP, STEP + 1, 3 * STEP, 5)
    world.write(*({"msg": f"m{number}", "pad": "x" * size} for number, size in enumerate(sizes)))
    assert [line.split()[3] for line in world.shown().splitlines()] == [f"m{number}" for number in range(len(sizes))]


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64])
def test_steps_of_any_size_read_the_same(world: World, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    monkeypatch.setattr(log_file, "STEP", step)
    world.write("", *entries(9), "", "x", *entries(2), end="")
    assert world.messages() == [f"m{number}" for number in (*range(9), 0, 1)]


def test_carriage_returns_belong_to_no_line(world: World) -> None:
    world.log.write_bytes(b'{"msg":"a"}\r\n{"msg":"b"}\r\n')
    assert world.messages() == ["a", "b"]


def test_known_secrets_are_left_out(world: World) -> None:
    world.write({"msg": "key canary", "request": "canary", "api_key": "x"})
    assert world.shown() == "--:--:-- INFO unknown:0 key * api_key=[REDACTED] request=*"


def test_promise_70_a_log_without_a_good_line_is_not_searched_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_file, "MAX_READ", 3 * STEP)
    world.write({"msg": "old"}, *("bad" for _ in range(2 * STEP)), {"msg": "new"})
    assert world.messages() == ["new"]


@pytest.mark.parametrize("linked", ["logs/crush.log", "logs"])
def test_promise_65_a_link_out_of_the_data_directory_is_refused(world: World, tmp_path: Path, linked: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "crush.log").write_text('{"msg":"stolen"}\n')
    world.log.parent.rmdir()
    if linked == "logs":
        world.log.parent.symlink_to(outside)
    else:
        world.log.parent.mkdir()
        world.log.symlink_to(outside / "crush.log")
    with pytest.raises(Refused, match="leads out of the data directory"):
        log_end(str(world.data_dir), 5, shown_line)


def test_a_link_inside_of_the_data_directory_is_followed(world: World) -> None:
    world.write({"msg": "a"})
    world.log.rename(world.data_dir / "real.log")
    world.log.symlink_to("../real.log")
    assert world.messages() == ["a"]


def test_a_data_directory_that_is_a_link_itself_is_the_users_choice(world: World, tmp_path: Path) -> None:
    world.write({"msg": "a"})
    world.data_dir.rename(tmp_path / "elsewhere")
    world.data_dir.symlink_to(tmp_path / "elsewhere")
    assert world.messages() == ["a"]


def test_what_is_no_regular_file_is_refused_at_once(world: World) -> None:
    os.mkfifo(world.log)
    with pytest.raises(Refused):
        log_end(str(world.data_dir), 5, shown_line)
    world.log.unlink()
    world.log.mkdir()
    with pytest.raises(Refused):
        log_end(str(world.data_dir), 5, shown_line)
