"""What two Crush terminals ask of one server, in the order in which they were seen to ask it.

The older generation (May 2026) and the newer one (August 2026) start, prompt, queue, cancel, answer and quit in
different ways; both go over the Unix socket or over TCP. The rule is simple: nobody ever sees an error.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from txcrush.testing.answer import Answer, StreamEvent
from txcrush.testing.live_client import EventStream, LiveClient
from txcrush.testing.live_server import LiveServer, PromptsModel
from txcrush.wire.json import encode_text

A, B = "aaaaaaaa-1111-4111-8111-111111111111", "bbbbbbbb-1111-4111-8111-111111111111"
NO_SESSION = {"parent_session_id": "", "message_count": 0, "cost": 0, "is_busy": False, "attached_clients": 0}
BOUND_S = 30.0


class Terminal:
    """One terminal. `asked` holds every answer that was not a success."""

    def __init__(self, client: LiveClient, project: str, client_id: str, *, newer: bool) -> None:
        self._client = client
        self._project = project
        self._id = client_id
        self._newer = newer
        self.refused: list[tuple[str, int]] = []
        self.url = ""
        self.events: EventStream

    async def ask(self, method: str, path: str, value: object = None) -> Any:
        body = () if value is None else (value,)
        answer: Answer = await self._client.ask(method, path, *body, User_Agent="Go-http-client/1.1")
        if answer.status != 200:
            self.refused.append((f"{method} {path}", answer.status))
        return answer.value if answer.body else None

    async def start(self) -> None:
        """Begin: version, workspace, agent, stream, and what the first screen shows."""
        await self.ask("GET", "/v1/version")
        await self.ask("GET", "/v1/health")
        body = {"id": "", "path": self._project, "version": "devel", "client_id": self._id, "env": ["TERM=xterm"]}
        self.url = f"/v1/workspaces/{(await self.ask('POST', '/v1/workspaces', body))['id']}"
        await self.ask("POST", f"{self.url}/agent/init", {"interactive": True} if self._newer else None)
        for path in ("permissions/skip", "agent", "project/needs-init"):
            await self.ask("GET", f"{self.url}/{path}")
        self.events = await self._client.stream(self.url.rpartition("/")[2], self._id)
        for path in ("messages/user", "skills", "mcp/states", "mcp/pending-auth", "lsps", "agent"):
            await self.ask("GET", f"{self.url}/{path}")

    async def new_session(self) -> str:
        made = await self.ask("POST", f"{self.url}/sessions", {"id": "", "title": "New Session", **NO_SESSION})
        return str(made["id"])

    async def open(self, session: str) -> list[dict[str, Any]]:
        """Show a session; returns its messages."""
        here = f"{self.url}/sessions/{session}"
        await self.ask("POST", f"{self.url}/current-session?client_id={self._id}", {"session_id": session})
        for path in (here, f"{here}/history", f"{here}/filetracker/files", f"{here}/messages/user"):
            await self.ask("GET", path)
        found: list[dict[str, Any]] = await self.ask("GET", f"{here}/messages")
        return found

    def prompt(self, session: str, text: str) -> "Deferred[Any]":
        """Fires with the answer to the prompt, which the older generation needs to be 200."""
        return Deferred.fromCoroutine(self.ask("POST", f"{self.url}/agent", {"session_id": session, "prompt": text}))

    async def act(self, session: str, what: str) -> None:
        await self.ask("POST", f"{self.url}/agent/sessions/{session}/{what}")

    async def poll(self, session: str) -> list[str]:
        """What is asked many times a second while something happens; returns the queue."""
        for path in ("agent", "permissions/skip", "lsps", f"agent/sessions/{session}/prompts/queued"):
            await self.ask("GET", f"{self.url}/{path}")
        queue: list[str] | None = await self.ask("GET", f"{self.url}/agent/sessions/{session}/prompts/list")
        return queue or []

    async def answer(self, verdict: str, count: int = 1) -> bool:
        """Answer the permission request that the stream shows as the so many-th."""
        event = await self.events.when(lambda _: len(self.events.of("permission_request")) >= count)
        assert event is not None
        request = self.events.of("permission_request")[count - 1]
        body = {"permission": request, "action": verdict}
        return bool((await self.ask("POST", f"{self.url}/permissions/grant", body))["resolved"])

    def when_ended(self, count: int = 1) -> "Deferred[StreamEvent]":
        """Fires with the so many-th end of a run."""
        return self.events.when(
            lambda event: event.kind == "run_complete" and event in self._ends()[count - 1 :]
        ).addTimeout(BOUND_S, reactor)

    def _ends(self) -> list[StreamEvent]:
        return [event for event in self.events.events if event.kind == "run_complete"]

    def finishes(self) -> list[str]:
        """How the assistant's messages ended, as the stream told it."""
        parts = [part for message in self.events.of("message") for part in message["parts"]]
        return [part["data"]["reason"] for part in parts if part["type"] == "finish"]

    async def quit(self) -> None:
        path = f"/v1/clients/{self._id}" if self._newer else f"{self.url}?client_id={self._id}"
        await self.ask("DELETE", path)


