"""The store refuses the Nth write, for each N: everything ends, is told, and is written in the end."""

from collections.abc import Callable
from typing import Any

import pytest

from txcrush.model.errors import StorageFailed
from txcrush.model.messages import Role
from txcrush.model.runs import Prompt
from txcrush.testing.conversation import Conversation
from txcrush.testing.harness import Harness
from txcrush.testing.memory_store import MemoryStore
from txcrush.testing.scale import FULL
from txcrush.testing.scripted_provider import Call
from txcrush.testing.scripted_tool import ScriptedTool

LONGEST_RUN = 60 if FULL else 30
"""More writes than the story makes: the last numbers show that."""


class FailingStore(MemoryStore):
    """Refuses the write of a number, and all that come while the disk is full."""

    def __init__(self, number: int, length: int) -> None:
        super().__init__()
        self.number, self.length, self.asked = number, length, 0

    def _transaction(self, work: Callable[[Any], Any]) -> Any:
        self.asked += 1
        if self.number <= self.asked < self.number + self.length:
            raise StorageFailed("the disk is full")
        return super()._transaction(work)


def story(number: int, length: int) -> tuple[Harness, FailingStore, list[str]]:
    """Two prompts, the first with a tool call, over a store that fails; returns what the prompts were told."""
    store = FailingStore(number, length)
    tool = ScriptedTool("look")
    harness = Harness(tools=[tool], stores={"/project/.crush": store})
    for said in (Call("c1", "look"), "and so", "again", "and again"):
        harness.provider.add(said)
    told: list[str] = []
    try:
        talk = Conversation(harness)
    except StorageFailed as error:
        return harness, store, [str(error)]
    for run_id in ("r1", "r2"):
        try:
            run = talk.workspace.runs.accept(Prompt(session_id=talk.session_id, text=run_id, run_id=run_id))  # type: ignore[arg-type]
        except StorageFailed as error:
            told.append(str(error))
            continue
        run.when_ended().addCallbacks(
            lambda end: told.append(end.error or end.outcome.value), lambda failure: told.append(str(failure.value))
        )
        for _ in range(40):
            if tool.running:
                tool.answer("c1")
            harness.clock.advance(0.5)
    harness.clock.pump([0.5] * 250)
    assert not talk.is_busy
    assert talk.workspace.runs.live() == []
    check(talk, store)
    return harness, store, told


def check(talk: Conversation, store: FailingStore) -> None:
    """Every accepted run has its end, told once and logged once; no message is open; reads answer."""
    store.head()  # the workspace may have closed by now, for nobody is attached
    records = list(store._tables.runs.values())
    assert [record.id for record in records if record.end is None] == []
    completed = [one["run_id"] for one in talk.completions()]
    assert sorted(completed) == sorted(set(completed))
    logged = [event for event in store._tables.events.values() if event.kind == "run_complete"]
    assert len(logged) == len(records)
    open_messages = [one for one in talk.messages() if one.role == Role.ASSISTANT and one.finish is None]
    assert open_messages == []


@pytest.mark.parametrize("length", [1, 3, 10])
def test_promise_73_the_nth_write_fails_for_every_n(
    length: int, record_property: Callable[[str, object], None]
) -> None:
    failures = 0
    for number in range(1, LONGEST_RUN):
        _, store, told = story(number, length)
        assert store.asked >= 5 or told, number
        assert told != [] or number <= 2, number
        failures += any("the disk is full" in one for one in told)
        assert not [one for one in told if one not in ("completed", "the disk is full")], (number, told)
    record_property("promise_73", f"{failures} of {LONGEST_RUN - 1} positions ended with a clear error, 0 stuck")
    assert failures > 5
