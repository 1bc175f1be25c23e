"""What readers of the event stream cost a server: idle ones, ones that stall, and a crowd that drops and comes back.

    python bench/readers.py [--idle 10000] [--storm 1000] [--stalled 200 --events 100000] [--json]

Starts `txcrush serve` on loopback for each part and holds it against plain streams from 127.0.0.1 to 127.0.0.20, all
bounded in count and time. What is printed is what was seen from outside: milliseconds, MiB of resident memory,
descriptors. `lost` and `refused` must be 0.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

MIB = 1024 * 1024
SOURCES = [f"127.0.0.{number}" for number in range(1, 21)]
CLOSED_S = 20.0
TITLE = "x" * 3000
WRITERS = 8
"""Clients that publish side by side, each in a session of its own, so that the database groups their commits."""

BATCH = 100
"""Connections that are opened at a time: the rest of a crowd waits, as it would behind a listen backlog."""


class Server:
    """A `txcrush serve` of its own, asked over loopback."""

    def __init__(self, home: Path) -> None:
        self.home = home
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        (home / "project").mkdir()
        env = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home), "PATH": os.environ["PATH"]}
        command = [sys.executable, "-m", "txcrush", "serve", "--host", f"tcp://127.0.0.1:{self.port}"]
        with open(home / "log", "wb") as log:
            self.process = subprocess.Popen(
                [*command, "--insecure", "--trust-projects"], env=env, cwd=home, stdout=log, stderr=log
            )
        self.workspace = ""

    async def ready(self) -> None:
        """Wait until it answers; then open the project."""
        deadline = time.monotonic() + 30
        while True:
            try:
                await self.ask("GET", "/v1/health")
                break
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise SystemExit((self.home / "log").read_text()) from None
                await asyncio.sleep(0.05)
        client = str(uuid.uuid4())
        made = await self.ask("POST", "/v1/workspaces", {"path": str(self.home / "project"), "client_id": client})
        self.workspace = made["id"]

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One request on a connection of its own; the answer's JSON."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request(method, path, body, close=True))
            answer = await asyncio.wait_for(reader.read(), 30)
        finally:
            writer.close()
        head, _, text = answer.partition(b"\r\n\r\n")
        if b" 200 " not in head[:16]:
            raise SystemExit(f"{method} {path}: {head[:200]!r} {text[:200]!r}")
        return json.loads(text) if text else None

    def resident(self) -> int:
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def request(method: str, path: str, body: Any = None, *, close: bool = False) -> bytes:
    text = b"" if body is None else json.dumps(body).encode()
    fields = ["Host: 127.0.0.1", "Content-Type: application/json", f"Content-Length: {len(text)}"]
    fields += ["Connection: close"] if close else []
    return "\r\n".join([f"{method} {path} HTTP/1.1", *fields, "", ""]).encode() + text


class Stream(asyncio.Protocol):
    """One reader. `status` is that of its answer, 0 before it; `take` gets what follows the head."""

    def __init__(self, path: str, take: Callable[[bytes], None] | None = None) -> None:
        self.path, self._take = path, take
        self.opened: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._head = b""
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.transport.write(request("GET", self.path))

    def data_received(self, data: bytes) -> None:
        if self.opened.done():
            if self._take is not None:
                self._take(data)
            return
        self._head += data
        head, blank, rest = self._head.partition(b"\r\n\r\n")
        if blank:
            self._head = b""
            self.opened.set_result(int(head.split()[1]))
            if rest and self._take is not None:
                self._take(rest)

    def connection_lost(self, _exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_result(0)
        if not self.closed.done():
            self.closed.set_result(None)


async def opened(server: Server, count: int, **how: Any) -> list[Stream]:
    """So many streams whose head has come."""
    loop, path = asyncio.get_running_loop(), f"/v1/workspaces/{server.workspace}/events?client_id="
    room = asyncio.Semaphore(BATCH)

    async def one(number: int) -> Stream:
        async with room:
            stream = Stream(path + str(uuid.uuid4()), how.get("take"))
            source = (SOURCES[number % len(SOURCES)], 0)
            await loop.create_connection(lambda: stream, "127.0.0.1", server.port, local_addr=source)
            if how.get("stalls"):
                stream.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await asyncio.wait_for(asyncio.shield(stream.opened), 60)
            if how.get("stalls"):
                stream.transport.pause_reading()
            return stream

    return list(await asyncio.gather(*(one(number) for number in range(count))))


async def health_ms(server: Server, count: int = 100) -> list[float]:
    """How long answers to GET /v1/health took, connection and all."""
    took = []
    for _ in range(count):
        began = time.perf_counter()
        await server.ask("GET", "/v1/health")
        took.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(0.01)
    return took


async def idle(server: Server, count: int) -> dict[str, float]:
    """So many streams on which nothing happens but heartbeats."""
    before = server.resident()
    began = time.monotonic()
    streams = await opened(server, count)
    took_s = time.monotonic() - began
    health = await health_ms(server)
    refused = sum(stream.opened.result() != 200 for stream in streams)
    resident = server.resident()
    for stream in streams:
        stream.transport.abort()
    return {
        "streams": count,
        "refused": refused,
        "opened_s": round(took_s, 2),
        "resident_mib": round(resident / MIB, 1),
        "kib_each": round((resident - before) / 1024 / count, 1),
        "health_p95_ms": round(at(health, 0.95), 1),
    }


async def storm(server: Server, count: int) -> dict[str, float]:
    """So many streams that all drop at once and come back at once."""
    first = await opened(server, count)
    await until(lambda: False, 0.2)
    descriptors, resident = server.descriptors(), server.resident()
    for stream in first:
        stream.transport.abort()
    began = time.monotonic()
    again = await opened(server, count)
    back_s = time.monotonic() - began
    statuses = [stream.opened.result() for stream in again]
    await until(lambda: server.descriptors() <= descriptors, 10)
    return {
        "streams": count,
        "back": statuses.count(200),
        "server_errors": sum(status >= 500 for status in statuses),
        "back_s": round(back_s, 2),
        "descriptors_grown": server.descriptors() - descriptors,
        "resident_grown_mib": round((server.resident() - resident) / MIB, 1),
    }


Number = tuple[int, int]
"""Who published an event, and which of his it is."""


class Fast:
    """A reader that takes everything: which events it has seen, and when."""

    def __init__(self, events: int) -> None:
        self.seen_at: dict[Number, float] = {}
        self.last: dict[int, int] = {}
        self.order_broken = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._events, self._rest = events, b""

    def take(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if b'"title":"n' in line:
                writer, number = map(int, line.partition(b'"title":"n')[2].split(b" ", 2)[:2])
                self._note(writer, number)

    def _note(self, writer: int, number: int) -> None:
        self.order_broken += number <= self.last.get(writer, -1)
        self.last[writer] = number
        self.seen_at[writer, number] = time.perf_counter()
        if len(self.seen_at) == self._events and not self.done.done():
            self.done.set_result(None)


async def stalled(server: Server, count: int, events: int, fast_count: int = 5) -> dict[str, float]:
    """Readers that never read, beside some that do, while so many events are published that nothing replaces."""
    fast = [Fast(events) for _ in range(fast_count)]
    readers = [(await opened(server, 1, take=one.take))[0] for one in fast]
    stuck = await opened(server, count, stalls=True)
    resident, peak, sent = server.resident(), 0, dict[Number, float]()

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, server.resident())
            await asyncio.sleep(0.05)

    watching = asyncio.create_task(watch())
    began = time.monotonic()
    await published(server, events, sent)
    publishing_s = time.monotonic() - began
    await asyncio.wait([one.done for one in fast], timeout=60)
    ended = await freed(server, len(readers))
    watching.cancel()
    delays = [(at_s - sent[number]) * 1000 for one in fast for number, at_s in one.seen_at.items()]
    for stream in (*readers, *stuck):
        stream.transport.abort()
    return {
        "stalled": count,
        "events": events,
        "lost": sum(events - len(one.seen_at) for one in fast),
        "out_of_order": sum(one.order_broken for one in fast),
        "fast_p99_ms": round(at(delays, 0.99), 1),
        "events_per_s": round(events / publishing_s),
        "resident_grown_mib": round((peak - resident) / MIB, 1),
        "still_open": ended,
    }


async def published(server: Server, events: int, sent: dict[Number, float]) -> None:
    """So many titles, each an event that no other replaces. A writer sends the next when the last is durable."""
    shares = [events // WRITERS + (writer < events % WRITERS) for writer in range(WRITERS)]
    await asyncio.gather(*(titles(server, writer, share, sent) for writer, share in enumerate(shares)))


async def titles(server: Server, writer_number: int, count: int, sent: dict[Number, float]) -> None:
    sessions = f"/v1/workspaces/{server.workspace}/sessions"
    session = (await server.ask("POST", sessions, {"title": "t"}))["id"]
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for number in range(count):
        sent[writer_number, number] = time.perf_counter()
        title = f"n{writer_number} {number} {TITLE}"
        writer.write(request("PUT", f"{sessions}/{session}", {"id": session, "title": title}))
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
    writer.close()


async def freed(server: Server, kept: int) -> int:
    """How many streams beyond these are still open when the bound for slow readers has passed."""
    deadline = time.monotonic() + CLOSED_S
    while True:
        left = await open_streams(server) - kept
        if left <= 0 or time.monotonic() > deadline:
            return max(0, left)
        await asyncio.sleep(0.2)


async def open_streams(server: Server) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request("GET", "/metrics", close=True))
    text = (await reader.read()).decode()
    writer.close()
    return int(text.partition("\ntxcrush_streams_open ")[2].split("\n")[0])


async def until(holds: Callable[[], bool], bound_s: float) -> None:
    deadline = time.monotonic() + bound_s
    while not holds() and time.monotonic() < deadline:
        await asyncio.sleep(0.05)


def at(values: list[float], share: float) -> float:
    return statistics.quantiles(values, n=1000)[round(share * 1000) - 1] if len(values) > 1 else float("nan")


def measured(part: Callable[[Server], Awaitable[dict[str, float]]]) -> dict[str, float]:
    """What a part gives with a server of its own."""

    async def run(server: Server) -> dict[str, float]:
        await server.ready()
        return await part(server)

    in_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # how fast the disk is, is another's figure
    with tempfile.TemporaryDirectory(prefix="tx", dir=in_memory) as home:
        server = Server(Path(home))
        try:
            return asyncio.run(run(server))
        finally:
            server.stop()


def allow_many_files() -> None:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--storm", type=int, default=1_000)
    parser.add_argument("--stalled", type=int, default=200)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    allow_many_files()
    figures = {}
    if args.idle:
        figures["idle"] = measured(lambda server: idle(server, args.idle))
    if args.storm:
        figures["storm"] = measured(lambda server: storm(server, args.storm))
    if args.stalled:
        figures["stalled"] = measured(lambda server: stalled(server, args.stalled, args.events))
    if args.json:
        print(json.dumps(figures))
        return
    for name, values in figures.items():
        print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in values.items()))


if __name__ == "__main__":
    main()
