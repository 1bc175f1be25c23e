"""How long a model's words take to K readers, beside a bare broadcaster of the same frames.

    python bench/fanout.py [--readers 1,100,500] [--deltas 1000] [--every-ms 1]

Starts `txcrush serve` and a scripted provider on loopback, opens K event streams, prompts once, and measures for each
delta when the first `message` event that holds it reaches a reader. The bare broadcaster writes each state of the
answer to K sockets from one asyncio process, with no server around it. What is printed is milliseconds, CPU seconds,
and their ratios; `lost` counts readers without a finish, a `run_complete` or the whole text, and must be 0.
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
from pathlib import Path

Times = dict[int, float]


class Provider:
    """Speaks just enough Chat Completions: numbered words, one every so often."""

    def __init__(self, deltas: int, every_s: float) -> None:
        self.deltas, self.every_s = deltas, every_s
        self.sent: Times = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
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
        writer.write(self._chunk({}, "stop") + b"data: [DONE]\n\n")
        await writer.drain()
        writer.close()

    @staticmethod
    def _chunk(delta: dict[str, str], finish: str | None) -> bytes:
        chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
        return b"data: " + json.dumps(chunk).encode() + b"\n\n"


class Reader:
    """One event stream; `seen` says when each delta became visible."""

    def __init__(self, last: int) -> None:
        self.last, self.seen, self.count = last, Times(), 0
        self.finished = self.completed = False

    async def read(self, stream: asyncio.StreamReader) -> None:
        while not self.completed:
            line = await stream.readline()
            if not line:
                return
            if line.startswith(b"data: "):
                self.take(line, time.monotonic())

    def take(self, line: bytes, now: float) -> None:
        self.completed = b'"type":"run_complete"' in line[:40]
        if b'"role":"assistant"' in line and b'"text","data"' in line:
            text = line.partition(b'"text":"')[2].partition(b'"}')[0]
            newest = int(text.rstrip().rpartition(b"w")[2] or -1)
            self.finished = self.finished or b'"finish"' in line
            for number in range(self.count, newest + 1):
                self.seen[number] = now
            self.count = max(self.count, newest + 1)

    @property
    def lost(self) -> bool:
        return not (self.completed and self.finished and self.count == self.last)


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


async def through_txcrush(readers: int, deltas: int, every_s: float) -> tuple[list[float], float, int]:
    """Ages of the deltas in milliseconds, the server's CPU seconds, and how many readers lost something."""
    with tempfile.TemporaryDirectory(prefix="txb") as home:
        provider = Provider(deltas, every_s)
        listening = await asyncio.start_server(provider.serve, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        write_config(Path(home), port)
        socket = f"{home}/s.sock"
        env = {"PATH": os.environ["PATH"], "HOME": home, "XDG_CONFIG_HOME": home, "XDG_RUNTIME_DIR": home}
        command = [sys.executable, "-m", "txcrush", "serve", "--host", f"unix://{socket}"]
        server = subprocess.Popen(command, env=env, cwd=home, stderr=subprocess.DEVNULL)
        try:
            while not os.path.exists(socket):
                await asyncio.sleep(0.02)
            return await measured(socket, server.pid, provider, readers)
        finally:
            server.terminate()
            server.wait(10)
            listening.close()


def write_config(home: Path, port: int) -> None:
    models = [{"id": "m", "name": "M", "context_window": 2_000_000, "default_max_tokens": 4096}]
    provider = {"type": "openai-compat", "base_url": f"http://127.0.0.1:{port}/v1", "api_key": "k", "models": models}
    (home / "crush").mkdir()
    (home / "crush" / "crush.json").write_text(json.dumps({"providers": {"bench": provider}}))


async def measured(socket: str, pid: int, provider: Provider, count: int) -> tuple[list[float], float, int]:
    client = str(uuid.uuid4())
    body = {"path": str(Path(socket).parent), "client_id": client}
    workspace = f"/v1/workspaces/{json.loads(await call(socket, 'POST', '/v1/workspaces', body))['id']}"
    session = json.loads(await call(socket, "POST", f"{workspace}/sessions", {"title": "bench"}))["id"]
    readers = [Reader(provider.deltas) for _ in range(count)]
    tasks, writers = [], []
    for reader in readers:
        stream, writer = await asyncio.open_unix_connection(socket, limit=64 * 1024 * 1024)
        writers.append(writer)  # a writer that nobody holds closes its connection
        writer.write(f"GET {workspace}/events?client_id={client} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await stream.readuntil(b"\r\n\r\n")
        tasks.append(asyncio.create_task(reader.read(stream)))
    before = cpu_s(pid)
    await call(socket, "POST", f"{workspace}/agent", {"session_id": session, "prompt": "go", "run_id": client})
    await asyncio.wait_for(asyncio.gather(*tasks), 120)
    return ages(provider.sent, readers), cpu_s(pid) - before, sum(reader.lost for reader in readers)


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


def show(name: str, found: list[float]) -> tuple[float, float]:
    found.sort()
    middle, late = statistics.median(found), found[int(len(found) * 0.99)]
    print(f"  {name:16} visible p50 {middle:7.1f} ms  p99 {late:7.1f} ms", end="")
    return middle, late


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--readers", default="1,100,500")
    parser.add_argument("--deltas", type=int, default=1000)
    parser.add_argument("--every-ms", type=float, default=1.0)
    asked = parser.parse_args()
    for readers in map(int, asked.readers.split(",")):
        print(f"{readers} readers, {asked.deltas} deltas, one every {asked.every_ms} ms")
        base = show("bare asyncio", await bare(readers, asked.deltas, asked.every_ms / 1000))
        print()
        found, cpu, lost = await through_txcrush(readers, asked.deltas, asked.every_ms / 1000)
        ours = show("txcrush", found)
        print(f"  CPU {cpu:.2f} s  lost {lost}")
        print(f"  {'ratio':16}         p50 {ours[0] / base[0]:7.2f}         p99 {ours[1] / base[1]:7.2f}")


if __name__ == "__main__":
    asyncio.run(main())
