"""One run: a prompt and everything that is done for it, owned by the server."""

from collections.abc import Coroutine
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import Deferred, fail, succeed

from txcrush.core._runmachine import RunMachine, RunState
from txcrush.core.account import Account
from txcrush.core.budgets import Ledger
from txcrush.core.observers import OneShot
from txcrush.core.queue import UNTRACKED
from txcrush.model.errors import RunCancelled
from txcrush.model.ids import RunId
from txcrush.model.runs import Outcome, Prompt, RunEnd, RunRecord, WhenBusy

T = TypeVar("T")


class Cancellation(Struct, frozen=True):
    """Why a run is cancelled, and by whom."""

    reason: str
    source: str


BY_USER = Cancellation("User canceled request", "user")
BY_CLEARING = Cancellation("cleared from the queue", "user")
BY_DELETION = Cancellation("session deleted", "user")
BY_INTERRUPTION = Cancellation("interrupted by a newer prompt", "user")
BY_STOP = Cancellation("Interrupted by a server restart", "server stop")


class Run:
    """A run and those who wait for it.

    The Deferred of its work is private: nobody else ever holds it, so nobody's disappearance can cancel it. Everybody
    who waits gets a Deferred of their own.
    """

    def __init__(self, record: RunRecord, ledger: Ledger | None = None) -> None:
        self.record = record
        self.ledger = ledger or Ledger(record.prompt.budget)
        self.state = RunState.ACCEPTED
        self.cancellation: Cancellation | None = None
        self.account = Account()
        self._life = RunMachine(self)
        self._work: Deferred[None] | None = None
        self._kept: OneShot[None] = OneShot()
        self._placed: OneShot[RunState] = OneShot()
        self._ended: OneShot[RunEnd] = OneShot()
        self._given_up: Exception | None = None

    # What a slot asks

    @property
    def seq(self) -> int:
        return self.record.position

    @property
    def folds(self) -> bool:
        """Without a run id a prompt joins the active turn, unless it says otherwise (`contract.md` 1). One with limits
        of its own cannot: a turn has one ledger."""
        when_busy = self.prompt.when_busy
        joins = when_busy == WhenBusy.REFERENCE and self.record.minted and self.prompt.budget.is_empty
        return when_busy == WhenBusy.STEER or joins

    @property
    def is_errand(self) -> bool:
        """Whether it is a sub-agent's: part of another run, so not a row of its own and nothing to start again."""
        return self.record.position == UNTRACKED

    @property
    def interrupts(self) -> bool:
        return self.prompt.when_busy == WhenBusy.INTERRUPT

    # What others ask

    @property
    def id(self) -> RunId:
        return self.record.id

    @property
    def prompt(self) -> Prompt:
        return self.record.prompt

    @property
    def public_id(self) -> RunId:
        """The run id as events show it: empty where the client gave none."""
        return RunId("") if self.record.minted else self.record.id

    @property
    def end(self) -> RunEnd | None:
        return self.record.end

    def when_kept(self) -> Deferred[None]:
        """Fires when the prompt is durable; fails with what stopped it."""
        return self._told(self._kept)

    def when_placed(self) -> Deferred[RunState]:
        """Fires when the run has come to its place: with the state that it takes there, or has by now."""
        return succeed(self.state) if self._placed.happened else self._told(self._placed)

    def when_ended(self) -> Deferred[RunEnd]:
        """Fires with the end. Who waits while the run is cancelled gets `RunCancelled` instead; who asks after that
        gets the end as a value."""
        return self._told(self._ended)

    def _told(self, what: OneShot[T]) -> Deferred[T]:
        if self._given_up is not None and not what.happened:
            return fail(self._given_up)
        return what.when()

    # What its registry does with it

    def kept(self) -> None:
        self._kept.fire(None)

    def refuse(self, error: Exception) -> None:
        """The prompt was not kept: whoever waits for anything, now or later, is told."""
        self._given_up = error
        for waited in (self._kept, self._placed, self._ended):
            waited.fail_waiting(lambda: error)

    def leave(self, error: Exception) -> None:
        """The server stops and the run stays for the next start: whoever waits, now or later, is told."""
        self._given_up = error
        for waited in (self._placed, self._ended):
            waited.fail_waiting(lambda: error)

    def enqueue(self) -> None:
        self._life.enqueue()
        self._placed.fire(self.state)

    def activate(self) -> None:
        self._life.activate()
        self._placed.fire(self.state)

    def fold(self) -> None:
        self._life.fold()

    def cancel(self, cancellation: Cancellation) -> None:
        """Cancel the run if it is active. Its clean-up begins before this returns."""
        if self.state == RunState.ACTIVE:
            self.cancellation = cancellation
        self._life.cancel()

    def recall(self, end: RunEnd) -> None:
        """It ended long ago: whoever waits gets the end as a value, a cancelled one too."""
        self._kept.fire(None)
        self._ended.fire(end)
        self._life.end(end)

    def finish(self, end: RunEnd) -> None:
        self._life.end(end)

    async def work(self, body: Coroutine[Deferred[object], object, None]) -> Exception | None:
        """Do the work; returns what stopped it. Whether that was a cancel is told by `cancellation`, never by the type:
        a cancelled read surfaces under many names. A run that was cancelled before it came to its work does none."""
        if self.cancellation is not None:
            body.close()
            return None
        try:
            await self._begin(body)
        except Exception as error:
            return error
        return None

    def _begin(self, body: Coroutine[Deferred[object], object, None]) -> Deferred[None]:
        work = self._work = Deferred.fromCoroutine(body)
        if self.cancellation is not None:
            work.cancel()
        return work

    # What the machine does to it

    def moved(self, state: RunState) -> None:
        self.state = state

    def stop_working(self) -> None:
        if self._work is not None:
            self._work.cancel()

    def ended(self, end: RunEnd) -> None:
        self.record = replace(self.record, end=end)
        if end.outcome == Outcome.CANCELLED:
            self._ended.fail_waiting(lambda: RunCancelled(end.reason, end.source))
        self._kept.fire(None)
        self._placed.fire(self.state)
        self._ended.fire(end)
