"""No memory, no thread, no process: what runs out harms the request that it ran out for, and nobody else."""

import errno
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from txcrush.core.sessions import Sessions
from txcrush.testing.live_scene import Scene

CAROL = "cccccccc-1111-4111-8111-111111111111"


@pytest_twisted.async_yield_fixture
async def scene(short_path: Path) -> AsyncIterator[Scene]:
    from twisted.internet import reactor

    found = await Scene.open(reactor, short_path)
    yield found
    await found.close()


def raising(error: BaseException) -> Callable[..., Any]:
    def refuse(*_args: object, **_named: object) -> None:
        raise error

    return refuse


@pytest_twisted.ensureDeferred
async def test_promise_85_a_handler_without_memory_fails_alone(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    held = scene.prompt()
    voice = await scene.asked()
    with monkeypatch.context() as patch:
        patch.setattr(Sessions, "top_level", raising(MemoryError()))
        answer = await scene.server.client.get(f"/v1/workspaces/{scene.workspace}/sessions")
        assert (answer.status, answer.value) == (500, {"message": "internal server error"})
        assert await scene.get(f"sessions/{scene.session}/messages")
    voice.say("done")
    assert (await held).status == 200
    assert len(await scene.get("sessions")) == 1


@pytest_twisted.ensureDeferred
async def test_promise_85_without_threads_a_request_fails_and_the_next_one_works(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, short_path: Path
) -> None:
    from twisted.internet import reactor

    (short_path / "other").mkdir()
    held = scene.prompt()
    voice = await scene.asked()
    client, wanted = scene.server.client, {"path": str(short_path / "other"), "client_id": CAROL}
    with monkeypatch.context() as patch:
        pool = reactor.getThreadPool()  # type: ignore[attr-defined]
        patch.setattr(pool, "callInThreadWithCallback", raising(RuntimeError("can't start new thread")))
        assert (await client.post("/v1/workspaces", wanted)).status == 500
        assert len(await scene.get("sessions")) == 1
    voice.say("done")
    assert (await held).status == 200
    assert (await client.post("/v1/workspaces", wanted)).status == 200


@pytest_twisted.ensureDeferred
async def test_promise_85_a_store_without_threads_of_its_own_lets_go_of_its_directory(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, short_path: Path
) -> None:
    (short_path / "other").mkdir()
    client, wanted = scene.server.client, {"path": str(short_path / "other"), "client_id": CAROL}
    with monkeypatch.context() as patch:
        patch.setattr("txcrush.adapters.sqlite.store.Readers.start", raising(RuntimeError("can't start new thread")))
        refused = await client.post("/v1/workspaces", wanted)
        assert refused.status == 500
        assert "can't start new thread" in refused.value["message"]
    assert [one.name for one in threading.enumerate() if str(short_path / "other") in one.name and one.is_alive()] == []
    assert (await client.post("/v1/workspaces", wanted)).status == 200


@pytest_twisted.ensureDeferred
async def test_promise_85_a_command_that_cannot_be_forked_is_an_error_for_the_model_only(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    held = scene.prompt()
    refusal = BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
    with monkeypatch.context() as patch:
        patch.setattr(asyncio.get_running_loop(), "subprocess_exec", raising(refusal), raising=False)
        await scene.calls(("c1", "bash", {"command": "touch made", "description": "make it"}))
        await scene.grant()
        voice = await scene.asked()
    voice.say("it could not be started")
    assert (await held).status == 200
    (result,) = await scene.parts("tool_result")
    assert "resource temporarily unavailable" in result["content"]
    held = scene.prompt()
    await scene.calls(("c2", "bash", {"command": "touch made", "description": "make it"}))
    await scene.grant(2)
    await scene.says("made")
    assert (await held).status == 200
    assert (scene.project / "made").exists()
