"""A server as the command line sees it, and a screen, in memory."""

from typing import Any

from twisted.internet.defer import Deferred

from txcrush.cli._client import Answer, Unreachable
from txcrush.cli._stream import StreamedEvent

WORKSPACE = "/v1/workspaces/w"


class NotedScreen:
    """A screen that keeps what it is told."""

    def __init__(self) -> None:
        self.shown = ""
        self.notes: list[str] = []
        self.ends: list[dict[str, Any]] = []

    def session(self, session_id: str, run_id: str, /) -> None:
        self.run_id = run_id

    def text(self, delta: str) -> None:
        self.shown += delta

    def again(self) -> None:
        self.shown += "|"

    def reasoning(self, delta: str) -> None:
        self.shown += f"({delta})"

    def tool(self, name: str, arguments: str) -> None:
        self.shown += f"[{name}]"

    def note(self, text: str) -> None:
        self.notes.append(text)

    def ask(self, prompt: str) -> None:
        self.notes.append(prompt)

    def answered(self) -> None:
        """Nothing is shown."""

    def end(self, end: dict[str, Any], /) -> None:
        self.ends.append(end)

    def tick(self, elapsed_s: float) -> None:
        """Nothing moves."""


class HandedStream:
    """A stream whose events the test hands out."""

    def __init__(self) -> None:
        self.asker: Deferred[StreamedEvent | None] = Deferred()
        self.cursor = ""

    def next(self) -> Deferred[StreamedEvent | None]:
        self.asker = Deferred()
        return self.asker

    def close(self) -> None:
        """Nothing is open."""


class ScriptedApi:
    """Answers as a server would; `asked` holds every request, `opened` the path of every stream."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.bodies: list[Any] = []
        self.streams: list[HandedStream] = []
        self.opened: list[str] = []
        self.answers: dict[str, Any] = {
            "POST /v1/workspaces": {"id": "w"},
            f"GET {WORKSPACE}/agent": {"is_ready": True},
        }
        self.answers[f"POST {WORKSPACE}/sessions"] = {"id": "s"}
        self.answers[f"GET {WORKSPACE}/sessions/s"] = {"id": "s"}
        self.answers[f"GET {WORKSPACE}/sessions/s/messages"] = []
        self.answers[f"GET {WORKSPACE}/agent/sessions/s"] = {"is_busy": True}
        self.failures: dict[str, list[Exception]] = {}
        self.pending: dict[str, Deferred[Answer]] = {}
        self.is_gone = False

    async def get(self, path: str) -> Any:
        return (await self.ask("GET", path)).value

    async def post(self, path: str, body: object = None, **headers: str) -> Any:
        return (await self.ask("POST", path, body, **headers)).value

    async def ask(self, method: str, path: str, body: object = None, **options: object) -> Answer:
        self.bodies.append(body)
        self.asked.append(f"{method} {path}")
        if self.is_gone:
            raise Unreachable("gone")
        if self.failures.get(self.asked[-1]):
            raise self.failures[self.asked[-1]].pop(0)
        if self.asked[-1] in self.pending:
            return await self.pending[self.asked[-1]]
        return Answer(200, self.answers.get(f"{method} {path}"))

    async def stream(self, path: str) -> HandedStream:
        self.opened.append(path)
        self.streams.append(HandedStream())
        return self.streams[-1]
