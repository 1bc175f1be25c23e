"""The directories in which agents read the web: one for each errand, in the workspace's data directory.

Each is removed when its errand ends. A server that is killed leaves its own behind, so their names say which process
made them, and when it began: whoever opens the workspace next removes those of processes that are gone, and no others.
"""

import os
import re
import shutil
import tempfile

PREFIX = "crush-fetch-"

_NAME = re.compile(re.escape(PREFIX) + r"(\d{1,10})-(\d{1,20})-\w+")


def made(data_dir: str) -> str:
    """A new directory for one errand. Raises OSError. Blocks."""
    os.makedirs(data_dir, exist_ok=True)
    pid = os.getpid()
    return tempfile.mkdtemp(prefix=f"{PREFIX}{pid}-{_began_at(pid)}-", dir=data_dir)


def remove_left(data_dir: str) -> None:
    """Remove those of processes that are gone. What cannot be removed stays. Blocks."""
    try:
        names = [name for name in os.listdir(data_dir) if _is_left(name)]
    except OSError:
        return
    for name in names:
        shutil.rmtree(os.path.join(data_dir, name), ignore_errors=True)


def _is_left(name: str) -> bool:
    found = _NAME.fullmatch(name)
    return found is not None and _began_at(int(found[1])) != int(found[2])


def _began_at(pid: int) -> int | None:
    """When the process began, in hundredths of a second of Unix time; None where there is no such process."""
    import psutil  # on first use: the server starts without it

    try:
        return round(psutil.Process(pid).create_time() * 100)
    except (psutil.Error, OverflowError):
        return None