class Stage:
    """A server, its model, and two terminals."""

    def __init__(self, live: LiveServer, model: PromptsModel, one: Terminal, other: Terminal) -> None:
        self.live, self.model, self.one, self.other = live, model, one, other

    @property
    def errors(self) -> list[Any]:
        """Whatever either of them would show as an error."""
        told = [one for seen in (self.one, self.other) for one in seen.events.of("agent_event") if one.get("error")]
        return [*self.one.refused, *self.other.refused, *told]

    async def calls(self, name: str, **arguments: object) -> None:
        """The model calls a tool."""
        exchange = await self.model.next_request()
        exchange.head()
        call = {"name": name, "arguments": encode_text(arguments)}
        exchange.delta(tool_calls=[{"index": 0, "id": f"call_{name}", "type": "function", "function": call}])
        exchange.finish("tool_calls")
        exchange.done()

    async def says(self, text: str) -> None:
        (await self.model.next_request()).reply(text)


@asynccontextmanager
async def stage(home: Path, *, newer: bool, tcp: bool) -> AsyncIterator[Stage]:
    model = PromptsModel.listen(reactor)
    listen = {"listen": ("tcp:0:interface=127.0.0.1",)} if tcp else {}
    live = await LiveServer.start(reactor, home, model, **listen)
    client = live.tcp_client() if tcp else live.client
    one, other = (Terminal(client, live.project, client_id, newer=newer) for client_id in (A, B))
    try:
        await one.start()
        await other.start()
        yield Stage(live, model, one, other)
    finally:
        await live.stop()
        await model.stop()


ways = pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
generations = pytest.mark.parametrize("newer", [False, True], ids=["may", "august"])


@ways
@generations
@pytest_twisted.ensureDeferred
async def test_one_prompts_and_the_other_comes_in_and_watches(short_path: Path, newer: bool, tcp: bool) -> None:
    async with stage(short_path, newer=newer, tcp=tcp) as seen:
        session = await seen.one.new_session()
        held = seen.one.prompt(session, "hello")
        await seen.one.open(session)
        exchange = await seen.model.next_request()
        exchange.head()
        exchange.text("half ")
        await seen.one.poll(session)
        assert [message["role"] for message in await seen.other.open(session)] == ["user", "assistant"]
        exchange.text("and whole")
        exchange.finish()
        exchange.done()
        await gatherResults([held, seen.one.when_ended(), seen.other.when_ended()])
        assert [end["text"] for end in seen.other.events.of("run_complete")] == ["half and whole"]
        await gatherResults([Deferred.fromCoroutine(one.quit()) for one in (seen.one, seen.other)])
        assert seen.errors == []


@ways
@generations
@pytest_twisted.ensureDeferred
async def test_one_queues_and_the_other_clears_and_cancels(short_path: Path, newer: bool, tcp: bool) -> None:
    async with stage(short_path, newer=newer, tcp=tcp) as seen:
        session = await seen.one.new_session()
        held = seen.one.prompt(session, "long")
        exchange = await seen.model.next_request()
        exchange.head()
        exchange.text("w0 ")
        await seen.one.prompt(session, "next")
        assert await seen.other.poll(session) == ["next"]
        await seen.other.act(session, "prompts/clear")
        assert await seen.one.poll(session) == []
        await seen.other.act(session, "cancel")
        await gatherResults([held, seen.one.when_ended(2), seen.other.when_ended(2)])
        for one in (seen.one, seen.other):
            assert one.finishes()[-1] == "canceled"
        await exchange.when_gone()
        assert seen.errors == []


