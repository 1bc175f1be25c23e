"""The event stream over real sockets: its bytes as they travel, readers that stall, and how it ends."""

import functools
import gc
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs

from txcrush.http import readers as events
from txcrush.testing.answer import StreamEvent, stream_event
from txcrush.testing.live_client import CLIENT, LiveClient, RawClient
from txcrush.testing.live_server import LiveServer, PromptsModel
from txcrush.wire.sse import SseParser

BOUND_S = 20.0
OTHER = "22222222-2222-4222-8222-222222222222"
BIG = "x" * 64 * 1024


def bounded(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Deferred[None]]:
    """Whatever goes wrong, the test ends."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(test(*args, **kwargs)).addTimeout(BOUND_S, reactor)

    return run


class Rig:
    """A server with a workspace and a session, and its model."""

    def __init__(self, server: LiveServer, model: PromptsModel, workspace: str, session: str) -> None:
        self.server, self.model, self.client = server, model, server.client
        self.workspace, self.session = workspace, session

    @property
    def path(self) -> str:
        return f"/v1/workspaces/{self.workspace}"

    async def open_raw(self, client: LiveClient | None = None, client_id: str = CLIENT) -> RawClient:
        """A stream as bare bytes; its head has come."""
        raw = await (client or self.client).raw()
        target = f"{self.path}/events?client_id={client_id}"
        raw.send("GET", target, Authorization=f"Bearer {self.server.token}", Connection="keep-alive")
        await raw.when(lambda received: b"\r\n\r\n" in received)
        return raw

    async def retitle(self, title: str) -> None:
        """Publish an event that nothing replaces."""
        body = {"id": self.session, "title": title}
        answer = await self.client.ask("PUT", f"{self.path}/sessions/{self.session}", body)
        assert answer.status == 200


@pytest_twisted.async_yield_fixture
async def rig(short_path: Path) -> AsyncIterator[Rig]:
    """Whatever a test does, no defect may be logged."""
    with capturedLogs() as logged:
        model = PromptsModel.listen(reactor)
        server = await LiveServer.start(reactor, short_path, model, listen=("tcp:0:interface=127.0.0.1",))
        workspace = await server.client.join(server.project)
        yield Rig(server, model, workspace, await server.client.session(workspace))
        await server.stop()
        await model.stop()
    assert [event for event in logged if event["log_level"] is LogLevel.critical] == []


def body_of(raw: RawClient) -> bytes:
    return raw.received.partition(b"\r\n\r\n")[2]


def events_of(raw: RawClient) -> list[StreamEvent]:
    return [stream_event(event.data) for event in SseParser().feed(body_of(raw))]


def titled(title: str) -> Callable[[StreamEvent], bool]:
    return lambda event: event.kind == "session" and event.payload["title"] == title


def completed(event: StreamEvent) -> bool:
    return event.kind == "run_complete"


# Bytes


@pytest.mark.parametrize("over", ["unix", "tcp"])
@bounded
async def test_the_head_comes_at_once_and_says_that_the_end_is_the_end_of_the_connection(rig: Rig, over: str) -> None:
    raw = await rig.open_raw(rig.server.tcp_client() if over == "tcp" else None)
    lines = raw.received.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 200 OK"
    assert sorted(line.partition(":")[0] for line in lines[1:-2]) == [
        "Cache-Control",
        "Connection",
        "Content-Type",
        "Date",
        "X-Accel-Buffering",
    ]
    assert {"Connection: close", "Content-Type: text/event-stream", "Cache-Control: no-cache"} <= set(lines)
    assert body_of(raw) == b"" and not raw.closed


@pytest.mark.parametrize("over", ["unix", "tcp"])
@bounded
async def test_frames_travel_as_they_are_and_the_end_is_a_clean_one(rig: Rig, over: str) -> None:
    raw = await rig.open_raw(rig.server.tcp_client() if over == "tcp" else None)
    stream = await rig.client.stream(rig.workspace, OTHER)
    held = rig.client.prompt(rig.workspace, rig.session, "hi")
    (await rig.model.next_request()).reply("Hel", "lo <&> ", "wörld")
    assert (await held).status == 200
    await stream.when(completed)
    await rig.server.stop()
    await raw.when_closed()
    await stream.when_ended()
    assert raw.clean
    assert body_of(raw) == stream.raw
    assert all(frame.startswith(b"data: {") for frame in stream.raw.split(b"\n\n")[:-1])
    assert stream.raw.endswith(b"\n\n")


@bounded
async def test_the_order_is_the_finish_then_agent_finished_then_run_complete(rig: Rig) -> None:
    stream = await rig.client.stream(rig.workspace)
    rig.client.prompt(rig.workspace, rig.session, "hi", run_id="R1")
    (await rig.model.next_request()).reply("ok")
    await stream.when(completed)
    last = [(event.kind, event.finish_reason) for event in stream.events][-3:]
    assert last == [("message", "end_turn"), ("agent_event", ""), ("run_complete", "")]


@bounded
async def test_when_agent_finished_is_seen_the_session_is_free(rig: Rig) -> None:
    stream = await rig.client.stream(rig.workspace)
    rig.client.prompt(rig.workspace, rig.session, "hi")
    (await rig.model.next_request()).reply("ok")
    await stream.when(lambda event: event.kind == "agent_event")
    answer = await rig.client.get(f"{rig.path}/agent/sessions/{rig.session}")
    assert answer.value["is_busy"] is False


@bounded
async def test_a_late_reader_gets_no_replay(rig: Rig) -> None:
    await rig.retitle("before")
    stream = await rig.client.stream(rig.workspace)
    await rig.retitle("after")
    await stream.when(titled("after"))
    assert [session["title"] for session in stream.of("session")] == ["after"]


@bounded
async def test_a_stream_on_a_connection_that_was_used_before_is_the_last_thing_on_it(rig: Rig) -> None:
    raw = await rig.client.raw()
    raw.send("GET", "/v1/health")
    await raw.when(lambda received: b"\r\n\r\n" in received)
    raw.received = b""
    raw.send("GET", f"{rig.path}/events?client_id={CLIENT}")
    await raw.when(lambda received: b"text/event-stream" in received)
    await rig.server.stop()
    await raw.when_closed()
    assert raw.clean


# Ends


@bounded
async def test_p36_a_workspace_that_is_torn_down_ends_its_streams_by_a_fin(rig: Rig) -> None:
    raw = await rig.open_raw()
    assert (await rig.client.ask("DELETE", f"/v1/clients/{CLIENT}")).status == 200
    await raw.when_closed()
    assert raw.clean
    gone = await rig.client.get(f"{rig.path}/events?client_id={OTHER}")
    assert (gone.status, gone.message) == (404, "workspace not found")


@bounded
async def test_a_reader_that_goes_leaves_the_others_and_the_presence_tells_of_it(rig: Rig) -> None:
    first, second = await rig.client.stream(rig.workspace), await rig.client.stream(rig.workspace, OTHER)
    look = f"{rig.path}/current-session?client_id="
    for client_id in (CLIENT, OTHER):
        assert (await rig.client.post(look + client_id, {"session_id": rig.session})).status == 200
    assert await _attached(rig) == 2
    first.close()
    while await _attached(rig) == 2:
        pass
    assert (await rig.client.post(look + CLIENT, {})).message == "client not attached"
    await rig.retitle("still here")
    await second.when(titled("still here"))


async def _attached(rig: Rig) -> int:
    answer = await rig.client.get(f"{rig.path}/sessions/{rig.session}")
    return int(answer.value["attached_clients"])


# Readers that stall


@bounded
async def test_p31_a_reader_that_never_reads_delays_nobody_and_its_frames_pile_up_in_no_transport(rig: Rig) -> None:
    stalled = await rig.open_raw(client_id=OTHER)
    stalled.transport.pauseProducing()
    quick = await rig.client.stream(rig.workspace)
    for number in range(60):
        await rig.retitle(f"{number}{BIG}")
        await quick.when(titled(f"{number}{BIG}"))
    assert sum(_queued(reader) > 0 for reader in _readers()) == 1
    assert max(map(_unsent, _readers())) <= 2 * len(BIG)
    stalled.reset()
    await stalled.when_closed()


@bounded
async def test_p31_a_reader_that_stays_over_its_bound_is_ended_and_costs_nothing_more(rig: Rig) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(events, "OVERFLOW_S", 0.05)
        patch.setattr(events, "FLUSH_S", 0.05)
        patch.setattr(events, "QUEUE_BYTES", 256 * 1024)
        stalled = await rig.open_raw(client_id=OTHER)
        stalled.transport.pauseProducing()
        quick = await rig.client.stream(rig.workspace)
        number = 0
        while len(_readers()) > 1:
            number += 1
            await rig.retitle(f"{number}{BIG}")
        await rig.retitle("last")
        await quick.when(titled("last"))
    assert not quick.ended
    assert len(quick.of("session")) == number + 1
    stalled.transport.resumeProducing()
    await stalled.when_closed()
    taken = events_of(stalled)
    assert [event.payload["title"] for event in taken] == [f"{index + 1}{BIG}" for index in range(len(taken))]
    assert len(taken) < number


@bounded
async def test_p31_a_slow_reader_skips_growing_text_and_never_its_end(rig: Rig) -> None:
    slow = await rig.open_raw(client_id=OTHER)
    slow.transport.pauseProducing()
    quick = await rig.client.stream(rig.workspace)
    held = rig.client.prompt(rig.workspace, rig.session, "hi")
    exchange = await rig.model.next_request()
    exchange.head()
    for number in range(20):
        exchange.text(f"<{number}>{'y' * 32 * 1024}")
        await quick.when(lambda event, mark=f"<{number}>": mark in _text(event))
    exchange.finish()
    exchange.usage(10, 5)
    exchange.done()
    assert (await held).status == 200
    await quick.when(completed)
    slow.transport.resumeProducing()
    await slow.when(lambda _: any(map(completed, events_of(slow))))
    skipped, whole = events_of(slow), quick.events
    assert len(skipped) < len(whole)
    assert skipped[-3:] == whole[-3:]
    assert [event for event in skipped if event.kind != "message"] == [
        event for event in whole if event.kind != "message"
    ]


def _text(event: StreamEvent) -> str:
    parts = event.payload.get("parts", [])
    return "".join(part["data"]["text"] for part in parts if part["type"] == "text")


def _readers() -> list[events.Reader]:
    """Every reader that is subscribed now, of whatever server."""
    readers = [one for one in gc.get_objects() if isinstance(one, events.Reader)]
    return [one for one in readers if not one._ended.called and _is_live(one)]


def _is_live(reader: events.Reader) -> bool:
    """Whether it has a socket: those of other tests, in memory, may still lie about."""
    return hasattr(getattr(reader._request.channel, "transport", None), "dataBuffer")


def _queued(reader: events.Reader) -> int:
    return reader._queued_bytes


def _unsent(reader: events.Reader) -> int:
    """What the transport holds because the client does not take it, in bytes."""
    transport = reader._request.channel.transport
    return len(transport.dataBuffer) - transport.offset + transport._tempDataLen
