"""A tool that answers at once."""

from twisted.internet.defer import Deferred, succeed

from txcrush.model.tools import ToolOutput, ToolSpec, ToolUse
from txcrush.ports import Tool


class PromptTool:
    """`calls` holds what it was called with: the ids, each time."""

    def __init__(self, name: str, said: str = "looked") -> None:
        self._spec = ToolSpec(name=name, description="", properties={}, required=())
        self._said = said
        self.calls: list[str] = []

    @property
    def spec(self) -> ToolSpec:
        return self._spec

    def run(self, use: ToolUse) -> "Deferred[ToolOutput]":
        """See `ports.Tool`."""
        self.calls.append(use.call.id)
        return succeed(ToolOutput(content=self._said))


def _conforms(tool: PromptTool) -> Tool:
    return tool
