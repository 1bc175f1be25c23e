"""A crash, and what comes of it: a server is made to fail in an act, another takes up what it left, and all that a
user or a provider would find wrong is told."""

import shutil
from collections import Counter
from typing import Any

from msgspec import Struct
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from txcrush.testing import scratch
from txcrush.testing.acts import Act
from txcrush.testing.aftermath import Snapshot, violations
from txcrush.testing.nursery import Nursery
from txcrush.testing.played_model import says
from txcrush.testing.stage import Stage
from txcrush.testing.two_wires import WIRES

PATIENCE_S = 3.0
"""How long an act may take whose server was refused something: it may wait for what does not come."""


class Crash(Struct, frozen=True):
    """What became of it. `fired`: the failpoint was reached; `start_s`: how long the next server took to answer."""

    fired: bool
    problems: list[str]
    start_s: float = 0.0


async def passed(reactor: Any, nursery: Nursery, act: Act) -> Counter[str]:
    """The failpoints that the act passes when nothing fails, and how often."""
    stage = _stage(reactor, nursery)
    try:
        stage.failpoint = "*=trace"
        assert await stage.survives(act(stage)), "the server died of itself"
        if stage.grown.status is None:
            await stage.stop()
        return Counter(line.split()[0] for line in stage.fired())
    finally:
        await _clear(stage)


async def crash(reactor: Any, nursery: Nursery, act: Act, failpoint: str) -> Crash:
    """Do the act with this failpoint armed, and once it has fired see what comes of it."""
    stage = _stage(reactor, nursery)
    try:
        stage.failpoint = failpoint
        if not await _has_fired(stage, act):
            return Crash(False, [])
        return await _taken_up(stage)
    finally:
        await _clear(stage)


def _stage(reactor: Any, nursery: Nursery) -> Stage:
    return Stage(reactor, nursery, scratch.directory())


async def _clear(stage: Stage) -> None:
    await stage.close()
    shutil.rmtree(stage.directory, ignore_errors=True)


async def _has_fired(stage: Stage, act: Act) -> bool:
    """The act, and then its server killed, if it still lives. An act whose server was refused something may fail."""
    is_refusal = stage.failpoint.endswith("=error")
    try:
        if not await stage.survives(act(stage), *([PATIENCE_S] if is_refusal else [])):
            return True
    except Exception:
        if not (is_refusal and stage.fired()):
            raise
    fired = bool(stage.fired())
    if fired or not is_refusal:
        await (stage.kill() if is_refusal else stage.stop())
    return fired or bool(stage.fired())


async def _taken_up(stage: Stage) -> Crash:
    before = Snapshot.of(stage.database)
    acted_in = stage.session
    stage.model.go_on_everywhere()
    problems: list[str] = []
    await stage.launch()
    await stage.enter()
    start_s = stage.reactor.seconds() - stage.began
    answering = Deferred.fromCoroutine(stage.answer()).addErrback(_forget)
    await stage.until(stage.is_idle_once_granted)
    answering.cancel()
    await _goes_on(stage)
    status = await stage.stop()
    if status:
        problems.append(f"the next server ended with {status}")
    after = Snapshot.of(stage.database)
    problems += violations(before, after, stage.effects)
    problems += stage.model.faults
    problems += _broken_word(stage, acted_in, after)
    return Crash(True, problems, start_s)


def _forget(failure: Failure) -> None:
    failure.trap(CancelledError)


async def _goes_on(stage: Stage) -> None:
    """The session takes another prompt, over each wire."""
    sessions = [session["id"] for session in await stage.get("sessions")]
    if not sessions or stage.session not in sessions:
        stage.session = await stage.client.session(stage.workspace)
    for wire in WIRES:
        await stage.choose(wire)
        stage.model.plays(f"and now by {wire}", says("fine"))
        assert (await stage.prompt(f"and now by {wire}")).status == 200


def _broken_word(stage: Stage, acted_in: str, after: Snapshot) -> list[str]:
    """Promise 77: what was acknowledged, or shown as stored, is there."""
    kept = Counter(run["prompt"] for run in after.runs)
    lost = [f"prompt {text!r} was acknowledged and is lost" for text in stage.acknowledged if not kept[text]]
    if not any(session["id"] == acted_in for session in after.sessions):
        return lost
    said = "".join(one["parts"] for one in after.messages)
    return lost + [f"{text!r} was shown and is lost" for text in stage.seen if text not in said]
