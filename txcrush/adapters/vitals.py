"""The process as the operating system sees it: memory, files, descendants, disks. Everything here blocks."""

import os
import platform
import resource
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from twisted.internet.defer import Deferred

import twisted
from txcrush.model.vitals import Disk, Vitals
from txcrush.ports import InThread


def take_vitals(directories: Sequence[str]) -> Vitals:
    """How the process and the disks of these directories are; what the system does not tell is 0 or left out."""
    import psutil  # takes 20 ms, and no server needs it to start

    process = psutil.Process()
    nothing = (psutil.Error, OSError)
    return Vitals(
        resident_bytes=_told(lambda: process.memory_info().rss, nothing),
        open_files=_told(process.num_fds, nothing),
        file_limit=max(0, resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
        processes=_told(lambda: len(process.children(recursive=True)), nothing),
        disks=tuple(_disks(directories)),
    )


def build_info(version: str) -> dict[str, str]:
    """What the program is, for whoever watches many of them."""
    return {
        "version": version,
        "python": platform.python_version(),
        "twisted": twisted.__version__,
        "platform": f"{platform.system().lower()}/{platform.machine().lower()}",
    }


def in_thread(call: InThread) -> Callable[[Sequence[str]], Deferred[Vitals]]:
    """The same, from a thread of the pool."""
    return lambda directories: call(take_vitals, directories)


def _told(ask: Callable[[], Any], refusals: tuple[type[Exception], ...]) -> int:
    try:
        return int(ask())
    except refusals:
        return 0


def _disks(directories: Sequence[str]) -> Iterator[Disk]:
    """Each file system once, under the first directory that lies on it; one that is not made yet lies on its parent."""
    seen: set[int] = set()
    for directory in directories:
        path = _existing(directory)
        try:
            device, status = os.stat(path).st_dev, os.statvfs(path)
        except OSError:
            continue
        if device not in seen and status.f_blocks:
            seen.add(device)
            yield Disk(directory, status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize)


def _existing(path: str) -> str:
    path = os.path.abspath(path)
    while not os.path.exists(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path
