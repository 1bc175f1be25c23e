"""Pages of strangers in a real browser, on the machine where the server runs: they read nothing and change nothing.

The stranger's page comes from another port of loopback, or by a name that was rebound to it. The server asks for no
token in the first tests: that is the worst case, where Host, Origin and content type are all that stands between.
"""

import http.server
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from txcrush.testing.live_server import LiveServer

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
sync_api = pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install 'txcrush[browser]'")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: on Debian, apt-get install chromium")

SETTLE = {"settleMs": 300}
ATTACK = """async ({base, workspace, settleMs}) => {
    const told = [];
    const note = (name, what) => told.push([name, what]);
    const body = JSON.stringify({path: "/tmp/attacked", client_id: "66666666-6666-4666-8666-666666666666"});
    const control = JSON.stringify({command: "shutdown"});
    const tries = [];
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/json", undefined]) {
        for (const mode of ["no-cors", "cors"]) {
            const headers = type && (mode === "cors" || type !== "application/json") ? {"Content-Type": type} : {};
            for (const [path, data] of [["/v1/workspaces", body], ["/v1/control", control]])
                tries.push(fetch(base + path, {method: "POST", mode, body: data, headers, credentials: "include"})
                    .then(async (answer) => { if (answer.type !== "opaque") note("fetch", await answer.text()) })
                    .catch(() => {}));
        }
    }
    for (const path of ["/v1/version", "/v1/workspaces", `/v1/workspaces/${workspace}/config`])
        tries.push(fetch(base + path, {credentials: "include"})
            .then(async (answer) => note("read", await answer.text())).catch(() => {}));
    for (const type of ["text/plain", "application/json"])
        try { navigator.sendBeacon(base + "/v1/workspaces", new Blob([body], {type})) } catch (error) {}
    const socket = new WebSocket(base.replace("http", "ws") + "/v1/workspaces");
    socket.onopen = () => note("websocket", "open");
    for (const tag of ["img", "script", "link", "iframe", "object", "embed", "video"]) {
        const element = document.createElement(tag);
        element.onload = () => { if (!["iframe", "object", "embed"].includes(tag)) note(tag, "loaded") };
        if (tag === "link") { element.rel = "stylesheet"; element.href = base + "/v1/version" }
        else element[tag === "object" ? "data" : "src"] = base + "/v1/version";
        document.body.append(element);
    }
    const client = "66666666-6666-4666-8666-666666666666";
    const events = new EventSource(`${base}/v1/workspaces/${workspace}/events?client_id=${client}`,
        {withCredentials: true});
    events.onopen = () => note("events", "open");
    events.onmessage = (event) => note("events", event.data);
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) {
        const form = document.createElement("form");
        const field = document.createElement("input");
        const frame = document.createElement("iframe");
        frame.name = "frame" + type;
        Object.assign(form, {method: "POST", action: base + "/v1/workspaces", enctype: type, target: frame.name});
        Object.assign(field, {name: body.slice(0, -1) + ',"x":"', value: '"}'});
        form.append(field);
        document.body.append(frame, form);
        form.submit();
    }
    await Promise.race([Promise.all(tries), new Promise((done) => setTimeout(done, 5000))]);
    await new Promise((done) => setTimeout(done, settleMs));
    events.close();
    return told;
}"""


class Strange(http.server.BaseHTTPRequestHandler):
    """An empty page, whatever is asked."""

    def do_GET(self) -> None:
        page = b"<!doctype html><title>stranger</title><body></body>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""


