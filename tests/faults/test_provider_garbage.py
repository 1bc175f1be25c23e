"""Whatever a provider sends, the request ends, clearly; and so does a run. `provider_cases.py` makes what is sent."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure

from txcrush.adapters.providers import Limits
from txcrush.model.errors import ProviderError
from txcrush.model.messages import FinishReason
from txcrush.model.providers import ModelReply, Usage
from txcrush.model.runs import Outcome
from txcrush.testing.conversation import Conversation, now
from txcrush.testing.harness import CLIENT, Harness
from txcrush.testing.memory_model import KEY, Line, MemoryModel
from txcrush.testing.prompt_tool import PromptTool
from txcrush.testing.recording_sink import RecordingSink, Said
from txcrush.testing.scale import scaled

from .provider_cases import CHAT, GOOD, MESSAGES, SEED, Case, answer, cases, stream

IDLE_S = 300.0
MOST_TOKENS = 2**53
ALL = cases()
CASES = ALL[:: scaled(3, 1)]
SHARE_OF_RUNS = 10
"""Each so many-th case is also told to a whole run."""


def deliver(line: Line, data: bytes, chance: random.Random) -> None:
    """The bytes arrive in pieces: whole, one by one where they are few, or cut anywhere."""
    cuts = chance.choice((0, 1, 7, 7, 20, len(data) if len(data) < 2000 else 20))
    places = sorted({0, *(chance.randrange(len(data)) for _ in range(cuts) if data)})
    for start, end in zip(places, [*places[1:], len(data)], strict=True):
        line.send(data[start:end])


def let_pass(model: MemoryModel, ended: Callable[[], bool]) -> float:
    """Time goes on until the request has ended; returns how much."""
    began = model.clock.seconds()
    model.clock.pump([0.0] * 5)
    for seconds in (15.0, IDLE_S - 15.0):
        if not ended():
            model.clock.advance(seconds)
            model.clock.pump([0.0] * 3)
    return model.clock.seconds() - began


def check_said(said: list[Said], *, is_whole: bool) -> None:
    """What was said keeps to the port's word: every call begins once and is complete once, in that order."""
    started: dict[str, str] = {}
    complete: set[str] = set()
    for kind, *words in said:
        assert all(isinstance(word, str) for word in words)
        if kind == "tool_started":
            assert words[0] and words[0] not in started
            started[words[0]] = words[1]
        if kind == "tool_call":
            assert started[words[0]] == words[1]
            assert words[0] not in complete
            complete.add(words[0])
    assert not is_whole or complete == set(started)


def check_usage(usage: Usage) -> None:
    counts = [getattr(usage, name) for name in usage.__struct_fields__ if name != "cost"]
    assert all(isinstance(count, int) and 0 <= count < MOST_TOKENS for count in counts)
    assert usage.cost is None or 0 <= usage.cost < 1e9


def check_outcome(outcome: object, sink: RecordingSink) -> str:
    """A reply that makes sense, or an error that says what is wrong; returns how it ended."""
    check_said(sink.said, is_whole=isinstance(outcome, ModelReply))
    if isinstance(outcome, ModelReply):
        check_usage(outcome.usage)
        assert outcome.finish not in (FinishReason.CANCELED, FinishReason.ERROR, FinishReason.STOP)
        return "reply"
    assert isinstance(outcome, Failure)
    error = outcome.value
    assert isinstance(error, ProviderError), repr(error)
    assert error.title and error.message.strip(), repr(error)
    assert KEY not in str(error)
    assert len(error.message) < 2000
    return error.title


def play(model: MemoryModel, case: Case, chance: random.Random) -> str:
    """One request that is answered with the case."""
    sink, outcomes = RecordingSink(), []
    model.ask(sink).addBoth(outcomes.append)
    line = model.accept()
    deliver(line, case.data, chance)
    if case.end != "stay":
        getattr(line, case.end)()
    assert let_pass(model, lambda: bool(outcomes)) <= IDLE_S
    (outcome,) = outcomes
    how = check_outcome(outcome, sink)
    said = len(sink.said)
    line.send(answer(stream(case.kind, GOOD[case.kind]["text"])))
    line.drop()
    model.clock.pump([0.0] * 3)
    assert line.gone and len(sink.said) == said
    check_quiet(model)
    return how


def check_quiet(model: MemoryModel) -> None:
    """No timer is left but that of Twisted's pool, which forgets a connection after half a minute."""
    if model.clock.getDelayedCalls():
        assert {call.func.__name__ for call in model.clock.getDelayedCalls()} == {"_removeConnection"}
        model.clock.advance(30)
    assert model.clock.getDelayedCalls() == []


def test_promise_22_the_corpus_is_large_and_its_cases_have_names(record_property: Any) -> None:
    assert len({case.name for case in ALL}) == len(ALL)
    assert len(CASES) >= 500
    assert {case.kind for case in CASES} == {CHAT, MESSAGES}
    record_property("promise_22", f"{len(CASES)} cases of garbage")


