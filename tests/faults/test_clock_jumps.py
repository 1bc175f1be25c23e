"""The clock of the wall is set a day on, and a day back, while a run goes on: ids increase, nothing ends early."""

from collections.abc import Callable
from pathlib import Path

import pytest
import pytest_twisted

from txcrush.adapters import wall_clock
from txcrush.testing.live_server import LiveServer, PromptsModel

DAY_S = 86_400.0


class WallTime:
    """In the place of `time.time`: the real one and what it was set on by."""

    def __init__(self, real: Callable[[], float]) -> None:
        self._real = real
        self.set_by_s = 0.0

    def time(self) -> float:
        return self._real() + self.set_by_s


@pytest.mark.parametrize("jump_s", [DAY_S, -DAY_S])
@pytest_twisted.ensureDeferred
async def test_promise_80_a_run_goes_on_over_a_jump_and_back(
    short_path: Path, monkeypatch: pytest.MonkeyPatch, jump_s: float
) -> None:
    from twisted.internet import reactor

    wall = WallTime(wall_clock.time.time)
    monkeypatch.setattr(wall_clock, "time", wall)
    model = PromptsModel.listen(reactor)  # type: ignore[arg-type]
    server = await LiveServer.start(reactor, short_path, model)
    client = server.client
    workspace = await client.join(server.project)
    stream = await client.stream(workspace)
    session = await client.session(workspace)
    for number in range(3):
        held = client.prompt(workspace, session, f"prompt {number}")
        exchange = await model.next_request()
        exchange.head()
        exchange.text("a")
        wall.set_by_s = jump_s if number == 0 else 0.0
        exchange.text("b")
        await stream.when(lambda event: event.kind == "message" and event.payload["role"] == "assistant")
        wall.set_by_s = 0.0 if number == 0 else -jump_s
        exchange.finish()
        exchange.done()
        assert (await held).status == 200
    messages = (await client.get(f"/v1/workspaces/{workspace}/sessions/{session}/messages")).value
    assert [one["role"] for one in messages] == ["user", "assistant"] * 3
    said = [part["data"].get("text") for one in messages for part in one["parts"] if part["type"] == "text"]
    assert said == ["prompt 0", "ab", "prompt 1", "ab", "prompt 2", "ab"]
    assert server._server is not None
    (found,) = server._server._workspaces.list()
    logged = [event.seq for event in await found.store.events_after(0, 10_000)]
    assert logged == sorted(set(logged))
    assert len([event for event in stream.events if event.kind == "run_complete"]) == 3
    assert not stream.ended
    stream.close()
    await server.stop()
    await model.stop()
