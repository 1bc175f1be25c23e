"""`--web`: the page's port, its URL with the token, and that the token stands nowhere else."""

import http.client
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from txcrush.testing.server_process import ServerProcess


@pytest.fixture
def server(short_path: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(short_path, ["--web", "--log-level=debug"])
    yield server
    server.stop()


def ask(port: int, method: str, path: str, **headers: str) -> tuple[int, str]:
    """The status, and the cookie that was set."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, headers={name.replace("_", "-"): text for name, text in headers.items()})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, (answer.getheader("Set-Cookie") or "").partition(";")[0]


def test_promise_61_the_page_is_named_with_its_token_and_neither_is_logged(server: ServerProcess) -> None:
    (line,) = server.output.read_text().splitlines()
    address, _, fragment = line.partition("#")
    assert (address, fragment) == (f"http://127.0.0.1:{server.tcp_port}/ui/", f"token={server.token}")
    token = server.token
    status, cookie = ask(server.tcp_port, "POST", "/v1/auth/session", Authorization=f"Bearer {token}")
    assert status == 200
    assert ask(server.tcp_port, "GET", "/v1/version", Cookie=cookie)[0] == 200
    secret = cookie.partition("=")[2]
    for path in (f"/ui/?token={token}", f"/v1/health?token={token}", f"/v1/nothing?access_token={token}&x={secret}"):
        assert ask(server.tcp_port, "GET", path)[0] == (200 if path.startswith("/ui/") else 401)  # the page is public
        assert ask(server.tcp_port, "GET", path, Cookie=cookie, Sec_Fetch_Site="same-origin")[0] in (200, 404)
    assert ask(server.tcp_port, "GET", "/v1/version", Authorization=f"Bearer {token}x")[0] == 401
    assert ask(server.tcp_port, "GET", "/v1/version", Host="evil.test", Referer=f"http://x/?token={token}")[0] == 421
    server.stop()
    log = server.log.read_text()
    assert "GET /v1/health" in log
    assert [secret for secret in (token, token[5:40], secret) if secret in log] == []


def test_promise_61_a_server_whose_output_is_its_log_keeps_the_token_out_of_it(short_path: Path) -> None:
    both = short_path / "both"
    with both.open("wb") as output:
        script = (
            "import sys; from txcrush.lifetime import Process; Process().announce('secret');"
            "Process().say('told'); print('there', flush=True)"
        )
        subprocess.run([sys.executable, "-c", script], stdout=output, stderr=output, check=True, timeout=60)
        assert both.read_text() == "told\nthere\n"
        piped = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, timeout=60)
    assert piped.stdout == b"secret\nthere\n"


def test_where_the_usual_port_is_taken_the_page_goes_elsewhere(server: ServerProcess, short_path: Path) -> None:
    (short_path / "b").mkdir()
    second = ServerProcess(short_path / "b", ["--web"])
    try:
        assert second.tcp_port != server.tcp_port
        assert ask(second.tcp_port, "GET", "/v1/version", Authorization=f"Bearer {second.token}")[0] == 200
    finally:
        second.stop()
