"""How a workspace is put together when a client opens its directory."""

from collections.abc import Callable

from msgspec import Struct
from twisted.internet.defer import Deferred, succeed

from txcrush.core.agents import Agents
from txcrush.core.endings import Endings, TurnOf
from txcrush.core.events import EncodeApart, EventLog
from txcrush.core.file_records import FileHistory, FileTracker
from txcrush.core.instructions import Facts
from txcrush.core.permissions import Desk, DirectoryOf
from txcrush.core.presence import Claims
from txcrush.core.recovery import Recovery
from txcrush.core.run import Run
from txcrush.core.runs import Runs
from txcrush.core.sessions import Sessions
from txcrush.core.settings import WorkspaceSettings
from txcrush.core.skills import Skills
from txcrush.core.summaries import Summaries
from txcrush.core.titles import Titles
from txcrush.core.toolbox import ParseObject, Toolbox
from txcrush.core.transcript import Transcript
from txcrush.core.turn import Equipment, Turn
from txcrush.core.workbench import Kit, MakeKit, Workbench
from txcrush.core.workspaces import Workspace, WorkspaceRequest
from txcrush.model.errors import ConfigInvalid, CrushError, Failed
from txcrush.model.ids import WorkspaceId
from txcrush.model.storage import StoreHead
from txcrush.ports import (
    BuildProvider,
    Clock,
    ConfigFiles,
    EncodeEvent,
    NewId,
    OpenStore,
    ProjectFiles,
    SkillFiles,
    Store,
)

SEQ_GAP = 1 << 20
"""Event numbers left out at each start: the last server may have shown growing text under numbers that it never
stored, and no number may come twice."""


class Edges(Struct, frozen=True):
    """What the core needs from the edges to open workspaces; `wiring.py` fills it in.

    `facts` are those that hold for every workspace; `graces` are the create and the detach grace in seconds;
    `encode_apart` encodes a big event in a thread.
    """

    open_store: OpenStore
    config_files: ConfigFiles
    project_files: ProjectFiles
    skill_files: SkillFiles
    build_provider: BuildProvider
    make_kit: MakeKit
    directory_of: DirectoryOf
    parse_object: ParseObject
    encode_event: EncodeEvent
    frame: Callable[[bytes], bytes]
    clock: Clock
    new_id: NewId
    facts: Callable[[str], Facts]
    graces: tuple[float, float]
    encode_apart: EncodeApart | None = None


