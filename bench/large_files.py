"""How long the reactor is held while the file tools work on a large file.

`python bench/large_files.py [MEGABYTES]` views and edits a file of source text (5 MB
unless told otherwise), and measures the largest gap between two beats of a 1 ms timer on the server's reactor, beside
the gap of an idle half second. The bound is 20 ms. What other processes do only adds: the smallest of several rounds
is the tools' own.
"""

import gc
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from statistics import median
from types import SimpleNamespace

from twisted.internet import asyncioreactor

asyncioreactor.install()  # type: ignore[no-untyped-call]

from twisted.internet import reactor  # noqa: E402
from twisted.internet.defer import Deferred  # noqa: E402
from twisted.internet.task import LoopingCall, deferLater, react  # noqa: E402
from twisted.internet.threads import deferToThread  # noqa: E402

from txcrush.adapters.guarded_places import OwnPlaces  # noqa: E402
from txcrush.adapters.sqlite import OpenSettings, OpenSqliteStore  # noqa: E402
from txcrush.adapters.tools.file_tools import file_tools  # noqa: E402
from txcrush.adapters.wall_clock import WallClock  # noqa: E402
from txcrush.core.events import EventLog  # noqa: E402
from txcrush.core.file_records import FileHistory, FileTracker  # noqa: E402
from txcrush.core.sessions import Sessions  # noqa: E402
from txcrush.core.transcript import Transcript  # noqa: E402
from txcrush.model.ids import MessageId, SessionId  # noqa: E402
from txcrush.model.messages import ToolCall, ToolResult  # noqa: E402
from txcrush.model.tools import ToolOutput, ToolUse  # noqa: E402
from txcrush.testing.harness import Listener, configuration  # noqa: E402
from txcrush.testing.scripted_desk import ScriptedDesk  # noqa: E402
from txcrush.wire.sse import frame  # noqa: E402
from txcrush.wire.v1 import encode_big_event, encode_event  # noqa: E402
from txcrush.wiring import _new_id  # noqa: E402

ROUNDS = 7
LINE = "    def method_{number}(self, name: str) -> dict[str, object]:  # <b>returns</b> & more\n"


class Bench:
    """The file tools over a real store and a real event log, and one reader of the stream."""

    async def open(self, top: Path) -> None:
        clock = WallClock(reactor)  # type: ignore[arg-type]
        store = await OpenSqliteStore(reactor, time.time, _new_id, OpenSettings("bench"))(str(top / "data"))  # type: ignore[arg-type]
        self.store = store
        self.events = EventLog(
            store, encode_event, frame, clock, 0, encode_apart=lambda event: deferToThread(encode_big_event, event)
        )
        self.events.subscribe(Listener())
        sessions = Sessions(self.events, clock, _new_id, [])
        self.session: SessionId = (await sessions.create("bench")).id
        self.transcript = Transcript(store, self.events, sessions, clock, _new_id)
        bench = SimpleNamespace(
            path=str(top),
            data_dir=str(top / "data"),
            config=configuration,
            permissions=ScriptedDesk(),
            file_tracker=FileTracker(store, sessions, clock, str(top)),
            file_history=FileHistory(self.events, clock, _new_id),
        )
        own = OwnPlaces(state_dir=str(top / "state"), token_file="", env={"HOME": str(top)})
        tools = file_tools(bench, own, deferToThread)  # type: ignore[arg-type]  # the part of a bench that they need
        self.tools = {tool.spec.name: tool for tool in tools}

    async def call(self, name: str, **arguments: object) -> ToolOutput:
        """Run the tool and keep its result, as a turn does."""
        call = ToolCall(name, name, "{}")
        use = ToolUse(call=call, arguments=arguments, session_id=self.session, message_id=MessageId("m"))
        output = await self.tools[name].run(use)
        result = ToolResult(name, name, output.content, metadata=output.metadata)
        await self.transcript.add(await self.transcript.prepared_result(self.session, result))
        assert not output.is_error, output.content
        return output


async def gap_ms(work: Awaitable[object]) -> float:
    """The largest time between two beats while the work is done."""
    beats: list[float] = [time.perf_counter()]
    beat = LoopingCall(lambda: beats.append(time.perf_counter()))
    beat.start(0.001)
    await work
    await deferLater(reactor, 0.05)  # type: ignore[arg-type]
    beat.stop()
    return max(later - earlier for earlier, later in pairwise(beats)) * 1000


def calls(bench: Bench, lines: list[str], number: int) -> dict[str, Callable[[], Awaitable[object]]]:
    """The calls of a round: each changes another place."""
    place = len(lines) // 2 + 10 * number
    blanks = LINE.format(number=place + 1).strip().replace("  ", " ")
    return {
        "view": lambda: bench.call("view", file_path="big.py", offset=place),
        "edit": lambda: bench.call(
            "edit", file_path="big.py", old_string=f"method_{place}(self", new_string="renamed(self"
        ),
        "edit, blanks aside": lambda: bench.call("edit", file_path="big.py", old_string=blanks, new_string="x"),
        "write": lambda: bench.call("write", file_path="big.py", content="".join(lines[:place])),
    }


async def measure(top: Path, megabytes: float) -> None:
    bench = Bench()
    await bench.open(top)
    lines = [LINE.format(number=number) for number in range(int(megabytes * 1_000_000 / len(LINE)))]
    gaps: defaultdict[str, list[float]] = defaultdict(list)
    for number in range(ROUNDS):
        (top / "big.py").write_text("".join(lines))
        gc.collect()
        gaps["idle"].append(await gap_ms(deferLater(reactor, 0.5)))  # type: ignore[arg-type]
        for name, call in calls(bench, lines, number).items():
            gaps[name].append(await gap_ms(call()))
    for name, found in gaps.items():
        print(f"{name:18} {min(found):6.1f} ms at best, {median(found):6.1f} ms in the middle of {ROUNDS} rounds")
    await bench.store.close()


async def main() -> None:
    megabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    with tempfile.TemporaryDirectory() as folder:
        await measure(Path(folder), megabytes)


if __name__ == "__main__":
    react(lambda _: Deferred.fromCoroutine(main()))
