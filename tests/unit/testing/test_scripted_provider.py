"""The scripted provider does what its script says, when the test says so."""

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.errors import ProviderError
from txcrush.model.messages import FinishReason
from txcrush.model.providers import ModelRequest, Usage
from txcrush.testing.recording_sink import RecordingSink
from txcrush.testing.scripted_provider import Begin, Call, Fail, Hang, Pause, ScriptedProvider, Step, Think, Wait

REQUEST = ModelRequest(model="m", turns=())


class ScriptedProviderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.sink = RecordingSink()

    def test_each_request_takes_the_next_step(self) -> None:
        provider = ScriptedProvider([Step("a"), Step("b", usage=Usage(input=7), finish=FinishReason.MAX_TOKENS)])
        self.successResultOf(provider.stream(REQUEST, self.sink))
        reply = self.successResultOf(provider.stream(REQUEST, self.sink))
        self.assertEqual(self.sink.whole_text, "ab")
        self.assertEqual((reply.usage.input, reply.finish), (7, FinishReason.MAX_TOKENS))
        self.assertEqual(provider.requests, [REQUEST, REQUEST])

    def test_a_request_beyond_the_script_is_an_error_of_the_test(self) -> None:
        self.assertRaises(AssertionError, ScriptedProvider().stream, REQUEST, self.sink)

    def test_it_waits_until_it_may_proceed(self) -> None:
        provider = ScriptedProvider([Step("a", Wait(), "b")])
        asked = provider.stream(REQUEST, self.sink)
        self.assertEqual((self.sink.whole_text, provider.waiting), ("a", 1))
        provider.proceed()
        self.successResultOf(asked)
        self.assertEqual((self.sink.whole_text, provider.waiting), ("ab", 0))

    def test_it_pauses_by_the_clock(self) -> None:
        clock = Clock()
        asked = ScriptedProvider([Step(Pause(2), "a")], clock).stream(REQUEST, self.sink)
        clock.advance(1.9)
        self.assertNoResult(asked)
        clock.advance(0.1)
        self.successResultOf(asked)

    def test_reasoning_is_sealed_and_calls_are_started_once(self) -> None:
        provider = ScriptedProvider([Step(Think("hm", "seal"), Begin("c", "ls"), Call("c", "ls", "{}"))])
        reply = self.successResultOf(provider.stream(REQUEST, self.sink))
        wanted = [("reasoning", "hm"), ("reasoning_ended", "seal"), ("tool_started", "c", "ls")]
        self.assertEqual(self.sink.said, [*wanted, ("tool_call", "c", "ls", "{}")])
        self.assertEqual(reply.finish, FinishReason.TOOL_USE)

    def test_it_fails_as_told(self) -> None:
        provider = ScriptedProvider([Step("a", Fail(ProviderError("no")))])
        self.failureResultOf(provider.stream(REQUEST, self.sink), ProviderError)

    def test_cancellations_are_kept_and_free_what_waited(self) -> None:
        clock = Clock()
        provider = ScriptedProvider([Step(Wait()), Step(Hang()), Step(Pause(1))], clock)
        for _ in range(3):
            asked = provider.stream(REQUEST, self.sink)
            asked.cancel()
            self.failureResultOf(asked, CancelledError)
        self.assertEqual(provider.cancelled, [REQUEST] * 3)
        self.assertEqual((provider.waiting, clock.getDelayedCalls()), (0, []))

    def test_a_test_can_wait_for_a_request(self) -> None:
        provider = ScriptedProvider([Step("a"), Step("b")])
        second = provider.when_asked(2)
        provider.stream(REQUEST, self.sink)
        self.assertNoResult(second)
        provider.stream(REQUEST, self.sink)
        self.successResultOf(second)
        self.successResultOf(provider.when_asked(1))
