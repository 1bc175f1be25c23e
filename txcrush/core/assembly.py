"""How the services of one workspace are put together, top to bottom."""

from collections.abc import Callable, Iterable

from msgspec.structs import replace
from twisted.internet.defer import Deferred, succeed

from txcrush import failpoints
from txcrush.core.agents import Agents
from txcrush.core.desk_book import DeskBook
from txcrush.core.edges import Edges
from txcrush.core.endings import Endings, TurnOf
from txcrush.core.equipment import Equipment
from txcrush.core.event_ids import EventIds
from txcrush.core.events import EventLog
from txcrush.core.file_records import FileHistory, FileTracker
from txcrush.core.instructions import Facts
from txcrush.core.listing import Listing, absolute
from txcrush.core.measured_provider import measured
from txcrush.core.permissions import Desk
from txcrush.core.policies import Policies
from txcrush.core.presence import Claims
from txcrush.core.questions import Questions
from txcrush.core.recovery import Recovery
from txcrush.core.run import Run
from txcrush.core.run_log import RunLog
from txcrush.core.runs import Runs
from txcrush.core.sessions import Sessions
from txcrush.core.settings import WorkspaceSettings
from txcrush.core.shell_commands import ShellCommands, pairs
from txcrush.core.skills import Skills
from txcrush.core.subagents import SubAgents
from txcrush.core.summaries import Summaries
from txcrush.core.titles import Titles
from txcrush.core.toolbox import Toolbox
from txcrush.core.transcript import Transcript
from txcrush.core.turn import Turn
from txcrush.core.workbench import Kit, Workbench
from txcrush.core.workspace_request import WorkspaceRequest
from txcrush.core.workspaces import Workspace
from txcrush.model.desk import Answerer, Settler
from txcrush.model.ids import SessionId, WorkspaceId
from txcrush.model.register import Listed
from txcrush.model.storage import SkipNumbers
from txcrush.ports import Store, Tool

SEQ_GAP = 1 << 20
"""Event numbers left out at each start: the last server may have shown growing text under numbers that it never
stored, and no number may come twice. Whoever comes with one of them has seen what is lost, and begins anew."""


