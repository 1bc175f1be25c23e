"""How long a model's words take to K readers, beside a bare broadcaster of the same frames.

    python bench/fanout.py [--readers 1,100,500] [--deltas 1000] [--every-ms 1] [--stalled 0]

Starts `txcrush serve` and a scripted provider on loopback, opens K event streams, prompts, and measures for each delta
when the first `message` event that holds it reaches a reader. Beside them `--stalled` readers never read, and somebody
asks for the agent's state every 5 ms, each time on a connection of its own. A second prompt is cancelled in the middle.
The bare broadcaster writes each state of the answer to K sockets from one asyncio process, with no server around it.
What is printed is milliseconds, CPU, memory, and ratios; `lost` counts readers without a finish, a `run_complete` or
the whole text, and must be 0.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

Times = dict[int, float]
CANCEL_AFTER_S = 0.7


@dataclass
class Figures:
    """What one server showed: milliseconds, and what it took."""

    visible: list[float]
    first_text: list[float]
    completed: list[float]
    cancelled: list[float]
    asked: list[float]
    started_s: float
    cpu_s: float
    idle_kib: int
    reader_kib: float
    frames: int
    lost: int


class Provider:
    """Speaks just enough Chat Completions: numbered words, one every so often."""

    def __init__(self, deltas: int, every_s: float) -> None:
        self.deltas, self.every_s = deltas, every_s
        self.sent: Times = {}
        self.ended = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):  # a cancel closes the connection
            await self._answer(reader, writer)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        titled = b'"tools"' not in await reader.readexactly(length)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        began = time.monotonic()
        for number in range(1 if titled else self.deltas):
            await asyncio.sleep(max(0.0, began + number * self.every_s - time.monotonic()))
            if not titled:
                self.sent[number] = time.monotonic()
            writer.write(self._chunk({"content": f"w{number} "}, None))
            await writer.drain()
        if not titled:
            self.ended = time.monotonic()
        writer.write(self._chunk({}, "stop") + b"data: [DONE]\n\n")
        await writer.drain()

    @staticmethod
    def _chunk(delta: dict[str, str], finish: str | None) -> bytes:
        chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
        return b"data: " + json.dumps(chunk).encode() + b"\n\n"


class Reader:
    """One event stream; `seen` says when each delta became visible."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.frames = 0
        self.expect()

    def expect(self) -> None:
        """Another prompt begins."""
        self.seen, self.count = Times(), 0
        self.finished_at = self.completed_at = 0.0

    async def read(self, stream: asyncio.StreamReader) -> None:
        while not self.completed_at:
            line = await stream.readline()
            if not line:
                return
            if line.startswith(b"data: "):
                self.frames += 1
                self.take(line, time.monotonic())

    def take(self, line: bytes, now: float) -> None:
        if b'"type":"run_complete"' in line[:40]:
            self.completed_at = now
        if b'"role":"assistant"' in line and b'"text","data"' in line:
            text = line.partition(b'"text":"')[2].partition(b'"}')[0]
            newest = int(text.rstrip().rpartition(b"w")[2] or -1)
            if b'"finish"' in line:
                self.finished_at = self.finished_at or now
            for number in range(self.count, newest + 1):
                self.seen[number] = now
            self.count = max(self.count, newest + 1)

    @property
    def lost(self) -> bool:
        return not (self.completed_at and self.finished_at and self.count == self.last)


