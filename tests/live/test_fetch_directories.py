"""The directories in which agents read the web, and what a killed server leaves of them."""

import os
import subprocess
import sys
from pathlib import Path

import psutil

from txcrush.adapters.fetch_directories import made, remove_left

KILLED = """
import os, signal, sys
from txcrush.adapters.fetch_directories import made
print(made(sys.argv[1]), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True, check=False, timeout=60
    )
    left = Path(done.stdout.strip())
    (left / "page.md").write_text("x")
    own = Path(made(str(tmp_path)))
    others = [tmp_path / name for name in ("crush-fetch-abc", "crush-fetch-1-x-y", "skills", "crush-fetch-")]
    for other in others:
        other.mkdir()
    remove_left(str(tmp_path))
    assert not left.exists()
    assert sorted(tmp_path.iterdir()) == sorted([own, *others])


def test_a_process_that_has_the_number_of_a_dead_one_keeps_nothing_of_it(tmp_path: Path) -> None:
    began = round(psutil.Process().create_time() * 100)
    (tmp_path / f"crush-fetch-{os.getpid()}-{began - 100}-x").mkdir()
    (tmp_path / f"crush-fetch-{os.getpid()}-{began}-x").mkdir()
    remove_left(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [f"crush-fetch-{os.getpid()}-{began}-x"]


def test_a_data_directory_that_is_not_there_is_none_of_its_business(tmp_path: Path) -> None:
    remove_left(str(tmp_path / "none"))
    assert Path(made(str(tmp_path / "none"))).stat().st_mode & 0o777 == 0o700