@pytest.mark.parametrize("kind", [CHAT, MESSAGES])
def test_promise_22_garbage_ends_the_request_clearly(kind: str) -> None:
    model, chance, ends = MemoryModel(kind), random.Random(SEED), set()
    for case in CASES:
        if case.kind == kind:
            with capturedLogs() as logs:
                try:
                    ends.add(play(model, case, chance))
                except BaseException as error:
                    raise AssertionError(case.name) from error
            assert [log for log in logs if log["log_level"] >= LogLevel.error] == [], case.name
            assert not any(KEY in str(log) for log in logs), case.name
    assert {"reply", "Invalid Response", "Stream Transport Error", "Stream Stalled", "Provider Overloaded"} <= ends


@pytest.mark.parametrize("kind", [CHAT, MESSAGES])
def test_promise_18_and_22_a_cancel_ends_it_at_once_wherever_it_is(kind: str) -> None:
    model, chance = MemoryModel(kind), random.Random(SEED)
    for case in CASES:
        if case.kind != kind:
            continue
        sink, outcomes = RecordingSink(), []
        asked = model.ask(sink).addBoth(outcomes.append)
        line = model.accept()
        deliver(line, case.data[: chance.randrange(len(case.data) + 1)], chance)
        if outcomes:
            line.drop()
            model.clock.pump([0.0] * 3)
            continue
        said = len(sink.said)
        asked.cancel()
        assert outcomes and outcomes[0].check(CancelledError), case.name
        line.send(case.data)
        model.clock.pump([0.0] * 3)
        assert line.gone and len(sink.said) == said, case.name
        check_quiet(model)


def test_promise_22_an_answer_without_end_is_cut_off() -> None:
    for kind, delta in (
        (CHAT, b'{"choices":[{"delta":{"content":"%b"}}]}' % (b"x" * 50_000)),
        (MESSAGES, b'{"type":"content_block_delta","delta":{"partial_json":"%b"}}' % (b"x" * 50_000)),
        (CHAT, b'{"choices":[{"delta":{"tool_calls":[{"id":"%d","function":{"name":"ls"}}]}}]}'),
        (MESSAGES, b'{"type":"content_block_start","content_block":{"type":"tool_use","id":"%d"}}'),
    ):
        model, outcomes, sent = MemoryModel(kind), [], 0
        model.ask().addBoth(outcomes.append)
        line = model.accept()
        line.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while not outcomes and sent < 1000:
            sent += 1
            line.send(b"data: " + (delta % sent if b"%d" in delta else delta) + b"\n\n")
            model.clock.pump([0.0] * 3)
        assert check_outcome(outcomes[0], RecordingSink()) == "Invalid Response"
        assert line.gone


# Whole runs


@pytest.mark.parametrize("kind", [CHAT, MESSAGES])
def test_promise_22_garbage_ends_the_run_once_and_the_session_goes_on(kind: str) -> None:
    chance = random.Random(SEED)
    harness = Harness(tools=[tool := PromptTool("look")])
    model = MemoryModel(kind, harness.clock, Limits(idle_s=20))
    harness.provider = model  # type: ignore[assignment]
    first = Conversation(harness)
    first.workspace.claims.attach(CLIENT)
    for case in [case for case in CASES if case.kind == kind][::SHARE_OF_RUNS]:
        session = now(first.workspace.sessions.create("A Session")).id
        talk = Conversation(harness, session_id=session)
        tool.calls.clear()
        run = talk.prompt("go", case.name)
        answered = 0
        while run.end is None and answered < 20:
            answered += 1
            line = model.accept()
            deliver(line, case.data if answered <= 4 else answer(stream(kind, GOOD[kind]["text"])), chance)
            if case.end != "stay":
                getattr(line, case.end)()
            harness.clock.pump([0.0] * 5)
            while run.end is None and not model.connecting:
                harness.clock.pump([5.0, 0.0, 0.0, 0.0])
        assert run.end is not None, case.name
        ends = [end for end in talk.completions() if end["session_id"] == session]
        assert len(ends) == 1, case.name
        results = [line for line in talk.lines() if line.startswith("tool:")]
        assert len(tool.calls) <= sum(line.count(" looked") for line in results), f"{case.name}: a call ran twice"
        check_goes_on(talk, model, kind)


def check_goes_on(talk: Conversation, model: MemoryModel, kind: str) -> None:
    """The session takes another prompt."""
    run = talk.prompt("and now")
    line = model.accept()
    line.send(answer(stream(kind, GOOD[kind]["text"])))
    line.close()
    talk.harness.clock.pump([0.0] * 5)
    assert run.end is not None and run.end.outcome == Outcome.COMPLETED
