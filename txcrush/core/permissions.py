"""The desk: what tools ask, and what clients answer (`contract.md` 5, `tools.md` 3)."""

from collections.abc import Callable, Sequence

from msgspec import Struct
from twisted.internet.defer import Deferred

from txcrush.core.events import EventLog
from txcrush.core.observers import OneShot
from txcrush.model.events import Change, Event, EventKind
from txcrush.model.ids import PermissionId, SessionId
from txcrush.model.permissions import Ask, PermissionNotification, PermissionRequest, Verdict
from txcrush.ports import NewId

Grant = tuple[SessionId, str, str, str]
DirectoryOf = Callable[[str], Deferred[str]]


class _Pending(Struct):
    """A request that waits; `answer` fires with what was decided."""

    ask: Ask
    request: PermissionRequest
    answer: OneShot[bool]


class Desk:
    """One workspace's permissions; a `ports.Permissions`.

    `allowed` gives the configuration's allow list (`tool` or `tool:action`); `directory_of` the directory that clients
    are shown for a path.
    """

    def __init__(
        self,
        events: EventLog,
        new_id: NewId,
        allowed: Callable[[], Sequence[str]],
        directory_of: DirectoryOf,
        *,
        skip: bool = False,
    ) -> None:
        self._events = events
        self._new_id = new_id
        self._allowed = allowed
        self._directory_of = directory_of
        self._pending: dict[PermissionId, _Pending] = {}
        self._grants: set[Grant] = set()
        self._auto_approved: set[SessionId] = set()
        self.skip = skip

    def ask(self, ask: Ask) -> Deferred[bool]:
        """See `ports.Permissions`."""
        return Deferred.fromCoroutine(self._ask(ask))

    def approve_all(self, session_id: SessionId) -> None:
        """Nothing of this session is asked from now on, but what is guarded."""
        self._auto_approved.add(session_id)

    def pending(self) -> list[PermissionRequest]:
        """What waits for an answer, oldest first."""
        return [one.request for one in self._pending.values()]

    async def answer(self, permission_id: PermissionId, verdict: Verdict) -> bool:
        """Settle the request; False where it is unknown or settled already. What is granted is the request as it was
        put."""
        pending = self._pending.pop(permission_id, None)
        if pending is None:
            return False
        granted = verdict is not Verdict.DENY
        if verdict is Verdict.ALLOW_SESSION:
            self._grants.update(_grants(pending.ask, pending.request.path))
        await self._events.commit([], [_notified(pending.ask, granted=granted, denied=not granted)])
        pending.answer.fire(granted)
        return True

    async def _ask(self, ask: Ask) -> bool:
        if self._passes_unseen(ask):
            return True
        path = await self._directory_of(ask.path)
        await self._events.commit([], [_notified(ask)])
        if self._is_granted(ask, path):
            await self._events.commit([], [_notified(ask, granted=True)])
            return True
        return await self._put(ask, path)

    def _passes_unseen(self, ask: Ask) -> bool:
        if ask.guarded:
            return False
        return self.skip or not {ask.tool_name, f"{ask.tool_name}:{ask.action}"}.isdisjoint(self._allowed())

    def _is_granted(self, ask: Ask, path: str) -> bool:
        if ask.guarded:
            return False
        return ask.session_id in self._auto_approved or self._grants.issuperset(_grants(ask, path))

    async def _put(self, ask: Ask, path: str) -> bool:
        request = PermissionRequest(
            id=PermissionId(self._new_id()),
            session_id=ask.session_id,
            tool_call_id=ask.tool_call_id,
            tool_name=ask.tool_name,
            description=ask.description,
            action=ask.action,
            params=ask.params,
            path=path,
        )
        pending = self._pending[request.id] = _Pending(ask, request, OneShot())
        try:
            await self._events.commit([], [Event(EventKind.PERMISSION_REQUEST, Change.CREATED, request)])
            return await pending.answer.when()
        finally:
            self._pending.pop(request.id, None)


def _grants(ask: Ask, path: str) -> set[Grant]:
    return {(ask.session_id, ask.tool_name, ask.action, key) for key in ask.keys or (path,)}


def _notified(ask: Ask, *, granted: bool = False, denied: bool = False) -> Event:
    told = PermissionNotification(tool_call_id=ask.tool_call_id, granted=granted, denied=denied)
    return Event(EventKind.PERMISSION_NOTIFICATION, Change.CREATED, told)
