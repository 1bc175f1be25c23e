"""A model provider in memory that does what a test's script says, step by step and act by act."""

from collections import deque
from collections.abc import Iterable

from msgspec import Struct
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from txcrush.adapters.providers._gate import stream_through_gate
from txcrush.model.errors import ProviderError
from txcrush.model.messages import FinishReason
from txcrush.model.providers import ModelReply, ModelRequest, Usage
from txcrush.ports import Clock, Provider, StreamSink


class Say(Struct, frozen=True):
    """One text delta."""

    text: str


class Think(Struct, frozen=True):
    """One reasoning delta. The block ends by itself before what follows it."""

    text: str
    signature: str = ""


class Call(Struct, frozen=True):
    """A tool call, started and complete."""

    id: str
    name: str
    arguments: str = "{}"


class Begin(Struct, frozen=True):
    """A tool call that the model begins and, unless a `Call` with its id follows, never completes."""

    id: str
    name: str


class Wait(Struct, frozen=True):
    """Waits for `proceed()`."""


class Pause(Struct, frozen=True):
    """Waits for so many seconds of the clock."""

    seconds: float


class Fail(Struct, frozen=True):
    """Ends the request with this error."""

    error: ProviderError


class Hang(Struct, frozen=True):
    """Says nothing more until it is cancelled."""


Act = Say | Think | Call | Begin | Wait | Pause | Fail | Hang


class Step:
    """What the provider does with one request. Without a `finish` it is TOOL_USE after a call, else END_TURN."""

    def __init__(self, *acts: Act | str, usage: Usage | None = None, finish: FinishReason | None = None) -> None:
        self.acts = tuple(Say(act) if isinstance(act, str) else act for act in acts)
        called = any(isinstance(act, Call) for act in self.acts)
        self.finish = finish or (FinishReason.TOOL_USE if called else FinishReason.END_TURN)
        self.usage = usage or Usage(input=10, output=5, total=15)


class ScriptedProvider:
    """Implements `ports.Provider`. Each request takes the next step; a request without one fails.

    `requests` and `cancelled` hold what was asked and what was given up, in order. `clock` is needed for `Pause` only.
    """

    def __init__(self, steps: Iterable[Step] = (), clock: Clock | None = None) -> None:
        self._steps = deque(steps)
        self._clock = clock
        self._waiting: deque[Deferred[None]] = deque()
        self._watchers: list[tuple[int, Deferred[ModelRequest]]] = []
        self.requests: list[ModelRequest] = []
        self.cancelled: list[ModelRequest] = []

    def add(self, *acts: Act | str, usage: Usage | None = None, finish: FinishReason | None = None) -> None:
        """Append a step."""
        self._steps.append(Step(*acts, usage=usage, finish=finish))

    @property
    def waiting(self) -> int:
        """How many requests are at a `Wait`."""
        return len(self._waiting)

    def proceed(self) -> None:
        """Let the request that has waited longest go on."""
        self._waiting.popleft().callback(None)

    def when_asked(self, count: int = 1) -> Deferred[ModelRequest]:
        """Fires with the `count`-th request, counted from the first one ever, when it has come."""
        watcher: Deferred[ModelRequest] = Deferred()
        self._watchers.append((count, watcher))
        self._tell()
        return watcher

    def stream(self, request: ModelRequest, sink: StreamSink) -> Deferred[ModelReply]:
        """See `ports.Provider`."""
        self.requests.append(request)
        if not self._steps:
            raise AssertionError(f"request {len(self.requests)} has no step in the script")
        step = self._steps.popleft()
        running = stream_through_gate(sink, lambda gate: self._play(step, gate))
        running.addErrback(self._note, request)
        self._tell()
        return running

    def _note(self, failure: Failure, request: ModelRequest) -> Failure:
        if failure.check(CancelledError):
            self.cancelled.append(request)
        return failure

    async def _play(self, step: Step, sink: StreamSink) -> ModelReply:
        show = _Show(sink)
        for act in step.acts:
            await self._act(act, show)
        show.end_reasoning()
        return ModelReply(finish=step.finish, usage=step.usage)

    async def _act(self, act: Act, show: "_Show") -> None:
        match act:
            case Wait():
                await self._wait()
            case Hang():
                await Deferred()
            case Pause(seconds):
                await self._pause(seconds)
            case Fail(error):
                raise error
            case _:
                show.act(act)

    def _wait(self) -> Deferred[None]:
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting

    def _pause(self, seconds: float) -> Deferred[None]:
        if self._clock is None:
            raise AssertionError("a Pause needs a clock")
        paused: Deferred[None] = Deferred(lambda _: call.cancel())
        call = self._clock.callLater(seconds, paused.callback, None)
        return paused

    def _tell(self) -> None:
        """Tell those whose request has come."""
        due = [item for item in self._watchers if item[0] <= len(self.requests)]
        self._watchers = [item for item in self._watchers if item not in due]
        for count, watcher in due:
            watcher.callback(self.requests[count - 1])


class _Show:
    """Plays acts to a sink in the order that the port promises."""

    def __init__(self, sink: StreamSink) -> None:
        self._sink = sink
        self._thinking: Think | None = None
        self._started: set[str] = set()

    def act(self, act: Act) -> None:
        if not isinstance(act, Think):
            self.end_reasoning()
        match act:
            case Say(text):
                self._sink.text(text)
            case Think(text):
                self._thinking = act
                self._sink.reasoning(text)
            case Begin(call_id, name):
                self._start(call_id, name)
            case Call(call_id, name, arguments):
                self._start(call_id, name)
                self._sink.tool_call(call_id, name, arguments)

    def end_reasoning(self) -> None:
        if self._thinking is not None:
            thought, self._thinking = self._thinking, None
            self._sink.reasoning_ended(thought.signature)

    def _start(self, call_id: str, name: str) -> None:
        if call_id not in self._started:
            self._started.add(call_id)
            self._sink.tool_started(call_id, name)


def _conforms(provider: ScriptedProvider) -> Provider:
    return provider
