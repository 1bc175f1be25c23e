"""What a shell command costs over bare bash, and what ten of them cost those who ask something else.

    python bench/shell.py [--commands 200] [--seconds 5]

The first table is the time from asking for a command to its answer: bare `bash -c true`, the same with the prelude,
and a job of a workspace (session of its own, marks, bounded output). The second is the time that `GET /v1/health` takes
on a kept connection while ten commands run, beside what a bare asyncio server answers at the same moment: where ten
commands fight for two cores, that is the machine's share of it.
"""

import argparse
import asyncio
import http.client
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

from twisted.internet import asyncioreactor

asyncioreactor.install()  # type: ignore[no-untyped-call]

from twisted.internet import reactor  # noqa: E402
from twisted.internet.defer import Deferred  # noqa: E402
from twisted.internet.task import react  # noqa: E402
from twisted.internet.threads import deferToThread  # noqa: E402

from txcrush.adapters.bash import Bash  # noqa: E402
from txcrush.adapters.bash_lines import BANNED_NAMES, BANNED_SHAPES  # noqa: E402
from txcrush.adapters.processes import ChildProcesses  # noqa: E402
from txcrush.core.jobs import Jobs  # noqa: E402
from txcrush.wire.json import encode, parse_object  # noqa: E402
from txcrush.wiring import WallClock  # noqa: E402

Figures = list[tuple[float, float]]

SERVE = "from txcrush.__main__ import main; main(['serve', *__import__('sys').argv[1:]])"
BARE = """
import asyncio, sys
async def serve(reader, writer):
    while await reader.readuntil(b"\\r\\n\\r\\n"):
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n{}")
async def main():
    async with await asyncio.start_unix_server(serve, sys.argv[1]) as server:
        await server.serve_forever()
asyncio.run(main())
"""
LOADS = {
    "nothing": "",
    "ten that wait": "sleep 60",
    "ten that write lines": "while :; do echo a line of output; sleep 0.05; done",
    "ten that write all they can": "yes",
}


async def bare(environ: dict[str, str]) -> None:
    child = await asyncio.create_subprocess_exec(
        "bash", "-c", "true", stdin=-3, stdout=-1, stderr=-1, env=environ, start_new_session=True
    )
    await child.communicate()


async def timed(work: Callable[[], Awaitable[object]], times: int) -> float:
    """The median in milliseconds."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        await work()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


async def starts(folder: Path, commands: int) -> None:
    environ = dict(os.environ)
    clock = WallClock(reactor)  # type: ignore[arg-type]
    processes = ChildProcesses(asyncio.get_running_loop, deferToThread, clock)
    jobs = Jobs(processes, Bash(environ, str(folder / "shell"), BANNED_NAMES, BANNED_SHAPES), clock, "bench")

    async def job() -> None:
        one = jobs.start("true", str(folder))
        await one.when_done()
        jobs.forget(one)

    def bashes(env: dict[str, str]) -> Callable[[], Awaitable[object]]:
        return lambda: Deferred.fromFuture(asyncio.ensure_future(bare(env)))

    await job()
    prelude = environ | {"BASH_ENV": str(folder / "shell" / "agent.bash")}
    rows = [
        ("bare bash", await timed(bashes(environ), commands)),
        ("with the prelude", await timed(bashes(prelude), commands)),
        ("a job", await timed(job, commands)),
    ]
    base = rows[0][1]
    for name, ms in rows:
        print(f"{name:24} {ms:7.2f} ms   {ms - base:+6.2f} ms   {ms / base:5.2f} of bare")
    await jobs.close()


class Unix(http.client.HTTPConnection):
    """A kept connection over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)

    def ask(self, method: str, path: str, value: object = None) -> bytes:
        self.request(method, path, encode(value) if value is not None else None)
        return self.getresponse().read()


def measure(clients: list[Unix], seconds: float) -> list[tuple[float, float]]:
    """Median and 99th percentile of a small request in milliseconds, for each server; some 100 a second of each."""
    taken: list[list[float]] = [[] for _ in clients]
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        for client, times in zip(clients, taken, strict=True):
            began = time.perf_counter()
            client.ask("GET", "/v1/health")
            times.append((time.perf_counter() - began) * 1000)
            time.sleep(0.005)
    return [(statistics.median(times), statistics.quantiles(times, n=100)[98]) for times in taken]


def under_load(path: str, url: str, command: str, work: Callable[[], Figures]) -> Figures:
    """What the work gives while ten commands of a user run; they end as their connections are dropped."""
    clients = [Unix(path) for _ in range(10 if command else 0)]
    for client in clients:
        client.request("POST", url, encode({"command": command}))
    time.sleep(0.5)
    given = work()
    for client in clients:
        client.close()
    time.sleep(3)
    return given


def launched(code: str, path: str, *arguments: str, **environ: str) -> subprocess.Popen[bytes]:
    """A server that listens."""
    command = [sys.executable, "-c", code, *arguments]
    server = subprocess.Popen(command, env=os.environ | environ, stderr=subprocess.DEVNULL)
    while not os.path.exists(path):
        time.sleep(0.05)
    return server


def health(folder: Path, seconds: float) -> None:
    path, bare_path = str(folder / "s"), str(folder / "b")
    options = ("--host", f"unix://{path}", "--state-dir", str(folder / "state"))
    servers = [launched(SERVE, path, *options, HOME=str(folder)), launched(BARE, bare_path, bare_path)]
    limit = threading.Timer(seconds * 5 + 60, lambda: [server.kill() for server in servers])
    limit.start()
    try:
        client, bare_client = Unix(path), Unix(bare_path)
        (folder / "w").mkdir()
        body = {"path": str(folder / "w"), "client_id": str(uuid.uuid4())}
        workspace = parse_object(client.ask("POST", "/v1/workspaces", body).decode())["id"]
        url = f"/v1/workspaces/{workspace}/agent/sessions/none/shell"
        for name, command in LOADS.items():
            ours, base = under_load(path, url, command, lambda: measure([client, bare_client], seconds))
            figures = f"p50 {ours[0]:6.2f} ms   p99 {ours[1]:6.2f} ms   bare p99 {base[1]:6.2f} ms"
            print(f"{name:28} {figures}   {ours[1] / base[1]:5.2f} of bare")
    finally:
        for server in servers:
            server.terminate()
            server.wait()
        limit.cancel()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commands", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=5.0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tx") as folder:
        await starts(Path(folder), chosen.commands)
        await deferToThread(health, Path(folder), chosen.seconds)


if __name__ == "__main__":
    react(lambda _: Deferred.fromCoroutine(main()))
