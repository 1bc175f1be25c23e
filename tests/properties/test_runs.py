"""Whatever clients, model, disk and server do, in whatever order: each run ends once and nothing is left half-done."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from twisted.internet.defer import Deferred

from txcrush.core import history
from txcrush.core.run import Run
from txcrush.model.errors import ProviderError, StorageFailed
from txcrush.model.ids import MessageId, RunId, SessionId
from txcrush.model.messages import FinishReason
from txcrush.model.providers import AssistantTurn, ModelReply, ModelRequest, ResultsTurn, Usage
from txcrush.model.runs import Outcome, RunRecord, WhenBusy
from txcrush.ports import StreamSink
from txcrush.testing.conversation import Conversation, now
from txcrush.testing.harness import Harness, Listener
from txcrush.testing.memory_store import MemoryStore
from txcrush.testing.scripted_tool import ScriptedTool

T = TypeVar("T")

PATH = "/project"
BACKLOG = 12
"""More live runs than this find nothing new, and take long to work off."""


@dataclass
class Stream:
    """A request to the model that is not answered yet."""

    affinity: str
    sink: StreamSink
    reply: "Deferred[ModelReply]"
    has_called: bool = False


class HandProvider:
    """A model that the machine plays. Two streams of one session at a time are a failure."""

    def __init__(self) -> None:
        self.streams: list[Stream] = []

    def stream(self, request: ModelRequest, sink: StreamSink) -> "Deferred[ModelReply]":
        assert all(one.affinity != request.affinity for one in self.streams), "two streams in one session"
        reply: Deferred[ModelReply] = Deferred()
        stream = Stream(request.affinity, sink, reply)
        self.streams.append(stream)

        def gone(result: object) -> object:
            self.streams.remove(stream)
            return result

        return reply.addBoth(gone)

    def finish(self, stream: Stream) -> None:
        reason = FinishReason.TOOL_USE if stream.has_called else FinishReason.END_TURN
        stream.reply.callback(ModelReply(finish=reason, usage=Usage(input=3, output=2, total=5)))


class RunsMachine(RuleBasedStateMachine):
    """One workspace with two sessions, over a store whose writes are held and released at will."""

    def __init__(self) -> None:
        super().__init__()
        self.stores: dict[str, MemoryStore] = {}
        self.numbers = iter(range(1, 1_000_000))
        self.heard: Counter[str] = Counter()
        self.promised: dict[RunId, Run] = {}
        self.undisturbed: set[RunId] = set()
        self.watchers: list[list[object]] = []
        self.deletions: list[Deferred[None]] = []
        self.sessions: list[SessionId] = []
        self.is_held = self.has_crashed = self.has_failed = False
        self.harness: Harness = None  # type: ignore[assignment]  # `start` makes it
        self.start()
        self.sessions = [self.new_session(), self.new_session()]

    # The server

    def start(self) -> None:
        """Start a server over what is stored."""
        self.tool = ScriptedTool("look")
        self.side = ScriptedTool("fetch", parallel=True)
        last, self.harness = self.harness, Harness(stores=self.stores, tools=[self.tool, self.side])
        if last is not None:
            self.harness.clock.advance(last.clock.seconds() - self.harness.clock.seconds())
        self.is_held = False
        self.model = HandProvider()
        self.harness.provider = self.model  # type: ignore[assignment]
        self.workspace = self.until_the_disk_does_it(lambda: self.harness.open(PATH))
        self.workspace.claims.attach(self.client())
        self.listener = Listener()
        self.workspace.events.subscribe(self.listener)

    def client(self):  # type: ignore[no-untyped-def]
        return next(iter(self.workspace.claims.clients()))

    @property
    def store(self) -> MemoryStore:
        return self.stores[f"{PATH}/.crush"]

    def note_heard(self) -> None:
        """Remember what the listener of a server that goes has heard."""
        self.heard.update(one.get("run_id", "") for one in self.listener.of("run_complete"))

    def note_watchers(self) -> None:
        assert all(self.watchers), "somebody waits for ever"

    # What clients do

    @precondition(lambda self: len(self.workspace.runs.live()) < BACKLOG)
    @rule(which=st.integers(0, 1), named=st.booleans(), when_busy=st.sampled_from(WhenBusy))
    def accept(self, which: int, named: bool, when_busy: WhenBusy) -> None:
        session_id, number = self.sessions[which], next(self.numbers)
        is_idle = not any(run.prompt.session_id == session_id for run in self.workspace.runs.live())
        if when_busy == WhenBusy.REJECT and (not is_idle or self.workspace.runs.is_busy(session_id)):
            return
        if when_busy == WhenBusy.INTERRUPT:
            self.disturb(session_id)
        talk = self.talk(session_id)
        run = talk.prompt(f"prompt {number}", f"r{number}" if named else "", when_busy)
        self.undisturbed.add(run.id)
        run.when_kept().addCallbacks(lambda _: self.promised.__setitem__(run.id, run), lambda _: None)
        self.watch(run)

    def new_session(self) -> SessionId:
        return self.until_the_disk_does_it(lambda: self.workspace.sessions.create("A Session")).id

    def until_the_disk_does_it(self, ask: "Callable[[], Awaitable[T]]") -> T:
        """Each failure that was asked for comes once."""
        while True:
            try:
                return now(ask())
            except StorageFailed:
                assert self.has_failed

    def talk(self, session_id: SessionId) -> Conversation:
        talk = Conversation.__new__(Conversation)
        talk.harness, talk.workspace, talk.session_id = self.harness, self.workspace, session_id
        return talk

    def watch(self, run: Run) -> None:
        for watcher in (run.when_ended(), run.when_placed()):
            results: list[object] = []
            watcher.addBoth(lambda result, results=results: results.append(result))
            self.watchers.append(results)

    def disturb(self, session_id: SessionId) -> None:
        """From here on these may end as cancelled."""
        self.undisturbed -= {run.id for run in self.workspace.runs.live() if run.prompt.session_id == session_id}

    @rule(which=st.integers(0, 1))
    def cancel(self, which: int) -> None:
        self.disturb(self.sessions[which])
        self.workspace.runs.cancel(self.sessions[which])

    @rule(which=st.integers(0, 1))
    def clear(self, which: int) -> None:
        self.disturb(self.sessions[which])
        self.workspace.runs.clear(self.sessions[which])

    @precondition(lambda self: not self.is_held)
    @rule(which=st.integers(0, 1))
    def delete(self, which: int) -> None:
        """Delete the session; prompts go to a new one from now on."""
        session_id = self.sessions[which]
        self.sessions[which] = self.new_session()
        self.disturb(session_id)
        self.deletions.append(self.talk(session_id).delete())

    @rule(which=st.integers(0, 1))
    def summarize(self, which: int) -> None:
        if self.workspace.runs.is_busy(self.sessions[which]):
            return
        results: list[object] = []
        summary = self.workspace.summaries.start(self.sessions[which])
        Deferred.fromCoroutine(summary.when_done()).addBoth(results.append)
        self.watchers.append(results)

    # What the model and the tools do

    @precondition(lambda self: self.model.streams)
    @rule(data=st.data(), what=st.sampled_from(["say", "think", "begin", "call", "side", "finish", "finish", "fail"]))
    def model_does(self, data: st.DataObject, what: str) -> None:
        stream = data.draw(st.sampled_from(self.model.streams))
        call_id = f"call{next(self.numbers)}"
        match what:
            case "say":
                stream.sink.text("words ")
            case "think":
                stream.sink.reasoning("hm ")
            case "begin":
                stream.sink.tool_started(call_id, "look")
            case "call" | "side":
                stream.has_called = True
                stream.sink.tool_call(call_id, "look" if what == "call" else "fetch", "{}")
            case "finish":
                self.model.finish(stream)
            case "fail":
                stream.reply.errback(ProviderError("no", title="Bad Request", status=400))

    @precondition(lambda self: self.tool.running or self.side.running)
    @rule()
    def a_tool_answers(self) -> None:
        tool = self.tool if self.tool.running else self.side
        tool.answer(tool.running[-1])

    # What disk, time and operator do

    @rule()
    def hold(self) -> None:
        self.is_held = True
        self.store.hold()

    @rule(count=st.sampled_from([1, 2, 3, None]))
    def release(self, count: int | None) -> None:
        self.is_held = count is not None
        self.store.release(count)

    @rule(seconds=st.sampled_from([0.05, 1, 6]))
    def time_passes(self, seconds: float) -> None:
        self.harness.clock.advance(seconds)

    @rule()
    def the_disk_fails_once(self) -> None:
        self.has_failed = True
        self.store.fail_next(StorageFailed("the disk is full"))

    @rule()
    def restart(self) -> None:
        """Stop in order, and start again."""
        self.undisturbed.clear()
        stopped = Deferred.fromCoroutine(self.harness.workspaces.stop())
        self.store.release()
        now(stopped)
        self.note_watchers()
        self.note_heard()
        self.start()

    @rule()
    def crash(self) -> None:
        """The process is killed, and started again. Nobody who waited is told."""
        self.has_crashed = True
        self.undisturbed.clear()
        self.watchers.clear()
        self.deletions.clear()
        self.note_heard()
        self.store.crash()
        self.start()
        known = {session.id for session in self.workspace.sessions.top_level()}
        self.sessions = [one if one in known else self.new_session() for one in self.sessions]

    # What always holds

    @invariant()
    def no_run_is_told_of_twice(self) -> None:
        """By one server; what a full disk kept from it, the next one tells again."""
        heard = Counter(one.get("run_id", "") for one in self.listener.of("run_complete"))
        if not self.has_failed:
            heard += self.heard
        del heard[""]
        assert all(count == 1 for count in heard.values()), heard

    # What holds once everything has come to rest

    def teardown(self) -> None:
        self.store.release()
        self.work_off()
        for deletion in self.deletions:
            self.ended(deletion)
        self.note_watchers()
        if self.has_failed:
            self.until_the_disk_does_it(lambda: self.store.write())
            self.restart()
            self.work_off()
        self.every_promised_run_has_ended_once()
        for session in self.workspace.sessions.top_level():
            self.nothing_is_half_done(session.id)
        if not self.has_failed:  # a cancel that the disk did not take is forgotten by the next server
            self.own_turns_came_in_order()
        now(Deferred.fromCoroutine(self.harness.workspaces.stop()))
        assert self.harness.clock.getDelayedCalls() == []
        assert self.listener.ended

    def work_off(self) -> None:
        """Let model and tools go on until nothing runs."""
        for _ in range(20 * BACKLOG):
            while self.tool.running or self.side.running:
                self.a_tool_answers()
            for stream in list(self.model.streams):
                self.model.finish(stream)
        for _ in range(1000):  # until what a full disk refused is written
            if self.workspace.runs.any_live:
                self.harness.clock.advance(0.5)
        assert not self.workspace.runs.any_live, "runs are stuck"

    def ended(self, deletion: "Deferred[None]") -> None:
        """A deletion fails with the disk, and in no other way."""
        try:
            now(deletion)
        except StorageFailed:
            assert self.has_failed

    def record(self, run_id: RunId) -> RunRecord:
        record = now(self.store.run(run_id))
        assert record is not None, "an acknowledged prompt is lost"
        return record

    def every_promised_run_has_ended_once(self) -> None:
        logged = Counter(one.key for one in now(self.store.events_after(0, 100_000)) if one.kind == "run_complete")
        for run_id, run in self.promised.items():
            end = self.record(run_id).end
            assert end is not None, "a run without an end"
            assert logged[run_id] == 1 or (run.folds and run.record.minted and not logged[run_id])
            if run_id in self.undisturbed:
                assert end.outcome != Outcome.CANCELLED, "a cancel reached a prompt that came after it"
        assert max(logged.values(), default=1) == 1

    def nothing_is_half_done(self, session_id: SessionId) -> None:
        messages = now(self.store.messages(session_id))
        open_ones = [message for message in messages if message.finish is None]
        harmed = self.has_crashed or self.has_failed
        assert all(harmed and message.is_summary_message for message in open_ones), "an unfinished message"
        assert self.has_failed or self.workspace.sessions.get(session_id).message_count == len(messages)
        turns = history.past_turns(messages, summary_id=MessageId(""), provider="p", supports_images=False)
        calls = [call.id for turn in turns if isinstance(turn, AssistantTurn) for call in turn.calls]
        results = [one.call_id for turn in turns if isinstance(turn, ResultsTurn) for one in turn.results]
        assert sorted(calls) == sorted(results), "a conversation that no provider takes"

    def own_turns_came_in_order(self) -> None:
        """Of those with a turn of their own that completed; what interrupts goes first, that is its point."""
        for session in self.workspace.sessions.top_level():
            place = {message.id: n for n, message in enumerate(now(self.store.messages(session.id)))}
            records = [self.record(run_id) for run_id, run in self.promised.items() if not run.folds]
            turns = [
                (record.position, place[record.user_message_id])
                for record in records
                if record.user_message_id in place
                and record.end is not None
                and record.end.outcome == Outcome.COMPLETED
                and record.prompt.when_busy != WhenBusy.INTERRUPT
            ]
            assert sorted(turns) == sorted(turns, key=lambda turn: turn[1]), "out of order"


RunsMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestRuns = RunsMachine.TestCase