class Opener:
    """Opens workspaces; an `OpenWorkspace`."""

    def __init__(self, edges: Edges) -> None:
        self._edges = edges

    async def __call__(
        self, workspace_id: WorkspaceId, key: str, request: WorkspaceRequest, when_idle: Callable[[], None]
    ) -> Workspace:
        settings = await self._settings(request)
        store = await self._store(settings.data_dir)
        try:
            return await self._build(workspace_id, key, request, when_idle, settings, store)
        except BaseException:
            await store.close()
            raise

    async def _settings(self, request: WorkspaceRequest) -> WorkspaceSettings:
        files = self._edges.config_files
        try:
            config = await files.load(request.path, request.data_dir, request.debug)
        except ConfigInvalid as error:
            raise Failed(f"failed to initialize config: {error.message}") from error
        return WorkspaceSettings(files, request.path, request.debug, config)

    async def _store(self, data_dir: str) -> Store:
        try:
            return await self._edges.open_store(data_dir)
        except CrushError as error:
            raise Failed(f"failed to connect to database: {error.message}") from error

    async def _build(
        self,
        workspace_id: WorkspaceId,
        key: str,
        request: WorkspaceRequest,
        when_idle: Callable[[], None],
        settings: WorkspaceSettings,
        store: Store,
    ) -> Workspace:
        edges, head = self._edges, store.head()
        events = EventLog(
            store, edges.encode_event, edges.frame, edges.clock, head.seq + SEQ_GAP, encode_apart=edges.encode_apart
        )
        sessions = Sessions(events, edges.clock, edges.new_id, await store.sessions())
        waiting = await Recovery(store, events, sessions, edges.clock, edges.new_id).recover()
        skills = self._skills(request, settings)
        await skills.refresh()
        desk = self._desk(request, settings, events)
        file_tracker = FileTracker(store, sessions, edges.clock, request.path)
        file_history = FileHistory(events, edges.clock, edges.new_id)
        kit = edges.make_kit(
            Workbench(
                path=request.path,
                data_dir=settings.data_dir,
                config=lambda: settings.config,
                store=store,
                events=events,
                sessions=sessions,
                permissions=desk,
                file_tracker=file_tracker,
                file_history=file_history,
            )
        )
        equipment = self._equipment(request, settings, skills, store, events, sessions, kit)
        runs = self._runs(equipment, store, head, when_idle)
        workspace = Workspace(
            workspace_id,
            key,
            request,
            settings=settings,
            skills=skills,
            store=store,
            events=events,
            sessions=sessions,
            transcript=equipment.transcript,
            agents=equipment.agents,
            titles=equipment.titles,
            permissions=desk,
            file_tracker=file_tracker,
            file_history=file_history,
            kit=kit,
            claims=Claims(edges.clock, *edges.graces, when_idle),
            runs=runs,
            summaries=Summaries(equipment, runs),
        )
        runs.recover(waiting)
        return workspace

    def _equipment(
        self,
        request: WorkspaceRequest,
        settings: WorkspaceSettings,
        skills: Skills,
        store: Store,
        events: EventLog,
        sessions: Sessions,
        kit: Kit,
    ) -> Equipment:
        edges = self._edges
        return Equipment(
            events=events,
            sessions=sessions,
            transcript=Transcript(store, events, sessions, edges.clock, edges.new_id),
            agents=self._agents(request, settings, skills),
            toolbox=Toolbox(kit.tools, edges.parse_object),
            titles=Titles(sessions, edges.clock),
            clock=edges.clock,
            disabled_tools=lambda: settings.config.options.disabled_tools,
        )

    def _desk(self, request: WorkspaceRequest, settings: WorkspaceSettings, events: EventLog) -> Desk:
        def allowed() -> tuple[str, ...]:
            permissions = settings.config.permissions
            return permissions.allowed_tools if permissions else ()

        return Desk(events, self._edges.new_id, allowed, self._edges.directory_of, skip=request.yolo)

    def _skills(self, request: WorkspaceRequest, settings: WorkspaceSettings) -> Skills:
        return Skills(
            lambda: self._edges.skill_files.find(request.path, settings.config),
            lambda: settings.config.options.disabled_skills,
        )

    def _agents(self, request: WorkspaceRequest, settings: WorkspaceSettings, skills: Skills) -> Agents:
        edges = self._edges

        async def gather_facts() -> Facts:
            facts = edges.facts(request.path)
            return Facts(
                working_dir=facts.working_dir,
                platform=facts.platform,
                date=facts.date,
                is_git_repo=facts.is_git_repo,
                context=await edges.project_files.context(request.path, settings.config),
                skills=await skills.for_prompt(),
            )

        return Agents(lambda: settings.config, edges.build_provider, gather_facts, _mcp_ready)

    def _runs(self, equipment: Equipment, store: Store, head: StoreHead, when_idle: Callable[[], None]) -> Runs:
        def new_turn(run: Run, drain: Callable[[], list[Run]]) -> TurnOf:
            return Turn(run, equipment, drain, runs.unanswered)

        edges = self._edges
        endings = Endings(equipment.events, equipment.sessions, edges.clock)
        runs = Runs(store, endings, new_turn, edges.clock, edges.new_id, head.position, when_idle)
        return runs


def _mcp_ready() -> Deferred[None]:
    """No MCP server is started by this version, so all of them have."""
    return succeed(None)
