"""What is asked at all, and what becomes of what nobody answers: the workspace's switch and each session's policy.

A child session (of a sub-agent) follows its parent. A policy that was set is kept, told to everybody and stands in the
desk's book; the switch of the whole workspace is what its creator said until somebody turns it, as in the reference.
"""

from collections.abc import Callable, Iterable, Iterator

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from txcrush.core.desk_book import DeskBook
from txcrush.core.events import EventLog
from txcrush.model.desk import Answerer, DeskKind, Fallback, SessionPolicy, Settlement, Unanswered
from txcrush.model.events import Change, ConfigChanged, Event, EventKind
from txcrush.model.ids import SessionId, WorkspaceId
from txcrush.model.permissions import Verdict
from txcrush.model.storage import PutDeskEntry, PutPolicy
from txcrush.ports import Clock

UNCOVERED_S = 300.0
"""What `allow` does not cover (guarded requests, questions) is refused after so long: an unattended run must not wait
for ever unless somebody chose that."""

RETRY_S = 1.0
"""A verdict that could not be kept is passed again after so long at the earliest: a full disk is not asked all the
time."""

Due = tuple[Verdict, float]
"""A verdict, and after how many seconds it is passed."""

log = Logger()


class Policies:
    """One workspace's policies. `parent_of` gives a session's parent, empty where it has none."""

    def __init__(
        self,
        workspace_id: WorkspaceId,
        events: EventLog,
        book: DeskBook,
        default: Unanswered,
        parent_of: Callable[[SessionId], SessionId],
        stored: Iterable[SessionPolicy],
    ) -> None:
        self._workspace_id = workspace_id
        self._events = events
        self._book = book
        self._default = default
        self._parent_of = parent_of
        self._of = {policy.session_id: policy for policy in stored}
        self._watchers: list[Callable[[], None]] = []
        self.skip = False

    def skips(self, session_id: SessionId) -> bool:
        """Whether requests of this session are skipped, by the workspace's switch or a policy."""
        return self.skip or any(policy.skip for policy in self._line(session_id))

    def unanswered(self, session_id: SessionId) -> Unanswered:
        """What becomes of a request of this session that nobody answers."""
        chosen = (policy.unanswered for policy in self._line(session_id) if policy.unanswered is not None)
        return next(chosen, self._default)

    def due(self, session_id: SessionId, *, covered: bool) -> Due | None:
        """What is passed on a request that nobody answers, and when; None: it waits. `covered` says whether `allow` may
        allow it."""
        policy = self.unanswered(session_id)
        if policy.fallback is Fallback.ASK:
            return None
        if policy.fallback is Fallback.DENY:
            return Verdict.DENY, policy.after_s
        return (Verdict.ALLOW, policy.after_s) if covered else (Verdict.DENY, max(policy.after_s, UNCOVERED_S))

    def watch(self, changed: Callable[[], None]) -> None:
        """Call this whenever a policy has changed."""
        self._watchers.append(changed)

    async def set(
        self, session_id: SessionId, who: Answerer, *, unanswered: Unanswered | None = None, skip: bool | None = None
    ) -> None:
        """Set what is given of a session's policy, durably, and tell everybody."""
        before = self._of.get(session_id, SessionPolicy(session_id))
        policy = SessionPolicy(
            session_id,
            before.unanswered if unanswered is None else unanswered,
            before.skip if skip is None else skip,
        )
        self._of[session_id] = policy
        told = ConfigChanged(
            self._workspace_id, session_id, skip=policy.skip, unanswered=str(self.unanswered(session_id))
        )
        try:
            await self._commit(told, who, [PutPolicy(policy)])
        except Exception:
            if self._of.get(session_id) is policy:
                self._of[session_id] = before
            raise
        self._tell()

    async def switch(self, skip: bool, who: Answerer) -> None:
        """Turn the workspace's switch. Saying again what holds already is no news."""
        before, self.skip = self.skip, skip
        if before == skip:
            return
        try:
            await self._commit(ConfigChanged(self._workspace_id, skip=skip), who)
        except Exception:
            self.skip = before
            raise

    def forget(self, session_id: SessionId) -> None:
        """The session is deleted."""
        self._of.pop(session_id, None)

    def _commit(self, told: ConfigChanged, who: Answerer, changes: Iterable[PutPolicy] = ()) -> Deferred[None]:
        subject: dict[str, object] = {"skip": told.skip}
        if told.unanswered:
            subject["unanswered"] = told.unanswered
        entry = self._book.entry(DeskKind.POLICY, subject, session_id=told.session_id)
        entry = self._book.settled(entry, Settlement.CHANGED, who)
        event = Event(EventKind.CONFIG_CHANGED, Change.UPDATED, told, key=self._workspace_id)
        return self._events.commit([*changes, PutDeskEntry(entry)], [event])

    def _line(self, session_id: SessionId) -> Iterator[SessionPolicy]:
        """The policies of the session and its parents, its own first."""
        seen: set[SessionId] = set()
        while session_id and session_id not in seen:
            seen.add(session_id)
            if session_id in self._of:
                yield self._of[session_id]
            session_id = self._parent_of(session_id)

    def _tell(self) -> None:
        for changed in self._watchers:
            changed()


class Countdown:
    """The time that one request has until its policy settles it. `expire` is called with the verdict then."""

    def __init__(
        self, clock: Clock, due: Callable[[], Due | None], expire: Callable[[Verdict], Deferred[object]]
    ) -> None:
        self._clock = clock
        self._due = due
        self._expire = expire
        self._armed: Due | None = None
        self._timer: IDelayedCall | None = None
        self._running = False

    def start(self) -> None:
        """The request is put: its time begins."""
        self._running = True
        self._arm(self._due())

    def start_again(self) -> None:
        """It was settled, and that could not be kept."""
        self._running = True
        self._arm(self._due(), RETRY_S)

    def adjust(self) -> None:
        """Policies have changed: where this one's has, its time begins anew."""
        due = self._due()
        if self._running and due != self._armed:
            self._arm(due)

    def stop(self) -> None:
        """It is settled."""
        self._running = False
        self._arm(None)

    def _arm(self, due: Due | None, least_s: float = 0.0) -> None:
        self._armed = due
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None if due is None else self._clock.callLater(max(due[1], least_s), self._expired, due[0])

    def _expired(self, verdict: Verdict) -> None:
        expiring = self._expire(verdict)
        expiring.addErrback(lambda failure: log.error("a policy could not be applied: {e}", e=str(failure.value)))
