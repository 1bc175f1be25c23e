"""Many runs, and everything that can come over them: each ends once, in its order, and none is lost."""

import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from txcrush.testing.killed_world import KilledWorld
from txcrush.testing.live_server import prompt_of
from txcrush.testing.model_server import Exchange
from txcrush.testing.scale import scaled

BOUND_S = scaled(90, 1800)
FATES = ("say", "say", "fail", "cancel", "cancel session", "disconnect", "hang", "kill")

Record = Callable[[str, object], None]


@pytest_twisted.async_yield_fixture
async def world(short_path: Path) -> AsyncIterator[KilledWorld]:
    made = KilledWorld(reactor, short_path)
    yield made
    await made.close()


class Fates:
    """Prompts whose text says what becomes of them."""

    def __init__(self, world: KilledWorld, sessions: list[str]) -> None:
        self.world = world
        self.sessions = sessions
        self.kills = 0
        self.is_over = False
        world.model.handler = self.play

    def play(self, exchange: Exchange) -> None:
        """What the model does."""
        fate = prompt_of(exchange)
        if self.is_over or fate in ("say", "disconnect"):
            exchange.reply("all ", "right")
        elif fate == "fail":
            exchange.error(400, "no")
        else:
            exchange.head()
            exchange.text("half an ans")

    async def send(self, run_id: str, session: str, fate: str) -> None:
        """A prompt that the server has taken, and its fate."""
        world = self.world
        if fate == "disconnect":
            await self.send_and_go(run_id, session)
        else:
            await world.prompt(session, fate, run_id)
        if fate == "cancel":
            await self.post(f"runs/{run_id}/cancel")
        elif fate == "cancel session":
            await self.post(f"agent/sessions/{session}/cancel")
        elif fate == "kill":
            self.kills += 1
            await world.restart()

    async def send_and_go(self, run_id: str, session: str) -> None:
        """The request is held; its connection is cut once the run is there."""
        raw = await self.world.client.raw()
        body = {"session_id": session, "prompt": "disconnect", "run_id": run_id}
        raw.send("POST", f"/v1/workspaces/{self.world.workspace}/agent", body, Prefer="wait=60")
        while (await self.world.client.get(f"/v1/workspaces/{self.world.workspace}/runs/{run_id}")).status == 404:
            pass
        raw.reset()

    async def post(self, rest: str) -> None:
        answer = await self.world.client.post(f"/v1/workspaces/{self.world.workspace}/{rest}")
        assert answer.status == 200, answer


@pytest_twisted.ensureDeferred
async def test_promise_03_every_run_ends_exactly_once(world: KilledWorld, record_property: Record) -> None:
    await Deferred.fromCoroutine(_ends(world, record_property)).addTimeout(BOUND_S, reactor)


async def _ends(world: KilledWorld, record_property: Record) -> None:
    count, chance = scaled(60, 1000), random.Random(3)
    await world.start()
    await world.join()
    fates = Fates(world, [await world.client.session(world.workspace) for _ in range(4)])
    for number in range(count):
        fate = chance.choices(FATES, [8, 8, 8, 8, 4, 8, 2, 2])[0]
        await fates.send(f"r{number}", chance.choice(fates.sessions), fate)
    fates.is_over = True
    await world.restart()
    fates.kills += 1
    for number in range(count):
        await world.ended(f"r{number}")
    assert await world.server.stop() == 0
    told = dict(world.stored("SELECT key, count(*) FROM events WHERE kind = 'run_complete' GROUP BY key"))
    assert told == {f"r{number}": 1 for number in range(count)}
    outcomes = dict(world.stored("SELECT outcome, count(*) FROM run_ends GROUP BY outcome"))
    assert sum(outcomes.values()) == count
    assert len(outcomes) == 3, outcomes
    record_property("promise_03", f"{count} runs, {fates.kills} kills, {outcomes}: one terminal event each")


class InOrder:
    """Answers every prompt, and says when so many have come; `asked` holds the prompts of each session in order."""

    def __init__(self) -> None:
        self.asked: dict[str, list[int]] = defaultdict(list)
        self.left = 0
        self.reached: Deferred[None] = Deferred()

    def until(self, count: int) -> Deferred[None]:
        """From now on so many prompts are answered; fires with the next one, which is not."""
        self.left, self.reached = count, Deferred()
        return self.reached

    def play(self, exchange: Exchange) -> None:
        session, number = prompt_of(exchange).split()
        self.asked[session].append(int(number))
        if self.left:
            self.left -= 1
            exchange.reply("done")
        elif not self.reached.called:
            self.reached.callback(None)


@pytest_twisted.ensureDeferred
async def test_promise_16_queues_keep_their_order_over_restarts(world: KilledWorld, record_property: Record) -> None:
    await Deferred.fromCoroutine(_in_order(world, record_property)).addTimeout(BOUND_S, reactor)


async def _in_order(world: KilledWorld, record_property: Record) -> None:
    sessions, each, kills = 4, scaled(15, 250), 3
    model = InOrder()
    world.model.handler = model.play
    await world.start()
    await world.join()
    ids = [await world.client.session(world.workspace) for _ in range(sessions)]
    for number in range(each):
        for place, session in enumerate(ids):
            await world.prompt(session, f"s{place} {number}", f"s{place}-{number}")
    for _ in range(kills):
        reached = model.until(sessions * each // 5)
        await world.restart()
        await reached
    model.until(sessions * each)
    await world.restart()
    outcomes = defaultdict(list)
    for place in range(sessions):
        for number in range(each):
            shown = await world.ended(f"s{place}-{number}")
            outcomes[shown["outcome"]].append((place, number))
    for place in range(sessions):
        asked = model.asked[f"s{place}"]
        assert asked == sorted(set(asked))
        never_asked = set(range(each)) - set(asked)
        assert all((place, number) in outcomes["cancelled"] for number in never_asked)
    assert len(outcomes["completed"]) + len(outcomes["cancelled"]) == sessions * each
    assert len(outcomes["cancelled"]) <= sessions * (kills + 1)  # those that were at work when the server was killed
    record_property("promise_16", f"{sessions * each} prompts, {kills + 1} kills: 0 reordered, 0 lost")
