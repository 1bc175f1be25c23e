"""The desk: what tools ask, and what clients answer (`contract.md` 5, `tools.md` 3).

Theory. An ask passes unseen where nobody wants to be asked, or it is put: a row, a notification and a request, in one
commit, one at a time in each session. Whoever takes a put request out of `_pending` settles it, and nobody else: a
client, a policy's time, or the cancel of the asker. What is granted is the ask as the tool made it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from os import path as paths

from twisted.internet.defer import CancelledError, Deferred, DeferredLock

from txcrush import failpoints
from txcrush.core.desk_book import BY_RESTART, DeskBook, notified
from txcrush.core.events import EventLog
from txcrush.core.observers import OneShot
from txcrush.core.policies import Countdown, Due, Policies
from txcrush.model.desk import Answerer, DeskEntry, DeskKind, Settlement, Settler
from txcrush.model.events import Change, Event, EventKind
from txcrush.model.ids import PermissionId, SessionId
from txcrush.model.permissions import Ask, PermissionRequest, Verdict
from txcrush.model.storage import PutDeskEntry
from txcrush.ports import Clock, Permissions

Grant = tuple[SessionId, str, str, str]
DirectoryOf = Callable[[str], Deferred[str]]

BY_POLICY = Answerer(Settler.POLICY)
BY_CANCEL = Answerer(Settler.CANCEL)


@dataclass(eq=False)
class _Pending:
    """A request that waits; `answer` fires with what was decided. `put`: everybody has seen it. `given_up`: the asker
    has gone."""

    ask: Ask
    request: PermissionRequest
    entry: DeskEntry
    countdown: Countdown
    answer: OneShot[bool] = field(default_factory=OneShot)
    put: bool = False
    given_up: bool = False

    def shown(self) -> None:
        self.put = True
        if not self.given_up:
            self.countdown.start()


class Desk:
    """One workspace's permissions; a `ports.Permissions`.

    `root` is the workspace's directory; `allowed` gives the configuration's allow list (`tool` or `tool:action`);
    `directory_of` the directory that clients are shown for a path.
    """

    def __init__(
        self,
        root: str,
        events: EventLog,
        book: DeskBook,
        policies: Policies,
        clock: Clock,
        allowed: Callable[[], Sequence[str]],
        directory_of: DirectoryOf,
    ) -> None:
        self.book = book
        self.policies = policies
        self._root = root
        self._events = events
        self._clock = clock
        self._allowed = allowed
        self._directory_of = directory_of
        self._pending: dict[PermissionId, _Pending] = {}
        self._lines: dict[SessionId, DeferredLock] = {}
        self._grants: set[Grant] = set()
        self._approved_calls: set[tuple[SessionId, str]] = set()
        self._stopping = False
        policies.watch(self._adjust)

    # Asking

    def ask(self, ask: Ask) -> Deferred[bool]:
        """See `ports.Permissions`."""
        return Deferred.fromCoroutine(self._ask(ask))

    async def _ask(self, ask: Ask) -> bool:
        if self._passes_unseen(ask):
            return True
        if not ask.guarded and (ask.session_id, ask.tool_call_id) in self._approved_calls:
            entry = self._granted(ask, ask.path, Answerer(Settler.HOOK))
            await self._events.commit([PutDeskEntry(entry)], [notified(ask.tool_call_id, granted=True)])
            return True
        return await self._ask_in_line(ask)

    async def _ask_in_line(self, ask: Ask) -> bool:
        """Requests of one session are put one after the other, in the order of asking (R-PERM-05)."""
        line = self._lines.setdefault(ask.session_id, DeferredLock())
        await line.acquire()
        try:
            return await self._ask_now(ask)
        finally:
            line.release()
            if not line.locked and self._lines.get(ask.session_id) is line:
                del self._lines[ask.session_id]

    async def _ask_now(self, ask: Ask) -> bool:
        if self._passes_unseen(ask):  # somebody may have said so while it stood in line
            return True
        path = await self._shown_path(ask.path)
        granted_by = None if ask.guarded else self._granted_already(ask, path)
        if granted_by is None:
            return await self._put(ask, path)
        entry = self._granted(ask, path, granted_by)
        told = [notified(ask.tool_call_id), notified(ask.tool_call_id, granted=True)]
        await self._events.commit([PutDeskEntry(entry)], told)
        return True

    async def _put(self, ask: Ask, path: str) -> bool:
        """Put the request and wait. A long one is encoded first: a cancel meanwhile leaves no trace of it."""
        pending = self._new_pending(ask, path)
        request = pending.request
        put = await self._events.prepared(Event(EventKind.PERMISSION_REQUEST, Change.CREATED, request), _size(request))
        self._pending[request.id] = pending
        try:
            await self._events.commit([PutDeskEntry(pending.entry)], [notified(ask.tool_call_id), put], pending.shown)
            failpoints.PERMISSION_PUT()
            return await pending.answer.when()
        except CancelledError:
            if self._pending.pop(request.id, None) is not None:
                self._withdraw(pending)
            raise
        finally:
            pending.given_up = True
            pending.countdown.stop()
            self._pending.pop(request.id, None)

    # Who is not asked

    def _passes_unseen(self, ask: Ask) -> bool:
        """Whether nobody wants to be asked; that stands in the book, and nobody waits for it."""
        if ask.guarded:
            return False
        if self.policies.skips(ask.session_id):
            settler = Settler.SKIP
        elif not {ask.tool_name, f"{ask.tool_name}:{ask.action}"}.isdisjoint(self._allowed()):
            settler = Settler.ALLOW_LIST
        else:
            return False
        self.book.note(self._granted(ask, ask.path, Answerer(settler)))
        return True

    def _granted_already(self, ask: Ask, path: str) -> Answerer | None:
        """By what the ask is granted without being put."""
        if self._grants.issuperset(_grants(ask, path)):
            return Answerer(Settler.SESSION_GRANT)
        return BY_POLICY if self._due(ask) == (Verdict.ALLOW, 0) else None

    def approve_call(self, tool_call_id: str, session_id: SessionId) -> None:
        """A hook has approved this very call; `end_call` when it has ended: providers use ids again."""
        if tool_call_id:
            self._approved_calls.add((session_id, tool_call_id))

    def end_call(self, tool_call_id: str, session_id: SessionId) -> None:
        """The call has ended: what a hook said of it is over."""
        self._approved_calls.discard((session_id, tool_call_id))

    def forget(self, session_id: SessionId) -> None:
        """The session is deleted."""
        self._grants = {grant for grant in self._grants if grant[0] != session_id}
        self.policies.forget(session_id)

    # Answering

    def pending(self) -> list[PermissionRequest]:
        """What waits for an answer, oldest first."""
        return [one.request for one in self._pending.values() if one.put]

    async def answer(self, permission_id: PermissionId, verdict: Verdict, who: Answerer) -> bool:
        """Settle the request; False where it is unknown or settled already. What is granted is the request as it was
        put. Fails with `StorageFailed` where that cannot be kept; it is pending again then."""
        pending = self._pending.pop(permission_id, None)
        if pending is None:
            return False
        granted, outcome = _judged(pending.ask, verdict)
        entry = self.book.settled(pending.entry, outcome, who)
        told = notified(pending.ask.tool_call_id, granted=granted, denied=not granted)
        try:
            await self._events.commit([PutDeskEntry(entry)], [told])
        except Exception:
            self._reopen(pending)
            raise
        failpoints.PERMISSION_ANSWERED()
        if outcome is Settlement.GRANTED_FOR_SESSION:
            self._grants.update(_grants(pending.ask, pending.request.path))
        pending.answer.fire(granted)
        return True

    def stop(self) -> None:
        """The server stops: what is taken back from now on was interrupted."""
        self._stopping = True

    def _reopen(self, pending: _Pending) -> None:
        """The answer could not be kept: as if it had not been given."""
        if pending.given_up:
            self._withdraw(pending)
            return
        self._pending[pending.request.id] = pending
        pending.countdown.start_again()

    def _withdraw(self, pending: _Pending) -> None:
        """The asker has gone: whoever shows the request can close it. Nobody is left to wait for this write."""
        outcome, who = (Settlement.INTERRUPTED, BY_RESTART) if self._stopping else (Settlement.CANCELLED, BY_CANCEL)
        entry = self.book.settled(pending.entry, outcome, who)
        self.book.note(entry, notified(pending.ask.tool_call_id, denied=True))

    def _adjust(self) -> None:
        for pending in list(self._pending.values()):
            pending.countdown.adjust()

    def _due(self, ask: Ask) -> Due | None:
        return self.policies.due(ask.session_id, covered=not ask.guarded)

    # What is written

    def _new_pending(self, ask: Ask, path: str) -> _Pending:
        entry = self._entry(ask, path)
        request = PermissionRequest(
            id=PermissionId(entry.id),
            session_id=ask.session_id,
            tool_call_id=ask.tool_call_id,
            tool_name=ask.tool_name,
            description=ask.description,
            action=ask.action,
            params=ask.params,
            path=path,
        )

        def expire(verdict: Verdict) -> Deferred[object]:
            return Deferred.fromCoroutine(self.answer(request.id, verdict, BY_POLICY))

        return _Pending(ask, request, entry, Countdown(self._clock, lambda: self._due(ask), expire))

    def _granted(self, ask: Ask, path: str, who: Answerer) -> DeskEntry:
        return self.book.settled(self._entry(ask, path), Settlement.GRANTED, who)

    def _entry(self, ask: Ask, path: str) -> DeskEntry:
        subject: dict[str, object] = {
            "tool_name": ask.tool_name,
            "action": ask.action,
            "description": ask.description,
            "path": path,
            "params": ask.params,
        }
        return self.book.entry(DeskKind.PERMISSION, subject, session_id=ask.session_id, tool_call_id=ask.tool_call_id)

    async def _shown_path(self, path: str) -> str:
        """The directory that clients are shown; relative paths are the workspace's."""
        if path == ".":
            return self._root
        return await self._directory_of(paths.join(self._root, path)) if path else ""


def _judged(ask: Ask, verdict: Verdict) -> tuple[bool, Settlement]:
    """Whether it may be done, and how the book says it. What is guarded is granted once, never for a session."""
    if verdict is Verdict.DENY:
        return False, Settlement.DENIED
    for_session = verdict is Verdict.ALLOW_SESSION and not ask.guarded
    return True, Settlement.GRANTED_FOR_SESSION if for_session else Settlement.GRANTED


def _grants(ask: Ask, path: str) -> set[Grant]:
    return {(ask.session_id, ask.tool_name, ask.action, key) for key in ask.keys or (path,)}


def _size(request: PermissionRequest) -> int:
    """About its characters: `params` may hold two whole files."""
    return sum(len(value) for value in (request.params or {}).values() if isinstance(value, str))


def _conforms(desk: Desk) -> Permissions:
    """Read by mypy only: the desk fits its port."""
    return desk
