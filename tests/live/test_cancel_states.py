"""A run is cancelled in every state that a tool can be in: real server, real bash, real files, both providers' wires.

Alice's prompt is held, Bob cancels. Whatever the state: Alice gets 200, both streams see one canceled end, every call
has one result, nothing runs any more, and both providers take the session's next prompt.
"""

import functools
import os
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

from txcrush.adapters import anchored_files
from txcrush.core.loops import WINDOW
from txcrush.testing.answer import Answer
from txcrush.testing.live_client import EventStream
from txcrush.testing.live_scene import Call, Scene
from txcrush.testing.model_server import Exchange, ModelServer
from txcrush.testing.two_wires import WIRES, Voice

BOUND_S = 30.0
CANCELLED = "Error: user cancelled assistant tool calling"


def bounded(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Deferred[None]]:
    """Whatever goes wrong, the test ends."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(test(*args, **kwargs)).addTimeout(BOUND_S, reactor)

    return run


class Gate:
    """Holds a thread that comes by until it is opened."""

    def __init__(self) -> None:
        self._come, self._open = threading.Event(), threading.Event()

    def holding(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def held(*arguments: Any) -> Any:
            self._come.set()
            assert self._open.wait(BOUND_S)
            return function(*arguments)

        return held

    async def when_held(self) -> None:
        assert await deferToThread(self._come.wait, BOUND_S)

    def open(self) -> None:
        self._open.set()


class Stage:
    """A scene with a slow web site, and programs that come first on the server's PATH.

    `token` stands in the command line of every process that a test starts; `half_answered` holds the requests, to the
    model and to the site, that wait for the rest of their answers.
    """

    def __init__(self, scene: Scene, site: ModelServer, programs: Path) -> None:
        self.scene = scene
        self.site = site
        self.programs = programs
        self.token = f"7{uuid.uuid4().int % 10**8:08}"
        self.gate = Gate()
        self.half_answered: list[Exchange] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.site.port}/{path}"

    def file(self, name: str, content: str = "") -> Path:
        path = self.scene.project / name
        if content:
            path.write_text(content)
        return path

    async def voice(self) -> Voice:
        """What answers the model's next request, which the test leaves half answered."""
        voice = await self.scene.asked()
        self.half_answered.append(self.scene.model.requests[-1])
        voice.begin()
        return voice

    async def page(self, content_type: str = "", body: bytes = b"") -> None:
        """The site's next request; it gets so much of an answer, if any, and no more."""
        exchange = await self.site.next_request()
        self.half_answered.append(exchange)
        if content_type:
            exchange.head(content_type=content_type)
            exchange.chunk(body)

    async def when_there(self, name: str) -> None:
        """Returns once a command has made the file."""
        while not self.file(name).exists():
            await deferToThread(os.sched_yield)

    def survivors(self) -> list[list[str]]:
        """What still runs of this test's."""
        found = (process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline", "status"]))
        return [line for line in found if any(self.token in word for word in line)]

    def bash(self, call_id: str, command: str, **more: object) -> Call:
        return call_id, "bash", {"description": "d", "command": command, **more}


@pytest_twisted.async_yield_fixture
async def stage(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    programs = short_path / "bin"
    programs.mkdir()
    monkeypatch.setattr(os, "defpath", f"{programs}:{os.defpath}")
    site = ModelServer.listen(reactor)
    made = Stage(await Scene.open(reactor, short_path), site, programs)
    yield made
    made.gate.open()
    await made.scene.close()
    await site.stop()
    assert made.survivors() == []


# The states


async def streamed(stage: Stage) -> None:
    """The call is still being written."""
    voice = await stage.voice()
    voice.open_call("c1", "view", '{"file_pa')
    await stage.scene.shown_part("tool_call", id="c1")


async def complete(stage: Stage) -> None:
    """A call is complete and has not started, because the model goes on with another."""
    voice = await stage.voice()
    voice.call("c1", "bash", '{"description":"d","command":"touch ran"}')
    voice.open_call("c2", "view", "{")
    await stage.scene.shown_part("tool_call", id="c1", finished=True)


async def permission(stage: Stage) -> None:
    """It waits for somebody's word."""
    await stage.scene.calls(("c1", "write", {"file_path": "new", "content": "x"}))
    await stage.scene.shown("permission_request")


async def in_line(stage: Stage) -> None:
    """A call waits for the end of the one before, which waits for somebody's word."""
    await stage.scene.calls(stage.bash("c1", "touch ran"), stage.bash("c2", "touch ran"))
    await stage.scene.shown("permission_request")


async def in_line_side_by_side(stage: Stage) -> None:
    """Of six that may run side by side one is asked about, four stand behind it, and one has not begun."""
    await stage.scene.calls(*(fetch(stage, f"c{number}") for number in range(6)))
    await stage.scene.shown("permission_request")


async def bash_running(stage: Stage) -> None:
    """One child ignores what it can, one has a session of its own, one has no parent any more."""
    stubborn = f"(trap '' INT TERM HUP; sleep {stage.token}; sleep {stage.token}) &"
    away = f"setsid sleep {stage.token} & setsid bash -c 'sleep {stage.token} & sleep {stage.token} & exit' &"
    await stage.scene.calls(stage.bash("c1", f"{stubborn} {away} touch ran; trap '' INT; sleep {stage.token}"))
    await stage.scene.grant()
    await stage.when_there("ran")


async def bash_going_behind(stage: Stage) -> None:
    """It is to go on behind, and is still watched for its first second."""
    await stage.scene.calls(stage.bash("c1", f"touch ran; sleep {stage.token}", run_in_background=True))
    await stage.scene.grant()
    await stage.when_there("ran")


async def grep_running(stage: Stage) -> None:
    await _searching(stage, ("c1", "grep", {"pattern": "x"}))


async def glob_running(stage: Stage) -> None:
    await _searching(stage, ("c1", "glob", {"pattern": "*"}))


async def _searching(stage: Stage, call: Call) -> None:
    """A search that does not end."""
    program = stage.programs / "rg"
    program.write_text(f"#!/bin/sh\n: > ran\nexec sleep {stage.token}\n")
    program.chmod(0o700)
    await stage.scene.calls(call)
    await stage.when_there("ran")


async def fetch_asked(stage: Stage) -> None:
    """The site has not said a word."""
    await stage.scene.calls(fetch(stage, "c1"))
    await stage.scene.grant()
    await stage.page()


async def fetch_in_body(stage: Stage) -> None:
    """The site has sent half a page."""
    await stage.scene.calls(fetch(stage, "c1"))
    await stage.scene.grant()
    await stage.page("text/html", b"<html>" + b"x" * 10_000)


def fetch(stage: Stage, call_id: str) -> Call:
    return call_id, "fetch", {"url": stage.url("x"), "format": "text"}


async def download_in_body(stage: Stage) -> None:
    await stage.scene.calls(("c1", "download", {"url": stage.url("x"), "file_path": "landed"}))
    await stage.scene.grant()
    await stage.page("text/plain", b"x" * 2_000_000)


async def question(stage: Stage) -> None:
    asked = {"type": "yes_no", "question": "Now?", "description": "Or later"}
    await stage.scene.calls(("c1", "question", {"questions": [asked]}))
    await stage.scene.shown("question_batch_request")


async def agent_streaming(stage: Stage) -> None:
    await stage.scene.calls(("c1", "agent", {"prompt": "find it"}))
    voice = await stage.voice()
    voice.open_call("k1", "view", '{"file')
    await stage.scene.shown_part("tool_call", id="k1")


async def agent_permission(stage: Stage) -> None:
    await stage.scene.calls(("c1", "agent", {"prompt": "find it"}))
    await stage.scene.calls(("k1", "view", {"file_path": "/etc/passwd"}))
    await stage.scene.shown("permission_request")


async def two_agents(stage: Stage) -> None:
    """One has ended, one waits for somebody's word."""
    await stage.scene.calls(*((f"c{number}", "agent", {"prompt": "find it"}) for number in (1, 2)))
    await stage.scene.says("found")
    await stage.scene.shown_part("tool_result", content="found")
    await stage.scene.calls(("k1", "view", {"file_path": "/etc/passwd"}))
    await stage.scene.shown("permission_request")


async def agentic_fetch_in_body(stage: Stage) -> None:
    """The page that the other agent is to read comes slowly."""
    await stage.scene.calls(("c1", "agentic_fetch", {"prompt": "sum it up", "url": stage.url("x")}))
    await stage.scene.grant()
    await stage.page("text/html", b"<html>")


async def agentic_fetch_streaming(stage: Stage) -> None:
    await stage.scene.calls(("c1", "agentic_fetch", {"prompt": "sum it up"}))
    await stage.scene.grant()
    voice = await stage.voice()
    voice.open_call("k1", "web_search", "{")
    await stage.scene.shown_part("tool_call", id="k1")


async def some_side_by_side_done(stage: Stage) -> None:
    """One page is there, one is on its way, one is asked about."""
    await stage.scene.calls(*(fetch(stage, call_id) for call_id in ("c1", "c2", "c3")))
    await stage.scene.grant()
    (await stage.site.next_request()).answer(200, b"a page", "text/plain")
    await stage.scene.shown_part("tool_result", tool_call_id="c1", content="a page")
    await stage.scene.grant(2)
    await stage.page("text/plain", b"half")
    await stage.scene.shown("permission_request", 3)


async def some_in_line_done(stage: Stage) -> None:
    """One file is shown, a command runs, another has not begun."""
    stage.file("a", "text\n")
    seen = ("c1", "view", {"file_path": "a"})
    await stage.scene.calls(seen, stage.bash("c2", f"touch ran; sleep {stage.token}"), stage.bash("c3", "touch never"))
    await stage.scene.grant()
    await stage.when_there("ran")


STATES = (
    streamed,
    complete,
    permission,
    in_line,
    in_line_side_by_side,
    bash_running,
    bash_going_behind,
    grep_running,
    glob_running,
    fetch_asked,
    fetch_in_body,
    download_in_body,
    question,
    agent_streaming,
    agent_permission,
    two_agents,
    agentic_fetch_in_body,
    agentic_fetch_streaming,
    some_side_by_side_done,
    some_in_line_done,
)
RUN_SOMETHING = (bash_running, bash_going_behind, grep_running, glob_running, some_in_line_done)
HARD_STATES = (permission, bash_running, fetch_in_body, question, agent_streaming, agent_permission, two_agents)
"""Those in which a session is also deleted, and a server stopped."""


# What holds afterwards


async def check_results(scene: Scene, session: str = "") -> list[dict[str, Any]]:
    """Every call of the session is complete and has one result; returns the results."""
    calls, results = await scene.parts("tool_call", session), await scene.parts("tool_result", session)
    assert sorted(call["id"] for call in calls) == sorted(result["tool_call_id"] for result in results)
    assert all(call.get("finished") for call in calls)
    return results


def check_told(scene: Scene, stream: EventStream) -> None:
    """The stream has told of one end, a canceled one, and of no error."""
    mine = [event for event in stream.events if event.payload.get("session_id") == scene.session]
    assert [event.finish_reason for event in mine].count("canceled") == 1
    assert scene.ends(stream) == ["cancelled"]
    assert [event for event in mine if event.kind == "agent_event" and event.payload["type"] == "error"] == []


async def check_idle(stage: Stage) -> None:
    """Nothing runs any more, and nobody is asked anything."""
    scene = stage.scene
    assert stage.survivors() == []
    assert (await scene.get("agent"))["is_busy"] is False
    assert await scene.get("permissions/pending") == []
    assert await scene.get("questions/pending") == []
    for exchange in stage.half_answered:
        await exchange.when_gone()


async def check_cancelled(stage: Stage, held: Deferred[Answer]) -> list[dict[str, Any]]:
    """Everything that holds after a cancel; returns the results of the run's calls."""
    scene = stage.scene
    assert (await held).status == 200
    await scene.when_ended()
    for stream in (scene.alice, scene.bob):
        check_told(scene, stream)
    results = await check_results(scene)
    await check_idle(stage)
    await scene.goes_on()
    for stream in (scene.alice, scene.bob):
        await stream.when(lambda _, stream=stream: len(scene.ends(stream)) >= 3)
        assert scene.ends(stream) == ["cancelled", "done", "done"]
    return results


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("state", STATES)
@bounded
async def test_promise_11_and_r_cancel_18_another_client_cancels_the_run(stage: Stage, state: Any, wire: str) -> None:
    await stage.scene.choose(wire)
    held = stage.scene.prompt()
    await state(stage)
    await stage.scene.cancel()
    results = await check_cancelled(stage, held)
    done = {"two_agents": 1, "some_side_by_side_done": 1, "some_in_line_done": 1}.get(state.__name__, 0)
    assert [result["content"] for result in results].count(CANCELLED) == len(results) - done
    assert not any(stage.file(name).exists() for name in ("new", "never", "landed"))
    assert stage.file("ran").exists() == (state in RUN_SOMETHING)


# What single states promise beyond that


@bounded
async def test_r_perm_12_a_cancelled_request_is_gone_and_told_as_denied(stage: Stage) -> None:
    held = stage.scene.prompt()
    await permission(stage)
    await stage.scene.cancel()
    await check_cancelled(stage, held)
    (request,) = stage.scene.bob.of("permission_request")
    late = await stage.scene.post("permissions/grant", {"permission": request, "action": "allow"})
    assert late.value == {"resolved": False}
    told = [(one.get("granted"), one.get("denied")) for one in stage.scene.bob.of("permission_notification")]
    assert told == [(False, False), (False, True)]
    (entry,) = await stage.scene.get("permissions/audit")
    assert entry["outcome"] == "cancelled"
    assert not stage.file("new").exists()


@bounded
async def test_promise_11_and_r_sub_11_a_cancel_ends_the_other_agent_and_writes_its_end(stage: Stage) -> None:
    held = stage.scene.prompt()
    await agent_permission(stage)
    child = stage.scene.bob.of("permission_request")[0]["session_id"]
    await stage.scene.post(f"agent/sessions/{child}/cancel", {})  # a child is cancelled with its parent only
    assert len(await stage.scene.get("permissions/pending")) == 1
    await stage.scene.cancel()
    await check_cancelled(stage, held)
    assert [result["content"] for result in await check_results(stage.scene, child)] == [CANCELLED]
    assert [finish["reason"] for finish in await stage.scene.parts("finish", child)][-2:] == ["canceled", "stop"]


@bounded
async def test_t_job_07_what_has_gone_to_the_background_outlives_a_cancel_and_not_the_server(stage: Stage) -> None:
    held = stage.scene.prompt()
    await stage.scene.calls(stage.bash("c1", f"sleep {stage.token} & wait", run_in_background=True))
    await stage.scene.grant()
    voice = await stage.voice()
    voice.open_call("c2", "view", "{")
    await stage.scene.shown_part("tool_call", id="c2")
    await stage.scene.cancel()
    assert (await held).status == 200
    assert [result["content"] for result in await check_results(stage.scene)][1:] == [CANCELLED]
    assert stage.survivors() != []
    await stage.scene.goes_on()
    await stage.scene.server.stop()
    assert stage.survivors() == []


@pytest.mark.parametrize("name", ["write", "edit", "multiedit"])
@bounded
async def test_a_file_that_is_being_replaced_is_whole_when_the_run_has_ended(
    stage: Stage, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchored_files, "replace", stage.gate.holding(anchored_files.replace))
    stage.file("a", "old\n")
    change = {"old_string": "old", "new_string": "new"}
    more = {"write": {"content": "new\n"}, "edit": change, "multiedit": {"edits": [change]}}[name]
    held = stage.scene.prompt()
    await stage.scene.calls(("c1", "view", {"file_path": "a"}), ("c2", name, {"file_path": "a", **more}))
    await stage.scene.grant()
    await stage.gate.when_held()
    await stage.scene.cancel()
    assert stage.file("a").read_text() == "old\n" and not held.called
    stage.gate.open()
    await check_cancelled(stage, held)
    assert stage.file("a").read_text() == "new\n"
    versions = await stage.scene.get(f"sessions/{stage.scene.session}/history")
    assert [version["Content"] for version in versions] == ["old\n", "new\n"]


@bounded
async def test_a_file_that_is_being_read_does_not_delay_a_cancel(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchored_files, "look", stage.gate.holding(anchored_files.look))
    stage.file("a", "text\n")
    held = stage.scene.prompt()
    await stage.scene.calls(("c1", "view", {"file_path": "a"}))
    await stage.gate.when_held()
    await stage.scene.cancel()
    await check_cancelled(stage, held)


@bounded
async def test_r_cancel_03_two_cancels_at_once_end_it_once(stage: Stage) -> None:
    held = stage.scene.prompt()
    await bash_running(stage)
    await gatherResults([Deferred.fromCoroutine(stage.scene.cancel()) for _ in range(5)])
    await check_cancelled(stage, held)


@pytest.mark.parametrize("verdict", ["allow", "deny"])
@bounded
async def test_an_answer_and_a_cancel_at_once_leave_one_result(stage: Stage, verdict: str) -> None:
    held = stage.scene.prompt()
    await permission(stage)
    (request,) = stage.scene.bob.of("permission_request")
    answer = stage.scene.post("permissions/grant", {"permission": request, "action": verdict})
    await gatherResults([Deferred.fromCoroutine(one) for one in (answer, stage.scene.cancel())])
    assert (await held).status == 200
    await check_results(stage.scene)
    await check_idle(stage)
    await stage.scene.goes_on()


# The session is deleted, the server stops


@pytest.mark.parametrize("state", HARD_STATES)
@bounded
async def test_h_30_a_session_is_deleted_while_a_tool_is_at_it(stage: Stage, state: Any) -> None:
    scene = stage.scene
    held = scene.prompt()
    await state(stage)
    await scene.delete()
    assert (await held).status == 200
    await scene.when_ended()
    for stream in (scene.alice, scene.bob):
        check_told(scene, stream)
        await stream.when(lambda event: event.kind == "session" and event.change == "deleted")
    await check_idle(stage)
    assert [one for one in await scene.get("sessions") if one["id"] == scene.session] == []
    scene.session = await scene.server.client.session(scene.workspace)
    await scene.goes_on()


@pytest.mark.parametrize("state", HARD_STATES)
@bounded
async def test_promise_12_and_r_shut_04_the_server_stops_while_a_tool_is_at_work(stage: Stage, state: Any) -> None:
    scene = stage.scene
    held = scene.prompt()
    await state(stage)
    streams = (scene.alice, scene.bob)
    await scene.server.stop()
    answer = await held
    assert (answer.status, answer.message) == (503, "server is shutting down")
    for stream in streams:
        await stream.when_ended()
        check_told(scene, stream)
    assert stage.survivors() == []
    for exchange in stage.half_answered:
        await exchange.when_gone()
    await scene.start()
    await check_results(scene)
    await check_idle(stage)
    await scene.goes_on()
    for stream in (scene.alice, scene.bob):
        assert scene.ends(stream) == ["done", "done"]


# Turns that end by themselves and leave something odd behind


@pytest.mark.parametrize("wire", WIRES)
@bounded
async def test_r_loop_05_a_turn_that_goes_in_circles_ends_and_the_session_goes_on(stage: Stage, wire: str) -> None:
    await stage.scene.choose(wire)
    stage.file("a", "text\n")
    held = stage.scene.prompt()
    for number in range(WINDOW):
        await stage.scene.calls((f"c{number}", "view", {"file_path": "a"}))
    assert (await held).status == 200
    assert [finish["reason"] for finish in await stage.scene.parts("finish")][-2:] == ["tool_use", "stop"]
    await check_results(stage.scene)
    await stage.scene.goes_on()
    assert stage.scene.ends(stage.scene.bob) == ["done"] * 3


@pytest.mark.parametrize("wire", WIRES)
@bounded
async def test_a_refused_permission_ends_the_turn_and_the_session_goes_on(stage: Stage, wire: str) -> None:
    await stage.scene.choose(wire)
    held = stage.scene.prompt()
    await stage.scene.calls(stage.bash("c1", "touch ran"), ("c2", "view", {"file_path": "crush.json"}))
    await stage.scene.grant(verdict="deny")
    assert (await held).status == 200
    await check_results(stage.scene)
    await stage.scene.goes_on()
    assert stage.scene.ends(stage.scene.bob) == ["done"] * 3
    assert not stage.file("ran").exists()


@pytest.mark.parametrize("wire", WIRES)
@bounded
async def test_closed_questions_end_the_turn_and_the_session_goes_on(stage: Stage, wire: str) -> None:
    await stage.scene.choose(wire)
    held = stage.scene.prompt()
    await question(stage)
    await stage.scene.post("questions/cancel", {})
    assert (await held).status == 200
    await check_results(stage.scene)
    await stage.scene.goes_on()
    assert stage.scene.ends(stage.scene.bob) == ["done"] * 3


MALFORMED = ('{"file_path": "a"', "{'file_path': 'a'}", "no JSON", '["a"]', "null", '"a"', "{}{}", "\x00", '{"a": NaN}')


@pytest.mark.parametrize("wire", WIRES)
@bounded
async def test_badly_written_calls_are_answered_and_the_session_goes_on(stage: Stage, wire: str) -> None:
    await stage.scene.choose(wire)
    stage.file("a", "text\n")
    held = stage.scene.prompt()
    voice = await stage.scene.asked()
    voice.begin()
    for number, arguments in enumerate(MALFORMED):
        voice.call(f"c{number}", "view", arguments)
    voice.call("c1", "view", '{"file_path": "a"}')  # an id that was there already
    voice.call("", "view", '{"file_path": "a"}')
    voice.call("what/ever id?", "no such tool!", "{}")
    voice.end()
    await stage.scene.says("done")
    assert (await held).status == 200
    results = await check_results(stage.scene)
    assert [result.get("is_error", False) for result in results][:2] == [False, False]
    await stage.scene.goes_on()


@pytest.mark.parametrize("wire", WIRES)
@bounded
async def test_a_call_that_the_token_limit_cuts_off_does_not_run(stage: Stage, wire: str) -> None:
    await stage.scene.choose(wire)
    held = stage.scene.prompt()
    voice = await stage.scene.asked()
    voice.begin()
    voice.call("c1", "write", '{"file_path": "new", "content": "half a fi')
    voice.end("cut")
    assert (await held).status == 200
    assert [result["is_error"] for result in await check_results(stage.scene)] == [True]
    assert stage.scene.bob.of("permission_request") == []
    await stage.scene.goes_on()


@pytest.mark.parametrize("wire", WIRES)
@bounded
async def test_a_provider_that_breaks_off_in_a_call_leaves_a_session_that_goes_on(stage: Stage, wire: str) -> None:
    await stage.scene.choose(wire)
    held = stage.scene.prompt()
    voice = await stage.scene.asked()
    voice.begin()
    voice.call("c1", "bash", '{"description":"d","command":"touch ran"}')
    voice.open_call("c2", "view", '{"file')
    stage.scene.model.requests[-1].chunk(b"data: no event\n\n")
    assert (await held).status == 500
    assert len(await check_results(stage.scene)) == 2
    await stage.scene.goes_on()
    assert stage.scene.ends(stage.scene.bob) == ["failed", "done", "done"]
    assert not stage.file("ran").exists()
