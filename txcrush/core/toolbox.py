"""Runs the tool calls of one step (`agent.md` 1.4, `tools.md` 1)."""

from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from contextlib import suppress

from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import CancelledError, Deferred, DeferredList, DeferredSemaphore, FirstError
from twisted.logger import Logger

from txcrush import failpoints
from txcrush.core import media
from txcrush.core.observations import ToolFigures
from txcrush.core.observers import apart
from txcrush.model.errors import CrushError, Refused
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import ToolCall, ToolResult
from txcrush.model.tools import ToolOutput, ToolSpec, ToolUse
from txcrush.ports import Tool

PARALLEL = 5
"""At most this many of the tools that may run side by side do so at a time."""

BAD_MEDIA = "Tool returned image data with invalid encoding"
NOT_JSON = "Tool call failed: arguments were not valid JSON. Please check your tool call format and try again."

ParseObject = Callable[[str], dict[str, object]]
RepairObject = Callable[[str], Deferred[str | None]]
"""Fires with a JSON object that says what a text meant to say, or with None."""

KeepResult = Callable[[ToolResult], Awaitable[object]]

log = Logger()


class Place(Struct, frozen=True):
    """Where the calls of a step come from."""

    session_id: SessionId
    message_id: MessageId
    supports_images: bool
    model_name: str


class Done(Struct, frozen=True):
    """What a step's calls gave. `error` is the first that a tool failed the turn with."""

    results: tuple[ToolResult, ...]
    stop_turn: bool = False
    error: CrushError | None = None


class Toolbox:
    """The tools on offer. `parse` turns a call's input into an object, or raises ValueError; `repair` mends what it
    cannot read."""

    def __init__(
        self, tools: Iterable[Tool], parse: ParseObject, repair: RepairObject, figures: ToolFigures | None = None
    ) -> None:
        self._tools = {tool.spec.name: tool for tool in tools}
        self._parse = parse
        self._repair = repair
        self._figures = figures or ToolFigures()

    def without(self, names: Collection[str]) -> "Toolbox":
        """The same but for these."""
        kept = [tool for name, tool in self._tools.items() if name not in names]
        return Toolbox(kept, self._parse, self._repair, self._figures)

    def specs(self) -> tuple[ToolSpec, ...]:
        """The tools as a model is offered them, by name."""
        return tuple(self._tools[name].spec for name in sorted(self._tools))

    async def repaired(self, call: ToolCall) -> ToolCall:
        """The call, its input mended where it is no JSON object and can be."""
        if self.is_readable(call):
            return call
        mended = await self._repair(call.input)
        return call if mended is None else replace(call, input=mended)

    def is_readable(self, call: ToolCall) -> bool:
        """Whether the call's input is the JSON object that it should be."""
        try:
            self._parse(call.input)
        except ValueError:
            return False
        return True

    async def run(self, calls: Sequence[ToolCall], place: Place, keep: KeepResult) -> Done:
        """Run the calls in order, those that may side by side; `keep` gets each result as it comes.

        Cancelling cancels every call and waits until all have ended.
        """
        step = _Step(self, place, keep)
        return await step.run(calls)

    async def output(self, call: ToolCall, place: Place) -> ToolOutput:
        """What the call gives. What the model can put right is an output, not an error."""
        tool = self._tools.get(call.name)
        if tool is None:
            return _refusal(f"tool not found: {call.name}. Available tools: {', '.join(sorted(self._tools))}")
        try:
            arguments = self._parse(call.input)
        except ValueError:
            return _refusal(NOT_JSON)
        missing = [name for name in tool.spec.required if name not in arguments]
        if missing:
            return _refusal(f"missing required parameter: {missing[0]}")
        use = ToolUse(
            call=call,
            arguments=arguments,
            session_id=place.session_id,
            message_id=place.message_id,
            supports_images=place.supports_images,
            model_name=place.model_name,
        )
        failpoints.TOOL_STARTING()
        output = await tool.run(use)
        failpoints.TOOL_DONE()
        return output

    def note(self, call: ToolCall, outcome: str) -> None:
        """Count a call that has ended; what models invent is one name."""
        self._figures.calls.add(call.name if call.name in self._tools else "unknown", outcome)

    def is_parallel(self, call: ToolCall) -> bool:
        tool = self._tools.get(call.name)
        return tool is not None and tool.spec.parallel


class _Step:
    """The calls of one step while they run."""

    def __init__(self, toolbox: Toolbox, place: Place, keep: KeepResult) -> None:
        self._toolbox = toolbox
        self._place = place
        self._keep = keep
        self._side_by_side = DeferredSemaphore(PARALLEL)
        self._running: list[Deferred[None]] = []
        self._results: list[ToolResult] = []
        self._stop_turn = False
        self._error: CrushError | None = None

    async def run(self, calls: Sequence[ToolCall]) -> Done:
        try:
            for call in calls:
                if self._toolbox.is_parallel(call):
                    self._start(self._in_turn(call))
                else:
                    await apart(self._start(self._one(call)))
            await apart(DeferredList(self._running, fireOnOneErrback=True, consumeErrors=True))
        except FirstError as first:
            await self._stop_all()
            raise first.subFailure.value or first from None
        except Exception:
            await self._stop_all()
            raise
        return Done(tuple(self._results), self._stop_turn, self._error)

    def _start(self, work: Coroutine[Deferred[object], object, None]) -> "Deferred[None]":
        task = Deferred.fromCoroutine(work)
        self._running.append(task)
        return task

    async def _stop_all(self) -> None:
        for task in reversed(self._running):  # first those that wait for their turn: it would come as others end
            task.cancel()
        await DeferredList(self._running, consumeErrors=True)

    async def _in_turn(self, call: ToolCall) -> None:
        await self._side_by_side.acquire()
        try:
            await self._one(call)
        finally:
            self._side_by_side.release()

    async def _one(self, call: ToolCall) -> None:
        outcome = "ok"
        try:
            output = await self._toolbox.output(call, self._place)
        except CancelledError:
            self._toolbox.note(call, "cancelled")
            raise
        except Refused as refused:
            output, outcome = _refusal(refused.message), "refused"
        except CrushError as error:
            self._error = self._error or error
            output = _refusal(error.message)
        except Exception as error:
            log.failure("tool {name} crashed", name=call.name)
            output = _refusal(f'tool "{call.name}" panicked: {type(error).__name__}: {error}')
            outcome = "crashed"
        self._toolbox.note(call, "error" if output.is_error and outcome == "ok" else outcome)
        self._stop_turn = self._stop_turn or output.stop_turn
        result = _result(call, output)
        self._results.append(result)
        await self._keep(result)


def _refusal(text: str) -> ToolOutput:
    return ToolOutput(content=text, is_error=True)


def _result(call: ToolCall, output: ToolOutput) -> ToolResult:
    """The output as it is stored. Media that is no base64 is an error and is not kept (`agent.md` 4.3)."""
    if output.data and media.decoded(output.data) is None:
        output = replace(output, content=BAD_MEDIA, data="", mime_type="", is_error=True)
    return ToolResult(
        tool_call_id=call.id,
        name=call.name,
        content=_well_formed(output.content) or (f"Loaded {output.mime_type} content" if output.data else ""),
        data=output.data,
        mime_type=output.mime_type,
        metadata=_well_formed(output.metadata),
        is_error=output.is_error,
    )


def _well_formed(text: str) -> str:
    """The text with U+FFFD for each lone surrogate: neither the database nor the wire takes one. Most have none, and
    that is seen ten times faster than it is mended."""
    if text.isascii():
        return text
    with suppress(UnicodeEncodeError):
        text.encode()
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
