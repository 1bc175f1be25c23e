"""What a server is killed in: one act for each thing that it does, short, and complete in itself.

An act begins its server with the stage's failpoint. It may be cut off anywhere. Between them the acts pass every
failpoint: `tests/faults/test_failpoints.py` sees to it.
"""

import sqlite3
from collections.abc import Callable, Coroutine
from contextlib import closing
from typing import Any

from twisted.internet.defer import Deferred

from txcrush.adapters.sqlite import migrate
from txcrush.core.instructions import resumed_request
from txcrush.testing import crush_database
from txcrush.testing.played_model import FULL, begins, calls, more, says
from txcrush.testing.stage import Stage

Act = Callable[[Stage], Coroutine[Deferred[Any], Any, None]]

LEAVE = ("bash", {"description": "leave a mark", "command": "printf x >> ../effects/{id}"})
"""A call whose effects can be counted."""


async def answering(stage: Stage) -> None:
    """A prompt, its title, text that grows, two tools, a file that changes twice."""
    await stage.begin()
    write = ("write", {"file_path": "w.txt", "content": "one\n"})
    edit = ("edit", {"file_path": "w.txt", "old_string": "one", "new_string": "two"})
    stage.model.plays(
        "answer", begins("alpha ", more("beta", LEAVE, write), "at answer"), calls(edit, LEAVE), says("done")
    )
    held = stage.prompt("answer")
    await stage.shows("alpha ")
    stage.model.go_on("at answer")
    assert (await held).status == 200
    await stage.told("session", title="A Title")


async def queueing(stage: Stage) -> None:
    """Prompts that wait behind another, and one that joins its turn."""
    await stage.begin()
    stage.model.plays("first", begins("one moment ", more("", LEAVE), "at first"), says("first done"))
    stage.model.plays("steer", says("steered"))
    for name in ("second", "third", "fourth"):
        stage.model.plays(name, calls(LEAVE), says(f"{name} done"))
    await stage.queue("first", "r1")
    await stage.shows("one moment ")
    await stage.queue("second", "r2")
    await stage.queue("steer", when_busy="steer")
    await stage.queue("third", "r3")
    await stage.queue("fourth", "r4")
    stage.model.go_on("at first")
    await stage.told("run_complete", run_id="r4")


async def permitting(stage: Stage) -> None:
    """A tool that has to ask."""
    await stage.begin(yolo=False)
    stage.model.plays("ask", calls(LEAVE), says("done"))
    await stage.queue("ask", "r1")
    await stage.grant()
    await stage.told("run_complete", run_id="r1")


async def questioning(stage: Stage) -> None:
    """The model asks something."""
    await stage.begin()
    question = {"type": "yes_no", "question": "Shall I?", "description": "You decide"}
    stage.model.plays("ask", calls(("question", {"questions": [question]})), calls(LEAVE), says("done"))
    await stage.post("agent/init", {"interactive": True})
    await stage.queue("ask", "r1")
    await stage.answer()
    await stage.told("run_complete", run_id="r1")


async def sending(stage: Stage) -> None:
    """A sub-agent."""
    await stage.begin()
    (stage.project / "there.txt").write_text("here\n")
    stage.model.plays("send", calls(("agent", {"prompt": "look there"}), LEAVE), says("done"))
    stage.model.plays("look there", calls(("view", {"file_path": "there.txt"})), says("seen"))
    await stage.queue("send", "r1")
    await stage.told("run_complete", run_id="r1")


async def summing_up(stage: Stage) -> None:
    """A summary that somebody wants, with a prompt behind it; then one because the context is full."""
    await stage.begin()
    stage.model.plays("talk", says("well"))
    stage.model.plays("fill", calls(LEAVE, usage=FULL), says("not resumed"))
    stage.model.plays(resumed_request("fill"), says("resumed"))
    assert (await stage.prompt("talk")).status == 200
    await stage.post(f"agent/sessions/{stage.session}/summarize")
    await stage.queue("fill", "r1")
    await stage.told("run_complete", run_id="r1")


async def commanding(stage: Stage) -> None:
    """A command of the user's own, beside the agent."""
    await stage.begin()
    await stage.post(f"agent/sessions/{stage.session}/shell", {"command": "echo hello"})


async def dropping(stage: Stage) -> None:
    """A queue that is cleared, and a run that is cancelled."""
    await stage.begin()
    stage.model.plays("first", begins("one moment ", more("later"), "at first"))
    stage.model.plays("second", says("second done"))
    await stage.queue("first", "r1")
    await stage.shows("one moment ")
    await stage.queue("second", "r2")
    await stage.post(f"agent/sessions/{stage.session}/prompts/clear")
    await stage.told("run_complete", run_id="r2")
    await stage.post(f"agent/sessions/{stage.session}/cancel")
    await stage.told("run_complete", run_id="r1")


async def deleting(stage: Stage) -> None:
    """A session that is deleted while it works and more is queued in it."""
    await stage.begin()
    stage.model.plays("first", begins("one moment ", more("later"), "at first"))
    stage.model.plays("second", says("second done"))
    await stage.queue("first", "r1")
    await stage.shows("one moment ")
    await stage.queue("second", "r2")
    answer = await stage.client.ask("DELETE", f"/v1/workspaces/{stage.workspace}/sessions/{stage.session}")
    assert answer.status == 200, answer


async def _busy(stage: Stage) -> None:
    """A run that streams, prompts behind it, and another session that waits for a permission."""
    stage.model.plays("first", begins("one moment ", more("and more", LEAVE), "at first"), says("first done"))
    stage.model.plays("ask", calls(LEAVE), says("asked"))
    for name in ("second", "third"):
        stage.model.plays(name, calls(LEAVE), says(f"{name} done"))
    asking = await stage.client.session(stage.workspace)
    await stage.queue("ask", "r0", session=asking)
    await stage.told("permission_request")
    await stage.queue("first", "r1")
    await stage.shows("one moment ")
    await stage.queue("second", "r2")
    await stage.queue("third", "r3")


async def stopping(stage: Stage) -> None:
    """SIGTERM in the midst of work."""
    await stage.begin(yolo=False)
    await _busy(stage)
    assert await stage.stop() == 0


async def coming_back(stage: Stage) -> None:
    """A start after `kill -9` in the midst of work."""
    await stage.launch()
    await stage.enter(yolo=False)
    stage.session = await stage.client.session(stage.workspace)
    await _busy(stage)
    await stage.kill()
    stage.model.go_on_everywhere()
    await stage.launch(stage.failpoint)
    await stage.enter()
    await stage.until(stage.is_idle)


async def upgrading(stage: Stage) -> None:
    """A start over the database of the first version."""
    stage.database.parent.mkdir()
    with closing(sqlite3.connect(stage.database, isolation_level=None)) as connection:
        migrate.migrate(connection, str(stage.database), migrate.scripts()[:1])
        connection.execute("INSERT INTO sessions (id, title, updated_at, created_at) VALUES ('old', 'Old', 1, 1)")
    await stage.begin()


async def importing(stage: Stage) -> None:
    """A start where Crush has left its database."""
    stage.database.parent.mkdir()
    crush_database.write(stage.database.parent / "crush.db")
    await stage.begin()


ACTS: tuple[Act, ...] = (
    commanding,
    permitting,
    questioning,
    upgrading,
    importing,
    answering,
    queueing,
    sending,
    summing_up,
    dropping,
    deleting,
    stopping,
    coming_back,
)
"""The quick ones first: a failpoint is tried in the first act that passes it."""
