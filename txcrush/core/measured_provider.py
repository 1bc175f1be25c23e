"""A provider that is timed: how long to the first token, how long in all, how many tokens."""

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from txcrush.core.observations import ProviderFigures
from txcrush.model.config import ProviderConfig
from txcrush.model.providers import ModelReply, ModelRequest, Usage
from txcrush.ports import BuildProvider, Clock, Provider, StreamSink


class MeasuredProvider:
    """The provider, and figures of what it does; a `ports.Provider`. `name` is its entry's id."""

    def __init__(self, provider: Provider, name: str, figures: ProviderFigures, clock: Clock) -> None:
        self._provider = provider
        self._name = name
        self._figures = figures
        self._clock = clock

    def stream(self, request: ModelRequest, sink: StreamSink) -> Deferred[ModelReply]:
        """See `ports.Provider`."""
        began = self._clock.seconds()

        def first() -> None:
            self._figures.first.observe(self._clock.seconds() - began, self._name, request.model)

        def ended(result: ModelReply | Failure) -> ModelReply | Failure:
            self._note(request.model, result, self._clock.seconds() - began)
            return result

        asking = self._provider.stream(request, _FirstHeard(sink, first))
        asking.addBoth(ended)
        return asking

    def _note(self, model: str, result: ModelReply | Failure, seconds: float) -> None:
        self._figures.seconds.observe(seconds, self._name, model)
        self._figures.requests.add(self._name, model, _outcome(result))
        if isinstance(result, ModelReply):
            for kind, count in _counted(result.usage).items():
                self._figures.tokens.add(self._name, model, kind, by=count)


class _FirstHeard:
    """A sink that tells of the first thing it is given. From then on each call goes straight to the real one."""

    def __init__(self, sink: StreamSink, first: Callable[[], None]) -> None:
        self._sink = sink
        self._first: Callable[[], None] | None = first
        self.text = self._text
        self.reasoning = self._reasoning
        self.reasoning_ended, self.stalled = sink.reasoning_ended, sink.stalled
        self.tool_started = self._tool_started
        self.tool_call = self._tool_call

    def _heard(self) -> None:
        first, self._first = self._first, None
        sink = self._sink
        self.text = sink.text
        self.reasoning = sink.reasoning
        self.tool_started = sink.tool_started
        self.tool_call = sink.tool_call
        if first is not None:
            first()

    def _text(self, delta: str) -> None:
        self._heard()
        self._sink.text(delta)

    def _reasoning(self, delta: str) -> None:
        self._heard()
        self._sink.reasoning(delta)

    def _tool_started(self, call_id: str, name: str) -> None:
        self._heard()
        self._sink.tool_started(call_id, name)

    def _tool_call(self, call_id: str, name: str, arguments: str) -> None:
        self._heard()
        self._sink.tool_call(call_id, name, arguments)


def measured(build: BuildProvider, figures: ProviderFigures, clock: Clock) -> BuildProvider:
    """Builds the same providers, measured."""

    def build_measured(config: ProviderConfig) -> Provider:
        return MeasuredProvider(build(config), config.id, figures, clock)

    return build_measured


def _outcome(result: ModelReply | Failure) -> str:
    if isinstance(result, ModelReply):
        return "ok"
    return "cancelled" if result.check(CancelledError) else "failed"


def _counted(usage: Usage) -> dict[str, int]:
    kinds = {
        "input": usage.input,
        "output": usage.output,
        "cache_read": usage.cache_read,
        "cache_creation": usage.cache_creation,
    }
    return {kind: count for kind, count in kinds.items() if count}
