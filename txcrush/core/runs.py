"""All the runs of a workspace: accepted, queued, active.

Theory. `accept` is a plain function: when it returns, the prompt has its place in the order and its run is registered,
whatever happens to the request that brought it. Everything after that is a task of this registry. The decisions are
`queue.py`'s, the life is `_runmachine.py`'s, the work is `turn.py`'s; this module strings them together and sees to it
that each run ends once: in the store, in the events, and for those who wait.
"""

from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.logger import Logger

from txcrush import failpoints
from txcrush.core import queue
from txcrush.core._runmachine import RunState
from txcrush.core.closing import Closing
from txcrush.core.endings import Endings, TurnOf, cancelled, judged, last_words, refusal
from txcrush.core.observers import OneShot
from txcrush.core.queue import Decision, HandOff, Holder, Reservation, Slot
from txcrush.core.run import BY_CLEARING, BY_DELETION, BY_INTERRUPTION, BY_STOP, BY_USER, Cancellation, Run
from txcrush.core.run_log import RunLog
from txcrush.model.errors import (
    PromptEmpty,
    RunFolded,
    RunIdReused,
    SessionBusy,
    SessionIdMissing,
    SessionProcessing,
    ShuttingDown,
    WorkspaceClosing,
)
from txcrush.model.ids import MessageId, RunId, SessionId
from txcrush.model.runs import Outcome, Prompt, RunEnd, RunRecord, WhenBusy
from txcrush.ports import Clock, NewId, Store

log = Logger()


NewTurn = Callable[[Run, Callable[[], list[Run]]], TurnOf]


