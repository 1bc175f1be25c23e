"""Failpoints: what arming one does, and that it does nothing else."""

import os
import signal
from collections.abc import Iterator

import pytest

from txcrush import failpoints

Told = list[str]
Sent = list[int]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    """What is written to standard error."""
    lines: Told = []
    monkeypatch.setattr(os, "write", lambda _, line: lines.append(line.decode()))
    yield lines
    failpoints.disarm()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """The signals that the process sends to itself."""
    signals: Sent = []

    def kill(pid: int, number: int) -> None:
        assert pid == os.getpid()
        signals.append(number)

    monkeypatch.setattr(os, "kill", kill)
    return signals


def test_nothing_happens_where_nothing_is_armed(told: Told, sent: Sent) -> None:
    failpoints.arm("")
    failpoints.RUN_KEPT()
    assert (told, sent) == ([], [])


@pytest.mark.parametrize(
    ("action", "number"), [("", signal.SIGKILL), ("=kill", signal.SIGKILL), ("=stall", signal.SIGSTOP)]
)
def test_the_process_ends_or_stops_the_nth_time_and_says_so_first(
    told: Told, sent: Sent, action: str, number: int
) -> None:
    failpoints.arm(f"run.kept:2{action}")
    failpoints.RUN_KEPT()
    failpoints.RUN_ACCEPTED()
    assert sent == []
    failpoints.RUN_KEPT()
    assert (sent, told) == ([number], [f"failpoint run.kept 2 {action.removeprefix('=') or 'kill'}\n"])
    failpoints.RUN_KEPT()
    assert sent == [number]


def test_a_refusal_is_what_the_place_could_raise_and_comes_once(told: Told) -> None:
    failpoints.arm("writer.commit=error")
    with pytest.raises(OSError, match="Input/output error"):
        failpoints.WRITER_COMMIT()
    failpoints.WRITER_COMMIT()


def test_a_trace_tells_of_every_point_each_time(told: Told) -> None:
    failpoints.arm("*=trace")
    failpoints.RUN_KEPT()
    failpoints.RUN_ACCEPTED()
    failpoints.RUN_KEPT()
    assert [line.split()[1:3] for line in told] == [["run.kept", "1"], ["run.accepted", "1"], ["run.kept", "2"]]


@pytest.mark.parametrize(
    "text", ["nowhere", "run.kept:0", "run.kept:x", "run.kept=burn", "*", "run.kept=error", "=kill", ":1"]
)
def test_what_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        failpoints.arm(text)


def test_a_name_is_declared_once() -> None:
    with pytest.raises(ValueError, match=r"two failpoints run\.kept"):
        failpoints.Failpoint("run.kept")


def test_promise_04_there_are_thirty_and_more() -> None:
    assert len(failpoints.points()) >= 30
