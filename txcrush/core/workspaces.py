"""The workspaces that the server hosts: one project directory each (`protocol.md` 4, `contract.md` 2).

A workspace is kept by the claims of its clients, by its runs and by the commands that somebody waits for. It closes
when the last claim is gone, no run is accepted, queued or active, however long nobody watches one, and no command
runs.
"""

from collections.abc import Callable
from os.path import isabs
from typing import Protocol

from msgspec.structs import replace
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from txcrush import failpoints
from txcrush.core.agents import Agents
from txcrush.core.event_ids import EventIds
from txcrush.core.events import EventLog, Frame
from txcrush.core.file_records import FileHistory, FileTracker
from txcrush.core.listing import Listing
from txcrush.core.observers import OneShot
from txcrush.core.permissions import Desk
from txcrush.core.presence import Claims
from txcrush.core.questions import Questions
from txcrush.core.runs import Runs
from txcrush.core.sessions import Sessions
from txcrush.core.settings import WorkspaceSettings
from txcrush.core.shell_commands import ShellCommands, pairs
from txcrush.core.skills import Skills
from txcrush.core.subagents import SubAgents
from txcrush.core.summaries import Summaries
from txcrush.core.titles import Titles
from txcrush.core.transcript import Transcript
from txcrush.core.workbench import Kit
from txcrush.core.workspace_request import WorkspaceRequest
from txcrush.model.desk import Answerer, Settler
from txcrush.model.errors import (
    BadRequest,
    ClientRetired,
    CrushError,
    Failed,
    HostingLiveWorkspaces,
    ShuttingDown,
    WorkspaceNotFound,
)
from txcrush.model.events import Change, Event, EventKind
from txcrush.model.ids import ClientId, SessionId, WorkspaceId
from txcrush.ports import Clock, NewId, Store

CHANNELS_DIFFER = (
    "requested channels differ from the existing workspace; channels are an explicit opt-in and are not shared across "
    "duplicate creates"
)

log = Logger()


class Workspace:
    """One hosted directory and its services; `key` is its resolved path."""

    def __init__(
        self,
        workspace_id: WorkspaceId,
        key: str,
        request: WorkspaceRequest,
        *,
        settings: WorkspaceSettings,
        skills: Skills,
        store: Store,
        events: EventLog,
        event_ids: EventIds,
        sessions: Sessions,
        transcript: Transcript,
        agents: Agents,
        titles: Titles,
        permissions: Desk,
        questions: Questions,
        file_tracker: FileTracker,
        file_history: FileHistory,
        kit: Kit,
        claims: Claims,
        runs: Runs,
        summaries: Summaries,
        shell_commands: ShellCommands,
        subagents: SubAgents,
        listing: Listing,
    ) -> None:
        self.id = workspace_id
        self.key = key
        self.path = request.path
        self.env = request.env
        self.channels = request.channels
        self.settings = settings
        self.skills = skills
        self.store = store
        self.events = events
        self.event_ids = event_ids
        self.sessions = sessions
        self.transcript = transcript
        self.agents = agents
        self.titles = titles
        self.permissions = permissions
        self.questions = questions
        self.file_tracker = file_tracker
        self.file_history = file_history
        self.kit = kit
        self.claims = claims
        self.runs = runs
        self.summaries = summaries
        self.shell_commands = shell_commands
        self._subagents = subagents
        self._listing = listing
        self._awaits_creator = False

    @property
    def is_idle(self) -> bool:
        """Whether nothing keeps it open."""
        return self.claims.is_empty and not self.runs.any_live and not self.shell_commands.any_running

    def open_frames(self) -> list[Frame]:
        """What waits for an answer, for a reader who has come just now."""
        return self.events.again(self.pending_events())

    def pending_events(self) -> list[Event]:
        """What waits for an answer: the requests and batches, ids and all, that others were sent when they were put."""
        requests = [Event(EventKind.PERMISSION_REQUEST, Change.CREATED, one) for one in self.permissions.pending()]
        batches = [Event(EventKind.QUESTION_BATCH_REQUEST, Change.CREATED, one) for one in self.questions.shown()]
        return [*requests, *batches]

    def await_creator(self) -> None:
        """It was opened for the work that was left in it: it is kept for a while, for those who come back."""
        self._awaits_creator = True
        self.claims.keep()

    async def adopt(self, request: WorkspaceRequest) -> None:
        """The first who joins what was opened for nobody brings what its creator had brought and no register keeps."""
        if self._awaits_creator:
            self._awaits_creator = False
            self.env = request.env
            self.shell_commands.take_env(pairs(request.env))
            await self.permissions.policies.switch(request.yolo, Answerer(Settler.CLIENT, request.client_id))

    async def delete_session(self, session_id: SessionId) -> None:
        """Cancel what runs in the session, wait for its end, then delete it (`agent.md` H-30). Raises
        `SessionNotFound`."""
        self.sessions.get(session_id)
        await self.runs.empty(session_id)
        await self._subagents.empty(session_id)
        failpoints.SESSION_EMPTIED()
        await self.sessions.delete(session_id)
        failpoints.SESSION_DELETED()
        self.permissions.forget(session_id)

    async def close(self) -> None:
        """End the runs, then the streams, then the store, in this order; nothing in it is lost. What fails on the way
        is raised at the end: a store that stayed open would keep everybody from the directory."""
        self.permissions.stop()
        self.questions.stop()
        self.claims.stop()
        self.titles.stop()
        try:
            await self._end_work()
        finally:
            await self._close_store()

    async def _end_work(self) -> None:
        shell_commands = Deferred.fromCoroutine(self.shell_commands.close())
        try:
            await self.runs.stop()
            failpoints.STOP_PARKED()
            await self.kit.close()
        finally:
            await shell_commands

    async def _close_store(self) -> None:
        self.transcript.flush()
        await self.events.when_drained()
        failpoints.STOP_FLUSHED()
        self.events.end()
        await self._listing.settle(self.store)
        await self.store.close()


