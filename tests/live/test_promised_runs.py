"""Runs on a real server: clients break off, leave, ask twice, cancel, and what that does to everybody else."""

import functools
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from txcrush.testing.live_client import EventStream, LiveClient
from txcrush.testing.live_scene import Scene
from txcrush.testing.live_server import LiveServer, PromptsModel, prompt_of
from txcrush.testing.model_server import Exchange
from txcrush.testing.scale import scaled

BOUND_S = scaled(60, 600)
Record = Callable[[str, object], None]


def bounded(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Deferred[None]]:
    """Whatever goes wrong, the test ends."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(test(*args, **kwargs)).addTimeout(BOUND_S, reactor)

    return run


class World:
    """A server whose clients stay no longer than they say, and its model."""

    def __init__(self, live: LiveServer, model: PromptsModel) -> None:
        self.live, self.model = live, model
        self.workspace = ""

    @property
    def client(self) -> LiveClient:
        return self.live.client

    async def join(self, client_id: str = "") -> str:
        """Returns the client's id."""
        client_id = client_id or str(uuid.uuid4())
        self.workspace = await self.client.join(self.live.project, client_id)
        return client_id

    async def get(self, rest: str) -> Any:
        answer = await self.client.get(f"/v1/workspaces/{self.workspace}/{rest}")
        assert answer.status == 200, answer
        return answer.value

    async def session(self) -> str:
        return await self.client.session(self.workspace)

    async def ended(self, run_id: str) -> dict[str, Any]:
        shown: dict[str, Any] = await self.get(f"runs/{run_id}?wait=30")
        assert shown["state"] == "ended", shown
        return shown


@pytest_twisted.async_yield_fixture
async def world(short_path: Path) -> AsyncIterator[World]:
    model: Any = PromptsModel.listen(reactor)
    listen = ("tcp:0:interface=127.0.0.1",)
    live = await LiveServer.start(reactor, short_path, model, listen=listen, detach_grace_s=0.05, create_grace_s=5.0)
    made = World(live, model)
    await made.join()
    yield made
    await live.stop()
    await model.stop()


@pytest_twisted.ensureDeferred
@bounded
async def test_promise_01_a_run_goes_on_when_its_request_is_reset(world: World, record_property: Record) -> None:
    count, tcp = scaled(20, 100), world.live.tcp_client()
    for number in range(count):
        session, run_id = await world.session(), f"r{number}"
        raw = await tcp.raw()
        token = {"Authorization": f"Bearer {world.live.token}"}
        body = {"session_id": session, "prompt": "go", "run_id": run_id}
        is_held = number % 2 == 0
        raw.send("POST", f"/v1/workspaces/{world.workspace}/agent", body, Prefer="wait=60" if is_held else "", **token)
        exchange = await world.model.next_request()
        if not is_held:
            await raw.when(lambda received: len(received) >= 1)
        raw.reset()
        await raw.when_closed()
        exchange.reply("done")
        shown = await world.ended(run_id)
        assert (shown["outcome"], shown["text"]) == ("completed", "done")
    record_property("promise_01", f"{count}/{count} complete")


@pytest_twisted.ensureDeferred
@bounded
async def test_promise_02_a_run_goes_on_when_the_last_client_leaves(world: World, record_property: Record) -> None:
    count = scaled(20, 100)
    for number in range(count):
        leaver, run_id = await world.join(), f"r{number}"
        stream = await world.client.stream(world.workspace, leaver)
        session = await world.session()
        await world.client.prompt(world.workspace, session, "go", run_id=run_id)
        exchange = await world.model.next_request()
        exchange.head()
        exchange.text("half ")
        await stream.when(lambda event: event.kind == "message" and "half" in str(event.payload))
        stream.close()
        for one in await world.get("clients"):
            if one["client_id"] != leaver:
                await world.client.ask("DELETE", f"/v1/clients/{one['client_id']}")
        while await world.get("clients"):
            pass
        before = world.workspace
        back = await world.join()
        assert world.workspace == before
        returned = await world.client.stream(world.workspace, back)
        (shown,) = await world.get(f"runs?session_id={session}")
        assert (shown["run_id"], shown["state"]) == (run_id, "active")
        exchange.text("and whole")
        exchange.finish()
        exchange.done()
        await returned.when(lambda event: event.kind == "run_complete")
        assert (await world.ended(run_id))["text"] == "half and whole"
        returned.close()
    record_property("promise_02", f"{count}/{count} complete")


@pytest_twisted.ensureDeferred
@bounded
async def test_promise_06_fifty_equal_prompts_are_one_run(world: World, record_property: Record) -> None:
    for number, named in enumerate((True, False)):
        session = await world.session()
        fields: dict[str, Any] = {"run_id": "again", "prefer": "wait=60"} if named else {"key": "again too"}
        asking = [world.client.prompt(world.workspace, session, "go", **fields) for _ in range(50)]
        exchange = await world.model.next_request()
        exchange.reply("done")
        answers = await gatherResults(asking)
        told = {(one.status, one.body, one.headers["x-run-id"], one.headers["x-run-state"]) for one in answers}
        assert told == {(200, b"", "again" if named else "again too", "ended")}
        late = await world.client.prompt(world.workspace, session, "go", **fields)
        assert (late.status, late.headers["x-run-id"]) == (200, "again" if named else "again too")
        assert [prompt_of(one) for one in world.model.requests if prompt_of(one) == "go"] == ["go"] * (number + 1)
    record_property("promise_06", "50 parallel duplicates: 1 run, 50 equal answers")


