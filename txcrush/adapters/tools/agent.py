"""The `agent` tool: hands a search to another agent, which can only read (`tools.md` 19.2)."""

from collections.abc import Callable, Iterable

from msgspec import Struct
from twisted.internet.defer import Deferred

from txcrush.adapters.tools import specs
from txcrush.core.subagents import Errand, SubAgents
from txcrush.model.errors import Failed, Refused
from txcrush.model.tools import ToolOutput, ToolUse
from txcrush.ports import Tool

TITLE = "New Agent Session"
SEARCHES = frozenset({"glob", "grep", "ls", "sourcegraph", "view"})
"""The names of the tools that the other agent has, of those that there are."""


class Arguments(Struct):
    prompt: str


class Agent:
    """The tool. `tools` are the workspace's; those that only read are the other agent's. `instructions` makes what it
    is told of its work."""

    spec = specs.described(
        "agent",
        {"prompt": specs.text("The task: what to look for and what to report, complete in itself")},
        "prompt",
        parallel=True,
    )

    def __init__(self, subagents: SubAgents, tools: Iterable[Tool], instructions: Callable[[], str]) -> None:
        self._subagents = subagents
        self._tools = tuple(tool for tool in tools if tool.spec.name in SEARCHES)
        self._instructions = instructions

    def run(self, use: ToolUse) -> "Deferred[ToolOutput]":
        """See `ports.Tool`; cancelling ends the other agent."""
        return Deferred.fromCoroutine(self._run(use))

    async def _run(self, use: ToolUse) -> ToolOutput:
        prompt = specs.arguments(use, Arguments).prompt
        if not prompt:
            raise Refused("prompt is required")
        if not use.session_id:
            raise Failed("session id missing from context")
        if not use.message_id:
            raise Failed("agent message id missing from context")
        errand = Errand(
            prompt=prompt, title=TITLE, instructions=self._instructions(), tools=self._tools, announced=True
        )
        return await self._subagents.run(use, errand)
