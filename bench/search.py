"""How long `grep` and `glob` take in a large tree, as ratios to a bare `rg` with the same flags, one after the other.

`python bench/search.py [FILES] [ROUNDS]` makes a tree of FILES (100000) small files, then prints for each search the
ratio of the best times of ROUNDS (5), and the longest time for which the reactor did nothing else. `rare` matches one
file in a thousand, `common` every file.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from twisted.internet import asyncioreactor

asyncioreactor.install()  # type: ignore[no-untyped-call]

from twisted.internet import reactor  # noqa: E402
from twisted.internet.defer import Deferred  # noqa: E402
from twisted.internet.task import LoopingCall, react  # noqa: E402
from twisted.internet.threads import deferToThread  # noqa: E402

from txcrush.adapters.content_search import ContentQuery, ContentSearch  # noqa: E402
from txcrush.adapters.directory_tree import TreeWalk  # noqa: E402
from txcrush.adapters.file_listing import FileListing  # noqa: E402
from txcrush.adapters.ignore_files import IgnoreFiles  # noqa: E402
from txcrush.adapters.ripgrep import PLAIN, Ripgrep, found_program  # noqa: E402

PER_DIRECTORY = 100
RARE = 1000
TICK_S = 0.001


def make_tree(root: Path, files: int) -> None:
    for number in range(files):
        directory = root / f"pkg{number // PER_DIRECTORY // 100}" / f"mod{number // PER_DIRECTORY % 100}"
        if number % PER_DIRECTORY == 0:
            directory.mkdir(parents=True)
        rare = "a needle in here\n" if number % RARE == 0 else ""
        (directory / f"file{number}.py").write_text(f"import os\n{rare}" + f"value_{number} = os.getpid()\n" * 20)


class Gaps:
    """The longest time between two turns of the reactor."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._last = time.perf_counter()
        self._ticking = LoopingCall(self._tick)

    def __enter__(self) -> "Gaps":
        self._ticking.start(TICK_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._ticking.stop()

    def _tick(self) -> None:
        now = time.perf_counter()
        self.longest_s = max(self.longest_s, now - self._last)
        self._last = now


async def bare(arguments: tuple[str, ...], root: str) -> None:
    command = (found_program(os.environ["PATH"]), *arguments)
    await deferToThread(subprocess.run, command, cwd=root, stdout=subprocess.DEVNULL, check=False)


async def compared(
    name: str, ours: Callable[[], Awaitable[object]], theirs: Callable[[], Awaitable[object]], rounds: int
) -> None:
    times: tuple[list[float], list[float]] = ([], [])
    gap_s = 0.0
    for _ in range(rounds):
        for work, taken in zip((theirs, ours), times, strict=True):
            with Gaps() as gaps:
                began = time.perf_counter()
                await work()
                taken.append(time.perf_counter() - began)
            if work is ours:
                gap_s = max(gap_s, gaps.longest_s)
    base, own = min(times[0]), min(times[1])
    print(f"{name:12} {own * 1e3:7.0f} ms  {own / base:5.2f} of bare rg  longest gap {gap_s * 1e3:5.1f} ms", flush=True)


async def measure(root: str, rounds: int) -> None:
    ripgrep = Ripgrep(reactor, os.environ, deferToThread)  # type: ignore[arg-type]
    ignore_files = IgnoreFiles(os.environ)
    contents = ContentSearch(ripgrep, reactor, deferToThread, ignore_files)  # type: ignore[arg-type]
    listing = FileListing(ripgrep, deferToThread, ignore_files)
    for name, pattern in (("grep rare", "needle"), ("grep common", r"value_\d+")):
        query = ContentQuery(pattern=pattern)
        flags = (*PLAIN, "--no-heading", "-H", "-n", "--column", "-0", "-e", pattern, "--", "./")
        await compared(
            name,
            lambda query=query: contents.below(root, root, query, limit=100, timeout_s=60),  # type: ignore[misc]
            lambda flags=flags: bare(flags, root),  # type: ignore[misc]
            rounds,
        )
    await compared(
        "glob **/*.py",
        lambda: listing.below(root, root, "**/*.py", limit=100, timeout_s=60),
        lambda: bare((*PLAIN, "--files", "-0", "--sortr=modified", "--glob=/**/*.py", "--", "./"), root),
        rounds,
    )
    with Gaps() as gaps:
        walk = TreeWalk(ignore_files.listed(root, ()), (root,), max_items=1000, max_depth=0, is_stopped=lambda: False)
        began = time.perf_counter()
        tree = await deferToThread(walk.tree, root)
    taken = time.perf_counter() - began
    print(
        f"ls           {taken * 1e3:7.0f} ms  {len(tree.entries)} entries  longest gap {gaps.longest_s * 1e3:5.1f} ms"
    )


async def main() -> None:
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with tempfile.TemporaryDirectory() as folder:
        make_tree(Path(folder), files)
        await measure(folder, rounds)


if __name__ == "__main__":
    react(lambda _: Deferred.fromCoroutine(main()))
