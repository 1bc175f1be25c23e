"""A server that is told to stop while it starts ends with status 0 and leaves nothing behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from txcrush.testing.scale import FULL

DELAYS_S = [n / 50 for n in range(40)] if FULL else [0.0, 0.02, 0.08, 0.15, 0.25, 0.4]
LIMIT_S = 30.0
CAUGHT = 1 << (signal.SIGTERM - 1)
SERVE = "from txcrush.__main__ import main; main(['serve', *__import__('sys').argv[1:]])"


def catches(pid: int) -> bool:
    """Whether the process has a handler for SIGTERM by now."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (mask,) = [line.split()[1] for line in lines if line.startswith("SigCgt:")]
    return bool(int(mask, 16) & CAUGHT)


def launched(folder: Path) -> subprocess.Popen[bytes]:
    """A server, from the moment on at which it takes signals: its own code runs."""
    flags = ["--host", f"unix://{folder}/s", "--state-dir", str(folder / "state")]
    process = subprocess.Popen([sys.executable, "-c", SERVE, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while process.poll() is None and not catches(process.pid):
        os.sched_yield()
    return process


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells which signals a process catches")
def test_promise_84_a_signal_in_the_first_half_second_ends_with_status_0(
    short_path: Path, record_property: Callable[[str, object], None]
) -> None:
    ends = []
    for number, delay_s in enumerate(DELAYS_S):
        folder = short_path / str(number)
        folder.mkdir()
        process = launched(folder)
        try:
            process.wait(delay_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=LIMIT_S)
        ends.append(process.returncode)
        assert process.returncode == 0, (delay_s, errors.decode())
        assert not (folder / "s").exists(), delay_s
    assert [
        child for child in psutil.Process().children(recursive=True) if "txcrush" in " ".join(child.cmdline())
    ] == []
    record_property("promise_84", f"{len(ends)} signals in the first {max(DELAYS_S):.1f} s: all ended with status 0")
