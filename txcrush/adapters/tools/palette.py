"""The built-in tools of a workspace."""

from collections.abc import Callable, Mapping

from msgspec import Struct
from twisted.internet.defer import Deferred

from txcrush.adapters.bash_lines import Reach
from txcrush.adapters.fetch_directories import remove_left
from txcrush.adapters.guarded_places import OwnPlaces, started_paths
from txcrush.adapters.tools.agent import Agent
from txcrush.adapters.tools.agentic_fetch import AgenticFetch
from txcrush.adapters.tools.bash import BashTool
from txcrush.adapters.tools.crush_info import CrushInfo
from txcrush.adapters.tools.crush_logs import CrushLogs
from txcrush.adapters.tools.file_tools import file_tools, places_of, private_places_of, view_tool
from txcrush.adapters.tools.job_kill import JobKill
from txcrush.adapters.tools.job_output import JobOutput
from txcrush.adapters.tools.question import AskQuestions
from txcrush.adapters.tools.searching import search_tools
from txcrush.adapters.tools.todos import Todos
from txcrush.adapters.tools.web_tools import WebTools
from txcrush.core.instructions import task_prompt
from txcrush.core.jobs import Jobs
from txcrush.core.workbench import Kit, Workbench
from txcrush.ports import Clock, InThread, MakeProgram, NewId, Processes, Tool
from txcrush.wire.json import encode_text

LOOKS_OF_FETCHER = frozenset({"glob", "grep", "view"})
"""What an agent that reads the web may do in its own directory."""


class Edges(Struct, frozen=True, kw_only=True):
    """What the tools of every workspace share. `environ` is the server's environment; `own` says what is the server's
    own on the disk; `redact` takes known secrets out of a text."""

    processes: Processes
    make_program: MakeProgram
    web: WebTools
    clock: Clock
    in_thread: InThread
    new_id: NewId
    environ: Mapping[str, str]
    own: OwnPlaces
    redact: Callable[[str], str]


class Palette:
    """Makes the tools of each workspace from what the whole server shares; a `MakeKit`."""

    def __init__(self, edges: Edges) -> None:
        self._edges = edges

    def __call__(self, bench: Workbench) -> Kit:
        self._edges.in_thread(remove_left, bench.data_dir)
        jobs = self._jobs(bench)
        tools: list[Tool] = [
            Todos(bench.sessions, encode_text),
            AskQuestions(bench.questions),
            *self._shell_tools(bench, jobs),
            *file_tools(bench, self._edges.own, self._edges.in_thread),
            *self._search_tools(bench, bench.path),
            *self._edges.web.for_workspace(bench, places_of(bench, bench.path, self._edges.own)),
            *self._own_state(bench),
        ]
        return Kit((*tools, *self._sub_agents(bench, tools)), lambda: Deferred.fromCoroutine(jobs.close()))

    def _jobs(self, bench: Workbench) -> Jobs:
        edges = self._edges
        return Jobs(edges.processes, edges.make_program, edges.clock, edges.new_id(), bench.withheld)

    def _shell_tools(self, bench: Workbench, jobs: Jobs) -> tuple[Tool, ...]:
        edges, own = self._edges, self._edges.own
        reach = Reach(
            private_places_of(bench, own), lambda: started_paths(bench.path, own.env), own.env.get("HOME") or "/"
        )
        return (
            BashTool(bench.path, bench.permissions, jobs, edges.clock, edges.in_thread, reach),
            JobOutput(jobs, edges.in_thread),
            JobKill(jobs),
        )

    def _search_tools(self, bench: Workbench, directory: str) -> tuple[Tool, ...]:
        edges = self._edges
        return search_tools(
            directory,
            bench.permissions,
            bench.config,
            clock=edges.clock,
            environ=edges.environ,
            in_thread=edges.in_thread,
            private=private_places_of(bench, edges.own),
        )

    def _own_state(self, bench: Workbench) -> tuple[Tool, ...]:
        """What tells the main agent about the server itself."""
        in_thread, redact = self._edges.in_thread, self._edges.redact
        return (CrushInfo(bench, in_thread, redact), CrushLogs(bench.data_dir, in_thread, redact))

    def _sub_agents(self, bench: Workbench, tools: list[Tool]) -> tuple[Tool, ...]:
        """The tools that send another agent, with what that one works with."""
        web = self._edges.web

        def of_fetcher(directory: str) -> tuple[Tool, ...]:
            own = self._edges.own
            view = view_tool(bench, places_of(bench, directory, own), own, self._edges.in_thread)
            looks = (view, *self._search_tools(bench, directory))
            return (*web.for_fetcher(directory), *(tool for tool in looks if tool.spec.name in LOOKS_OF_FETCHER))

        return (
            Agent(bench.subagents, tools, lambda: task_prompt(bench.facts(bench.path))),
            AgenticFetch(bench, web.fetched_page, of_fetcher, self._edges.in_thread),
        )
