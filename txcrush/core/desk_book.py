"""The desk's book: what was asked, who answered what and when. Its lines are the audit trail (`contract.md` 5)."""

from collections.abc import Callable

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from txcrush import failpoints
from txcrush.core.events import EventLog
from txcrush.model.desk import Answerer, DeskEntry, DeskKind, Settlement, Settler
from txcrush.model.events import Change, Event, EventKind
from txcrush.model.ids import BatchId, SessionId
from txcrush.model.permissions import PermissionNotification
from txcrush.model.questions import QuestionNotification
from txcrush.model.storage import PutDeskEntry
from txcrush.ports import Clock, NewId, Store

KEPT_CHARACTERS = 4096
"""Of each text that a tool asks with, so much is kept: a refused edit must not store two whole files."""

LONGEST_SECRET = 4096
"""So much more is looked at: a secret must not be cut in two before it is known for one."""

WHOLE_WORKSPACE = SessionId("")

BY_RESTART = Answerer(Settler.RESTART)

log = Logger()


class DeskBook:
    """Writes the book of one workspace. `redact` takes known secrets out of a text: a tool may have asked with the
    contents of a file that holds some."""

    def __init__(
        self, store: Store, events: EventLog, clock: Clock, new_id: NewId, redact: Callable[[str], str] = str
    ) -> None:
        self._redact = redact
        self._store = store
        self._events = events
        self._clock = clock
        self._new_id = new_id

    def entry(
        self,
        kind: DeskKind,
        subject: dict[str, object],
        *,
        entry_id: str = "",
        session_id: SessionId = WHOLE_WORKSPACE,
        tool_call_id: str = "",
    ) -> DeskEntry:
        """A new line, not written yet."""
        return DeskEntry(
            id=entry_id or self._new_id(),
            kind=kind,
            session_id=session_id,
            tool_call_id=tool_call_id,
            subject={name: shortened(value, self._redact) for name, value in subject.items()},
            asked_at=int(self._clock.seconds()),
        )

    def settled(self, entry: DeskEntry, outcome: Settlement, who: Answerer) -> DeskEntry:
        """The line as it is once somebody has settled it now."""
        return replace(
            entry,
            outcome=outcome,
            by=who.by.value,
            client_id=who.client_id,
            via=who.via,
            settled_at=int(self._clock.seconds()),
        )

    def note(self, entry: DeskEntry, *events: Event) -> None:
        """Write the line, and publish what tells of it, while nobody waits."""
        noting = self._events.commit([PutDeskEntry(entry)], events)
        noting.addErrback(lambda failure: log.error("the desk's book has a gap: {reason}", reason=str(failure.value)))

    async def outcome_of(self, entry_id: str) -> Settlement | None:
        """Where the line of this id stands; None where there is none."""
        entry = await self._store.desk_entry(entry_id)
        return None if entry is None else entry.outcome

    def entries(self, session_id: SessionId | None, before: str, limit: int) -> "Deferred[list[DeskEntry]]":
        """See `Store.desk_entries`."""
        return self._store.desk_entries(session_id, before, limit)

    async def interrupt(self) -> None:
        """The last server left these open; whoever asked is gone, so they are settled as interrupted and told of."""
        for entry in await self._store.pending_desk_entries():
            settled = self.settled(entry, Settlement.INTERRUPTED, BY_RESTART)
            failpoints.RECOVERY_DESK()
            await self._events.commit([PutDeskEntry(settled)], [_withdrawn(entry)])


def shortened(value: object, redact: Callable[[str], str] = str) -> object:
    """The value with every long text in it cut, and known secrets out of all."""
    if isinstance(value, str):
        kept = redact(value[: KEPT_CHARACTERS + LONGEST_SECRET])[:KEPT_CHARACTERS]
        return f"{kept}… ({len(value)} characters)" if len(value) > KEPT_CHARACTERS else kept
    if isinstance(value, list | tuple):
        return [shortened(item, redact) for item in value]
    if isinstance(value, dict):
        return {name: shortened(item, redact) for name, item in value.items()}
    return value


def notified(tool_call_id: str, *, granted: bool = False, denied: bool = False) -> Event:
    """Where an ask stands: neither flag while it is put."""
    told = PermissionNotification(tool_call_id=tool_call_id, granted=granted, denied=denied)
    return Event(EventKind.PERMISSION_NOTIFICATION, Change.CREATED, told)


def batch_settled(batch_id: BatchId) -> Event:
    """Forms of this batch can be closed."""
    return Event(EventKind.QUESTION_BATCH_NOTIFICATION, Change.CREATED, QuestionNotification(batch_id))


def _withdrawn(entry: DeskEntry) -> Event:
    if entry.kind is DeskKind.QUESTION:
        return batch_settled(BatchId(entry.id))
    return notified(entry.tool_call_id, denied=True)
