"""A provider under the stop-watch."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.measured_provider import measured
from txcrush.core.observations import ProviderFigures
from txcrush.model.config import ProviderConfig
from txcrush.model.errors import ProviderError
from txcrush.model.messages import FinishReason
from txcrush.model.providers import ModelReply, ModelRequest, Usage
from txcrush.testing.recording_sink import RecordingSink


class Held:
    """A provider that says what the test says."""

    def __init__(self) -> None:
        self.sink: Any = None
        self.reply: Deferred[ModelReply] = Deferred()

    def stream(self, request: ModelRequest, sink: Any) -> Deferred[ModelReply]:
        self.sink = sink
        return self.reply


class Measuring(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.figures, self.held = Clock(), ProviderFigures(), Held()
        build = measured(lambda _: self.held, self.figures, self.clock)
        self.heard = RecordingSink()
        self.asked = build(ProviderConfig("p", "P")).stream(ModelRequest(model="m", turns=()), self.heard)

    def test_the_first_token_and_the_whole_are_timed_and_the_tokens_counted(self) -> None:
        self.clock.advance(2)
        self.held.sink.reasoning("hm")
        self.clock.advance(3)
        self.held.sink.text("a")
        self.held.sink.text("b")
        usage = Usage(input=7, output=5, cache_read=2, total=14)
        self.held.reply.callback(ModelReply(finish=FinishReason.END_TURN, usage=usage))
        self.assertEqual(self.successResultOf(self.asked).usage, usage)
        self.assertEqual((self.figures.first.count("p", "m"), self.figures.first.total("p", "m")), (1, 2.0))
        self.assertEqual(self.figures.seconds.total("p", "m"), 5.0)
        self.assertEqual(self.figures.requests.value("p", "m", "ok"), 1)
        counted = [self.figures.tokens.value("p", "m", kind) for kind in ("input", "output", "cache_read")]
        self.assertEqual(counted, [7, 5, 2])

    def test_everything_reaches_the_real_sink_in_its_order(self) -> None:
        sink = self.held.sink
        for number in range(2):
            sink.tool_started(f"c{number}", "ls")
            sink.tool_call(f"c{number}", "ls", "{}")
            sink.reasoning("r")
            sink.reasoning_ended("s")
            sink.text("t")
        straight = RecordingSink()
        for number in range(2):
            straight.tool_started(f"c{number}", "ls")
            straight.tool_call(f"c{number}", "ls", "{}")
            straight.reasoning("r")
            straight.reasoning_ended("s")
            straight.text("t")
        self.assertEqual(vars(self.heard), vars(straight))

    def test_after_the_first_token_nothing_stands_between(self) -> None:
        self.held.sink.text("a")
        self.assertEqual(self.held.sink.text, self.heard.text)

    def test_a_failure_and_a_cancel_are_told_apart(self) -> None:
        self.held.reply.errback(ProviderError("no", status=500))
        self.failureResultOf(self.asked, ProviderError)
        self.assertEqual(self.figures.requests.value("p", "m", "failed"), 1)
        self.setUp()
        self.asked.cancel()
        self.failureResultOf(self.asked)
        self.assertEqual(self.figures.requests.value("p", "m", "cancelled"), 1)