@pytest.fixture
def stranger() -> Iterator[int]:
    """The port of a stranger's web server."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Strange)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


@pytest_twisted.async_yield_fixture
async def server(short_path: Path, request: Any) -> AsyncIterator[LiveServer]:
    asks_token = getattr(request, "param", False)
    server = await LiveServer.start(reactor, short_path, listen=("tcp:0:interface=127.0.0.1",), no_token=not asks_token)
    yield server
    await server.stop()


Visit = tuple[str, str, dict[str, Any]]
"""The URL of a page, the script that runs in it, and its argument."""


def attack(visits: list[Visit], rules: str = "", cookies: Any = ()) -> list[tuple[Any, int]]:
    """What each page gets out of its script, and how many requests left it. Blocks: call it in a thread."""
    flags = ["--no-sandbox", *([f"--host-resolver-rules={rules}"] if rules else [])]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        context = browser.new_context()
        context.add_cookies(list(cookies))
        found = [_visit(context.new_page(), *visit) for visit in visits]
        browser.close()
    return found


def _visit(page: Any, url: str, script: str, argument: dict[str, Any]) -> tuple[Any, int]:
    sent: list[str] = []
    page.goto(url)
    page.on("request", lambda request: sent.append(request.url))
    return page.evaluate(script, argument), len(sent)


@pytest_twisted.ensureDeferred
async def test_promise_54_a_page_of_another_port_reads_nothing_and_changes_nothing(
    server: LiveServer, stranger: int, record_property: Callable[[str, object], None]
) -> None:
    workspace = await server.client.join(server.project)
    before = (await server.client.get("/v1/workspaces")).value
    visits = [
        (f"http://{host}:{stranger}/", ATTACK, {"base": f"http://{host}:{port}", "workspace": workspace, **SETTLE})
        for host, port in (("127.0.0.1", server.tcp_port), ("localhost", server.tcp_port), ("localhost", stranger))
    ]
    *attacks, (unguarded, _) = await deferToThread(attack, visits)
    assert [told for told, _ in attacks] == [[], []]
    assert min(sent for _, sent in attacks) > 25  # it did try
    assert {kind for kind, _ in unguarded} >= {"fetch", "read"}  # it would tell
    assert (await server.client.get("/v1/workspaces")).value == before
    assert not server.leaving.called
    record_property("promise_54", f"Chromium, two origins of another port: {attacks[0][1]} requests each, 0 effects")


@pytest_twisted.ensureDeferred
async def test_promise_55_a_rebound_name_reads_nothing_and_changes_nothing(
    server: LiveServer, stranger: int, record_property: Callable[[str, object], None]
) -> None:
    """The second page is of one origin with the server, as after a rebinding."""
    workspace = await server.client.join(server.project)
    before = (await server.client.get("/v1/workspaces")).value
    argument = {"base": f"http://evil.test:{server.tcp_port}", "workspace": workspace, **SETTLE}
    visits = [(f"http://evil.test:{port}/", ATTACK, argument) for port in (stranger, server.tcp_port)]
    (told, _), (rebound, sent) = await deferToThread(attack, visits, "MAP evil.test 127.0.0.1")
    assert told == []
    assert [kind for kind, text in rebound if "does not answer to that host name" not in text] == []
    assert rebound
    assert (await server.client.get("/v1/workspaces")).value == before
    assert not server.leaving.called
    record_property("promise_55", f"Chromium, evil.test rebound to loopback: {sent} requests, 0 effects")


@pytest.mark.parametrize("server", [True], indirect=True)
@pytest_twisted.ensureDeferred
async def test_promise_61_the_cookie_lets_our_own_page_in_and_no_page_of_another_port(
    server: LiveServer, stranger: int
) -> None:
    workspace = await server.client.join(server.project)
    answer = await server.tcp_client().post("/v1/auth/session")
    name, _, value = answer.headers["set-cookie"].partition(";")[0].partition("=")
    base = f"http://127.0.0.1:{server.tcp_port}"
    cookie = {"name": name, "value": value, "url": base, "httpOnly": True, "sameSite": "Strict"}
    before = (await server.client.get("/v1/workspaces")).value
    argument = {"base": base, "workspace": workspace, **SETTLE}
    visits = [(f"http://127.0.0.1:{stranger}/", ATTACK, argument), (f"{base}/v1/version", OWN, argument)]
    (foreign, _), (own, _) = await deferToThread(attack, visits, "", [cookie])
    assert foreign == []
    assert own == {"status": 200, "events": "open", "cookie": ""}
    assert (await server.client.get("/v1/workspaces")).value == before


OWN = """async ({base, workspace}) => {
    const client = "66666666-6666-4666-8666-666666666666";
    const events = await new Promise((done) => {
        const source = new EventSource(`/v1/workspaces/${workspace}/events?client_id=${client}`);
        source.onopen = () => { source.close(); done("open") };
        source.onerror = () => done("error");
    });
    const headers = {"Content-Type": "application/json"};
    const path = `/v1/workspaces/${workspace}/sessions`;
    const answer = await fetch(path, {method: "POST", headers, body: JSON.stringify({title: "of the page"})});
    return {status: answer.status, events, cookie: document.cookie};
}"""