@pytest_twisted.ensureDeferred
@bounded
async def test_promise_10_a_cancel_touches_nobody_else(world: World, record_property: Record) -> None:
    sessions = [await world.session() for _ in range(5)]
    at_work: dict[str, Exchange] = {}
    for session in sessions:
        await world.client.prompt(world.workspace, session, session, run_id=session)
        exchange = await world.model.next_request()
        exchange.head()
        at_work[prompt_of(exchange)] = exchange
    clients = [await world.join() for _ in range(20)]
    streams: list[EventStream] = [await world.client.stream(world.workspace, one) for one in clients]
    cancelled, others = sessions[0], sessions[1:]
    path = f"/v1/workspaces/{world.workspace}/agent/sessions/{cancelled}/cancel?client_id={clients[0]}"
    assert (await world.client.post(path)).status == 200
    for session in others:
        at_work[session].text("done")
        at_work[session].finish()
        at_work[session].done()
    for stream in streams:
        await stream.when(lambda _, stream=stream: len(stream.of("run_complete")) == 5)
        ends = {one["run_id"]: one.get("cancelled", False) for one in stream.of("run_complete")}
        assert ends == {session: session == cancelled for session in sessions}
    assert [stream.ended for stream in streams] == [False] * 20
    record_property("promise_10", "20 clients, 5 sessions: 0 drops, 0 foreign cancels")


# How fast a cancel is. Each state ends with the clock's start.


async def streaming(scene: Scene) -> None:
    voice = await scene.asked()
    voice.begin()
    call_id = f"c{uuid.uuid4().int}"
    voice.open_call(call_id, "view", '{"file')
    await scene.shown_part("tool_call", id=call_id)


async def in_a_tool(scene: Scene) -> None:
    await scene.calls(("c1", "bash", {"description": "d", "command": "trap '' INT TERM; touch ran; sleep 97.5"}))
    await scene.post("permissions/grant", {"permission": await asked_for(scene), "action": "allow"})
    while not (scene.project / "ran").exists():
        await scene.get("permissions/pending")
    (scene.project / "ran").unlink()


async def in_a_permission_wait(scene: Scene) -> None:
    await scene.calls(("c1", "write", {"file_path": "new", "content": "x"}))
    await asked_for(scene)


async def asked_for(scene: Scene) -> dict[str, Any]:
    """The request that waits for somebody's word, once there is one."""
    while not (pending := await scene.get("permissions/pending")):
        pass
    request: dict[str, Any] = pending[0]
    return request


async def with_a_queue(scene: Scene) -> None:
    await scene.asked()
    for name in ("a", "b", "c"):
        body = {"session_id": scene.session, "prompt": name, "when_busy": "queue"}
        await scene.server.client.post(f"/v1/workspaces/{scene.workspace}/agent", body)


STATES = (streaming, in_a_tool, in_a_permission_wait, with_a_queue)
CANCELLED_S, KILLED_S = 0.5, 3.0


async def seconds_to_idle(scene: Scene) -> tuple[float, float]:
    """Until a cancel is acknowledged, and until the session is idle."""
    begun = time.monotonic()
    await scene.cancel()
    acknowledged = time.monotonic() - begun
    while (await scene.get(f"agent/sessions/{scene.session}"))["is_busy"]:
        pass
    return acknowledged, time.monotonic() - begun


def at_99_percent(figures: list[float]) -> float:
    return sorted(figures)[max(0, -(-len(figures) * 99 // 100) - 1)]


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
@pytest_twisted.ensureDeferred
async def test_promise_07_a_cancel_is_acknowledged_and_the_session_idle(
    state: Callable[[Scene], Coroutine[Any, Any, None]], short_path: Path, record_property: Record
) -> None:
    scene = await Scene.open(reactor, short_path)
    try:
        await Deferred.fromCoroutine(_cancels(scene, state, record_property)).addTimeout(BOUND_S, reactor)
    finally:
        await scene.close()


async def _cancels(scene: Scene, state: Callable[[Scene], Coroutine[Any, Any, None]], record_property: Record) -> None:
    acknowledged, idle = [], []
    for _ in range(scaled(3 if state is in_a_tool else 10, 100)):
        held = scene.prompt()
        await state(scene)
        first, second = await seconds_to_idle(scene)
        acknowledged.append(first)
        idle.append(second)
        assert (await held).status == 200
        assert await scene.get(f"agent/sessions/{scene.session}/prompts/queued") == 0
    limit = KILLED_S if state is in_a_tool else CANCELLED_S
    assert at_99_percent(acknowledged) < CANCELLED_S
    assert at_99_percent(idle) < limit
    told = f"{state.__name__}: acknowledged {at_99_percent(acknowledged) * 1000:.0f} ms"
    record_property("promise_07", f"{told}, idle {at_99_percent(idle) * 1000:.0f} ms (p99 of {len(idle)})")


@pytest_twisted.ensureDeferred
async def test_promise_07_a_summary_is_cancelled_as_fast(short_path: Path, record_property: Record) -> None:
    scene = await Scene.open(reactor, short_path)
    try:
        held = scene.prompt()
        await scene.says("something to sum up")
        await held
        path = f"/v1/workspaces/{scene.workspace}/agent/sessions/{scene.session}/summarize"
        summing = Deferred.fromCoroutine(scene.server.client.post(path))
        voice = await scene.asked()
        voice.begin()
        acknowledged, idle = await seconds_to_idle(scene)
        assert (await summing).status == 200
        assert max(acknowledged, idle) < CANCELLED_S
        record_property("promise_07", f"summary: acknowledged {acknowledged * 1000:.0f} ms, idle {idle * 1000:.0f} ms")
    finally:
        await scene.close()
