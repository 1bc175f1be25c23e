"""Ends of runs that the store refused, until it takes them.

Theory. A run whose end cannot be written is over all the same: whoever listens was told so, and why. The rows are owed.
They are tried again, in order, until the store takes them, with the events as they were told (under the numbers that
they were told by, so that the log is as if nothing had happened) and with the last state of the messages, which nobody
has seen yet. What the process cannot pay any more, the next start finds unfinished and ends.
"""

from collections import deque
from collections.abc import Callable, Sequence

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from txcrush.core.events import EventLog
from txcrush.core.observers import within
from txcrush.core.sessions import Sessions
from txcrush.model.errors import ChangeRefused
from txcrush.model.events import Event, LoggedEvent
from txcrush.model.storage import AppendEvent, EndRun, PutSession, StoreChange
from txcrush.ports import Clock

FIRST_S, LONGEST_S = 0.5, 10.0
LAST_TRY_S = 1.0
WHOLE = 256
"""So many debts keep the last states of their messages; those beyond keep their ends only."""

log = Logger()


class Debt(Struct, frozen=True):
    """What is owed for the end of a turn: the ends of its runs, as they were told, by these events; and what of its
    last words nobody has seen."""

    ends: tuple[EndRun, ...]
    told: tuple[LoggedEvent, ...]
    changes: tuple[StoreChange, ...] = ()
    events: tuple[Event, ...] = ()


class Arrears:
    """Debts, oldest first. One try is under way at a time; the pause between tries grows. `when_paid` is called when
    nothing is owed any more."""

    def __init__(self, events: EventLog, sessions: Sessions, clock: Clock) -> None:
        self._events = events
        self._sessions = sessions
        self._clock = clock
        self._owed: deque[Debt] = deque()
        self._pause_s = FIRST_S
        self._timer: IDelayedCall | None = None
        self._trying: Deferred[None] | None = None
        self.when_paid: Callable[[], None] = _nobody_waits

    @property
    def count(self) -> int:
        """How many ends are owed."""
        return len(self._owed)

    def owe(self, debt: Debt) -> None:
        """Pay later."""
        if len(self._owed) >= WHOLE:
            debt = Debt(debt.ends, debt.told)
        self._owed.append(debt)
        self._try_later()

    async def close(self) -> None:
        """Try once more, in bounded time."""
        self._stop_timer()
        try:
            await within(LAST_TRY_S, self._clock, Deferred.fromCoroutine(self._pay_all()))
        except Exception as error:  # nobody else holds what is awaited, so it is never a cancel
            log.error("{count} ends stay for the next start: {error}", count=len(self._owed), error=error)

    def _try_later(self) -> None:
        if self._timer is None and self._trying is None:
            self._timer = self._clock.callLater(self._pause_s, self._try)

    def _try(self) -> None:
        self._timer = None
        self._trying = Deferred.fromCoroutine(self._pay_all())
        self._trying.addCallbacks(self._paid, self._not_paid)

    def _paid(self, _: None) -> None:
        self._trying, self._pause_s = None, FIRST_S
        log.info("what was owed to the database is written")
        self.when_paid()

    def _not_paid(self, failure: Failure) -> None:
        self._trying = None
        self._pause_s = min(2 * self._pause_s, LONGEST_S)
        log.info("{count} ends are still not written: {error}", count=len(self._owed), error=failure.value)
        self._try_later()

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    async def _pay_all(self) -> None:
        while self._owed:
            debt = self._owed[0]
            try:
                await self._pay(debt)
            except ChangeRefused as error:
                run_ids = [one.run_id for one in debt.ends]
                log.error("the end of {runs} does not fit the database: {error}", runs=run_ids, error=error)
            if self._owed and self._owed[0] is debt:
                self._owed.popleft()

    async def _pay(self, debt: Debt) -> None:
        ends: list[StoreChange] = [*debt.ends, *(AppendEvent(one) for one in debt.told)]
        try:
            await self._events.commit([*self._current(debt.changes), *ends], debt.events)
        except ChangeRefused:  # the session is gone, or the message: the end is worth keeping for itself
            await self._events.commit(ends)

    def _current(self, changes: Sequence[StoreChange]) -> list[StoreChange]:
        """The changes, with sessions as they are by now: later ones have been written since, perhaps."""
        return [now for change in changes for now in self._now(change)]

    def _now(self, change: StoreChange) -> list[StoreChange]:
        if not isinstance(change, PutSession):
            return [change]
        session_id = change.session.id
        return [PutSession(self._sessions.get(session_id))] if self._sessions.exists(session_id) else []


def _nobody_waits() -> None:
    """Whoever waits puts itself in the place of this."""
