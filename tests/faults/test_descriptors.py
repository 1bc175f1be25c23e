"""A server whose process may open 64 files: who comes when there are none left waits or goes, and it does not spin."""

import contextlib
import http.client
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from txcrush.testing.scale import FULL

LIMIT_S = 30.0
FILES = 64
SERVE = "from txcrush.__main__ import main; main(['serve', *__import__('sys').argv[1:]])"


def few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))


@pytest.fixture
def server(short_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A server that answers, of few files."""
    flags = ["--host", f"unix://{short_path}/s", "--state-dir", str(short_path / "state"), "--log-level", "info"]
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, *flags],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=few_files,
        env={"PATH": "/usr/bin:/bin", "HOME": str(short_path)},
    )
    limit = threading.Timer(LIMIT_S, process.kill)
    limit.start()
    assert process.stderr is not None
    assert any("ready" in line for line in process.stderr)
    drain = threading.Thread(target=process.stderr.read, daemon=True)
    drain.start()
    yield process
    process.terminate()
    status = process.wait()
    limit.cancel()
    drain.join()
    process.stderr.close()
    assert status == 0


def health(path: Path, timeout_s: float) -> int:
    """The status, 0 where the server hung up or did not answer in time."""
    connection = http.client.HTTPConnection("localhost", timeout=timeout_s)
    with contextlib.closing(connection), socket.socket(socket.AF_UNIX) as connection.sock:
        connection.sock.settimeout(timeout_s)
        try:
            connection.sock.connect(str(path))
            connection.request("GET", "/v1/health")
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0


def idle(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(LIMIT_S)
    client.connect(str(path))
    return client


def many(path: Path) -> list[socket.socket]:
    return [idle(path) for _ in range(2 * FILES)]


def leave(clients: list[socket.socket]) -> None:
    for client in clients:
        client.close()


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def test_promise_79_without_descriptors_it_does_not_spin_and_recovers(
    server: subprocess.Popen[str], short_path: Path, record_property: Callable[[str, object], None]
) -> None:
    process = psutil.Process(server.pid)
    path = short_path / "s"
    assert health(path, LIMIT_S) == 200
    clients = many(path)
    health(path, 1.0)
    before = cpu_s(process)
    for _ in range(2):
        health(path, 1.0)
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(2.0)
    used = cpu_s(process) - before
    assert server.poll() is None
    leave(clients)
    answered = [health(path, 2.0) for _ in range(3)]
    record_property("promise_79", f"{used / 2 * 100:.1f} % of a CPU while full, answers again at once: {answered}")
    assert 200 in answered[:2]
    assert used / 2 < (0.05 if FULL else 0.25)


def test_promise_79_its_own_work_finds_descriptors_although_clients_took_all_they_got(
    server: subprocess.Popen[str], short_path: Path
) -> None:
    path = short_path / "s"
    (short_path / "project").mkdir()
    first = http.client.HTTPConnection("localhost", timeout=LIMIT_S)
    first.sock = idle(path)
    first.request("GET", "/v1/health")  # who has asked something is put out for nobody
    first.getresponse().read()
    clients = many(path)
    body = f'{{"path": "{short_path}/project", "client_id": "11111111-1111-4111-8111-111111111111"}}'
    first.request("POST", "/v1/workspaces", body, {"Content-Type": "application/json"})
    answer = first.getresponse()
    body_start = answer.read()[:6]
    first.close()
    leave(clients)
    assert (answer.status, body_start) == (200, b'{"id":')
