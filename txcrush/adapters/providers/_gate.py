"""A model request as a Deferred that ends at once when it is cancelled, with a sink that is shut from then on."""

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from txcrush.model.providers import ModelReply
from txcrush.ports import StreamSink


class SinkGate:
    """Passes everything on while it is open; then it raises `CancelledError`, so that the work behind it stops."""

    def __init__(self, sink: StreamSink) -> None:
        self._sink = sink
        self.is_open = True

    def text(self, delta: str) -> None:
        self._check()
        self._sink.text(delta)

    def reasoning(self, delta: str) -> None:
        self._check()
        self._sink.reasoning(delta)

    def reasoning_ended(self, signature: str = "") -> None:
        self._check()
        self._sink.reasoning_ended(signature)

    def tool_started(self, call_id: str, name: str) -> None:
        self._check()
        self._sink.tool_started(call_id, name)

    def tool_call(self, call_id: str, name: str, arguments: str) -> None:
        self._check()
        self._sink.tool_call(call_id, name, arguments)

    def stalled(self, wait_s: float) -> None:
        if self.is_open:
            self._sink.stalled(wait_s)

    def _check(self) -> None:
        if not self.is_open:
            raise CancelledError


def stream_through_gate(
    sink: StreamSink, ask: Callable[[StreamSink], Coroutine[Any, Any, ModelReply]]
) -> Deferred[ModelReply]:
    """Run `ask` with a gate before the sink.

    Cancelling shuts the gate first and then cancels the work. What the work fails with then (Twisted reports a
    cancelled request as `ResponseNeverReceived`, for instance) is of no interest: the asker gets `CancelledError`.
    """
    gate = SinkGate(sink)

    def cancel(_: object) -> None:
        gate.is_open = False
        work.cancel()

    reply: Deferred[ModelReply] = Deferred(cancel)

    def ended(outcome: ModelReply | Failure) -> None:
        if gate.is_open:
            gate.is_open = False
            reply.callback(outcome)  # a Failure goes down the errbacks

    work = Deferred.fromCoroutine(ask(gate))
    work.addBoth(ended)
    return reply


_sink: Callable[[StreamSink], StreamSink] = SinkGate
