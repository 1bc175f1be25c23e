"""The seed: a run belongs to the server. Proved over real sockets, with a real database and a scripted model."""

import functools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.logger import LogLevel, capturedLogs

from txcrush.adapters.sqlite.store import SqliteStore
from txcrush.testing.answer import Answer, StreamEvent
from txcrush.testing.live_client import CLIENT, EventStream, LiveClient, RawClient
from txcrush.testing.live_server import LiveServer, PromptsModel, prompt_of
from txcrush.testing.model_server import Exchange

Record = Callable[[str, object], None]
BOUND_S = 20.0
ALICE = "aaaaaaaa-1111-4111-8111-111111111111"
BOB = "bbbbbbbb-1111-4111-8111-111111111111"


def bounded(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Deferred[None]]:
    """Whatever goes wrong, the test ends."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(test(*args, **kwargs)).addTimeout(BOUND_S, reactor)

    return run


class Seed:
    """A server, its model, and a workspace with one session."""

    def __init__(self, server: LiveServer, model: PromptsModel) -> None:
        self.server, self.model, self.client = server, model, server.client
        self.logged: list[dict[str, Any]] = []
        self.workspace = self.session = ""

    async def open(self) -> None:
        self.workspace = await self.client.join(self.server.project)
        self.session = await self.client.session(self.workspace)

    def take_defects(self) -> list[type[BaseException]]:
        """What was logged as a defect since the last time."""
        defects = [event["log_failure"].type for event in self.logged if event["log_level"] is LogLevel.critical]
        self.logged.clear()
        return defects

    def path(self, rest: str) -> str:
        return f"/v1/workspaces/{self.workspace}/{rest}"

    def prompt(self, text: str, session: str = "", **more: Any) -> Deferred[Answer]:
        return self.client.prompt(self.workspace, session or self.session, text, **more)

    def stream(self, client_id: str = ALICE) -> Coroutine[Any, Any, EventStream]:
        return self.client.stream(self.workspace, client_id)

    async def cancel(self, session: str = "", client: LiveClient | None = None) -> None:
        answer = await (client or self.client).post(self.path(f"agent/sessions/{session or self.session}/cancel"))
        assert answer.status == 200

    async def busy(self, text: str = "first") -> tuple[Deferred[Answer], Exchange]:
        """A held prompt whose provider request is open, and that request."""
        held = self.prompt(text)
        return held, await self.model.next_request()

    async def messages(self, session: str = "") -> list[dict[str, Any]]:
        answer = await self.client.get(self.path(f"sessions/{session or self.session}/messages"))
        assert answer.status == 200
        return list(answer.value)

    async def said(self, session: str = "") -> list[str]:
        """What users said in a session."""
        return [message["parts"][0]["data"]["text"] for message in await self.messages(session) if _is_user(message)]


def _is_user(message: dict[str, Any]) -> bool:
    return bool(message["role"] == "user")


def ended(run_id: str) -> Callable[[StreamEvent], bool]:
    return lambda event: event.kind == "run_complete" and event.payload.get("run_id", "") == run_id


def completed(event: StreamEvent) -> bool:
    return event.kind == "run_complete"


def ended_in(session: str) -> Callable[[StreamEvent], bool]:
    return lambda event: completed(event) and event.payload["session_id"] == session


def says(text: str) -> Callable[[StreamEvent], bool]:
    return lambda event: event.kind == "message" and text in str(event.payload["parts"])


async def until(ask: Callable[[], Coroutine[Any, Any, bool]]) -> None:
    """Ask the server again and again, until it says yes."""
    while not await ask():
        pass


@pytest_twisted.async_yield_fixture
async def seed(short_path: Path) -> AsyncIterator[Seed]:
    """Whatever a test does, no defect may be logged."""
    with capturedLogs() as logged:
        model = PromptsModel.listen(reactor)
        server = await LiveServer.start(reactor, short_path, model, listen=("tcp:0:interface=127.0.0.1",))
        made = Seed(server, model)
        made.logged = logged
        await made.open()
        yield made
        await server.stop()
        await model.stop()
        assert made.take_defects() == []


# (a) cancelling


@bounded
async def test_seed_a_a_cancel_by_another_client_answers_the_held_prompt_200_and_both_see_the_end(seed: Seed) -> None:
    alice, bob = await seed.stream(ALICE), await seed.stream(BOB)
    held, exchange = await seed.busy()
    exchange.head()
    exchange.text("partial")
    await alice.when(says("partial"))
    await seed.cancel(client=seed.server.tcp_client())
    answer = await held
    assert (answer.status, answer.body, answer.headers["x-run-state"]) == (200, b"", "ended")
    for stream in (alice, bob):
        end = await stream.when(completed)
        finished = [event.finish_reason for event in stream.events if event.finish_reason not in ("", "stop")]
        assert finished == ["canceled"]
        assert end.payload["cancelled"] and end.payload["text"] == "partial"
        assert stream.events.index(end) == len(stream.events) - 1
        assert stream.of("agent_event") == []
    await exchange.when_gone()


@bounded
async def test_seed_a_a_prompt_cancelled_in_the_queue_is_no_error_either(seed: Seed) -> None:
    held, _ = await seed.busy()
    waiting = seed.prompt("second", run_id="R2", prefer="wait=60")
    await until(lambda: _queued(seed, 1))
    await seed.cancel()
    first, second = await held, await waiting
    assert (first.status, second.status) == (200, 200)
    assert second.headers["x-run-id"] == "R2"


async def _queued(seed: Seed, count: int) -> bool:
    answer = await seed.client.get(seed.path(f"agent/sessions/{seed.session}/prompts/queued"))
    return bool(answer.value == count)


# (b) dropped clients


@pytest.mark.parametrize("over", ["unix", "tcp"])
@bounded
async def test_seed_b_a_reset_leaves_the_run_running_once_and_the_others_see_its_end(seed: Seed, over: str) -> None:
    others = [await seed.stream(ALICE), await seed.stream(BOB)]
    client = seed.server.tcp_client() if over == "tcp" else seed.client
    raw = await client.raw()
    _send_prompt(seed, raw, "go on")
    exchange = await seed.model.next_request()
    raw.reset()
    await raw.when_closed()
    assert (await seed.client.get(seed.path("agent"))).value["is_busy"]
    exchange.reply("all ", "of it")
    for stream in others:
        assert (await stream.when(completed)).payload["text"] == "all of it"
    assert len(seed.model.requests) == 1
    assert await seed.said() == ["go on"]
    assert not exchange.gone


def _send_prompt(seed: Seed, raw: RawClient, text: str, session: str = "", **fields: object) -> None:
    headers = {"Authorization": f"Bearer {seed.server.token}"}
    body = {"session_id": session or seed.session, "prompt": text, **fields}
    raw.send("POST", seed.path("agent"), body, **headers)


@bounded
async def test_seed_b_a_half_closed_request_loses_its_answer_and_nothing_else(seed: Seed) -> None:
    stream = await seed.stream()
    raw = await seed.client.raw()
    _send_prompt(seed, raw, "go on")
    exchange = await seed.model.next_request()
    raw.transport.loseWriteConnection()
    exchange.reply("done")
    assert (await stream.when(completed)).payload["text"] == "done"
    await raw.when_closed()


@bounded
async def test_seed_b_a_client_that_leaves_while_its_prompt_waits_in_the_queue_still_gets_its_turn(seed: Seed) -> None:
    stream = await seed.stream()
    _, first = await seed.busy()
    raw = await seed.client.raw()
    _send_prompt(seed, raw, "second", run_id="R2", when_busy="queue")
    await raw.when(lambda received: b"202" in received)
    raw.reset()
    first.reply("one")
    (await seed.model.next_request()).reply("two")
    assert (await stream.when(ended("R2"))).payload["text"] == "two"


@bounded
async def test_promise_01_a_hundred_runs_whose_requests_were_reset_all_complete_once(
    seed: Seed, record_property: Record
) -> None:
    """Half of them after the first byte of an answer, half while the answer is held."""
    seed.model.handler = lambda exchange: exchange.reply("ok")
    stream = await seed.stream()
    sessions = await gatherResults([Deferred.fromCoroutine(seed.client.session(seed.workspace)) for _ in range(100)])
    client = seed.server.tcp_client()
    for number, session in enumerate(sessions):
        raw = await client.raw()
        fields = {"run_id": f"R{number}"} if number % 2 else {}
        _send_prompt(seed, raw, f"prompt {number}", session, **fields)
        if number % 2:
            await raw.when(bool)
        else:
            await stream.when(says(f"prompt {number}'"))
        raw.reset()
    for session in sessions:
        await stream.when(ended_in(session))
    ends = Counter(payload["session_id"] for payload in stream.of("run_complete"))
    assert ends == Counter(sessions)
    assert all(payload.get("text") == "ok" for payload in stream.of("run_complete"))
    assert Counter(map(prompt_of, seed.model.requests)) == Counter(f"prompt {number}" for number in range(100))
    record_property("promise_01", "100/100 complete")


@bounded
async def test_promise_02_a_run_outlives_every_client_and_then_its_workspace_closes(short_path: Path) -> None:
    model = PromptsModel.listen(reactor)
    graces = {"detach_grace_s": 0.05, "idle_exit_s": 0.0}
    server = await LiveServer.start(reactor, short_path, model, **graces)
    server.configure(str(short_path / "idle"), model)
    made = Seed(server, model)
    await made.open()
    idle = await server.client.join(str(short_path / "idle"), ALICE)
    probe, stream = await server.client.stream(idle, ALICE), await made.stream(CLIENT)
    _, exchange = await made.busy()
    looking = await server.client.post(made.path(f"current-session?client_id={CLIENT}"), {"session_id": made.session})
    assert looking.status == 200
    stream.close()
    await until(lambda: _is_unwatched(made))
    probe.close()  # an idle workspace left later: when its grace is over, so is that of the busy one
    await until(lambda: _is_gone(server.client, idle))
    assert not server.leaving.called
    assert not await _is_gone(server.client, made.workspace)
    exchange.reply("nobody watched")
    await server.leaving
    assert await _is_gone(server.client, made.workspace)
    await server.stop()
    again = Seed(await LiveServer.start(reactor, short_path, model), model)
    again.workspace, again.session = await again.client.join(again.server.project), made.session
    last = (await again.messages())[-1]
    assert [part["data"].get("text", part["data"].get("reason")) for part in last["parts"]] == [
        "nobody watched",
        "end_turn",
    ]
    await again.server.stop()
    await model.stop()


async def _is_unwatched(seed: Seed) -> bool:
    answer = await seed.client.get(seed.path(f"sessions/{seed.session}"))
    return bool(answer.value["attached_clients"] == 0)


async def _is_gone(client: LiveClient, workspace: str) -> bool:
    return (await client.get(f"/v1/workspaces/{workspace}")).status == 404


# (c) errors keep their statuses


@bounded
async def test_seed_c_an_error_still_maps_to_its_status(seed: Seed, short_path: Path) -> None:
    bare = short_path / "bare"
    bare.mkdir()
    (bare / "crush.json").write_text('{"providers": {"off": {"type": "openai", "api_key": "k", "disable": true}}}')
    unready = await seed.client.join(str(bare))
    unknown = "/v1/workspaces/00000000-0000-4000-8000-000000000000"
    agent, hello = seed.path("agent"), {"session_id": seed.session, "prompt": "x"}
    for path, body, expected in [
        (f"{unknown}/agent", hello, (404, "workspace not found")),
        (f"/v1/workspaces/{unready}/agent", hello, (400, "agent coordinator not initialized")),
        (agent, b"{", (400, "failed to decode request")),
        (f"{unknown}/agent", b"", (400, "failed to decode request")),
        (agent, {"session_id": seed.session}, (500, "prompt is empty")),
        (agent, {"prompt": "x"}, (500, "session id is missing")),
        (agent, {**hello, "session_id": "ghost"}, (500, "failed to get session: sql: no rows in result set")),
        (agent, {**hello, "when_busy": "never"}, (400, None)),
        (seed.path(f"agent/sessions/{seed.session}/summarize").replace(seed.workspace, unready), b"",
         (400, "agent coordinator not initialized")),
        ("/v1/control", {"command": "shutdown"}, (409, "server is hosting live workspaces")),
        ("/v1/control", {"command": "dance"}, (400, "unknown command")),
        ("/v1/workspaces", {"client_id": ALICE}, (400, "path is required")),
        (seed.path(f"current-session?client_id={ALICE}"), {}, (409, "client not attached")),
    ]:  # fmt: skip
        answer = await seed.client.post(path, body)
        assert (answer.status, expected[1] and answer.message) == expected, path
    assert seed.model.requests == []


@bounded
async def test_seed_c_a_provider_that_fails_answers_the_held_prompt_500(seed: Seed) -> None:
    stream = await seed.stream()
    held, exchange = await seed.busy()
    exchange.error(400, "no such model")
    answer = await held
    assert answer.status == 500 and "no such model" in answer.message
    assert answer.headers["x-run-id"]
    end = await stream.when(completed)
    assert "no such model" in end.payload["error"] and not end.payload.get("cancelled")


@bounded
async def test_seed_c_a_busy_session_refuses_a_prompt_that_will_not_wait(seed: Seed) -> None:
    held, exchange = await seed.busy()
    refused = await seed.prompt("second", when_busy="reject")
    assert (refused.status, refused.message) == (409, "session is busy")
    exchange.reply("done")
    assert (await held).status == 200
    assert await seed.said() == ["first"]


@bounded
async def test_seed_c_a_server_that_stops_answers_a_held_prompt_503_and_ends_the_run(seed: Seed) -> None:
    stream = await seed.stream()
    held, exchange = await seed.busy()
    waiting = seed.prompt("second", run_id="R2", prefer="wait=60")
    await until(lambda: _queued(seed, 1))
    await seed.server.stop()
    for asked in (held, waiting):
        answer = await asked
        assert (answer.status, answer.message) == (503, "server is shutting down")
    assert exchange.gone
    await stream.when_ended()
    reasons = [event.finish_reason for event in stream.events]
    assert reasons[-2:] == ["canceled", ""] and len(stream.of("run_complete")) == 1


# (d) no other cancellation becomes a 200


def _cancelled(*_args: object, **_kwargs: object) -> Deferred[Any]:
    deferred: Deferred[Any] = Deferred()
    deferred.cancel()
    return deferred


@bounded
async def test_seed_d_a_read_that_is_cancelled_is_a_500(seed: Seed) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SqliteStore, "messages", _cancelled)
        answer = await seed.client.get(seed.path(f"sessions/{seed.session}/messages"))
    assert (answer.status, answer.message) == (500, "internal server error")
    assert seed.take_defects() == [CancelledError]


@bounded
async def test_seed_d_a_cancellation_inside_a_run_that_nobody_cancelled_is_a_500(seed: Seed) -> None:
    stream = await seed.stream()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SqliteStore, "messages", _cancelled)
        answer = await seed.prompt("hello")
    assert answer.status == 500 and answer.message
    end = await stream.when(completed)
    assert end.payload["error"] and not end.payload.get("cancelled")
    assert seed.take_defects() == [CancelledError]


# (e), (f) many at once


@pytest.mark.parametrize("with_ids", [True, False], ids=["own turns", "folded"])
@bounded
async def test_seed_e_fifty_prompts_in_one_instant_to_five_sessions_all_run_once_each(
    seed: Seed, with_ids: bool
) -> None:
    seed.model.handler = lambda exchange: exchange.reply("ok")
    stream = await seed.stream()
    sessions = [await seed.client.session(seed.workspace) for _ in range(5)]
    ids = [{"run_id": f"R{number}"} if with_ids else {"when_busy": "queue"} for number in range(50)]
    posts = [seed.prompt(f"prompt {number}", sessions[number % 5], **ids[number]) for number in range(50)]
    answers = await gatherResults(posts)
    assert {answer.status for answer in answers} == {202 if with_ids else 200}
    runs = [answer.headers["x-run-id"] for answer in answers]
    assert len(set(runs)) == 50
    for number, run in enumerate(runs):
        assert await _status_at_end(seed, run, f"prompt {number}", sessions[number % 5]) == 200
    if with_ids:
        for run in runs:
            await stream.when(ended(run))
        assert Counter(payload["run_id"] for payload in stream.of("run_complete")) == Counter(runs)
    assert Counter(map(prompt_of, seed.model.requests)) == Counter(f"prompt {number}" for number in range(50))
    for index, session in enumerate(sessions):
        expected = Counter(f"prompt {number}" for number in range(index, 50, 5))
        assert Counter(await seed.said(session)) == expected


async def _status_at_end(seed: Seed, run: str, text: str, session: str = "") -> int:
    """Join the run, whatever has become of it, and wait for its end."""
    return (await seed.prompt(text, session, run_id=run, prefer="wait=60")).status


@bounded
async def test_seed_e_prompts_without_ids_fold_and_none_is_lost_or_doubled(seed: Seed) -> None:
    seed.model.handler = lambda exchange: exchange.reply("ok")
    sessions = [await seed.client.session(seed.workspace) for _ in range(5)]
    posts = [seed.prompt(f"prompt {number}", sessions[number % 5]) for number in range(50)]
    answers = await gatherResults(posts)
    assert {answer.status for answer in answers} == {200}
    for number, answer in enumerate(answers):
        run = answer.headers["x-run-id"]
        assert await _status_at_end(seed, run, f"prompt {number}", sessions[number % 5]) == 200
    said = [text for session in sessions for text in await seed.said(session)]
    assert Counter(said) == Counter(f"prompt {number}" for number in range(50))


@bounded
async def test_promise_06_fifty_posts_of_one_run_id_are_one_run_with_one_end_and_fifty_equal_answers(
    seed: Seed, record_property: Record
) -> None:
    stream = await seed.stream()
    posts = [seed.prompt("once", run_id="R1") for _ in range(50)]
    exchange = await seed.model.next_request()
    answers = await gatherResults(posts)
    exchange.reply("ok")
    assert {(answer.status, answer.body, answer.headers["x-run-id"]) for answer in answers} == {(202, b"", "R1")}
    await stream.when(ended("R1"))
    assert (await seed.prompt("once", run_id="R1")).status == 202
    other = await seed.prompt("twice", run_id="R1")
    assert (other.status, other.message) == (409, "run id is already used by another prompt")
    await seed.client.get(seed.path("agent"))
    assert len(stream.of("run_complete")) == 1
    assert len(seed.model.requests) == 1
    assert await seed.said() == ["once"]
    record_property("promise_06", "50 parallel duplicates: 1 run, 50 equal answers")


@bounded
async def test_promise_06_fifty_held_posts_of_one_key_wait_for_the_same_run(seed: Seed) -> None:
    posts = [seed.prompt("once", key="K1") for _ in range(50)]
    exchange = await seed.model.next_request()
    await seed.client.get(seed.path("agent"))
    exchange.reply("ok")
    answers = await gatherResults(posts)
    assert {(answer.status, answer.headers["x-run-id"]) for answer in answers} == {(200, "K1")}
    assert (await seed.prompt("once", key="K1")).status == 200
    assert len(seed.model.requests) == 1
    assert await seed.said() == ["once"]


@bounded
async def test_promise_10_a_cancel_leaves_other_streams_and_other_sessions_alone(
    seed: Seed, record_property: Record
) -> None:
    clients = [f"{number:08d}-1111-4111-8111-111111111111" for number in range(20)]
    streams = [await seed.stream(client_id) for client_id in clients]
    sessions = [await seed.client.session(seed.workspace) for _ in range(5)]
    held = [seed.prompt(session, session) for session in sessions]
    requests = [await seed.model.next_request() for _ in sessions]
    by_session = {prompt_of(exchange): exchange for exchange in requests}
    await seed.cancel(sessions[0])
    assert (await held[0]).status == 200
    assert [by_session[session].gone for session in sessions[1:]] == [False] * 4
    for session in sessions[1:]:
        by_session[session].reply("ok")
    assert [answer.status for answer in await gatherResults(held[1:])] == [200] * 4
    for stream in streams:
        for session in sessions:
            await stream.when(
                lambda event, session=session: completed(event) and event.payload["session_id"] == session
            )
        cancelled = [end["session_id"] for end in stream.of("run_complete") if end.get("cancelled")]
        assert cancelled == [sessions[0]] and not stream.ended
    record_property("promise_10", "20 clients, 5 sessions: 0 drops, 0 foreign cancels")


# The table of the prompt POST


@bounded
async def test_a_preference_to_respond_at_once_is_honoured_and_named(seed: Seed) -> None:
    stream = await seed.stream()
    answer = await seed.prompt("hi", prefer="respond-async")
    assert (answer.status, answer.body) == (202, b"")
    assert answer.headers["preference-applied"] == "respond-async"
    assert answer.headers["x-run-id"]
    (await seed.model.next_request()).reply("ok")
    end = await stream.when(completed)
    assert "run_id" not in end.payload


@bounded
async def test_a_wait_that_is_longer_than_the_run_answers_with_its_end(seed: Seed) -> None:
    waiting = seed.prompt("hi", run_id="R1", prefer="wait=60")
    (await seed.model.next_request()).reply("ok")
    answer = await waiting
    assert (answer.status, answer.headers["preference-applied"]) == (200, "wait=60")


@bounded
async def test_a_wait_that_is_shorter_than_the_run_answers_202_and_the_run_goes_on(seed: Seed) -> None:
    stream = await seed.stream()
    answer = await seed.prompt("hi", prefer="wait=1")
    assert (answer.status, answer.headers["preference-applied"]) == (202, "wait=1")
    (await seed.model.next_request()).reply("ok")
    assert (await stream.when(completed)).payload["text"] == "ok"


@bounded
async def test_a_held_prompt_behind_a_busy_session_is_answered_at_once_as_queued(seed: Seed) -> None:
    held, exchange = await seed.busy()
    queued = await seed.prompt("second")
    assert (queued.status, queued.headers["x-run-state"]) == (200, "queued")
    assert queued.headers["x-run-id"]
    exchange.reply("one")
    (await seed.model.next_request()).reply("two")
    assert (await held).status == 200
    assert await _status_at_end(seed, queued.headers["x-run-id"], "second") == 200


@bounded
async def test_deleting_the_session_answers_its_held_prompt_200(seed: Seed) -> None:
    held, exchange = await seed.busy()
    deleted = await seed.client.ask("DELETE", seed.path(f"sessions/{seed.session}"))
    assert deleted.status == 200
    assert (await held).status == 200
    await exchange.when_gone()


@bounded
async def test_clearing_the_queue_answers_the_prompt_that_waits_in_it_200(seed: Seed) -> None:
    stream = await seed.stream()
    held, exchange = await seed.busy()
    waiting = seed.prompt("second", run_id="R2", prefer="wait=60")
    await until(lambda: _queued(seed, 1))
    cleared = await seed.client.post(seed.path(f"agent/sessions/{seed.session}/prompts/clear"))
    assert cleared.status == 200
    assert (await waiting).status == 200
    assert (await stream.when(ended("R2"))).payload["cancelled"]
    exchange.reply("one")
    assert (await held).status == 200
    assert len(seed.model.requests) == 1


@bounded
async def test_a_prompt_of_three_hundred_kibibytes_is_decoded_in_a_thread_and_runs_once_and_whole(seed: Seed) -> None:
    text = "long " + "é" * 150 * 1024
    held = seed.prompt(text)
    exchange = await seed.model.next_request()
    assert prompt_of(exchange) == text
    exchange.reply("ok")
    assert (await held).status == 200
    assert await seed.said() == [text]
