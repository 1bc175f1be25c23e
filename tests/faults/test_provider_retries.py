"""Refusals with and without a wish when to come again: few tries, at known times, and a cancel at once."""

from email.utils import formatdate

import pytest

from txcrush.model.runs import Outcome
from txcrush.testing.harness import NOW_S

from .provider_cases import MESSAGES, answer, frame
from .provider_stage import KINDS, Stage

BACK_OFF_S = (5.0, 10.0, 20.0)
OFTEN = (408, 409, 429, 500, 502, 503, 504, 529, 599)
ONCE = (400, 401, 402, 403, 404, 413, 422, 451)
BODY = b'{"type":"error","error":{"type":"x","message":"slow down"}}'


def refuse(stage: Stage, status: int, *headers: bytes) -> None:
    line = stage.model.accept()
    line.send(answer(BODY, *headers, status=b"%d Status" % status))
    line.close()
    stage.settle()


def asked_again_after(stage: Stage) -> float:
    """Seconds until the model is asked again, to a tenth."""
    for tenths in range(1, 700):
        stage.wait(0.1)
        if stage.model.connecting:
            return tenths / 10
    raise AssertionError("nobody asks again")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", OFTEN)
def test_promise_21_four_tries_at_known_times_and_one_clear_end(kind: str, status: int) -> None:
    stage = Stage(kind)
    run = stage.prompt()
    for delay in BACK_OFF_S:
        refuse(stage, status)
        stage.wait(delay - 0.1)
        assert not stage.model.connecting
        stage.wait(0.1)
        assert stage.model.connecting
    refuse(stage, status)
    assert run.end is not None and run.end.outcome == Outcome.FAILED
    assert run.end.error.startswith("retry error: ") and run.end.error.endswith(": slow down")
    assert stage.finish()[0] == "error"
    stage.wait(3600)
    assert (stage.requests, len(stage.talk.completions())) == (4, 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", ONCE)
def test_promise_21_what_would_not_help_is_not_tried_again(kind: str, status: int) -> None:
    stage = Stage(kind)
    run = stage.prompt()
    refuse(stage, status, b"Retry-After: 1")
    assert run.end is not None and run.end.outcome == Outcome.FAILED
    assert "slow down" in run.end.error
    assert stage.requests == 1


WISHES = {
    b"Retry-After: 7": 7.0,
    b"Retry-After: 0.5": 0.5,
    b"Retry-After: 59": 59.0,
    b"Retry-After: " + formatdate(NOW_S + 12, usegmt=True).encode(): 12.0,
    b"retry-after-ms: 250": 0.3,
    b"retry-after-ms: 1500\r\nRetry-After: 40": 1.5,
    # what makes no sense, or is too long to be waited for unasked, is not heard
    b"Retry-After: 0": 5.0,
    b"Retry-After: -3": 5.0,
    b"Retry-After: 60": 5.0,
    b"Retry-After: 86400": 5.0,
    b"Retry-After: 1e300": 5.0,
    b"Retry-After: inf": 5.0,
    b"Retry-After: nan": 5.0,
    b"Retry-After: soon": 5.0,
    b"Retry-After: " + b"9" * 5000: 5.0,
    b"Retry-After: Wed, 21 Oct 2015 07:28:00 GMT": 5.0,
    b"Retry-After: Fri, 31 Dec 9999 23:59:59 GMT": 5.0,
    b"Retry-After: Fri, 99 Foo 99999 99:99:99 GMT": 5.0,
    b"Retry-After: \xff\xfe": 5.0,
    b"Retry-After:": 5.0,
    b"A: b": 5.0,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [429, 503, 529])
def test_promise_21_a_wish_with_sense_is_heard_and_no_other(kind: str, status: int) -> None:
    for header, seconds in WISHES.items():
        stage = Stage(kind)
        run = stage.prompt()
        refuse(stage, status, header)
        assert asked_again_after(stage) == pytest.approx(seconds, abs=0.11), header
        stage.reply()
        assert run.end is not None and run.end.outcome == Outcome.COMPLETED


@pytest.mark.parametrize("kind", KINDS)
def test_promise_21_overload_inside_a_stream_is_tried_again_and_takes_back_what_was_said(kind: str) -> None:
    stage = Stage(kind)
    run = stage.prompt()
    for delay in BACK_OFF_S:
        line = stage.head()
        stage.says(line, "text", 4 if kind == MESSAGES else 3)
        line.send(frame(b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'))
        stage.settle()
        assert line.gone
        assert stage.talk.messages()[-1].text == ""
        stage.wait(delay)
    stage.reply()
    assert run.end is not None and run.end.text == "hello"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tries", [1, 2, 3])
def test_promise_21_a_cancel_ends_the_wait_at_once(kind: str, tries: int) -> None:
    stage = Stage(kind)
    run = stage.prompt()
    for delay in BACK_OFF_S[: tries - 1]:
        refuse(stage, 429)
        stage.wait(delay)
    refuse(stage, 429)
    stage.wait(1)
    stage.talk.cancel()
    assert run.end is not None and run.end.outcome == Outcome.CANCELLED
    assert stage.finish() == ("canceled", "User canceled request")
    stage.wait(100)
    assert stage.requests == tries
