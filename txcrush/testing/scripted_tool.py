"""A tool that does what a test says, when the test says so."""

from twisted.internet.defer import CancelledError, Deferred

from txcrush.model.tools import ToolOutput, ToolSpec, ToolUse
from txcrush.ports import Tool


class ScriptedTool:
    """Every call waits until the test answers it.

    `running` holds the ids of the calls that run, in the order in which they began; `cancelled` those that were given
    up. With `stubborn` a cancelled call goes on until the test answers it, as one does that has to clean up.
    """

    def __init__(
        self, name: str, *, parallel: bool = False, required: tuple[str, ...] = (), stubborn: bool = False
    ) -> None:
        properties: dict[str, object] = {parameter: {"type": "string"} for parameter in required}
        self._spec = ToolSpec(name=name, description="", properties=properties, required=required, parallel=parallel)
        self._stubborn = stubborn
        self._calls: dict[str, Deferred[ToolOutput]] = {}
        self.uses: list[ToolUse] = []
        self.cancelled: list[str] = []

    @property
    def spec(self) -> ToolSpec:
        return self._spec

    @property
    def running(self) -> list[str]:
        return list(self._calls)

    def run(self, use: ToolUse) -> "Deferred[ToolOutput]":
        """See `ports.Tool`."""
        self.uses.append(use)
        return Deferred.fromCoroutine(self._run(use.call.id))

    async def _run(self, call_id: str) -> ToolOutput:
        try:
            return await self._told(call_id)
        except CancelledError:
            self.cancelled.append(call_id)
            if not self._stubborn:
                del self._calls[call_id]
                raise
            return await self._told(call_id)

    def _told(self, call_id: str) -> "Deferred[ToolOutput]":
        told = self._calls[call_id] = Deferred[ToolOutput]()
        return told

    def answer(self, call_id: str, content: str = "done", *, is_error: bool = False, stop_turn: bool = False) -> None:
        """Let the call give this."""
        self._calls.pop(call_id).callback(ToolOutput(content=content, is_error=is_error, stop_turn=stop_turn))

    def fail(self, call_id: str, error: Exception) -> None:
        """Let the call fail."""
        self._calls.pop(call_id).errback(error)


def _conforms(tool: ScriptedTool) -> Tool:
    return tool
