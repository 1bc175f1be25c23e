"""All built-in tools of a workspace."""

from txcrush.adapters.tools.agent import Agent
from txcrush.adapters.tools.question import AskQuestions
from txcrush.adapters.tools.todos import Todos
from txcrush.core.instructions import task_prompt
from txcrush.core.workbench import Kit, Workbench
from txcrush.ports import Tool
from txcrush.wire.json import encode_text


class Palette:
    """Makes the tools of each workspace from what the whole server shares; a `MakeKit`."""

    def __call__(self, bench: Workbench) -> Kit:
        tools: list[Tool] = [Todos(bench.sessions, encode_text), AskQuestions(bench.questions)]
        tools.append(Agent(bench.subagents, tools, lambda: task_prompt(bench.facts(bench.path))))
        return Kit(tuple(tools))