async def call(socket: str, method: str, path: str, body: object = None) -> bytes:
    """One request over the Unix socket; the answer's body."""
    reader, writer = await asyncio.open_unix_connection(socket)
    raw = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(raw)}\r\n\r\n"
    writer.write(head.encode() + raw)
    answer = await reader.read()
    writer.close()
    return answer.partition(b"\r\n\r\n")[2]


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_kib(pid: int) -> int:
    """The resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


async def through_txcrush(readers: int, deltas: int, every_s: float, stalled: int) -> Figures:
    with tempfile.TemporaryDirectory(prefix="txb") as home:
        provider = Provider(deltas, every_s)
        listening = await asyncio.start_server(provider.serve, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        write_config(Path(home), port)
        socket = f"{home}/s.sock"
        env = {"PATH": os.environ["PATH"], "HOME": home, "XDG_CONFIG_HOME": home, "XDG_RUNTIME_DIR": home}
        command = [sys.executable, "-m", "txcrush", "serve", "--host", f"unix://{socket}"]
        began = time.monotonic()
        server = subprocess.Popen(command, env=env, cwd=home, stderr=subprocess.DEVNULL)
        try:
            await first_answer(socket)
            started_s = time.monotonic() - began
            return await Measurement(socket, server.pid, provider, started_s).take(readers, stalled)
        finally:
            server.terminate()
            server.wait(10)
            listening.close()


async def first_answer(socket: str) -> None:
    """Returns when the server is healthy."""
    while True:
        try:
            await call(socket, "GET", "/v1/health")
            return
        except OSError:
            await asyncio.sleep(0.002)


def write_config(home: Path, port: int) -> None:
    models = [{"id": "m", "name": "M", "context_window": 2_000_000, "default_max_tokens": 4096}]
    provider = {"type": "openai-compat", "base_url": f"http://127.0.0.1:{port}/v1", "api_key": "k", "models": models}
    (home / "crush").mkdir()
    (home / "crush" / "crush.json").write_text(json.dumps({"providers": {"bench": provider}}))


class Measurement:
    """One server, measured once."""

    def __init__(self, socket: str, pid: int, provider: Provider, started_s: float) -> None:
        self.socket, self.pid, self.provider, self.started_s = socket, pid, provider, started_s
        self.client = str(uuid.uuid4())
        self.workspace = self.session = ""
        self.streams: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def take(self, count: int, stalled: int) -> Figures:
        body = {"path": str(Path(self.socket).parent), "client_id": self.client}
        self.workspace = f"/v1/workspaces/{json.loads(await call(self.socket, 'POST', '/v1/workspaces', body))['id']}"
        made = await call(self.socket, "POST", f"{self.workspace}/sessions", {"title": "bench"})
        self.session = json.loads(made)["id"]
        await asyncio.sleep(1)  # what a server imports beside its first requests is there
        idle_kib = resident_kib(self.pid)
        for _ in range(count + stalled):
            self.streams.append(await self.opened())
        reader_kib = (resident_kib(self.pid) - idle_kib) / (count + stalled)
        readers = [Reader(self.provider.deltas) for _ in range(count)]
        cpu, asked = cpu_s(self.pid), asyncio.create_task(self.asking())
        prompted = time.monotonic()
        await self.prompt(readers)
        used, lost = cpu_s(self.pid) - cpu, sum(reader.lost for reader in readers)
        asked.cancel()
        visible, frames = ages(self.provider.sent, readers), sum(reader.frames for reader in readers)
        first_text = [1000 * (min(reader.seen.values()) - prompted) for reader in readers if reader.seen]
        completed = [1000 * (reader.completed_at - self.provider.ended) for reader in readers]
        cancelled = await self.cancelled(readers)
        return Figures(
            visible=visible,
            first_text=first_text,
            completed=completed,
            cancelled=cancelled,
            asked=self.answers,
            started_s=self.started_s,
            cpu_s=used,
            idle_kib=idle_kib,
            reader_kib=reader_kib,
            frames=frames,
            lost=lost,
        )

    async def opened(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        stream, writer = await asyncio.open_unix_connection(self.socket, limit=64 * 1024 * 1024)
        path = f"{self.workspace}/events?client_id={self.client}"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await stream.readuntil(b"\r\n\r\n")
        return stream, writer

    async def prompt(self, readers: list[Reader]) -> None:
        """Returns when every reader has seen the end."""
        tasks = [reader.read(stream) for reader, (stream, _) in zip(readers, self.streams, strict=False)]
        reading = asyncio.gather(*tasks)
        body = {"session_id": self.session, "prompt": "go", "run_id": str(uuid.uuid4())}
        await call(self.socket, "POST", f"{self.workspace}/agent", body)
        await asyncio.wait_for(reading, 120)

    async def cancelled(self, readers: list[Reader]) -> list[float]:
        """Milliseconds from a cancel to the finish that each reader sees."""
        self.provider.deltas = 20_000
        for reader in readers:
            reader.expect()
        running = asyncio.create_task(self.prompt(readers))
        await asyncio.sleep(CANCEL_AFTER_S)
        began = time.monotonic()
        await call(self.socket, "POST", f"{self.workspace}/agent/sessions/{self.session}/cancel", {})
        await running
        return [1000 * (reader.finished_at - began) for reader in readers]

    async def asking(self) -> None:
        """Ask for the agent's state again and again."""
        self.answers: list[float] = []
        while True:
            began = time.monotonic()
            await call(self.socket, "GET", f"{self.workspace}/agent")
            self.answers.append(1000 * (time.monotonic() - began))
            await asyncio.sleep(0.005)


