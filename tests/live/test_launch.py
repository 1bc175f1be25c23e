"""Real processes: how the server starts, what it writes, how it ends."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

LIMIT_S = 30.0
TWIST = "from twisted.application.twist._twist import Twist; Twist.main(['twist', 'crush', *sys.argv[1:]])"
TXCRUSH = "from txcrush.__main__ import main; main(['serve', *sys.argv[1:]])"
SCRIPTED = """
import os, sys, types
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from txcrush.model.errors import Failed

class Server:
    def __init__(self, reactor, stop):
        Logger(namespace="script").info("reactor {name}", name=type(reactor).__name__)
        self.reactor, self.stop, self.story = reactor, stop, os.environ["STORY"]
    def startService(self):
        if self.story == "ends":
            self.reactor.callLater(0, self.stop)
        if self.story == "broken":
            raise ZeroDivisionError
    def when_started(self):
        return fail(Failed("/run/x.sock: a server is already listening")) if self.story == "taken" else succeed(None)
    def stopService(self):
        return Deferred() if self.story == "stuck" else succeed(None)

wiring = types.ModuleType("txcrush.wiring")
wiring.build_server = lambda reactor, settings, environ, stop: Server(reactor, stop)
sys.modules["txcrush.wiring"] = wiring
"""


class Launched:
    """A server process; ended by force when a test takes too long."""

    def __init__(self, code: str, arguments: Sequence[str], **environ: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"import sys\n{code}", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | environ,
        )
        self._limit = threading.Timer(LIMIT_S, self.process.kill)
        self._limit.start()
        self.records: list[dict[str, str]] = []

    def wait_for(self, message: str) -> None:
        """Read the log up to the event whose message holds this text."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.records.append(json.loads(line))
            if message in self.records[-1]["msg"]:
                return
        raise AssertionError(f"no event {message!r} in {self.records}")

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, str, str]:
        """Status, standard output and the rest of standard error."""
        output, errors = self.process.communicate()
        self._limit.cancel()
        return self.process.returncode, output, errors


@pytest.fixture(params=[TWIST, TXCRUSH], ids=["twist", "txcrush"])
def program(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_p84_a_signal_ends_the_server_with_status_0(program: str, number: int) -> None:
    server = Launched(SCRIPTED + program, [], STORY="runs")
    server.wait_for("ready")
    server.signal(number)
    status, output, errors = server.end()
    assert (status, output) == (0, "")
    assert [json.loads(line)["level"] for line in errors.splitlines()] == ["info"]


def test_p84_a_second_signal_forces(program: str) -> None:
    server = Launched(SCRIPTED + program, [], STORY="stuck")
    server.wait_for("ready")
    server.signal(signal.SIGTERM)
    server.wait_for("SIGTERM: stopping")
    server.signal(signal.SIGTERM)
    assert server.end()[0] == 1


def test_a_server_that_asks_for_its_end_ends_with_status_0(program: str) -> None:
    assert Launched(SCRIPTED + program, [], STORY="ends").end()[:2] == (0, "")


def test_a_refused_start_is_one_line_and_status_1(program: str) -> None:
    server = Launched(SCRIPTED + program, ["--log-level=warn"], STORY="taken")
    assert server.end() == (1, "", "txcrush: /run/x.sock: a server is already listening\n")


def test_a_defect_at_the_start_is_logged_with_its_traceback_and_status_1(program: str) -> None:
    status, _, errors = Launched(SCRIPTED + program, ["--log-level=warn"], STORY="broken").end()
    assert status == 1
    assert "ZeroDivisionError" in json.loads(errors)["failure"]


def test_the_asyncio_reactor_is_picked(program: str) -> None:
    server = Launched(SCRIPTED + program, [], STORY="ends")
    server.wait_for("reactor AsyncioSelectorReactor")
    server.end()


def test_the_reactor_that_the_user_names_stays() -> None:
    named = TWIST.replace("'crush'", "'--reactor=poll', 'crush'")
    server = Launched(SCRIPTED + named, [], STORY="ends")
    server.wait_for("reactor PollReactor")
    server.end()


def test_both_launchers_show_the_same_options() -> None:
    ours, theirs = (Launched(SCRIPTED + program, ["--help"], STORY="").end()[1] for program in (TXCRUSH, TWIST))
    assert "--trust-projects" in ours
    assert ours.partition("Options:")[2] == theirs.partition("Options:")[2]


def test_a_bad_flag_is_a_usage_error_that_says_what_to_write(program: str) -> None:
    status, _, errors = Launched(SCRIPTED + program, ["--idle-exit=soon"], STORY="").end()
    assert status not in (0, 1)
    assert "Error: --idle-exit wants a number of seconds such as 60, not 'soon'" in errors


@pytest.fixture
def flags(short_path: Path) -> Iterator[list[str]]:
    yield ["--host", f"unix://{short_path}/s.sock", "--state-dir", str(short_path / "state")]


def health(path: Path) -> int:
    connection = http.client.HTTPConnection("localhost", timeout=LIMIT_S)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(path))
    connection.request("GET", "/v1/health")
    status = connection.getresponse().status
    connection.close()
    return status


def test_the_server_answers_and_leaves_no_socket_behind(program: str, short_path: Path, flags: list[str]) -> None:
    server = Launched(program, flags)
    server.wait_for("ready")
    assert health(short_path / "s.sock") == 200
    server.signal(signal.SIGTERM)
    assert server.end()[0] == 0
    assert not (short_path / "s.sock").exists()


def test_a_second_server_on_a_live_socket_is_refused(program: str, short_path: Path, flags: list[str]) -> None:
    first = Launched(program, flags)
    first.wait_for("ready")
    second = Launched(program, [*flags, "--state-dir", str(short_path / "other")])
    status, output, errors = second.end()
    assert (status, output, errors.count("\n")) == (1, "", 1)
    assert errors.startswith("txcrush: ")
    assert "s.sock" in errors
    assert health(short_path / "s.sock") == 200
    first.signal(signal.SIGTERM)
    assert first.end()[0] == 0


def test_a_stale_socket_is_replaced(program: str, short_path: Path, flags: list[str]) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(short_path / "s.sock"))
    server = Launched(program, flags)
    server.wait_for("ready")
    assert health(short_path / "s.sock") == 200
    server.signal(signal.SIGTERM)
    assert server.end()[0] == 0
