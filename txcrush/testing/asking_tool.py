"""A tool that does nothing but ask whether it may."""

from twisted.internet.defer import Deferred

from txcrush.model.permissions import Ask
from txcrush.model.tools import ToolOutput, ToolSpec, ToolUse, denied
from txcrush.ports import Permissions, Tool


class AskingTool:
    """Asks with the call's arguments, and answers `done` once it may.

    The arguments `path` and `guarded` are those of the ask. `done` holds the ids of the calls that went through.
    """

    def __init__(self, permissions: Permissions, name: str = "touch", *, parallel: bool = False) -> None:
        self._permissions = permissions
        self._spec = ToolSpec(name=name, description="Asks", properties={"path": {"type": "string"}}, parallel=parallel)
        self.done: list[str] = []

    @property
    def spec(self) -> ToolSpec:
        return self._spec

    def run(self, use: ToolUse) -> "Deferred[ToolOutput]":
        """See `ports.Tool`."""
        return Deferred.fromCoroutine(self._run(use))

    async def _run(self, use: ToolUse) -> ToolOutput:
        path = str(use.arguments.get("path", "."))
        ask = Ask(
            session_id=use.session_id,
            tool_call_id=use.call.id,
            tool_name=self._spec.name,
            action="execute",
            description=f"Touch {path}",
            path=path,
            params={"path": path},
            guarded=bool(use.arguments.get("guarded")),
        )
        if not await self._permissions.ask(ask):
            return denied()
        self.done.append(use.call.id)
        return ToolOutput(content="done")


def _conforms(tool: AskingTool) -> Tool:
    return tool
