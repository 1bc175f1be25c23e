"""A provider that goes quiet, at whatever point: clients are told within 15 s, the limit ends it, a cancel at once."""

from collections.abc import Callable

import pytest

from txcrush.model.runs import Outcome

from .provider_cases import MESSAGES, answer
from .provider_stage import KINDS, Stage

IDLE_S = 90.0
Quiet = Callable[[Stage], None]


def before_it_connects(stage: Stage) -> None:
    """The name is being resolved, or nobody takes the connection."""


def before_it_answers(stage: Stage) -> None:
    stage.model.accept()


def in_the_head(stage: Stage) -> None:
    stage.model.accept().send(b"HTTP/1.1 200 OK\r\nContent-")


def in_an_interim_answer(stage: Stage) -> None:
    stage.model.accept().send(b"HTTP/1.1 100 Continue\r\n\r\n")


def in_an_error(stage: Stage) -> None:
    stage.model.accept().send(b"HTTP/1.1 500 Oops\r\nContent-Length: 100\r\n\r\nhalf")


def before_the_first_event(stage: Stage) -> None:
    stage.head()


def in_text(stage: Stage) -> None:
    stage.says(stage.head(), "text", 3 if stage.kind != MESSAGES else 4)


def in_an_event(stage: Stage) -> None:
    stage.head().send(b'data: {"choices":[{"del')


def in_a_call(stage: Stage) -> None:
    stage.says(stage.head(), "call", 3 if stage.kind != MESSAGES else 8)


def behind_a_call(stage: Stage) -> None:
    """One call is complete, another has begun."""
    stage.says(stage.head(), "calls", 2 if stage.kind != MESSAGES else 6)


def in_a_document(stage: Stage) -> None:
    stage.model.accept().send(answer(b'{"choices":[{"message":{"con'))


STATES = (
    before_it_connects,
    before_it_answers,
    in_the_head,
    in_an_interim_answer,
    in_an_error,
    before_the_first_event,
    in_text,
    in_an_event,
    in_a_call,
    behind_a_call,
    in_a_document,
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("state", STATES[1:])
def test_promise_18_silence_is_told_at_15_s_and_ended_at_the_limit(kind: str, state: Quiet) -> None:
    stage = Stage(kind, idle_s=IDLE_S)
    run = stage.prompt()
    state(stage)
    stage.settle()
    stage.wait(14.9)
    assert stage.stalls() == []
    stage.wait(0.1)
    assert stage.stalls() == ["the provider has sent nothing new for 15 s; a cancel ends the wait"]
    stage.wait(IDLE_S - 15 - 1)
    assert run.end is None
    stage.wait(1)
    assert run.end is not None and run.end.outcome == Outcome.FAILED
    assert run.end.error == "stream stalled: the provider has sent nothing new for 90 s"
    assert stage.finish() == ("error", "Stream Stalled")
    assert stage.model.lines[-1].gone
    assert (stage.requests, len(stage.stalls()), stage.tool.calls) == (1, 1, [])
    assert len(stage.talk.completions()) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_promise_23_nobody_who_takes_the_connection_is_an_error_in_time(kind: str) -> None:
    stage = Stage(kind, idle_s=IDLE_S)
    run = stage.prompt()
    for delay in (30, 5, 30, 10, 30, 20, 29.9):
        stage.wait(delay)
    assert run.end is None
    stage.wait(0.1)
    assert run.end is not None and stage.finish() == ("error", "Connection Timed Out")
    assert "no connection to the provider in time" in run.end.error


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "keep_alive",
    [
        b": ping\n\n",
        b"\n",
        b":\n",
        b"data: {}\n\n",
        b'event: ping\ndata: {"type":"ping"}\n\n',
        b'data: {"choices":[{"delta":{"content":""}}],"type":"content_block_delta","delta":{"text":""}}\n\n',
        b'data: {"choices":[],"usage":{"prompt_tokens":1},"type":"message_start","message":{"content":[]}}\n\n',
        b"event: x\nid: 7\nretry: 1\n\n",
        b":",
    ],
)
def test_promise_19_bytes_without_progress_do_not_defeat_the_limit(kind: str, keep_alive: bytes) -> None:
    stage = Stage(kind, idle_s=IDLE_S)
    run = stage.prompt()
    in_text(stage)
    for second in range(int(IDLE_S)):
        assert run.end is None, f"ended after {second} s"
        stage.model.lines[-1].send(keep_alive)
        stage.wait(1)
    assert run.end is not None and stage.finish() == ("error", "Stream Stalled")
    assert (len(stage.stalls()), stage.requests) == (1, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_promise_19_headers_that_trickle_do_not_defeat_the_limit(kind: str) -> None:
    stage = Stage(kind, idle_s=IDLE_S)
    run = stage.prompt()
    line = stage.model.accept()
    line.send(b"HTTP/1.1 200 OK\r\n")
    for _ in range(int(IDLE_S)):
        assert run.end is None
        line.send(b"A: b\r\n")
        stage.wait(1)
    assert run.end is not None and stage.finish() == ("error", "Stream Stalled")


@pytest.mark.parametrize("kind", KINDS)
def test_promise_18_a_stream_that_comes_back_goes_on_and_may_stall_again(kind: str) -> None:
    stage = Stage(kind, idle_s=IDLE_S)
    run = stage.prompt()
    line = stage.head()
    count = 2 if kind != MESSAGES else 4
    stage.says(line, "text", count)
    for _ in range(2):
        stage.wait(60)
        stage.says(line, "text", count)
    assert len(stage.stalls()) == 2
    stage.says(line, "text")
    line.close()
    stage.settle()
    assert run.end is not None and run.end.outcome == Outcome.COMPLETED


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("stalled", [False, True])
def test_promise_18_a_cancel_ends_silence_at_once(kind: str, state: Quiet, stalled: bool) -> None:
    stage = Stage(kind, idle_s=IDLE_S)
    run = stage.prompt()
    state(stage)
    stage.settle()
    if stalled:
        stage.wait(20)
    stage.talk.cancel()
    assert run.end is not None and run.end.outcome == Outcome.CANCELLED
    assert stage.finish() == ("canceled", "User canceled request")
    stage.settle()
    assert all(line.gone for line in stage.model.lines) and not stage.model.connecting
    assert stage.tool.calls == []
    again = stage.talk.prompt("and now")
    stage.reply()
    assert again.end is not None and again.end.outcome == Outcome.COMPLETED