class Assembly:
    """One workspace in the making, over the store of its data directory. `workspace` is called once."""

    def __init__(
        self,
        edges: Edges,
        workspace_id: WorkspaceId,
        key: str,
        request: WorkspaceRequest,
        when_idle: Callable[[], None],
        settings: WorkspaceSettings,
        store: Store,
    ) -> None:
        self._edges = edges
        self._id = workspace_id
        self._key = key
        self._request = request
        self._when_idle = when_idle
        self._settings = settings
        self._store = store
        clock, new_id = edges.clock, edges.new_id
        head = store.head()
        skip = SkipNumbers(head.seq, head.seq + SEQ_GAP)
        self._skip = skip
        self._ids = EventIds(head.generation, (*head.skipped, skip))
        self._events = EventLog(
            store, edges.encode_event, edges.frame, clock, skip.upto, encode_apart=edges.encode_apart
        )
        self._events.figures = edges.observations.streams
        self._listing = Listing(edges.register, self._entry(), clock)
        self._book = DeskBook(store, self._events, clock, new_id, edges.redact)
        self._skills = Skills(
            lambda: edges.skill_files.find(request.path, settings.config),
            lambda: settings.config.options.disabled_skills,
        )
        build = measured(edges.build_provider, edges.observations.providers, clock)
        self._agents = Agents(lambda: settings.config, build, self._facts, _mcp_ready)

    async def workspace(self) -> Workspace:
        """Put away what the last server left, and build on what is stored. Raises `StorageFailed`."""
        edges = self._edges
        await self._store.write(self._skip)
        sessions = Sessions(self._events, edges.clock, edges.new_id, await self._store.sessions())
        await self._book.interrupt()
        waiting = await Recovery(self._store, self._events, sessions, edges.clock, edges.new_id).recover()
        failpoints.RECOVERY_DONE()
        await self._skills.refresh()
        policies = await self._policies(sessions)
        bare = self._equipment(sessions)
        subagents = SubAgents(bare, self._agents, edges.new_id, self._toolbox, lambda one: runs.active(one))
        bench = self._workbench(sessions, policies, subagents)
        kit = edges.make_kit(bench)
        equipment = replace(bare, toolbox=self._toolbox(kit.tools))
        runs = self._runs(equipment)
        workspace = self._workspace(equipment, bench, kit, runs)
        if waiting:
            await self._listing.ensure()
        runs.recover(waiting)
        return workspace

    def _workspace(self, equipment: Equipment, bench: Workbench, kit: Kit, runs: Runs) -> Workspace:
        return Workspace(
            self._id,
            self._key,
            self._request,
            settings=self._settings,
            skills=self._skills,
            store=self._store,
            events=self._events,
            event_ids=self._ids,
            sessions=equipment.sessions,
            transcript=equipment.transcript,
            agents=self._agents,
            titles=equipment.titles,
            permissions=bench.permissions,
            questions=bench.questions,
            file_tracker=bench.file_tracker,
            file_history=bench.file_history,
            kit=kit,
            claims=Claims(self._edges.clock, *self._edges.graces, self._when_idle),
            runs=runs,
            summaries=Summaries(equipment, runs),
            shell_commands=self._shell_commands(equipment),
            subagents=bench.subagents,
            listing=self._listing,
        )

    def _workbench(self, sessions: Sessions, policies: Policies, subagents: SubAgents) -> Workbench:
        edges = self._edges
        return Workbench(
            path=self._request.path,
            data_dir=self._settings.data_dir,
            config=lambda: self._settings.config,
            config_report=self._settings.report,
            skills=self._skills,
            store=self._store,
            events=self._events,
            sessions=sessions,
            permissions=self._desk(policies),
            questions=Questions(self._events, self._book, policies, edges.clock, edges.new_id),
            file_tracker=FileTracker(self._store, sessions, edges.clock, self._request.path),
            file_history=FileHistory(self._events, edges.clock, edges.new_id),
            subagents=subagents,
            facts=edges.facts,
            withheld=self._settings.withheld,
        )

    def _equipment(self, sessions: Sessions) -> Equipment:
        """What turns work with, but for the tools, which are made from it."""
        clock, settings = self._edges.clock, self._settings
        return Equipment(
            events=self._events,
            sessions=sessions,
            transcript=Transcript(self._store, self._events, sessions, clock, self._edges.new_id),
            agents=self._agents,
            toolbox=self._toolbox(()),
            titles=Titles(sessions, clock),
            clock=clock,
            disabled_tools=lambda: settings.config.options.disabled_tools,
            sums_up=lambda: not settings.config.options.disable_auto_summarize,
            budget=self._edges.budget,
        )

    def _shell_commands(self, equipment: Equipment) -> ShellCommands:
        edges, settings = self._edges, self._settings
        return ShellCommands(
            edges.processes,
            edges.make_program,
            equipment.transcript,
            equipment.sessions,
            edges.clock,
            path=self._request.path,
            scope=edges.new_id(),
            env=pairs(self._request.env),
            withheld=settings.withheld,
            when_idle=self._when_idle,
        )

    def _toolbox(self, tools: Iterable[Tool]) -> Toolbox:
        edges = self._edges
        return Toolbox(tools, edges.parse_object, edges.repair_object, edges.observations.tools)

    async def _policies(self, sessions: Sessions) -> Policies:
        def parent_of(session_id: SessionId) -> SessionId:
            return sessions.get(session_id).parent_session_id if sessions.exists(session_id) else SessionId("")

        stored = await self._store.policies()
        policies = Policies(self._id, self._events, self._book, self._edges.unanswered, parent_of, stored)
        await policies.switch(self._request.yolo, Answerer(Settler.CLIENT, self._request.client_id))
        return policies

    def _desk(self, policies: Policies) -> Desk:
        def allowed() -> tuple[str, ...]:
            permissions = self._settings.config.permissions
            return permissions.allowed_tools if permissions else ()

        edges = self._edges
        return Desk(self._request.path, self._events, self._book, policies, edges.clock, allowed, edges.directory_of)

    def _runs(self, equipment: Equipment) -> Runs:
        def new_turn(run: Run, drain: Callable[[], list[Run]]) -> TurnOf:
            return Turn(run, equipment, drain, runs.unanswered)

        edges = self._edges
        endings = Endings(self._events, equipment.sessions, edges.clock)
        position = self._store.head().position
        runs = Runs(
            self._store,
            endings,
            new_turn,
            edges.clock,
            edges.new_id,
            position,
            self._when_idle,
            self._listing.ensure,
            RunLog(edges.clock, edges.observations.runs),
        )
        return runs

    def _entry(self) -> Listed:
        return Listed(
            data_dir=absolute(self._key, self._settings.data_dir),
            path=self._request.path,
            workspace_id=self._id,
            debug=self._request.debug,
            channels=self._request.channels,
        )

    async def _facts(self) -> Facts:
        """What the main agent is told of its place; the files are read anew each time."""
        facts = self._edges.facts(self._request.path)
        context = await self._edges.project_files.context(self._request.path, self._settings.config)
        return replace(facts, context=context, skills=await self._skills.for_prompt())


def _mcp_ready() -> Deferred[None]:
    """No MCP server is started by this version, so all of them have."""
    return succeed(None)
