"""The process as the system shows it."""

import os
import subprocess
import sys
from pathlib import Path

from txcrush.adapters.vitals import take_vitals


def test_memory_files_and_disks_are_seen(tmp_path: Path) -> None:
    before = take_vitals([str(tmp_path), str(tmp_path / "not" / "yet")])
    with open(os.devnull) as one, open(os.devnull) as two:
        assert one.fileno() != two.fileno()
        after = take_vitals([])
    assert after.open_files >= before.open_files + 1
    assert before.resident_bytes > 5_000_000
    assert before.file_limit > before.open_files
    (disk,) = before.disks
    assert disk.path == str(tmp_path) and 0 < disk.free <= disk.total


def test_descendants_are_counted() -> None:
    before = take_vitals([]).processes
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert take_vitals([]).processes == before + 1
        child.communicate(b"\n", timeout=20)
    assert take_vitals([]).processes == before
