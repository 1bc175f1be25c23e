"""Every state of a run with every input."""

from collections.abc import Callable

from automat import NoTransition
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core._runmachine import Life, RunMachine, RunState
from txcrush.model.runs import Outcome, RunEnd

END = RunEnd(outcome=Outcome.COMPLETED)


class Recorder:
    """A body that notes what the machine does to it."""

    def __init__(self) -> None:
        self.state = RunState.ACCEPTED
        self.stopped = 0
        self.ends: list[RunEnd] = []

    def moved(self, state: RunState) -> None:
        self.state = state

    def stop_working(self) -> None:
        self.stopped += 1

    def ended(self, end: RunEnd) -> None:
        self.ends.append(end)


INPUTS: dict[str, Callable[[Life], None]] = {
    "enqueue": lambda life: life.enqueue(),
    "activate": lambda life: life.activate(),
    "fold": lambda life: life.fold(),
    "cancel": lambda life: life.cancel(),
    "end": lambda life: life.end(END),
}
WAYS = {
    RunState.ACCEPTED: (),
    RunState.QUEUED: ("enqueue",),
    RunState.ACTIVE: ("activate",),
    RunState.CANCELLING: ("activate", "cancel"),
    RunState.FOLDED: ("enqueue", "fold"),
    RunState.ENDED: ("end",),
}
DRAWN = {
    (RunState.ACCEPTED, "enqueue"): RunState.QUEUED,
    (RunState.ACCEPTED, "activate"): RunState.ACTIVE,
    (RunState.ACCEPTED, "cancel"): RunState.ACCEPTED,
    (RunState.ACCEPTED, "end"): RunState.ENDED,
    (RunState.QUEUED, "activate"): RunState.ACTIVE,
    (RunState.QUEUED, "fold"): RunState.FOLDED,
    (RunState.QUEUED, "cancel"): RunState.QUEUED,
    (RunState.QUEUED, "end"): RunState.ENDED,
    (RunState.ACTIVE, "cancel"): RunState.CANCELLING,
    (RunState.ACTIVE, "end"): RunState.ENDED,
    (RunState.CANCELLING, "cancel"): RunState.CANCELLING,
    (RunState.CANCELLING, "end"): RunState.ENDED,
    (RunState.FOLDED, "cancel"): RunState.FOLDED,
    (RunState.FOLDED, "end"): RunState.ENDED,
    (RunState.ENDED, "cancel"): RunState.ENDED,
    (RunState.ENDED, "end"): RunState.ENDED,
}


def brought_to(state: RunState) -> tuple[Life, Recorder]:
    body = Recorder()
    life: Life = RunMachine(body)
    for name in WAYS[state]:
        INPUTS[name](life)
    return life, body


class EveryPair(SynchronousTestCase):
    def test_each_pair_goes_where_the_picture_says_or_raises(self) -> None:
        for state in RunState:
            for name, happen in INPUTS.items():
                life, body = brought_to(state)
                with self.subTest(state=state, input=name):
                    if (state, name) in DRAWN:
                        happen(life)
                        self.assertEqual(body.state, DRAWN[state, name])
                    else:
                        self.assertRaises(NoTransition, happen, life)
                        self.assertEqual(body.state, state)

    def test_only_the_first_cancel_stops_the_work(self) -> None:
        life, body = brought_to(RunState.ACTIVE)
        life.cancel()
        life.cancel()
        self.assertEqual(body.stopped, 1)

    def test_the_first_end_counts(self) -> None:
        life, body = brought_to(RunState.ACTIVE)
        life.end(END)
        life.end(RunEnd(outcome=Outcome.FAILED))
        self.assertEqual(body.ends, [END])

    def test_ending_inside_a_cancel_is_possible(self) -> None:
        """Cancelling runs the clean-up synchronously, which may end the run before `cancel` returns."""
        life, body = brought_to(RunState.ACTIVE)
        body.stop_working = lambda: life.end(END)  # type: ignore[method-assign]
        life.cancel()
        self.assertEqual(body.state, RunState.ENDED)
