"""Many runs on one server: does anything grow?

    python bench/soak.py [--runs 10000] [--at-once 8]

Starts `txcrush serve` and a scripted provider on loopback and prompts, so many at once, until all runs have ended. Each
session is used ten times and deleted; event streams come and go; every tenth prompt is cancelled. Prints, twenty times,
the server's memory, threads, open files and the size of its WAL, and at the end how much memory a run has cost since
the first third (the slope of the line through the samples) and, beside it, the same for files. `failed` must be 0.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RUNS_A_SESSION = 10
SAMPLES = 60
PAGE = os.sysconf("SC_PAGE_SIZE")


async def provide(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speaks just enough Chat Completions, one request a connection: a title, or twenty deltas."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    asked = await reader.readexactly(length)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
    try:
        for _ in range(20 if b'"tools"' in asked else 1):
            chunk = {"choices": [{"index": 0, "delta": {"content": "some words " * 4}, "finish_reason": None}]}
            writer.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
            await writer.drain()
            await asyncio.sleep(0.1 if b"forever" in asked.rpartition(b'"user"')[2] else 0)
        end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        writer.write(b"data: " + json.dumps(end).encode() + b"\n\ndata: [DONE]\n\n")
        await writer.drain()
    except ConnectionError as error:  # it was cancelled, as it should be
        del error
    writer.close()


@dataclass
class Server:
    """The server under test, and what its clients ask it."""

    socket: str
    project: Path
    process: "subprocess.Popen[bytes]"
    workspace: str = ""
    client_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    async def ask(self, method: str, path: str, value: object = None) -> tuple[int, Any]:
        """Status and decoded body."""
        reader, writer = await asyncio.open_unix_connection(self.socket)
        body = b"" if value is None else json.dumps(value).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
        writer.write(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
        raw = await reader.read()
        writer.close()
        answer, _, content = raw.partition(b"\r\n\r\n")
        return int(answer.split()[1]), json.loads(content) if content.strip() else None

    async def watch(self, bound: int) -> None:
        """Attach, read so many bytes of events, and go."""
        reader, writer = await asyncio.open_unix_connection(self.socket)
        path = f"/v1/workspaces/{self.workspace}/events?client_id={self.client_id}"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        while bound > 0:
            read = await reader.read(65536)
            if not read:
                break
            bound -= len(read)
        writer.close()

    def sizes(self) -> dict[str, float]:
        """What it takes now, in KiB or as counts."""
        proc = Path(f"/proc/{self.process.pid}")
        wal = self.project / ".crush" / "txcrush.db-wal"
        return {
            "rss_kib": int((proc / "statm").read_text().split()[1]) * PAGE / 1024,
            "files": len(os.listdir(proc / "fd")),
            "threads": len(os.listdir(proc / "task")),
            "wal_kib": wal.stat().st_size / 1024 if wal.exists() else 0,
        }


@dataclass
class Soak:
    """The runs to do, and what was seen."""

    server: Server
    left: int
    done: int = 0
    failed: int = 0
    samples: list[dict[str, float]] = field(default_factory=list)

    async def work(self) -> None:
        """Prompt in session after session until nothing is left."""
        base = f"/v1/workspaces/{self.server.workspace}"
        while self.left > 0:
            _, session = await self.server.ask("POST", f"{base}/sessions", {"title": "soak"})
            for number in range(RUNS_A_SESSION):
                self.left -= 1
                await self._run(base, session["id"], is_cancelled=number == RUNS_A_SESSION - 1)
            await self.server.ask("DELETE", f"{base}/sessions/{session['id']}")

    async def _run(self, base: str, session_id: str, *, is_cancelled: bool) -> None:
        prompt = {"session_id": session_id, "prompt": "go on forever" if is_cancelled else "say something"}
        held = asyncio.ensure_future(self.server.ask("POST", f"{base}/agent", prompt))
        if is_cancelled:
            await asyncio.sleep(0.05)
            await self.server.ask("POST", f"{base}/agent/sessions/{session_id}/cancel")
        status, _ = await held
        self.failed += status != 200
        self.done += 1

    async def watch(self) -> None:
        """Streams that come and go as long as there is work, one of them always there."""
        while self.left > 0:
            await self.server.watch(2_000_000)

    async def sample(self, total: int) -> None:
        """Note the sizes at equal distances."""
        for number in range(SAMPLES):
            while self.done < total * number / SAMPLES:
                await asyncio.sleep(0.02)
            self.samples.append({"runs": self.done, **self.server.sizes()})
            if number % (SAMPLES // 20) == 0:
                print(json.dumps({name: round(value) for name, value in self.samples[-1].items()}), file=sys.stderr)


def slope(samples: list[dict[str, float]], name: str) -> float:
    """Of the line through the samples behind the first third, by runs."""
    later = samples[len(samples) // 3 :]
    mean_x = sum(one["runs"] for one in later) / len(later)
    mean_y = sum(one[name] for one in later) / len(later)
    spread = sum((one["runs"] - mean_x) ** 2 for one in later)
    return sum((one["runs"] - mean_x) * (one[name] - mean_y) for one in later) / spread if spread else 0.0


async def soak(runs: int, at_once: int) -> dict[str, object]:
    """Everything, once."""
    with tempfile.TemporaryDirectory(prefix="soak", dir="/tmp") as folder:
        root = Path(folder)
        provider = await asyncio.start_server(provide, "127.0.0.1", 0)
        port = provider.sockets[0].getsockname()[1]
        project = root / "project"
        project.mkdir()
        (project / "crush.json").write_text(json.dumps(config(port)))
        server = start(root, project)
        try:
            while not os.path.exists(server.socket):
                await asyncio.sleep(0.02)
            _, made = await server.ask("POST", "/v1/workspaces", {"path": str(project), "client_id": server.client_id})
            server.workspace = made["id"]
            return await measured(Soak(server, runs), runs, at_once)
        finally:
            server.process.send_signal(signal.SIGTERM)
            server.process.wait()
            provider.close()
            await asyncio.sleep(0.5)  # until the provider has noticed who has gone


async def measured(work: Soak, runs: int, at_once: int) -> dict[str, object]:
    """Do the runs; what came of it."""
    began = time.monotonic()
    watching = [asyncio.ensure_future(work.watch()) for _ in range(2)]
    sampling = asyncio.ensure_future(work.sample(runs))
    await asyncio.gather(*(work.work() for _ in range(at_once)))
    await sampling
    for one in watching:
        one.cancel()
    took_s = time.monotonic() - began
    return {
        "runs": work.done,
        "failed": work.failed,
        "runs_a_second": round(work.done / took_s, 1),
        "kib_a_run": round(slope(work.samples, "rss_kib"), 3),
        "files_a_run": round(slope(work.samples, "files"), 5),
        "largest_wal_kib": max(one["wal_kib"] for one in work.samples),
        "first_rss_kib": work.samples[0]["rss_kib"],
        "last_rss_kib": work.samples[-1]["rss_kib"],
    }


def config(port: int) -> dict[str, object]:
    row = {"id": "m", "name": "M", "context_window": 10_000_000, "default_max_tokens": 1000}
    provider = {"id": "p", "type": "openai-compat", "base_url": f"http://127.0.0.1:{port}/v1", "api_key": "k"}
    chosen = {"provider": "p", "model": "m"}
    return {"providers": {"p": {**provider, "models": [row]}}, "models": {"large": chosen, "small": chosen}}


def start(root: Path, project: Path) -> Server:
    socket = str(root / "s")
    flags = [
        "--host",
        f"unix://{socket}",
        "--state-dir",
        str(root / "state"),
        "--trust-projects",
        "--log-level",
        "error",
    ]
    command = [sys.executable, "-m", "txcrush", "serve", *flags]
    environ = {"HOME": str(root), "PATH": os.environ["PATH"]}
    return Server(socket, project, subprocess.Popen(command, env=environ))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=10_000)
    options.add_argument("--at-once", type=int, default=8)
    asked = options.parse_args()
    print(json.dumps(asyncio.run(soak(asked.runs, asked.at_once)), indent=2))


if __name__ == "__main__":
    main()
