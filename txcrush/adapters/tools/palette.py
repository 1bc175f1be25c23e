"""All built-in tools of a workspace."""

from txcrush.adapters.tools.agent import Agent
from txcrush.adapters.tools.agentic_fetch import AgenticFetch
from txcrush.adapters.tools.question import AskQuestions
from txcrush.adapters.tools.todos import Todos
from txcrush.adapters.tools.web_tools import WebTools
from txcrush.core.instructions import task_prompt
from txcrush.core.workbench import Kit, Workbench
from txcrush.ports import InThread, Tool
from txcrush.wire.json import encode_text


class Palette:
    """Makes the tools of each workspace from what the whole server shares; a `MakeKit`."""

    def __init__(self, web: WebTools, in_thread: InThread) -> None:
        self._web = web
        self._in_thread = in_thread

    def __call__(self, bench: Workbench) -> Kit:
        tools: list[Tool] = [
            Todos(bench.sessions, encode_text),
            AskQuestions(bench.questions),
            *self._web.for_workspace(bench),
        ]
        return Kit((*tools, *self._sub_agents(bench, tools)))

    def _sub_agents(self, bench: Workbench, tools: list[Tool]) -> tuple[Tool, ...]:
        """The tools that send another agent, with what that one works with."""
        return (
            Agent(bench.subagents, tools, lambda: task_prompt(bench.facts(bench.path))),
            AgenticFetch(bench, self._web.fetched_page, self._web.for_fetcher, self._in_thread),
        )
