"""Somebody swaps a directory and a file for links that lead out, again and again, while tools run (promise 66)."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred, succeed

from txcrush.model.permissions import Ask

from .file_world import FileWorld

FLIPS = 100_000
CALLS = 150

RACER = """
import ctypes, os, sys
work, flips = sys.argv[1], int(sys.argv[2])
os.chdir(work)
libc = ctypes.CDLL(None, use_errno=True)
pairs = ((b"d", b"d.link"), (b"f", b"f.link"))
count = 0
print("ready", flush=True)
while count < flips or os.path.exists("go-on"):
    for left, right in pairs:
        if libc.renameat2(-100, left, -100, right, 2) != 0 and ctypes.get_errno() != 2:
            sys.exit(f"renameat2: {os.strerror(ctypes.get_errno())}")
        count += 1
print(count)
"""


class InsideOnly:
    """Grants what is asked for the workspace, denies everything else."""

    def __init__(self, root: str) -> None:
        self._root = root

    def ask(self, ask: Ask) -> Deferred[bool]:
        return succeed(ask.path == self._root)


@pytest.fixture
def world(tmp_path: Path) -> FileWorld:
    world = FileWorld(tmp_path)
    desk = InsideOnly(str(world.root))
    world.desk.ask = desk.ask  # type: ignore[method-assign]
    (world.outside / "f").write_text("secret")
    (world.root / "d").mkdir()
    (world.root / "d/f").write_text("plain")
    (world.root / "f").write_text("plain")
    (world.root / "d.link").symlink_to(world.outside)
    (world.root / "f.link").symlink_to(world.outside / "f")
    (world.root / "go-on").write_text("")
    return world


@pytest.fixture
def racer(world: FileWorld) -> Iterator["subprocess.Popen[str]"]:
    arguments = [sys.executable, "-c", RACER, str(world.root), str(FLIPS)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            pytest.skip("names cannot be exchanged here")
        yield process
        process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="renameat2 is Linux's")
def test_promise_66_nothing_outside_is_read_or_written(world: FileWorld, racer: "subprocess.Popen[str]") -> None:
    seen: set[str] = set()
    for number in range(CALLS):
        for name in ("d/f", "f"):
            seen.add(world.run("view", file_path=name).content)
            world.run("edit", file_path=name, old_string="plain", new_string="plain")
            world.run("edit", file_path=name, old_string="secret", new_string="stolen")
        world.run("write", file_path=f"d/new-{number}", content="written")
        world.run("write", file_path=f"d/deep-{number}/new", content="written")
        if racer.poll() is not None:
            break
    (world.root / "go-on").unlink()
    assert racer.stdout is not None
    assert int(racer.stdout.readline()) >= FLIPS
    assert any("plain" in text for text in seen)
    assert not any("secret" in text for text in seen)
    assert sorted(path.name for path in world.outside.iterdir()) == ["f", "secret.txt"]
    assert (world.outside / "f").read_text() == "secret"
    assert any(path.name.startswith("new-") for path in world.root.glob("d*/new-*"))
