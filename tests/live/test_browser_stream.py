"""The event stream in a browser's own `EventSource`: a real Chromium, where there is one."""

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.threads import deferToThread, deferToThreadPool
from twisted.python.threadpool import ThreadPool

from txcrush.core.sessions import session_event
from txcrush.core.workspaces import Workspace
from txcrush.http import rich_readers
from txcrush.model.ids import SessionId, WorkspaceId
from txcrush.model.sessions import Session
from txcrush.model.storage import PutSession
from txcrush.testing.live_client import CLIENT
from txcrush.testing.live_server import LiveServer

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
sync_api = pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install 'txcrush[browser]'")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: on Debian, apt-get install chromium")

EVENTS = 500
CUT_EVERY = 60
RETRY_MS = 50
OPEN = """(url) => {
    window.titles = []; window.resets = 0; window.opens = 0;
    window.source = new EventSource(url);
    source.onopen = () => { window.opens += 1 };
    source.onmessage = (event) => {
        const told = JSON.parse(event.data);
        if (told.type === "session") window.titles.push(told.payload.payload.title);
        if (told.type === "reset") window.resets += 1;
    };
}"""


def title_of(number: int) -> str:
    """Every kind of line end, the odd characters, and now and then a big value."""
    odd = ("\n", "\r", "\r\n", "\u2028", "\0", "data: x\n\n", "\U0001f600", "", "\ufeff", ": hb", "id: 7\n")
    return f"{number}{odd[number % len(odd)]}{'y' * (1024 * 1024) if number == EVENTS // 2 else ''}"


class Page:
    """A page of the server's own origin in a browser of its own. Its methods block: call them in one thread."""

    def __init__(self, url: str) -> None:
        self._playwright = sync_api.sync_playwright().start()
        self._browser = self._playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        self._page = self._browser.new_page()
        self._page.goto(url)

    def run(self, script: str, argument: Any = None) -> Any:
        return self._page.evaluate(script, argument)

    def wait_for(self, condition: str) -> None:
        self._page.wait_for_function(condition, timeout=20_000)

    def close(self) -> None:
        self._browser.close()
        self._playwright.stop()


class Browser:
    """The page, asked from the reactor; everything in it happens in one thread of its own."""

    def __init__(self) -> None:
        self._pool = ThreadPool(1, 1, "browser")
        self._pool.start()
        self._page: Page

    async def open(self, url: str) -> None:
        self._page = await self._call(lambda: Page(url))

    async def run(self, script: str, argument: Any = None) -> Any:
        return await self._call(lambda: self._page.run(script, argument))

    async def wait_for(self, condition: str) -> None:
        await self._call(lambda: self._page.wait_for(condition))

    async def close(self) -> None:
        await self._call(self._page.close)
        await deferToThread(self._pool.stop)

    def _call(self, work: Callable[[], Any]) -> Any:
        return deferToThreadPool(reactor, self._pool, work)


@pytest_twisted.async_yield_fixture
async def server(short_path: Path) -> AsyncIterator[LiveServer]:
    server = await LiveServer.start(reactor, short_path, listen=("tcp:0:interface=127.0.0.1",), no_token=True)
    yield server
    await server.stop()


@pytest_twisted.async_yield_fixture
async def browser(server: LiveServer) -> AsyncIterator[Browser]:
    browser = Browser()
    await browser.open(f"http://127.0.0.1:{server.tcp_port}/v1/version")
    yield browser
    await browser.close()


def cut(workspace: Workspace) -> int:
    """Cut every stream of the workspace off, in the middle of whatever it was writing."""
    readers: list[Any] = list(workspace.events._subscribers)
    for reader in readers:
        reader._request.channel.transport.abortConnection()
    return len(readers)


@pytest_twisted.ensureDeferred
async def test_promise_25_promise_29_an_eventsource_that_is_cut_has_every_event_once_and_stops_at_the_end(
    server: LiveServer,
    browser: Browser,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    monkeypatch.setattr(rich_readers, "RETRY_MS", RETRY_MS)
    joined = await server.client.join(server.project)
    session = SessionId(await server.client.session(joined))
    assert server._server is not None
    workspace = server._server._workspaces.get(WorkspaceId(joined))
    await browser.run(OPEN, f"/v1/workspaces/{joined}/events?client_id={CLIENT}&rich=1")
    await browser.wait_for("window.opens === 1")
    cuts = 0
    for number in range(EVENTS):
        told = Session(id=session, title=title_of(number))
        await workspace.events.commit([PutSession(told)], [session_event(told)])
        if number % CUT_EVERY == CUT_EVERY - 1:
            cuts += cut(workspace)
            await browser.wait_for(f"window.titles.length > {number - CUT_EVERY // 2}")
    await browser.wait_for(f"window.titles.length >= {EVENTS}")
    assert await browser.run("() => window.titles") == [title_of(number) for number in range(EVENTS)]
    assert cuts >= EVENTS // CUT_EVERY // 2  # one that is just coming back cannot be cut
    assert await browser.run("() => window.opens") == cuts + 1
    assert await browser.run("() => window.resets") == 0
    record_property("promise_25", f"Chromium's EventSource: {EVENTS} events, {cuts} cuts, 0 lost, 0 twice")
    record_property("promise_29", f"Chromium's EventSource: {EVENTS} framed values")

    await browser.run("() => { window.errors = 0; source.onerror = () => { window.errors += 1 } }")
    assert (await server.client.ask("DELETE", f"/v1/clients/{CLIENT}")).status == 200
    await browser.wait_for("window.source.readyState === EventSource.CLOSED")
    errors = await browser.run("() => window.errors")
    record_property("promise_36", f"Chromium's EventSource closed for good after {errors} errors")
    await browser.run(f"() => new Promise((done) => setTimeout(done, {4 * RETRY_MS}))")
    assert await browser.run("() => [window.errors, window.opens]") == [errors, cuts + 1]
