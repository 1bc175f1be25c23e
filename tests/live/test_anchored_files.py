"""Reading and replacing the file of a place, and no other (promises 66 and 67)."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from txcrush.adapters import anchored_files
from txcrush.adapters.anchored_files import look, names_beside, read_whole, replace
from txcrush.adapters.places import Place, Places
from txcrush.model.errors import Refused


@pytest.fixture
def top(tmp_path: Path) -> Path:
    return Path(os.path.realpath(tmp_path))


def place(path: Path) -> Place:
    return Places(str(path.parent)).resolved(path.name)


def drafts(directory: Path) -> list[str]:
    return [name for name in os.listdir(directory) if name.startswith(".txcrush-")]


def test_d_22_a_replacement_keeps_mode_and_owner_and_follows_a_link(top: Path) -> None:
    file = top / "real"
    file.write_text("old")
    file.chmod(0o4751)
    if os.geteuid() == 0:
        os.chown(file, 1234, 4321)
        file.chmod(0o4751)
    before = file.stat()
    (top / "link").symlink_to("real")
    link = place(top / "link")
    state = replace(link, b"new", look(link))
    after = file.stat()
    assert (file.read_text(), (top / "link").is_symlink()) == ("new", True)
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino
    assert state == look(link)
    assert drafts(top) == []


def test_new_files_and_directories_have_the_usual_modes(top: Path) -> None:
    replace(place_below(top, "a/b/c.txt"), b"x", None)
    assert stat.S_IMODE((top / "a/b/c.txt").stat().st_mode) == 0o644
    assert stat.S_IMODE((top / "a").stat().st_mode) == 0o755


def place_below(root: Path, name: str) -> Place:
    return Places(str(root)).resolved(name)


def test_a_dangling_link_makes_its_target(top: Path) -> None:
    (top / "link").symlink_to("target")
    replace(place(top / "link"), b"x", None)
    assert (top / "target").read_text() == "x"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")
def test_a_file_that_may_not_be_written_is_not_replaced(top: Path) -> None:
    file = top / "a"
    file.write_text("old")
    file.chmod(0o444)
    with pytest.raises(PermissionError):
        replace(place(file), b"new", look(place(file)))
    assert file.read_text() == "old"


def test_an_owner_that_cannot_be_kept_is_no_reason_to_lose_it(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    file = top / "a"
    file.write_text("old")
    state = look(place(file))
    assert state is not None
    other = anchored_files.FileState(**{**_fields(state), "uid": state.uid + 1})
    monkeypatch.setattr(anchored_files, "_ensure_unchanged", lambda *_: None)
    monkeypatch.setattr(os, "fchown", refuse)
    with pytest.raises(Refused, match="another user"):
        replace(place(file), b"new", other)
    assert (file.read_text(), drafts(top)) == ("old", [])


def _fields(state: anchored_files.FileState) -> dict[str, int]:
    return {name: getattr(state, name) for name in state.__struct_fields__}


def test_special_files_are_refused_without_waiting(top: Path) -> None:
    os.mkfifo(top / "pipe")
    for path in (top / "pipe", Path("/dev/zero")):
        with pytest.raises(Refused, match="not a regular file"):
            read_whole(place(path), 10)
        with pytest.raises(Refused, match="not a regular file"):
            replace(place(path), b"x", look(place(path)))
        with pytest.raises(Refused, match="made meanwhile"):
            replace(place(path), b"x", None)
    assert stat.S_ISFIFO((top / "pipe").stat().st_mode)


def test_a_file_over_the_limit_is_refused(top: Path) -> None:
    (top / "a").write_bytes(b"x" * 11)
    with pytest.raises(Refused, match="too large"):
        read_whole(place(top / "a"), 10)
    assert read_whole(place(top / "a"), 11)[0] == b"x" * 11


def test_promise_66_a_link_that_appears_after_the_look_leads_nowhere(top: Path) -> None:
    (top / "work/d").mkdir(parents=True)
    (top / "out").mkdir()
    for directory in ("work/d", "out"):
        (top / directory / "f").write_text(directory)
    last, middle = place_below(top / "work", "d/f"), place_below(top / "work", "d/f")
    state = look(last)
    (top / "work/d/f").unlink()
    (top / "work/d/f").symlink_to(top / "out/f")
    with pytest.raises(Refused):
        read_whole(last, 100)
    with pytest.raises(Refused):
        replace(last, b"new", state)
    (top / "work/d").rename(top / "work/away")
    (top / "work/d").symlink_to(top / "out")
    for attempt in (lambda: read_whole(middle, 100), lambda: replace(middle, b"new", state), lambda: look(middle)):
        with pytest.raises(OSError, match="Not a directory"):
            attempt()
    assert names_beside(middle) == []
    assert (os.listdir(top / "out"), (top / "out/f").read_text()) == (["f"], "out")


def test_drafts_of_killed_processes_are_no_obstacle_until_they_are_very_many(
    top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchored_files, "MAX_DRAFTS", 2)
    (top / ".txcrush-0.tmp").symlink_to("/nowhere/else")
    replace(place(top / "a"), b"x", None)
    (top / ".txcrush-1.tmp").write_text("left")
    with pytest.raises(Refused, match="unfinished"):
        replace(place(top / "b"), b"x", None)


def test_a_disk_without_hard_links_takes_new_files_too(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    replace(place(top / "a"), b"x", None)
    assert ((top / "a").read_text(), drafts(top)) == ("x", [])


def test_names_beside_a_file_are_those_of_its_directory(top: Path) -> None:
    for name in ("b", "c", os.fsdecode(b"\xff")):
        (top / name).write_text("")
    assert sorted(names_beside(place(top / "absent"))) == ["b", "c"]


@pytest.fixture
def small_disk(top: Path) -> Iterator[Path]:
    """A file system of 1 MiB; skips where none may be mounted."""
    directory = top / "small"
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(directory)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("no file system may be mounted here")
    yield directory
    subprocess.run(["umount", str(directory)], check=True)


def test_promise_67_a_full_disk_leaves_the_old_file_whole(small_disk: Path) -> None:
    file = small_disk / "a"
    file.write_bytes(b"o" * 600_000)
    with pytest.raises(OSError, match="No space left"):
        replace(place(file), b"n" * 600_000, look(place(file)))
    with pytest.raises(OSError, match="No space left"):
        replace(place(small_disk / "b"), b"n" * 600_000, None)
    assert file.read_bytes() == b"o" * 600_000
    assert os.listdir(small_disk) == ["a"]
    replace(place(file), b"n" * 300_000, look(place(file)))
    assert file.read_bytes() == b"n" * 300_000


LIMITED = """
import resource, signal, sys
from txcrush.adapters.anchored_files import look, replace
from txcrush.adapters.places import Places
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
place = Places(sys.argv[1]).resolved("a")
try:
    replace(place, b"n" * 100_000, look(place))
