"""The life of a run as a typed machine; `docs/design/run.md` has the picture.

A run is accepted; then it is queued, or active at once. A queued run becomes active, is folded into the turn that is
active, or ends where it waits (cleared, cancelled). An active run that is cancelled stays, cancelling, until its last
writes are done. A second cancel changes nothing, nor does a second end: the first of each counts.
"""

from enum import StrEnum
from typing import Protocol

from automat import TypeMachineBuilder

from txcrush.model.runs import RunEnd


class RunState(StrEnum):
    ACCEPTED = "accepted"
    QUEUED = "queued"
    ACTIVE = "active"
    CANCELLING = "cancelling"
    FOLDED = "folded"
    ENDED = "ended"


class Life(Protocol):
    """What can happen to a run."""

    def enqueue(self) -> None:
        """Its session is busy: it waits."""

    def activate(self) -> None:
        """Its turn begins."""

    def fold(self) -> None:
        """The active turn takes its prompt in."""

    def cancel(self) -> None:
        """Somebody cancels it. A run that is not active is cancelled by its queue, not here."""

    def end(self, end: RunEnd) -> None:
        """It has ended, and how."""


class Body(Protocol):
    """What the machine does to the run that it drives."""

    def moved(self, state: RunState) -> None:
        """The run is in this state now."""

    def stop_working(self) -> None:
        """Cancel the run's own Deferred."""

    def ended(self, end: RunEnd) -> None:
        """Tell everybody who waits."""


def _build() -> TypeMachineBuilder[Life, Body]:
    builder = TypeMachineBuilder(Life, Body)  # type: ignore[type-abstract]  # Automat only reads its names
    accepted, queued, active, cancelling, folded, ended = (builder.state(state.value) for state in RunState)

    @accepted.upon(Life.enqueue).to(queued)
    def _(_life: Life, body: Body) -> None:
        body.moved(RunState.QUEUED)

    @accepted.upon(Life.activate).to(active)
    @queued.upon(Life.activate).to(active)
    def _(_life: Life, body: Body) -> None:
        body.moved(RunState.ACTIVE)

    @queued.upon(Life.fold).to(folded)
    def _(_life: Life, body: Body) -> None:
        body.moved(RunState.FOLDED)

    @active.upon(Life.cancel).to(cancelling)
    def _(_life: Life, body: Body) -> None:
        body.moved(RunState.CANCELLING)
        body.stop_working()

    for state in (accepted, queued, cancelling, folded, ended):
        state.upon(Life.cancel).loop().returns(None)

    @accepted.upon(Life.end).to(ended)
    @queued.upon(Life.end).to(ended)
    @active.upon(Life.end).to(ended)
    @cancelling.upon(Life.end).to(ended)
    @folded.upon(Life.end).to(ended)
    def _(_life: Life, body: Body, end: RunEnd) -> None:
        body.moved(RunState.ENDED)
        body.ended(end)

    ended.upon(Life.end).loop().returns(None)
    return builder


RunMachine = _build().build()
"""`RunMachine(body)` is a `Life`. What is not drawn in the picture raises."""
