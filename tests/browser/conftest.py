"""A real Chromium before a real server: what the tests of the page stand on.

A test here is plain code that blocks. It runs in a thread of its own, the one in which Playwright lives, for the main
thread belongs to the reactor of the other tests.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from select import select
from threading import Event, Thread
from typing import Any

import pytest

from txcrush.core.instructions import TITLE
from txcrush.wire.json import encode, parse_object

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
TEST_S = 180
PATIENCE_MS = 20_000

EXPECTED = (
    "Failed to load resource",
    "Executing inline event handler violates",
    "Applying inline style violates",
    "Setting the document's base URI",
)
"""What the browser says of an answer that is not 200, and of hostile HTML while it is purified: DOMPurify has it parsed
in a document of its own, under the same policy, before it takes it apart."""

_thread = ThreadPoolExecutor(1, "browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, and say what is missing, where no browser can be had."""
    try:
        import playwright  # noqa: F401  (is it there?)
    except ImportError:
        reason = "no Playwright: pip install 'txcrush[browser]'"
    else:
        reason = "" if CHROMIUM else "no Chromium: on Debian, apt-get install chromium"
    if reason:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool:
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    _thread.submit(pyfuncitem.obj, **arguments).result(TEST_S)
    return True


class Reply:
    """One answer of the model, sent piece by piece."""

    def __init__(self, handler: BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
        self._handler = handler
        self.request = request
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Connection", "close")
        handler.end_headers()

    @property
    def tool_results(self) -> int:
        """How many tools have answered since the newest prompt."""
        roles = [turn["role"] for turn in self.request["messages"]]
        return roles[len(roles) - roles[::-1].index("user") :].count("tool")

    def text(self, delta: str) -> None:
        self._chunk({"content": delta})

    def call(self, name: str, **arguments: object) -> None:
        """Call one tool, which ends the answer."""
        call_id = f"{name}-{len(self.request['messages'])}"
        function = {"name": name, "arguments": encode(arguments).decode()}
        self._chunk({"tool_calls": [{"index": 0, "id": call_id, "type": "function", "function": function}]})
        self.finish("tool_calls")

    def finish(self, reason: str = "stop", prompt: int = 9000, completion: int = 1000) -> None:
        self._send({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        self._send({"choices": [], "usage": usage})
        self._handler.wfile.write(b"data: [DONE]\n\n")

    def _chunk(self, delta: dict[str, object]) -> None:
        self._send({"choices": [{"index": 0, "delta": delta}]})

    def _send(self, value: object) -> None:
        self._handler.wfile.write(b"data: " + encode(value) + b"\n\n")
        self._handler.wfile.flush()


Answer = Callable[[Reply], None]


class Model:
    """A model server. What it does is looked up by the first word of the newest prompt; else it repeats the prompt."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.prompts: list[str] = []
        model = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None: ...

            def do_POST(self) -> None:
                request = parse_object(self.rfile.read(int(self.headers["Content-Length"])).decode())
                model._answer(Reply(self, request))

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def _answer(self, reply: Reply) -> None:
        if _text(reply.request["messages"][0]) == TITLE:
            reply.text("A title of its own")
            reply.finish()
            return
        prompt = _text([turn for turn in reply.request["messages"] if turn["role"] == "user"][-1])
        if reply.tool_results == 0:
            self.prompts.append(prompt)
        answer = self.answers.get(prompt.split()[0] if prompt.split() else "")
        try:
            if answer is None:
                reply.text(f"You said: {prompt}")
                reply.finish()
            else:
                answer(reply)
        except OSError:
            return  # the server has hung up: the run was cancelled, or the server was killed

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _text(turn: dict[str, Any]) -> str:
    content = turn["content"]
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


class Server:
    """A real server in a process of its own, on a TCP port that stays the same when it is started again."""

    def __init__(self, root: Path, model: Model) -> None:
        self.project = root / "project"
        self.project.mkdir()
        self._root = root
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        row = {"context_window": 100_000, "default_max_tokens": 1000, "cost_per_1m_in": 3, "cost_per_1m_out": 15}
        provider = {
            "type": "openai-compat",
            "base_url": model.url,
            "api_key": "sk-canary",
            "models": [{"id": "large", "name": "Large", **row}, {"id": "other", "name": "Other", **row}],
        }
        choice = {"provider": "scripted", "model": "large"}
        config = {"providers": {"scripted": provider}, "models": {"large": choice, "small": choice}}
        (self.project / "crush.json").write_bytes(encode(config))
        self.start()

    def start(self) -> None:
        address = f"tcp://127.0.0.1:{self.port}"
        options = ["--host", address, "--state-dir", str(self._root / "state"), "--trust-projects"]
        environ = {"HOME": str(self._root), "PATH": os.environ["PATH"]}
        with (self._root / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "txcrush", "serve", *options], env=environ, stdout=log, stderr=log
            )
        deadline = time.monotonic() + 30
        while not self._answers():
            assert self._process.poll() is None and time.monotonic() < deadline, (self._root / "log").read_text()
            select([], [], [], 0.02)

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(urllib.request.Request(f"{self.origin}/ui/"), timeout=5).close()
        except OSError:
            return False
        return True

    @property
    def token(self) -> str:
        return (self._root / "state" / "token").read_text().strip()

    @property
    def url(self) -> str:
        """The address that opens the page, token and all."""
        return f"{self.origin}/ui/#token={self.token}"

    def ask(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else encode(body)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.origin}/v1/{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read().decode()
        return parse_object(f'{{"value":{text or "null"}}}')["value"]

    def kill(self) -> None:
        """As a power cut would."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(15)


class Stage:
    """A model, a server with one open workspace, and a browser."""

    CLIENT = "11111111-1111-4111-8111-111111111111"

    def __init__(self, root: Path, browser: Any) -> None:
        self.model = Model()
        self.server = Server(root, self.model)
        self._browser = browser
        self._contexts: list[Any] = []
        self.problems: list[str] = []
        self.join()

    def join(self) -> None:
        """Open the workspace, or join it."""
        request = {"path": str(self.server.project), "client_id": self.CLIENT}
        self.workspace = self.server.ask("POST", "workspaces", request)
        self.path = f"workspaces/{self.workspace['id']}"

    def context(self, **options: Any) -> Any:
        """A browser of its own: other cookies, another client."""
        context = self._browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        context.set_default_timeout(PATIENCE_MS)
        self._contexts.append(context)
        return context

    def page(self, context: Any = None, *, url: str = "", wait: bool = True, **options: Any) -> Any:
        """A page that is signed in and shows the workspace. Whatever it complains of is a problem of the test."""
        page = (context or self.context(**options)).new_page()
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (self.problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", self._requested)
        page.on("console", self._said)
        page.goto(url or self.server.url)
        if wait:
            page.get_by_role("button", name="New session").first.wait_for()
        return page

    def _requested(self, request: Any) -> None:
        if not request.url.startswith((self.server.origin, "data:", "blob:")):
            self.problems.append(f"request to another origin: {request.url}")

    def _said(self, message: Any) -> None:
        if message.type == "error" and not message.text.startswith(EXPECTED):
            self.problems.append(f"console: {message.text}")

    def new_session(self, page: Any) -> str:
        """Begin a session on the page; its id."""
        page.get_by_role("button", name="New session").first.click()
        page.locator("#prompt").wait_for()
        return str(page.url.rpartition("/")[2])

    def prompt(self, page: Any, text: str) -> None:
        page.locator("#prompt").fill(text)
        page.get_by_role("button", name="Send").click()

    def close(self) -> None:
        for context in self._contexts:
            context.close()
        self.server.stop()
        self.model.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_MS)

    def launch() -> tuple[Any, Any]:
        playwright = sync_playwright().start()
        return playwright, playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

    playwright, browser = _thread.submit(launch).result(TEST_S)
    yield browser
    _thread.submit(lambda: (browser.close(), playwright.stop())).result(TEST_S)


@pytest.fixture
def stage(short_path: Path, chromium: Any) -> Iterator[Stage]:
    stage = _thread.submit(Stage, short_path, chromium).result(TEST_S)
    yield stage
    _thread.submit(stage.close).result(TEST_S)
    assert stage.problems == []


@pytest.fixture
def gate() -> Iterator[Event]:
    """What a model's answer can wait for; open at the end, whatever happens."""
    gate = Event()
    yield gate
    gate.set()
