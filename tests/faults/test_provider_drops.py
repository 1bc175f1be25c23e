"""A connection that breaks before, in and behind a tool call: each call runs once, or not at all."""

import pytest

from txcrush.model.runs import Outcome

from .provider_cases import CHAT, GOOD, MESSAGES, answer, chunked, stream
from .provider_stage import KINDS, Stage

ENDS = ("close", "drop")


def is_whole(kind: str, count: int) -> bool:
    """Whether so many events hold the reason of the finish, behind which only the usage comes."""
    return any(
        event.get("type") == "message_delta" or any(one.get("finish_reason") for one in event.get("choices", ()))
        for event in GOOD[kind]["calls"][:count]
    )


POINTS = [(kind, count) for kind in (CHAT, MESSAGES) for count in range(len(GOOD[kind]["calls"]) + 1)]


@pytest.mark.parametrize(("kind", "count"), POINTS)
@pytest.mark.parametrize("end", ENDS)
def test_promise_20_calls_run_once_wherever_the_connection_breaks(kind: str, count: int, end: str) -> None:
    stage = Stage(kind)
    run = stage.prompt()
    line = stage.head()
    stage.says(line, "calls", count)
    getattr(line, end)()
    stage.settle()
    if not is_whole(kind, count):
        assert (stage.tool.calls, stage.requests) == ([], 1), "nothing runs before the answer is whole"
        stage.wait(5)
        stage.reply("calls")
    assert len(stage.tool.calls) == 2
    stage.reply()
    assert run.end is not None and run.end.outcome == Outcome.COMPLETED
    assert len(stage.tool.calls) == 2
    calls = [call.id for message in stage.talk.messages() for call in message.tool_calls]
    assert sorted(calls) == sorted(stage.tool.calls)
    assert len(stage.talk.completions()) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("share", range(4))
def test_promise_20_a_break_in_the_next_step_does_not_run_the_tools_again(kind: str, end: str, share: int) -> None:
    stage = Stage(kind)
    run = stage.prompt()
    stage.reply("calls")
    assert len(stage.tool.calls) == 2
    for _ in range(3):
        line = stage.head()
        stage.says(line, "text", share)
        getattr(line, end)()
        stage.settle()
        stage.wait(20)
    stage.reply()
    assert run.end is not None and run.end.outcome == Outcome.COMPLETED
    assert (len(stage.tool.calls), stage.requests) == (2, 5)


@pytest.mark.parametrize("kind", KINDS)
def test_promise_20_the_results_are_told_to_the_next_try(kind: str) -> None:
    stage = Stage(kind)
    stage.prompt()
    stage.reply("calls")
    stage.head().drop()
    stage.wait(5)
    line = stage.model.accept()
    stage.settle()
    assert line.sent.count(b"looked") == 2


@pytest.mark.parametrize("kind", KINDS)
def test_promise_20_a_kept_connection_that_is_dead_is_not_sent_to_twice_behind_our_back(kind: str) -> None:
    stage = Stage(kind)
    stage.prompt()
    line = stage.model.accept()
    line.send(answer(chunked(stream(kind, GOOD[kind]["text"])), b"Transfer-Encoding: chunked"))
    stage.settle()
    run = stage.talk.prompt("and now")
    assert (line.sent.count(b"POST "), stage.model.connecting) == (2, False), "the connection was kept"
    line.drop()
    stage.settle()
    assert not stage.model.connecting, "it is the core that asks again, after its back-off"
    stage.wait(5)
    stage.reply("calls")
    stage.reply()
    assert run.end is not None and run.end.outcome == Outcome.COMPLETED
    assert len(stage.tool.calls) == 2