class Runs:
    """The registry. `when_idle` is called whenever the last run has ended; `listed` fires once a crash would be noticed
    by the next start."""

    def __init__(
        self,
        store: Store,
        endings: Endings,
        new_turn: NewTurn,
        clock: Clock,
        new_id: NewId,
        position: int,
        when_idle: Callable[[], None],
        listed: Callable[[], Deferred[None]] = lambda: succeed(None),
        run_log: RunLog | None = None,
    ) -> None:
        self._store = store
        self._endings = endings
        self._new_turn = new_turn
        self._clock = clock
        self._new_id = new_id
        self._position = position
        self._when_idle = when_idle
        self._listed = listed
        self._run_log = run_log or RunLog(clock)
        self._slots: dict[SessionId, Slot[Run]] = {}
        self._live: dict[RunId, Run] = {}
        self._tasks: set[Deferred[None]] = set()
        self._held: dict[SessionId, OneShot[None]] = {}
        self._closing = False
        endings.arrears.when_paid = when_idle

    # Accepting

    def accept(self, prompt: Prompt, client_id: str = "") -> Run:
        """Take the prompt; the run of its run id where there is one already. Nothing is awaited here. `client_id` is of
        the client that sent it, as far as that is known: for the log.

        Raises `PromptEmpty`, `SessionIdMissing`, `WorkspaceClosing`, `RunIdReused` or `SessionBusy`.
        """
        if not prompt.text and not any(file.is_text for file in prompt.attachments):
            raise PromptEmpty
        if not prompt.session_id:
            raise SessionIdMissing
        known = self._live.get(prompt.run_id or prompt.key)
        if known is not None:
            return _same(known, prompt)
        if self._closing:
            raise WorkspaceClosing
        slot = self._slot(prompt.session_id)
        if prompt.when_busy == WhenBusy.REJECT and not slot.is_idle:
            raise SessionBusy
        return self._register(prompt, slot, client_id)

    def _register(self, prompt: Prompt, slot: Slot[Run], client_id: str) -> Run:
        self._position += 1
        record = RunRecord(
            id=prompt.run_id or prompt.key or RunId(self._new_id()),
            minted=not prompt.run_id,
            prompt=prompt,
            position=self._position,
            accepted_at=int(self._clock.seconds()),
        )
        run = Run(record)
        self._run_log.accepted(run, client_id)
        self._live[run.id] = run
        failpoints.RUN_ACCEPTED()
        self._spawn(self._dispatch(run, slot, Reservation(slot)))
        return run

    def recover(self, records: Iterable[RunRecord]) -> None:
        """Take up what the last server left waiting, in its order."""
        for record in records:
            run = self._live[record.id] = Run(record)
            run.kept()
            run.enqueue()
            queue.restore(self._slot(record.prompt.session_id), run)
        for slot in list(self._slots.values()):
            first = queue.resume(slot)
            if first is not None:
                first.activate()
                failpoints.RECOVERY_RESUMED()
                self._spawn(self._work(slot, first))

    def hold(self, session_id: SessionId, holder: Holder) -> None:
        """Give the session to something that is no run, until that has ended; prompts queue behind it.

        Raises `SessionProcessing` or `WorkspaceClosing`.
        """
        if self._closing:
            raise WorkspaceClosing
        slot = self._slot(session_id)
        if slot.active is not None:
            raise SessionProcessing
        slot.active = holder
        self._held[session_id] = OneShot()
        self._spawn(self._hold(session_id, slot, holder))

    # Cancelling

    def cancel(self, session_id: SessionId, cancellation: Cancellation = BY_USER) -> None:
        """Cancel the session's active run, what was accepted, and the queue. An idle session is left as it is."""
        slot = self._slots.get(session_id)
        if slot is None:
            return
        active = slot.active
        self._drop(queue.cancel(slot, self._position), cancellation)
        if active is not None:
            active.cancel(cancellation)

    def cancel_run(self, run: Run) -> None:
        """Cancel this run and no other, wherever it stands; one that has ended stays as it is. Raises `RunFolded` where
        it is part of another run's turn."""
        slot = self._slots.get(run.prompt.session_id)
        if run.state == RunState.FOLDED:
            raise RunFolded
        if run.state == RunState.QUEUED and slot is not None and run in slot.queue:
            slot.queue.remove(run)
            self._drop([run], BY_USER)
        elif run.state == RunState.ACCEPTED:
            run.cancellation = BY_USER
        else:
            run.cancel(BY_USER)

    def clear(self, session_id: SessionId) -> None:
        """Drop the session's queued prompts."""
        slot = self._slots.get(session_id)
        if slot is not None:
            self._drop(queue.clear(slot), BY_CLEARING)

    async def empty(self, session_id: SessionId) -> None:
        """Cancel everything of a session that is being deleted, and wait until it has ended; prompts that come
        meanwhile too."""
        while ends := self._ends(session_id):
            self.cancel(session_id, BY_DELETION)
            await DeferredList(ends, consumeErrors=True)

    def _ends(self, session_id: SessionId) -> list[Deferred[Any]]:
        """One that fires with the end of each that uses the session."""
        held = self._held.get(session_id)
        runs = [run.when_ended() for run in self._live.values() if run.prompt.session_id == session_id]
        return [*runs, held.when()] if held else [*runs]

    async def stop(self) -> None:
        """End the active runs, leave what is queued to the next start, and wait for the last writes."""
        self._closing = True
        failpoints.STOP_BEGUN()
        for slot in list(self._slots.values()):
            for run in queue.clear(slot):
                self._leave(run)
            failpoints.STOP_LEFT()
            if slot.active is not None:
                slot.active.cancel(BY_STOP)
        while self._tasks:
            await DeferredList(list(self._tasks), consumeErrors=True)
        await self._endings.close()

    # Asking

    def is_busy(self, session_id: SessionId) -> bool:
        slot = self._slots.get(session_id)
        return slot is not None and slot.active is not None

    @property
    def any_busy(self) -> bool:
        return any(slot.active is not None for slot in self._slots.values())

    @property
    def any_live(self) -> bool:
        """Whether any run is accepted, queued or active, or its end is still to be written, or something else holds a
        session."""
        return bool(self._live) or self.any_busy or self._endings.arrears.count > 0

    def active(self, session_id: SessionId) -> Run | None:
        """The session's active run."""
        slot = self._slots.get(session_id)
        return slot.active if slot is not None and isinstance(slot.active, Run) else None

    def queued(self, session_id: SessionId) -> list[str]:
        """The queued prompts' texts, in order."""
        slot = self._slots.get(session_id)
        return [run.prompt.text for run in slot.queue] if slot else []

    def unanswered(self, session_id: SessionId) -> set[MessageId]:
        """The user messages that a restart found stored and whose runs have not ended yet."""
        runs = (run for run in self._live.values() if run.prompt.session_id == session_id)
        return {run.record.user_message_id for run in runs}

    def live(self) -> list[Run]:
        """Every run that has not ended, in the order of acceptance."""
        return sorted(self._live.values(), key=lambda run: run.seq)

    def find(self, run_id: RunId) -> Run | None:
        """The run, if it has not ended."""
        return self._live.get(run_id)

    # The life of a run

    async def _dispatch(self, run: Run, slot: Slot[Run], reservation: Reservation[Run]) -> None:
        listed = self._listed()
        try:
            known = await self._store.accept_run(run.record)
        except Exception as error:  # nobody else holds what is awaited, so it is never a cancel
            reservation.release()
            self._forget(run)
            run.refuse(refusal(error))
            return
        if known is not None:
            reservation.release()
            self._forget(run)
            self._join_past(run, known)
            return
        await listed
        failpoints.RUN_KEPT()
        run.kept()
        await self._place(run, slot, reservation)

    def _join_past(self, run: Run, known: RunRecord) -> None:
        """The run id belongs to a run that has ended long ago: it is not started again."""
        same = known.prompt.session_id == run.prompt.session_id and known.prompt.text == run.prompt.text
        if not same:
            run.refuse(RunIdReused())
        else:
            run.recall(known.end or RunEnd(outcome=Outcome.FAILED, error="the run has no end"))

    async def _place(self, run: Run, slot: Slot[Run], reservation: Reservation[Run]) -> None:
        is_cancelled = run.cancellation is not None
        if self._closing and not is_cancelled and not queue.is_covered(slot, run):
            reservation.release()
            self._leave(run)
            return
        match queue.decide(slot, run, reservation, is_cancelled=is_cancelled):
            case Decision.RUN:
                run.activate()
                failpoints.RUN_ACTIVE()
                await self._work(slot, run)
            case Decision.QUEUE:
                run.enqueue()
                failpoints.RUN_QUEUED()
            case Decision.INTERRUPT:
                run.enqueue()
                if slot.active is not None:
                    slot.active.cancel(BY_INTERRUPTION)
            case Decision.CANCELLED:
                turn = self._new_turn(run, list)
                closing = last_words(lambda: turn.cancelled(BY_USER))
                await self._end(slot, run, turn, closing, cancelled(BY_USER, closing), on_entry=True)

    async def _work(self, slot: Slot[Run], first: Run) -> None:
        """Do the run's turn, and then those of the queue, one after the other."""
        run: Run | None = first
        while run is not None:
            turn = self._new_turn(run, lambda: self._drain(slot))
            self._run_log.began(run)
            error = await run.work(turn.take())
            closing, end = judged(run, turn, error)
            run = await self._end(slot, run, turn, closing, end)

    async def _end(
        self, slot: Slot[Run], run: Run, turn: TurnOf, closing: Closing, end: RunEnd, *, on_entry: bool = False
    ) -> Run | None:
        """Write the end; hand the session on before it is seen. Returns who runs next."""
        handed: list[HandOff[Run]] = []

        def hand_off() -> None:
            failpoints.END_WRITTEN()
            if not handed:
                handed.append(self._hand_off(slot, run))

        end = await self._endings.of_turn(run, turn.folded, closing, end, hand_off, on_entry=on_entry)
        hand_off()
        self._finish([run, *turn.folded], end)
        self._drop(handed[0].dropped, BY_USER)
        return handed[0].next

    async def _hold(self, session_id: SessionId, slot: Slot[Run], holder: Holder) -> None:
        await holder.work()
        handed = self._hand_off(slot, holder)
        self._drop(handed.dropped, BY_USER)
        self._held.pop(session_id).fire(None)
        self._tidy(session_id)
        if handed.next is not None:
            await self._work(slot, handed.next)

    def _hand_off(self, slot: Slot[Run], ended: Run | Holder) -> HandOff[Run]:
        if self._closing:
            if slot.active is ended:
                slot.active = None
            return HandOff(None, [])
        handed = queue.hand_off(slot, ended)
        if handed.next is not None:
            handed.next.activate()
            failpoints.RUN_HANDED()
        return handed

    def _drain(self, slot: Slot[Run]) -> list[Run]:
        drained = queue.drain(slot)
        self._drop(drained.dropped, BY_USER)
        for run in drained.folded:
            run.fold()
        return drained.folded

    def _drop(self, runs: Sequence[Run], cancellation: Cancellation) -> None:
        """End queued runs that a cancel or a clear has reached."""
        if runs:
            self._spawn(self._end_dropped(runs, cancellation))

    async def _end_dropped(self, runs: Sequence[Run], cancellation: Cancellation) -> None:
        self._finish(runs, await self._endings.of_dropped(runs, cancelled(cancellation, Closing())))

    def _finish(self, runs: Sequence[Run], end: RunEnd) -> None:
        for run in runs:
            self._forget(run)
            self._run_log.ended(run, end)
            run.finish(end)

    # Bookkeeping

    def _slot(self, session_id: SessionId) -> Slot[Run]:
        return self._slots.setdefault(session_id, Slot())

    def _spawn(self, work: Coroutine[Deferred[object], object, None]) -> None:
        task = Deferred.fromCoroutine(work)
        self._tasks.add(task)
        task.addErrback(lambda failure: log.failure("a run's task crashed", failure=failure))
        task.addBoth(lambda _: self._tasks.discard(task))

    def _leave(self, run: Run) -> None:
        """The server stops before the run's turn: the next start takes it up."""
        self._forget(run)
        run.leave(ShuttingDown())

    def _forget(self, run: Run) -> None:
        """The run has ended."""
        if self._live.get(run.id) is run:
            del self._live[run.id]
        self._tidy(run.prompt.session_id)

    def _tidy(self, session_id: SessionId) -> None:
        """A slot goes with the last that used it."""
        slot = self._slots.get(session_id)
        if slot is not None and slot.is_idle:
            del self._slots[session_id]
        if not self.any_live:
            self._when_idle()


def _same(run: Run, prompt: Prompt) -> Run:
    """The run that exists, if it is of this very prompt."""
    if run.prompt.session_id != prompt.session_id or run.prompt.text != prompt.text:
        raise RunIdReused
    return run