class OpenWorkspace(Protocol):
    """Builds a workspace: reads its configuration, opens its store, takes up what was left waiting."""

    async def __call__(
        self, workspace_id: WorkspaceId, key: str, request: WorkspaceRequest, when_idle: Callable[[], None]
    ) -> Workspace:
        """Fails with `CrushError`. `when_idle` is to be called when the workspace may have become idle."""


class Workspaces:
    """The registry.

    `resolve` gives the real path of a directory. `idle_exit_s` is how long the server waits without work before `stop`
    is called; None: for ever.
    """

    def __init__(
        self,
        open_workspace: OpenWorkspace,
        resolve: Callable[[str], Deferred[str]],
        clock: Clock,
        new_id: NewId,
        *,
        idle_exit_s: float | None,
        stop: Callable[[], None],
    ) -> None:
        self._open = open_workspace
        self._resolve = resolve
        self._clock = clock
        self._new_id = new_id
        self._idle_exit_s = idle_exit_s
        self._stop = stop
        self._by_id: dict[WorkspaceId, Workspace] = {}
        self._by_key: dict[str, Workspace] = {}
        self._busy_keys: dict[str, OneShot[None]] = {}
        self._retired: set[ClientId] = set()
        self._creating = 0
        self._idle_timer: IDelayedCall | None = None
        self._closing = False

    # Reading

    def get(self, workspace_id: WorkspaceId) -> Workspace:
        """Raises `WorkspaceNotFound`."""
        try:
            return self._by_id[workspace_id]
        except KeyError:
            raise WorkspaceNotFound from None

    def list(self) -> list[Workspace]:
        return list(self._by_id.values())

    # Creating

    async def create(self, request: WorkspaceRequest) -> Workspace:
        """The workspace of the directory, made where there is none; the client holds it for a while.

        Raises `ShuttingDown`, `ClientRetired`, `Failed`, or what building it raised.
        """
        self._admit(request.client_id)
        self._creating += 1
        self._stop_idle_timer()
        try:
            return await self._found_or_made(request)
        finally:
            self._creating -= 1
            self._watch_idleness()

    async def _found_or_made(self, request: WorkspaceRequest) -> Workspace:
        key = await self._free_key(request.path)
        if not isabs(request.path):
            request = replace(request, path=key)
        self._admit(request.client_id)
        workspace = self._by_key.get(key)
        if workspace is None:
            workspace = await self._make(key, request)
            self._admit_to(workspace, request.client_id)
        elif request.channels != workspace.channels:
            raise Failed(CHANNELS_DIFFER)
        else:
            await workspace.adopt(request)
        workspace.claims.hold(request.client_id)
        return workspace

    async def reopen(self, workspace_id: WorkspaceId, request: WorkspaceRequest) -> None:
        """Open a directory for the work that the last server left in it, under the id that it had there. One that a
        client has opened meanwhile is left as it is. Raises as `create`."""
        self._creating += 1
        self._stop_idle_timer()
        try:
            key = await self._free_key(request.path)
            self._admit(request.client_id)
            workspace = self._by_key.get(key)
            if workspace is None:
                workspace = await self._make(key, request, workspace_id)
                workspace.await_creator()
            elif workspace.settings.data_dir != request.data_dir:
                raise Failed(f"{key} is open with another data directory")
        finally:
            self._creating -= 1
            self._watch_idleness()

    async def _free_key(self, path: str) -> str:
        """The real path, once nobody is opening or closing it."""
        key = await self._resolve(path)
        while key in self._busy_keys:
            await self._busy_keys[key].when()
        return key

    def _admit_to(self, workspace: Workspace, client_id: ClientId) -> None:
        """Making it took a while: who was retired meanwhile holds nothing."""
        try:
            self._admit(client_id)
        except CrushError:
            self._reconsider(workspace.id)
            raise

    async def _make(self, key: str, request: WorkspaceRequest, workspace_id: WorkspaceId | None = None) -> Workspace:
        """Build and register. Others who want the same directory meanwhile wait until this is decided."""
        decided = self._busy_keys[key] = OneShot[None]()
        own_id = workspace_id or WorkspaceId(self._new_id())
        try:
            workspace = await self._open(own_id, key, request, lambda: self._reconsider(own_id))
            self._by_id[workspace.id] = self._by_key[key] = workspace
            return workspace
        finally:
            del self._busy_keys[key]
            decided.fire(None)

    def _admit(self, client_id: ClientId) -> None:
        if self._closing:
            raise ShuttingDown
        if client_id in self._retired:
            raise ClientRetired

    # Giving up

    def release(self, workspace_id: WorkspaceId, client_id: ClientId) -> None:
        """The client gives up its claim; unknown ones are fine."""
        workspace = self._by_id.get(workspace_id)
        if workspace is not None:
            workspace.claims.release(client_id)

    async def retire(self, client_id: ClientId) -> None:
        """The client is gone for good: its claims go everywhere. Fires when what closed by that has closed."""
        self._retired.add(client_id)
        for workspace in self.list():
            workspace.claims.remove(client_id)
        closing = [busy.when() for busy in self._busy_keys.values()]
        await DeferredList(closing, consumeErrors=True)

    def control(self, command: str, *, replaceable: bool) -> None:
        """`shutdown` and `shutdown_if_idle`. Raises `BadRequest` or `HostingLiveWorkspaces`."""
        if command not in ("shutdown", "shutdown_if_idle"):
            raise BadRequest("unknown command")
        if not replaceable or self._by_id or self._creating:
            raise HostingLiveWorkspaces
        self._closing = True
        self._stop()

    async def stop(self) -> None:
        """Take no more, and close every workspace."""
        self._closing = True
        self._stop_idle_timer()
        while self._by_id or self._busy_keys:
            for workspace in self.list():
                self._close(workspace)
            await DeferredList([busy.when() for busy in self._busy_keys.values()], consumeErrors=True)

    # Closing

    def _reconsider(self, workspace_id: WorkspaceId) -> None:
        """Something that kept the workspace is gone: does anything still keep it?"""
        workspace = self._by_id.get(workspace_id)
        if workspace is not None and workspace.is_idle:
            self._close(workspace)

    def _close(self, workspace: Workspace) -> None:
        """Unregister at once, then close; its directory can be opened anew only after that."""
        del self._by_id[workspace.id]
        del self._by_key[workspace.key]
        closed = self._busy_keys[workspace.key] = OneShot[None]()
        Deferred.fromCoroutine(self._finish(workspace, closed))

    async def _finish(self, workspace: Workspace, closed: OneShot[None]) -> None:
        try:
            await workspace.close()
        except CrushError as error:
            log.error("workspace {path} did not close cleanly: {reason}", path=workspace.path, reason=str(error))
        except Exception:
            log.failure("workspace {path} did not close cleanly", path=workspace.path)
        finally:
            del self._busy_keys[workspace.key]
            closed.fire(None)
            self._watch_idleness()

    # Idle exit

    def _watch_idleness(self) -> None:
        idle = not (self._by_id or self._creating or self._busy_keys or self._closing)
        if idle and self._idle_exit_s is not None and self._idle_timer is None:
            self._idle_timer = self._clock.callLater(self._idle_exit_s, self._leave)

    def _stop_idle_timer(self) -> None:
        timer, self._idle_timer = self._idle_timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _leave(self) -> None:
        self._idle_timer = None
        if not (self._by_id or self._creating):
            self._closing = True
            log.info("idle for {seconds} s: leaving", seconds=self._idle_exit_s)
            self._stop()
