"""A cancel reaches what was accepted, queued or active when it came, and nothing that came after it."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from twisted.internet.defer import Deferred

from txcrush.core._runmachine import RunState
from txcrush.core.run import Run
from txcrush.model.ids import SessionId
from txcrush.model.messages import FinishReason
from txcrush.model.providers import ModelReply, ModelRequest, Usage
from txcrush.model.runs import Outcome, WhenBusy
from txcrush.ports import StreamSink
from txcrush.testing.conversation import Conversation, now
from txcrush.testing.harness import Harness
from txcrush.testing.scale import scaled

BACKLOG = 8


class PatientModel:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[Deferred[ModelReply]] = []

    def stream(self, request: ModelRequest, sink: StreamSink) -> "Deferred[ModelReply]":
        reply: Deferred[ModelReply] = Deferred()
        self.asked.append(reply)

        def gone(result: object) -> object:
            self.asked.remove(reply)
            return result

        return reply.addBoth(gone)

    def answer(self) -> None:
        self.asked[0].callback(ModelReply(finish=FinishReason.END_TURN, usage=Usage(input=3, output=2, total=5)))


class CancelMachine(RuleBasedStateMachine):
    """Two sessions, over a store whose writes become durable when the machine says so.

    `doomed` holds the runs that a cancel came for before they began: those must not run. `touched` holds all that any
    cancel came for, also where their end was being written already.
    """

    def __init__(self) -> None:
        super().__init__()
        self.harness = Harness()
        self.model = PatientModel()
        self.harness.provider = self.model  # type: ignore[assignment]
        first = Conversation(self.harness)
        second = Conversation(self.harness, session_id=now(first.workspace.sessions.create("Another")).id)
        self.talks = (first, second)
        self.runs = first.workspace.runs
        self.all: list[Run] = []
        self.doomed: set[str] = set()
        self.touched: set[str] = set()
        self.cancels = 0

    @precondition(lambda self: len(self.runs.live()) < BACKLOG)
    @rule(which=st.integers(0, 1), policy=st.sampled_from([WhenBusy.REFERENCE, WhenBusy.QUEUE]))
    def accept(self, which: int, policy: WhenBusy) -> None:
        self.all.append(self.talks[which].prompt("go", f"r{len(self.all)}", policy))

    @rule(which=st.integers(0, 1))
    def cancel(self, which: int) -> None:
        session_id = self.talks[which].session_id
        self.note([run for run in self.runs.live() if run.prompt.session_id == session_id])
        self.runs.cancel(session_id)

    @precondition(lambda self: self.runs.live())
    @rule(data=st.data())
    def cancel_one(self, data: st.DataObject) -> None:
        run = data.draw(st.sampled_from(self.runs.live()))
        self.note([run])
        self.runs.cancel_run(run)

    @rule(which=st.integers(0, 1))
    def clear(self, which: int) -> None:
        session_id = self.talks[which].session_id
        live = self.runs.live()
        self.note([one for one in live if one.prompt.session_id == session_id and one.state == RunState.QUEUED])
        self.runs.clear(session_id)

    def note(self, runs: list[Run]) -> None:
        self.cancels += 1
        self.touched |= {run.id for run in runs}
        self.doomed |= {run.id for run in runs if run.state in (RunState.ACCEPTED, RunState.QUEUED)}

    @rule()
    def hold(self) -> None:
        self.talks[0].store.hold()

    @rule(count=st.sampled_from([1, 2, None]))
    def release(self, count: int | None) -> None:
        self.talks[0].store.release(count)

    @precondition(lambda self: self.model.asked)
    @rule()
    def answer(self) -> None:
        self.model.answer()

    def is_idle(self, session_id: SessionId) -> bool:
        return not self.runs.is_busy(session_id) and not self.runs.queued(session_id)

    def teardown(self) -> None:
        self.talks[0].store.release()
        while self.model.asked:
            self.model.answer()
        assert not self.runs.any_live
        assert all(self.is_idle(talk.session_id) for talk in self.talks)
        for run in self.all:
            assert run.end is not None
            is_cancelled = run.end.outcome == Outcome.CANCELLED
            assert is_cancelled or run.id not in self.doomed, "a cancelled prompt has run"
            assert not is_cancelled or run.id in self.touched, "a cancel reached a prompt that came after it"
        told = [one["run_id"] for one in self.talks[0].listener.of("run_complete")]
        assert sorted(told) == sorted(run.id for run in self.all)


CancelMachine.TestCase.settings = settings(max_examples=scaled(80, 10_000), stateful_step_count=30, deadline=None)


class TestCancels(CancelMachine.TestCase):
    def test_promise_08_a_cancel_covers_accepted_and_queued_prompts_and_never_a_later_one(self) -> None:
        self.runTest()

    runTest = CancelMachine.TestCase.runTest
