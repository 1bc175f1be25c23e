"""Who runs next in a session: accept, decide, cancel, drain, hand off, clear.

Plain functions on a slot, without an await: each takes the decision and returns it, the I/O comes after. On a reactor
that makes them atomic, and replaces the reference's lock per session (`agent.md` 15.2).

Theory. A prompt gets a sequence number when it is accepted, inside the request that brought it. Between acceptance and
its decision it holds a reservation. A cancel raises the session's mark to the newest sequence; whatever stands at or
below the mark when it comes to a decision, a drain or a hand-off is cancelled, whatever stands above runs. The mark is
compared, never counted down, so no prompt can use up the cancellation of another.
"""

from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred

UNTRACKED = 0
"""The sequence of a call that entered without a reservation: any mark covers it."""


class Waiting(Protocol):
    """What a slot knows of a run."""

    @property
    def seq(self) -> int:
        """The accept sequence."""

    @property
    def folds(self) -> bool:
        """Whether the active turn takes the prompt in at its next step."""

    @property
    def interrupts(self) -> bool:
        """Whether the prompt cancels the active run and runs next."""


W = TypeVar("W", bound=Waiting)


class Holder(Protocol):
    """What holds a slot without being a run: nothing else runs in the session until it has ended."""

    def cancel(self, cancellation: Any, /) -> None:
        """Give it up."""

    def work(self) -> Coroutine[Deferred[object], object, None]:
        """Do it; returns, never raises, when it has ended."""


class Decision(Enum):
    RUN = "run"
    QUEUE = "queue"
    INTERRUPT = "interrupt"
    CANCELLED = "cancelled"


@dataclass
class Slot(Generic[W]):
    """One session's place for work. Busy means: `active` is not None."""

    active: W | Holder | None = None
    queue: deque[W] = field(default_factory=deque)
    accepted: int = 0
    mark: int = 0

    @property
    def is_idle(self) -> bool:
        """Whether the slot can be forgotten."""
        return self.active is None and not self.queue and not self.accepted


class Reservation(Generic[W]):
    """A counted ticket that a prompt holds from its acceptance to its decision (R-ACC-01 to -03)."""

    def __init__(self, slot: Slot[W]) -> None:
        self._slot: Slot[W] | None = slot
        slot.accepted += 1

    def release(self) -> None:
        """Give the ticket back; only the first time counts. The mark goes with the last ticket (R-CANCEL-16)."""
        slot, self._slot = self._slot, None
        if slot is not None:
            slot.accepted -= 1
            if not slot.accepted:
                slot.mark = 0


def is_covered(slot: Slot[W], entry: Waiting) -> bool:
    """Whether a cancel that came after the entry's acceptance covers it."""
    return bool(slot.mark) and entry.seq <= slot.mark


def decide(slot: Slot[W], entry: W, reservation: Reservation[W], *, is_cancelled: bool = False) -> Decision:
    """Where an accepted prompt goes; the reservation ends here. `is_cancelled` says that it was cancelled by itself."""
    covered = is_cancelled or is_covered(slot, entry)
    reservation.release()
    if covered:
        return Decision.CANCELLED
    if slot.active is None:
        slot.active = entry
        return Decision.RUN
    if entry.interrupts:
        slot.queue.appendleft(entry)
        return Decision.INTERRUPT
    slot.queue.append(entry)
    return Decision.QUEUE


def cancel(slot: Slot[W], newest_seq: int) -> list[W]:
    """Cover what was accepted and empty the queue; returns what was queued. The active run is the caller's to cancel,
    last of all: cancelling runs its clean-up at once, and that must find the queue empty (H-10)."""
    if slot.accepted:
        slot.mark = max(slot.mark, newest_seq)
    return clear(slot)


def clear(slot: Slot[W]) -> list[W]:
    """Empty the queue; returns what was in it."""
    dropped = list(slot.queue)
    slot.queue.clear()
    return dropped


@dataclass(frozen=True)
class Drained(Generic[W]):
    """What the next step of a turn takes in, and what a cancel covers."""

    folded: list[W]
    dropped: list[W]


def drain(slot: Slot[W]) -> Drained[W]:
    """Take what folds out of the queue, and what is covered; the rest keeps its order."""
    dropped = [entry for entry in slot.queue if is_covered(slot, entry)]
    kept = [entry for entry in slot.queue if not is_covered(slot, entry)]
    folded = [entry for entry in kept if entry.folds]
    slot.queue = deque(entry for entry in kept if not entry.folds)
    _drop_stale_mark(slot)
    return Drained(folded, dropped)


@dataclass(frozen=True)
class HandOff(Generic[W]):
    """Who runs next, and what a cancel covers."""

    next: W | None
    dropped: list[W]


def hand_off(slot: Slot[W], ended: W | Holder) -> HandOff[W]:
    """The active run has ended, however: the first of the queue that no cancel covers becomes active.

    Only the run that is active may hand off (R-DISP-03). The next one is registered in the same breath, so the session
    is never idle in between (H-08).
    """
    if slot.active is not ended:
        return HandOff(None, [])
    dropped = [entry for entry in slot.queue if is_covered(slot, entry)]
    slot.queue = deque(entry for entry in slot.queue if not is_covered(slot, entry))
    following = slot.active = slot.queue.popleft() if slot.queue else None
    _drop_stale_mark(slot)
    return HandOff(following, dropped)


def restore(slot: Slot[W], entry: W) -> None:
    """Put back what a restart found waiting; call it in the order of acceptance. Nobody is interrupted by that: what
    wanted to has seen the end of what it was to interrupt."""
    if entry.interrupts:
        slot.queue.appendleft(entry)
    else:
        slot.queue.append(entry)


def resume(slot: Slot[W]) -> W | None:
    """After all was put back: the first becomes active."""
    if slot.active is not None or not slot.queue:
        return None
    first = slot.active = slot.queue.popleft()
    return first


def _drop_stale_mark(slot: Slot[W]) -> None:
    if not slot.accepted and not slot.queue:
        slot.mark = 0