except OSError as error:
    print(error.strerror)
"""


def test_promise_67_a_limit_on_the_size_of_files_leaves_the_old_one_whole(top: Path) -> None:
    (top / "a").write_bytes(b"o" * 100_000)
    child = subprocess.run([sys.executable, "-c", LIMITED, str(top)], capture_output=True, text=True, check=True)
    assert child.stdout == "File too large\n"
    assert ((top / "a").read_bytes(), os.listdir(top)) == (b"o" * 100_000, ["a"])


KILLED = """
import os, signal, sys
from txcrush.adapters import anchored_files
from txcrush.adapters.places import Places

OLD, NEW = b"o" * 200_000, b"n" * 3_000_000
top, name = sys.argv[1:]
target = os.path.join(top, name)


class Mortal:
    def __init__(self, left):
        self.left = left

    def __getattr__(self, name):
        found = getattr(os, name)
        return self.counted(found) if callable(found) and name not in ("fstat", "stat", "stat_result") else found

    def counted(self, found):
        def call(*arguments, **named):
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return found(*arguments, **named)

        return call


def reset():
    for here, directories, files in os.walk(top, topdown=False):
        for each in files:
            os.unlink(os.path.join(here, each))
        for each in directories:
            os.rmdir(os.path.join(here, each))
    if name == "a":
        with open(target, "wb") as file:
            file.write(OLD)
        os.chmod(target, 0o640)


for step in range(1, 200):
    reset()
    place = Places(top).resolved(name)
    state = anchored_files.look(place)
    child = os.fork()
    if child == 0:
        anchored_files.os = Mortal(step)
        anchored_files.replace(place, NEW, state)
        os._exit(0)
    ended = os.waitpid(child, 0)[1] == 0
    content = open(target, "rb").read() if os.path.exists(target) else None
    kind = {OLD: "old", NEW: "new", None: "none"}.get(content, "torn")
    mode = oct(os.stat(target).st_mode & 0o777) if content else ""
    print(kind, mode, "ended" if ended else "killed")
    if ended:
        break
"""


@pytest.mark.parametrize(("name", "before", "mode"), [("a", "old 0o640", "0o640"), ("new/b", "none ", "0o644")])
def test_promise_67_killed_anywhere_the_file_is_the_old_or_the_new_one_whole(
    top: Path, name: str, before: str, mode: str
) -> None:
    child = subprocess.run([sys.executable, "-c", KILLED, str(top), name], capture_output=True, text=True, check=True)
    lines = child.stdout.splitlines()
    assert lines[-1] == f"new {mode} ended"
    killed = lines[:-1]
    assert set(killed) == {f"{before} killed", f"new {mode} killed"}
    assert killed == sorted(killed, key=lambda line: line.startswith("new"))
    assert killed.count(f"{before} killed") > 10