@ways
@generations
@pytest_twisted.ensureDeferred
async def test_one_asks_for_a_tool_and_the_other_allows_it(short_path: Path, newer: bool, tcp: bool) -> None:
    async with stage(short_path, newer=newer, tcp=tcp) as seen:
        session = await seen.one.new_session()
        held = seen.one.prompt(session, "make it")
        await seen.calls("bash", command="touch made", description="make a file")
        assert await seen.other.answer("allow")
        assert not await seen.one.answer("deny")
        await seen.says("made")
        await gatherResults([held, seen.one.when_ended()])
        assert (short_path / "project" / "made").exists()
        asked = [(one["granted"], one["denied"]) for one in seen.one.events.of("permission_notification")]
        assert asked == [(False, False), (True, False)]
        assert seen.errors == []


@ways
@generations
@pytest_twisted.ensureDeferred
async def test_a_refused_tool_ends_the_turn_without_an_error(short_path: Path, newer: bool, tcp: bool) -> None:
    async with stage(short_path, newer=newer, tcp=tcp) as seen:
        session = await seen.one.new_session()
        held = seen.one.prompt(session, "make it")
        await seen.calls("bash", command="touch made", description="make a file")
        assert await seen.one.answer("deny")
        await gatherResults([held, seen.one.when_ended(), seen.other.when_ended()])
        assert seen.one.finishes()[-1] == "end_turn"
        assert not (short_path / "project" / "made").exists()
        assert seen.errors == []


@ways
@generations
@pytest_twisted.ensureDeferred
async def test_a_waiting_tool_is_cancelled_from_the_other(short_path: Path, newer: bool, tcp: bool) -> None:
    async with stage(short_path, newer=newer, tcp=tcp) as seen:
        session = await seen.one.new_session()
        held = seen.one.prompt(session, "make it")
        await seen.calls("bash", command="touch made", description="make a file")
        await seen.one.events.when(lambda event: event.kind == "permission_request")
        await seen.other.act(session, "cancel")
        await gatherResults([held, seen.one.when_ended(), seen.other.when_ended()])
        assert not await seen.one.answer("allow")
        assert seen.one.events.of("permission_notification")[-1]["denied"]
        assert not (short_path / "project" / "made").exists()
        assert seen.errors == []


@ways
@generations
@pytest_twisted.ensureDeferred
async def test_a_shell_command_and_another_model(short_path: Path, newer: bool, tcp: bool) -> None:
    async with stage(short_path, newer=newer, tcp=tcp) as seen:
        session = await seen.one.new_session()
        ran = await seen.one.ask(
            "POST", f"{seen.one.url}/agent/sessions/{session}/shell", {"command": "echo shell", "term_width": 80}
        )
        assert ran == {"output": "shell\n", "exit_code": 0}
        first = (await seen.other.open(session))[0]["parts"][0]
        assert first["type"] == "shell_command"
        choice = {"model": "small", "provider": "scripted", "max_tokens": 1000}
        await seen.one.ask("POST", f"{seen.one.url}/config/model", {"scope": 0, "model_type": "large", "model": choice})
        await seen.one.ask("GET", seen.one.url)
        await seen.one.ask("POST", f"{seen.one.url}/agent/update")
        held = seen.one.prompt(session, "which?")
        exchange = await seen.model.next_request()
        assert exchange.json()["model"] == "small"
        exchange.reply("me")
        await held
        assert seen.errors == []


@ways
@pytest_twisted.ensureDeferred
async def test_a_failure_is_told_once_to_either_generation(short_path: Path, tcp: bool) -> None:
    for newer, answers in ((False, [500]), (True, [202])):
        home = short_path / str(newer)
        home.mkdir()
        async with stage(home, newer=newer, tcp=tcp) as seen:
            session = await seen.one.new_session()
            held = seen.one.prompt(session, "hello")
            (await seen.model.next_request()).error(404, "no such model")
            await gatherResults([held, seen.one.when_ended()])
            assert [status for _, status in seen.one.refused] == answers
