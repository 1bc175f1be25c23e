"""How runs end: rows, last messages and events in one transaction.

Theory. The end of a run is told once. If the store takes it, the transaction's events tell of it. If the store refuses,
they are not seen, whoever listens is told of the failure instead, and the rows are owed (`arrears.py`). If it is only
slow, nobody waits for it for ever: the run is over for those who wait, and its events follow when they are durable.
"""

from collections.abc import Callable, Coroutine, Sequence
from typing import Protocol

from msgspec.structs import replace
from twisted.internet.defer import Deferred, TimeoutError, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from txcrush import failpoints
from txcrush.core import run_events
from txcrush.core.arrears import Arrears, Debt
from txcrush.core.closing import Closing
from txcrush.core.events import EventLog
from txcrush.core.observers import within
from txcrush.core.run import Cancellation, Run
from txcrush.core.sessions import Sessions
from txcrush.model.errors import CrushError, StorageFailed
from txcrush.model.events import Event
from txcrush.model.runs import Outcome, RunEnd
from txcrush.model.storage import EndRun
from txcrush.ports import Clock

LAST_WRITE_S = 5.0
"""The last write of a run may take this long; those who wait for the run wait no longer."""

log = Logger()


def cancelled(cancellation: Cancellation, closing: Closing) -> RunEnd:
    """The end of a run that somebody cancelled."""
    return RunEnd(
        outcome=Outcome.CANCELLED,
        reason=cancellation.reason,
        source=cancellation.source,
        message_id=closing.message_id,
        text=closing.text,
    )


def failed(error: Exception, closing: Closing) -> RunEnd:
    """The end of a run that an error stopped."""
    reason = str(error) or type(error).__name__  # an empty error would read as a success
    return RunEnd(outcome=Outcome.FAILED, error=reason, message_id=closing.message_id, text=closing.text)


class TurnOf(Protocol):
    """The work of one run, as `turn.Turn` does it."""

    folded: list[Run]

    def take(self) -> Coroutine[Deferred[object], object, None]: ...
    def completed(self) -> Closing: ...
    def cancelled(self, cancellation: Cancellation) -> Closing: ...
    def failed(self, error: Exception) -> Closing: ...


def judged(run: Run, turn: TurnOf, error: Exception | None) -> tuple[Closing, RunEnd]:
    """How the turn ended. A cancel is known by the run's own mark, whatever exception it surfaced as."""
    cancellation = run.cancellation
    if cancellation is not None:
        closing = last_words(lambda: turn.cancelled(cancellation))
        return closing, cancelled(cancellation, closing)
    if error is not None:
        run.account.error_code = error.code if isinstance(error, CrushError) else type(error).__name__
        _log_failed(run, error)
        closing = last_words(lambda: turn.failed(error))
        return closing, failed(error, closing)
    closing = turn.completed()
    return closing, RunEnd(outcome=Outcome.COMPLETED, message_id=closing.message_id, text=closing.text)


def last_words(say: Callable[[], Closing]) -> Closing:
    """Whatever is wrong with them, the run ends."""
    try:
        return say()
    except Exception:
        log.failure("the last state of a run could not be told")
        return Closing()


def refusal(error: Exception) -> CrushError:
    """What the prompter is told where the prompt could not be kept."""
    if isinstance(error, CrushError):
        return error
    log.failure("a prompt could not be kept", failure=Failure(error))
    return StorageFailed()


def _log_failed(run: Run, error: Exception) -> None:
    """What the user is told needs no traceback; what nobody foresaw does."""
    if isinstance(error, CrushError):
        log.info("run {run_id} failed: {reason}", run_id=run.id, reason=str(error))
    else:
        log.failure("run {run_id} failed", failure=Failure(error), run_id=run.id)


class Endings:
    """Writes ends; nothing cancels it."""

    def __init__(self, events: EventLog, sessions: Sessions, clock: Clock) -> None:
        self._events = events
        self._sessions = sessions
        self._clock = clock
        self.arrears = Arrears(events, sessions, clock)

    async def close(self) -> None:
        """Write what could not be written so far, if that is possible by now."""
        if self.arrears.count:
            await self.arrears.close()

    async def of_turn(
        self,
        run: Run,
        folded: Sequence[Run],
        closing: Closing,
        end: RunEnd,
        before_publish: Callable[[], None],
        *,
        on_entry: bool = False,
    ) -> RunEnd:
        """End a run and those folded into its turn; returns the end as it came out. See `EventLog.commit`."""
        title = self._title(run)
        end = self._now(end)
        told = run_events.of_end(run, folded, end, title, on_entry=on_entry)

        def in_vain(unwritten: RunEnd) -> list[Event]:
            return run_events.of_end(run, folded, unwritten, title)

        return await self._written([run, *folded], end, closing, told, in_vain, before_publish)

    async def of_dropped(self, runs: Sequence[Run], end: RunEnd) -> RunEnd:
        """End runs that never had a turn."""
        end = self._now(end)
        events = [run_events.completion(run, end, on_entry=True) for run in runs]
        failpoints.DROP_JUDGED()
        return await self._written(runs, end, Closing(), events, lambda _: events)

    async def _written(
        self,
        runs: Sequence[Run],
        end: RunEnd,
        closing: Closing,
        told: Sequence[Event],
        in_vain: Callable[[RunEnd], list[Event]],
        before_publish: Callable[[], None] | None = None,
    ) -> RunEnd:
        """Write; `in_vain` says what is published instead where the store refuses."""

        def ends(how: RunEnd) -> list[EndRun]:
            return [EndRun(run.id, replace(how, usage=run.ledger.usage)) for run in runs]

        def refused(failure: Failure) -> Failure:
            log.error("{runs} ended, but not in the database: {reason}", runs=_named(runs), reason=failure.value)
            unwritten = _unwritten(end, failure.value)
            shown = tuple(self._events.tell(event) for event in in_vain(unwritten))
            if isinstance(failure.value, StorageFailed):
                self.arrears.owe(Debt(tuple(ends(unwritten)), shown, closing.changes, closing.events))
            return failure

        failpoints.END_JUDGED()
        rows, events = [*closing.changes, *ends(end)], [*closing.events, *told]
        writing: Deferred[None] = maybeDeferred(self._events.commit, rows, events, before_publish)
        try:
            await within(LAST_WRITE_S, self._clock, writing.addErrback(refused))
        except TimeoutError as error:
            log.error("{runs} ended, but the database has not written it yet", runs=_named(runs))
            return _unwritten(end, error)
        except Exception as error:  # nobody else holds what is awaited here, so it is never a cancel
            return _unwritten(end, error)
        failpoints.END_TOLD()
        return end

    def _now(self, end: RunEnd) -> RunEnd:
        return replace(end, ended_at=int(self._clock.seconds()))

    def _title(self, run: Run) -> str:
        session_id = run.prompt.session_id
        return self._sessions.get(session_id).title if self._sessions.exists(session_id) else ""


def _unwritten(end: RunEnd, error: BaseException | None) -> RunEnd:
    """What is told where the end could not be written; the next start ends the run in the store. A cancelled run is
    none the less cancelled."""
    if end.outcome == Outcome.CANCELLED:
        return end
    reason = error.message if isinstance(error, CrushError) else StorageFailed.default
    return RunEnd(outcome=Outcome.FAILED, error=reason, message_id=end.message_id, ended_at=end.ended_at)


def _named(runs: Sequence[Run]) -> str:
    return ", ".join(f"run {run.id}" for run in runs)
