"""`kill -9` at every failpoint, in every act: what a restart makes of it (promises 3, 4, 5, 16, 25, 39, 44, 86).

The failpoints are enumerated, not picked: a survey notes which of them each act passes and how often. In its short form
each point kills once, at its first time in the first act that passes it; in the full form every time in every act,
until the act goes through without coming there. What the disk can refuse, it refuses as well.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults

from txcrush import failpoints
from txcrush.testing.acts import ACTS, Act
from txcrush.testing.crashes import Crash, crash, passed
from txcrush.testing.nursery import Nursery
from txcrush.testing.scale import FULL

AT_A_TIME = 4
MOST_TIMES = 500
STEP = 1 if FULL else 7
"""In the short form some of the many times are left out."""


class Trials:
    """Crashes, a few at a time, and what was wrong after each."""

    def __init__(self, nursery: Nursery, survey: dict[Act, Counter[str]]) -> None:
        self.nursery = nursery
        self.survey = survey
        self.done: dict[str, Crash] = {}
        self._places = DeferredSemaphore(AT_A_TIME)

    async def crash(self, act: Act, failpoint: str) -> Crash:
        done: Crash = await self._places.run(self._crash, act, failpoint)
        return done

    def _crash(self, act: Act, failpoint: str) -> "Deferred[Crash]":
        name = f"{act.__name__} {failpoint}"

        async def work() -> Crash:
            try:
                self.done[name] = await crash(reactor, self.nursery, act, failpoint)
            except Exception as error:
                self.done[name] = Crash(True, [f"{type(error).__name__}: {error}"])
            return self.done[name]

        return Deferred.fromCoroutine(work())

    def every_time(self, act: Act, name: str, action: str) -> "Deferred[None]":
        """Crash at the first time, the second, and so on, until the act goes through without coming so far."""
        return Deferred.fromCoroutine(self._every_time(act, name, action))

    async def _every_time(self, act: Act, name: str, action: str) -> None:
        for nth in range(1, MOST_TIMES, STEP):
            if not (await self.crash(act, f"{name}:{nth}={action}")).fired:
                return
        raise AssertionError(f"{act.__name__} comes to {name} {MOST_TIMES} times and more")

    @property
    def problems(self) -> list[str]:
        return [f"{name}: {problem}" for name, done in self.done.items() for problem in done.problems]


@pytest_twisted.async_yield_fixture(scope="module")
async def trials() -> Any:
    nursery = Nursery.start(reactor)
    places = DeferredSemaphore(AT_A_TIME)
    surveys = [places.run(lambda act: Deferred.fromCoroutine(passed(reactor, nursery, act)), act) for act in ACTS]
    survey = dict(zip(ACTS, await gatherResults(surveys, consumeErrors=True), strict=True))
    yield Trials(nursery, survey)
    await nursery.stop()


def test_the_acts_pass_every_failpoint_that_is_declared(trials: Trials) -> None:
    passed_by_any = set().union(*trials.survey.values())
    assert [name for name in failpoints.points() if name not in passed_by_any] == []


@pytest_twisted.ensureDeferred
async def test_promise_04_promise_05_promise_86_a_kill_at_every_failpoint(
    trials: Trials, record_property: Callable[[str, object], None]
) -> None:
    first = {name: next((act for act in ACTS if trials.survey[act][name]), None) for name in failpoints.points()}
    trying = [Deferred.fromCoroutine(trials.crash(act, name)) for name, act in first.items() if act is not None]
    crashes = await gatherResults(trying, consumeErrors=True)
    assert trials.problems == []
    assert all(one.fired for one in crashes)
    slowest = max(one.start_s for one in crashes)
    record_property("promise_4", f"{len(crashes)} of {len(first)} failpoints, slowest start {slowest:.2f} s")
    assert slowest < 2.0


@pytest.mark.skipif(not FULL, reason="the full form takes about twenty minutes: TXCRUSH_FULL=1")
@pytest_twisted.ensureDeferred
async def test_promise_86_a_kill_at_every_time_of_every_failpoint_in_every_act(
    trials: Trials, record_property: Callable[[str, object], None]
) -> None:
    trials.done.clear()
    for act in ACTS:
        await gatherResults([trials.every_time(act, name, "kill") for name in trials.survey[act]], consumeErrors=True)
    fired = sum(one.fired for one in trials.done.values())
    record_property("promise_86", f"{fired} kills, {len(trials.problems)} found wrong")
    assert trials.problems == []


@pytest_twisted.ensureDeferred
async def test_promise_86_whatever_the_disk_refuses_once(
    trials: Trials, record_property: Callable[[str, object], None]
) -> None:
    """Every time in the full form; else some of the writes of one act."""
    trials.done.clear()
    names = [name for name in failpoints.points() if failpoints.can_refuse(name)]
    for act in ACTS if FULL else ACTS[:1]:
        await gatherResults([trials.every_time(act, name, "error") for name in names], consumeErrors=True)
    assert trials.problems == []
