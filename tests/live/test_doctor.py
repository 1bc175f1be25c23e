"""`txcrush doctor` among files and sockets in every state, and `txcrush status` of a server that is not well."""

import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from txcrush.adapters.sqlite import migrate
from txcrush.cli._finding import Place
from txcrush.cli._findings import Finding, Verdict, examined
from txcrush.cli._project_checks import unknown_keys
from txcrush.cli.doctor import diagnose
from txcrush.testing.live_client import CLIENT
from txcrush.testing.live_server import LiveServer, PromptsModel
from txcrush.wire.json import parse_object

KEY = "sk-canary-0123456789"


class Patient:
    """A home with a project, and what the doctor says of them."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.project = top / "project"
        self.project.mkdir()
        self.socket = top / "s"
        self.state = top / "state"
        self.env = {"HOME": str(top), "PATH": os.environ["PATH"], "TXCRUSH_STATE_DIR": str(self.state)}
        self.env["TXCRUSH_HOST"] = f"unix://{self.socket}"

    def findings(self) -> list[Finding]:
        return list(diagnose(Place(self.env), str(self.project), "", self.env))

    def bad(self) -> list[tuple[str, str]]:
        """Check and verdict of what is not well; each says what to do."""
        found = [one for one in self.findings() if one.verdict != Verdict.OK]
        assert all(one.action for one in found), found
        return [(one.check, one.verdict.value) for one in found]

    def told(self, check: str) -> str:
        return "\n".join(one.text for one in self.findings() if one.check == check)

    def database(self) -> Path:
        """A good one."""
        folder = self.project / ".crush"
        folder.mkdir()
        with closing(sqlite3.connect(folder / "txcrush.db", isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            migrate.migrate(connection, str(folder / "txcrush.db"), migrate.scripts())
        os.chmod(folder / "txcrush.db", 0o600)
        return folder / "txcrush.db"

    def configure(self, text: str) -> None:
        (self.project / "crush.json").write_text(text)


@pytest.fixture
def patient(short_path: Path) -> Patient:
    return Patient(short_path)


def test_a_fresh_home_has_nothing_wrong(patient: Patient) -> None:
    assert patient.bad() == []
    checks = [one.check for one in patient.findings()]
    assert list(dict.fromkeys(checks)) == [
        "versions",
        "socket",
        "token",
        "state directory",
        "configuration",
        "providers",
        "database",
        "programs",
    ]


def test_a_good_database_and_token_are_well(patient: Patient) -> None:
    patient.database()
    patient.state.mkdir(mode=0o700)
    (patient.state / "token").write_text("t" * 43 + "\n")
    (patient.state / "token").chmod(0o600)
    assert patient.bad() == []
    assert "is whole" in patient.told("database") and "schema" in patient.told("database")
    assert "43 characters" in patient.told("token") and "ttt" not in patient.told("token")
    assert sorted(path.name for path in (patient.project / ".crush").iterdir()) == ["txcrush.db"]


# The socket


def test_a_stale_socket_is_told_from_a_live_one(patient: Patient) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(patient.socket))
        patient.socket.chmod(0o600)
    assert patient.bad() == [("socket", "warning")]
    patient.socket.chmod(0o666)
    assert ("socket", "error") in patient.bad()


def test_a_server_that_hangs_is_an_error(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("txcrush.cli._server_checks.ANSWER_S", 0.1)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(patient.socket))
        patient.socket.chmod(0o600)
        listening.listen(5)
        assert patient.bad() == [("server", "error")]


def test_what_is_no_socket_and_a_directory_that_others_can_write(patient: Patient) -> None:
    patient.socket.write_text("")
    patient.top.chmod(0o777)
    assert [check for check, verdict in patient.bad() if verdict == "error"].count("socket") == 2
    patient.top.chmod(0o700)


# Token and state


def test_a_token_that_others_can_read_and_one_that_is_none(patient: Patient) -> None:
    patient.state.mkdir(mode=0o700)
    token = patient.state / "token"
    token.write_text("t" * 43)
    token.chmod(0o644)
    assert patient.bad() == [("token", "error")]
    token.write_text("short")
    token.chmod(0o600)
    assert patient.bad() == [("token", "error")]
    token.unlink()
    token.mkdir()
    assert patient.bad() == [("token", "error")]


def test_a_state_directory_that_others_can_write_or_that_is_none(patient: Patient) -> None:
    patient.state.mkdir()
    patient.state.chmod(0o777)
    assert patient.bad() == [("state directory", "error")]
    patient.state.rmdir()
    patient.state.write_text("")
    assert ("state directory", "error") in patient.bad()


# The database


def test_a_damaged_a_newer_and_a_foreign_database(patient: Patient) -> None:
    file = patient.database()
    good = file.read_bytes()
    file.write_bytes(good[:4096] + b"\xff" * 8192 + good[12288:])
    assert patient.bad() == [("database", "error")]
    file.write_bytes(os.urandom(50_000))
    assert patient.bad() == [("database", "error")]
    file.write_bytes(good)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 999")
    assert patient.bad() == [("database", "error")]
    assert "newer txcrush" in patient.told("database")


def test_a_database_that_others_can_read_or_without_a_wal_is_a_warning(patient: Patient) -> None:
    file = patient.database()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    file.chmod(0o644)
    assert patient.bad() == [("database", "warning"), ("database", "warning")]


# Configuration and keys


def test_broken_json_is_named_and_unknown_keys_are_listed(patient: Patient) -> None:
    patient.configure("{nope")
    assert patient.bad() == [("configuration", "error"), ("configuration", "error")]
    patient.configure('{"optoins": {}, "options": {"debgu": true}}')
    assert patient.bad() == [("configuration", "warning")]
    assert "optoins, options.debgu" in patient.told("configuration")


def test_unknown_keys_are_found_at_every_place() -> None:
    model = {"id": "m", "contextwindow": 1}
    value: dict[str, object] = {
        "providers": {"p": {"api-key": "x", "models": [model]}, "q": 3},
        "models": {"large": {"modle": "m"}},
        "options": [],
    }
    assert list(unknown_keys(value)) == [
        "models.large.modle",
        "providers.p.api-key",
        "providers.p.models[0].contextwindow",
    ]


def test_keys_are_looked_for_and_never_shown(patient: Patient) -> None:
    model = '{"id": "m", "name": "M", "context_window": 1000, "default_max_tokens": 10}'
    provider = (
        f'{{"type": "openai-compat", "base_url": "http://x.invalid/v1", "api_key": "$MY_KEY", "models": [{model}]}}'
    )
    patient.configure(f'{{"providers": {{"p": {provider}}}, "models": {{"large": {{"provider": "p", "model": "m"}}}}}}')
    assert {check for check, _ in patient.bad()} & {"providers", "configuration"}
    patient.env["MY_KEY"] = KEY
    assert [check for check, verdict in patient.bad() if verdict == "error"] == []
    assert "p has a key" in patient.told("providers")
    assert all(KEY not in one.text + one.action for one in patient.findings())


# Whatever it meets


@pytest.mark.parametrize("name", ["s", "state", "project/crush.json", "project/.crush", "project/.crush/txcrush.db"])
@pytest.mark.parametrize("kind", ["directory", "file", "fifo", "dangling", "loop", "unreadable"])
def test_no_state_of_a_file_breaks_the_doctor(patient: Patient, name: str, kind: str) -> None:
    path = patient.top / name
    path.parent.mkdir(exist_ok=True)
    match kind:
        case "directory":
            path.mkdir()
        case "file":
            path.write_bytes(b"\0\xff{" * 100)
        case "fifo":
            os.mkfifo(path)
        case "dangling":
            path.symlink_to("nowhere")
        case "loop":
            path.symlink_to(path)
        case "unreadable":
            path.write_bytes(b"")
            path.chmod(0)
    findings = patient.findings()
    assert {"versions", "programs"} <= {one.check for one in findings}
    assert all(one.action for one in findings if one.verdict != Verdict.OK)


def test_a_check_that_breaks_is_a_finding() -> None:
    def broken() -> list[Finding]:
        raise ZeroDivisionError("by zero")

    (finding,) = examined("socket", broken)
    assert (finding.check, finding.verdict) == ("socket", Verdict.ERROR)
    assert "ZeroDivisionError" in finding.text and finding.action


# The program


def txcrush(patient: Patient, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "txcrush", *arguments],
        env=patient.env,
        cwd=patient.project,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_its_exit_status_says_whether_something_is_broken(patient: Patient) -> None:
    well = txcrush(patient, "doctor", "--json")
    assert (well.returncode, parse_object(well.stdout)["ok"]) == (0, True), well.stderr
    patient.configure("{nope")
    ill = txcrush(patient, "doctor")
    assert ill.returncode == 1
    assert "ERROR    configuration: " in ill.stdout and "\n         -> " in ill.stdout
    assert ill.stderr == ""


@pytest_twisted.ensureDeferred
async def test_of_a_live_server_it_tells_the_health_and_so_does_status(patient: Patient) -> None:
    model = PromptsModel.listen(reactor)
    server = await LiveServer.start(reactor, patient.top, model)
    try:
        await server.client.join(server.project)
        told = await deferToThread(patient.findings)
        assert next(one.text for one in told if one.check == "server").startswith("it answers and is well")
        assert [one for one in told if one.verdict == Verdict.ERROR] == []
        broken = patient.top / "broken"
        (broken / ".crush").mkdir(parents=True)
        (broken / ".crush" / "txcrush.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 4096)
        await server.client.post("/v1/workspaces", {"path": str(broken), "client_id": CLIENT})
        told = await deferToThread(patient.findings)
        health = await server.client.get("/v1/health/details")
        status = await deferToThread(txcrush, patient, "status")
        assert [one["code"] for one in health.value["problems"]] == ["database_was_damaged"]
        assert [one.text for one in told if one.check == "server" and one.verdict != Verdict.OK]
        assert "was damaged" in status.stdout
        assert status.returncode == 0
    finally:
        await server.stop()
        await model.stop()