def ages(sent: Times, readers: list[Reader]) -> list[float]:
    return [
        1000 * (reader.seen[number] - at) for reader in readers for number, at in sent.items() if number in reader.seen
    ]


async def bare(readers: int, deltas: int, every_s: float) -> list[float]:
    """The same growing answer, one state a window of 8 ms, written to K sockets by nothing but asyncio."""
    source = "import sys; exec(sys.argv[1])"
    with tempfile.TemporaryDirectory(prefix="txb") as home:
        socket = f"{home}/s.sock"
        arguments = [socket, str(readers), str(deltas), str(every_s)]
        child = subprocess.Popen([sys.executable, "-c", source, BROADCASTER, *arguments], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        takers = [Reader(deltas) for _ in range(readers)]
        tasks, writers = [], []
        for taker in takers:
            stream, writer = await asyncio.open_unix_connection(socket, limit=64 * 1024 * 1024)
            writers.append(writer)
            tasks.append(asyncio.create_task(taker.read(stream)))
        sent = json.loads(await asyncio.to_thread(child.stdout.readline))
        await asyncio.wait_for(asyncio.gather(*tasks), 120)
        child.wait(10)
        return ages({int(number): at for number, at in sent.items()}, takers)


BROADCASTER = """
import asyncio, json, time
path, readers, deltas, every = sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
async def main():
    writers = []
    server = await asyncio.start_unix_server(lambda _, writer: writers.append(writer), path, backlog=1024)
    print("ready", flush=True)
    while len(writers) < readers:
        await asyncio.sleep(0.01)
    sent, text, began, shown = {}, "", time.monotonic(), -1.0
    def show(more):
        frame = {"parts": [{"type": "text", "data": {"text": text}}, *more], "role": "assistant"}
        line = b"data: " + json.dumps(frame, separators=(",", ":")).encode() + b"\\n\\n"
        for writer in writers:
            writer.write(line)
    for number in range(deltas):
        await asyncio.sleep(max(0.0, began + number * every - time.monotonic()))
        text += f"w{number} "
        sent[number] = time.monotonic()
        if sent[number] - shown >= 0.008:
            shown = sent[number]
            show([])
    show([{"type": "finish"}])
    for writer in writers:
        writer.write(b'data: {"type":"run_complete"}\\n\\n')
    print(json.dumps(sent), flush=True)
    for writer in writers:
        await writer.drain()
        writer.close()
asyncio.run(main())
"""


def late(found: list[float]) -> float:
    """The 99th percentile."""
    return sorted(found)[int(len(found) * 0.99)] if found else 0.0


def show(name: str, found: list[float]) -> None:
    print(f"  {name:26} p50 {statistics.median(found):7.1f} ms  p99 {late(found):7.1f} ms")


def report(base: list[float], ours: Figures) -> None:
    show("bare asyncio, visible", base)
    show("txcrush, visible", ours.visible)
    show("first text", ours.first_text)
    show("run_complete after the end", ours.completed)
    show("cancel seen", ours.cancelled)
    show("a small GET meanwhile", ours.asked)
    print(f"  ratio of visible            p50 {statistics.median(ours.visible) / statistics.median(base):7.2f}", end="")
    print(f"     p99 {late(ours.visible) / late(base):7.2f}")
    print(f"  first answer {ours.started_s:.2f} s  idle {ours.idle_kib / 1024:.0f} MiB", end="  ")
    print(f"{ours.reader_kib:.1f} KiB a reader  CPU {ours.cpu_s:.2f} s", end="  ")
    print(f"{1e6 * ours.cpu_s / ours.frames:.1f} us an event  lost {ours.lost}")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--readers", default="1,100,500")
    parser.add_argument("--deltas", type=int, default=1000)
    parser.add_argument("--every-ms", type=float, default=1.0)
    parser.add_argument("--stalled", type=int, default=0)
    asked = parser.parse_args()
    for readers in map(int, asked.readers.split(",")):
        print(f"{readers} readers, {asked.stalled} stalled, {asked.deltas} deltas, one every {asked.every_ms} ms")
        base = await bare(readers, asked.deltas, asked.every_ms / 1000)
        report(base, await through_txcrush(readers, asked.deltas, asked.every_ms / 1000, asked.stalled))


if __name__ == "__main__":
    asyncio.run(main())
