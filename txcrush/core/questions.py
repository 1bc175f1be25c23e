"""Questions: batches that the agent asks, and that any client answers (`tools.md` 22, `contract.md` 5).

Theory. Batches queue. Clients close their form on any settled batch and answer without saying which, so one batch of
the workspace is put at a time; the next follows when it is settled. All that wait are listed, and one that is named by
its id may be answered out of its turn. Whoever takes a batch out of `_waiting` settles it, and nobody else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from msgspec import to_builtins
from msgspec.structs import replace
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.python.failure import Failure

from txcrush import failpoints
from txcrush.core.desk_book import BY_RESTART, DeskBook, batch_settled, shortened
from txcrush.core.events import EventLog
from txcrush.core.observers import OneShot
from txcrush.core.permissions import BY_CANCEL, BY_POLICY
from txcrush.core.policies import Countdown, Policies
from txcrush.model.desk import Answerer, DeskEntry, DeskKind, Settlement, Settler
from txcrush.model.errors import StorageFailed
from txcrush.model.events import Change, Event, EventKind
from txcrush.model.ids import BatchId, SessionId
from txcrush.model.permissions import Verdict
from txcrush.model.questions import BatchEnd, Question, QuestionAnswer, QuestionBatch
from txcrush.model.storage import PutDeskEntry
from txcrush.ports import Clock, NewId

Answers: TypeAlias = Sequence[QuestionAnswer]


@dataclass(eq=False)
class _Waiting:
    """A batch that is not settled. `kept`: it is durable; `put`: its turn has come; `shown`: everybody has seen it;
    `given_up`: the asker has gone; `error`: why it could not be put."""

    batch: QuestionBatch
    entry: DeskEntry
    countdown: Countdown
    end: OneShot[BatchEnd] = field(default_factory=OneShot)
    kept: bool = False
    put: bool = False
    shown: bool = False
    given_up: bool = False
    error: Exception | None = None

    def was_shown(self) -> None:
        self.shown = True
        if not self.given_up:
            self.countdown.start()

    def failed(self, failure: Failure) -> None:
        """It could not be put: the asker is told, now or when it comes to wait."""
        error = self.error = StorageFailed(str(failure.value))
        self.end.fail_waiting(lambda: error)

    def when_ended(self) -> Deferred[BatchEnd]:
        return self.end.when() if self.error is None else fail(self.error)


class Questions:
    """One workspace's questions."""

    def __init__(self, events: EventLog, book: DeskBook, policies: Policies, clock: Clock, new_id: NewId) -> None:
        self._events = events
        self._book = book
        self._policies = policies
        self._clock = clock
        self._new_id = new_id
        self._waiting: dict[BatchId, _Waiting] = {}
        self._stopping = False
        policies.watch(self._adjust)

    # Asking

    def ask(self, batch: QuestionBatch) -> Deferred[BatchEnd]:
        """Put the questions, once it is their turn, and wait for their end. Ids that are empty are minted.

        Cancelling takes them back. Fails with `StorageFailed` where they cannot be kept.
        """
        return Deferred.fromCoroutine(self._ask(batch))

    async def _ask(self, batch: QuestionBatch) -> BatchEnd:
        one = self._taken_in(batch)
        try:
            await self._events.commit([PutDeskEntry(one.entry)])
            one.kept = True
            self._advance()
            failpoints.QUESTION_PUT()
            return await one.when_ended()
        except CancelledError:
            if self._waiting.pop(one.batch.id, None) is not None:
                self._withdraw(one)
            raise
        finally:
            one.given_up = True
            one.countdown.stop()
            self._waiting.pop(one.batch.id, None)
            self._advance()

    def _taken_in(self, batch: QuestionBatch) -> _Waiting:
        questions = tuple(self._with_id(question) for question in batch.questions)
        batch = replace(batch, id=batch.id or BatchId(self._new_id()), questions=questions)
        one = self._waiting[batch.id] = self._new_waiting(batch)
        return one

    def _with_id(self, question: Question) -> Question:
        return question if question.id else replace(question, id=self._new_id())

    def _advance(self) -> None:
        """Put the oldest batch, if it is not put yet. One that is not kept yet comes here again."""
        oldest = next(iter(self._waiting.values()), None)
        if oldest is not None and oldest.kept and not oldest.put and not self._stopping:
            oldest.put = True
            request = Event(EventKind.QUESTION_BATCH_REQUEST, Change.CREATED, oldest.batch)
            self._events.commit([], [request], oldest.was_shown).addErrback(oldest.failed)

    # Reading

    def pending(self) -> list[QuestionBatch]:
        """Every batch that is not settled, oldest first."""
        return [one.batch for one in self._waiting.values() if one.kept]

    def shown(self) -> list[QuestionBatch]:
        """The batch whose turn it is, if any."""
        return [one.batch for one in self._waiting.values() if one.shown]

    # Settling

    async def answer(self, batch_id: BatchId, answers: Answers, who: Answerer) -> bool:
        """Answer the batch; without an id the one that the answers' question ids belong to, else the oldest. False
        where there is none. Fails with `StorageFailed` where that cannot be kept; it waits again then."""
        one = self._find(batch_id, answers)
        if one is None:
            return False
        fitted = _fitted(one.batch, answers)
        return await self._settle(one, Settlement.ANSWERED, who, BatchEnd(fitted))

    async def cancel(self, batch_id: BatchId, who: Answerer) -> bool:
        """Somebody closes the batch without an answer; without an id the oldest. False where there is none."""
        one = self._find(batch_id, ())
        if one is None:
            return False
        end = BatchEnd(None, nobody=who.by is Settler.POLICY)
        return await self._settle(one, Settlement.CANCELLED, who, end)

    def stop(self) -> None:
        """The server stops: what is taken back from now on was interrupted."""
        self._stopping = True

    def _find(self, batch_id: BatchId, answers: Answers) -> _Waiting | None:
        if batch_id:
            return self._waiting.get(batch_id)
        named = {answer.question_id for answer in answers if answer.question_id}
        oldest = next(iter(self._waiting.values()), None)
        meant = (one for one in self._waiting.values() if named & {question.id for question in one.batch.questions})
        return next(meant, oldest)

    async def _settle(self, one: _Waiting, outcome: Settlement, who: Answerer, end: BatchEnd) -> bool:
        del self._waiting[one.batch.id]
        entry = self._book.settled(one.entry, outcome, who)
        if end.answers is not None:
            entry = replace(entry, subject={**entry.subject, "answers": shortened(to_builtins(end.answers))})
        try:
            await self._events.commit([PutDeskEntry(entry)], self._closing(one))
        except Exception:
            self._reopen(one)
            raise
        failpoints.QUESTION_ANSWERED()
        one.end.fire(end)
        self._advance()
        return True

    def _closing(self, one: _Waiting) -> list[Event]:
        """What closes the forms. A batch that nobody saw has none, and clients would close another's."""
        return [batch_settled(one.batch.id)] if one.put else []

    def _reopen(self, one: _Waiting) -> None:
        """The answer could not be kept: as if it had not been given."""
        if one.given_up:
            self._withdraw(one)
            return
        self._waiting = {one.batch.id: one, **self._waiting} if one.put else {**self._waiting, one.batch.id: one}
        if one.shown:
            one.countdown.start_again()

    def _withdraw(self, one: _Waiting) -> None:
        """The asker has gone."""
        outcome, who = (Settlement.INTERRUPTED, BY_RESTART) if self._stopping else (Settlement.CANCELLED, BY_CANCEL)
        self._book.note(self._book.settled(one.entry, outcome, who), *self._closing(one))

    def _adjust(self) -> None:
        for one in list(self._waiting.values()):
            one.countdown.adjust()

    def _new_waiting(self, batch: QuestionBatch) -> _Waiting:
        subject: dict[str, object] = {"questions": to_builtins(batch.questions)}
        entry = self._book.entry(
            DeskKind.QUESTION,
            subject,
            entry_id=batch.id,
            session_id=batch.session_id,
            tool_call_id=batch.tool_call_id,
        )

        def expire(_: Verdict) -> Deferred[object]:
            return Deferred.fromCoroutine(self.cancel(batch.id, BY_POLICY))

        session_id: SessionId = batch.session_id
        countdown = Countdown(self._clock, lambda: self._policies.due(session_id, covered=False), expire)
        return _Waiting(batch, entry, countdown)


def _fitted(batch: QuestionBatch, answers: Answers) -> tuple[QuestionAnswer, ...]:
    """One answer for each question: by their ids where all of them are this batch's, else by position. A question
    without one was skipped."""
    ids = [question.id for question in batch.questions]
    by_id = {answer.question_id: answer for answer in answers}
    if len(by_id) < len(answers) or not by_id.keys() <= set(ids):
        by_id = dict(zip(ids, answers, strict=False))
    return tuple(replace(by_id.get(one, QuestionAnswer()), question_id=one) for one in ids)
