"""The offline model: deterministic, paced by the clock, cancellable."""

import json
import re

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.providers.offline import OFFLINE, OfflineProvider, offline_config
from txcrush.model.messages import FinishReason
from txcrush.model.providers import AssistantTurn, ModelReply, ModelRequest, SystemTurn, UserTurn
from txcrush.model.tools import ToolSpec
from txcrush.testing.recording_sink import RecordingSink

TOOL = ToolSpec(name="ls", description="", properties={})


def prompt(text: str, tools: tuple[ToolSpec, ...] = (TOOL,)) -> ModelRequest:
    return ModelRequest(model=OFFLINE, turns=(SystemTurn("You are…"), UserTurn(text)), tools=tools)


class OfflineTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.provider = OfflineProvider(self.clock)
        self.sink = RecordingSink()

    def ask(self, request: ModelRequest) -> tuple[RecordingSink, ModelReply]:
        sink = RecordingSink()
        asked = self.provider.stream(request, sink)
        self.clock.pump([0.004] * 400)
        return sink, self.successResultOf(asked)

    def test_it_thinks_and_then_speaks_in_small_deltas(self) -> None:
        sink, reply = self.ask(prompt("hello"))
        kinds = [said[0] for said in sink.said]
        self.assertEqual(sorted(set(kinds), key=kinds.index), ["reasoning", "reasoning_ended", "text"])
        self.assertEqual(reply.finish, FinishReason.END_TURN)
        self.assertLess(max(len(said[1]) for said in sink.said), 80)

    def test_it_says_what_it_is_and_how_to_set_a_provider(self) -> None:
        sink, _ = self.ask(prompt("hello"))
        self.assertIn("offline model", sink.whole_text)
        self.assertIn("You wrote: hello", sink.whole_text)
        snippet = re.search(r"```json\n(.*?)```", sink.whole_text, re.DOTALL)
        assert snippet is not None
        provider = json.loads(snippet.group(1))["providers"]["my-provider"]
        self.assertEqual(provider["type"], "openai-compat")
        self.assertEqual(provider["api_key"], "$MY_PROVIDER_API_KEY")

    def test_the_same_prompt_gives_the_same_answer(self) -> None:
        first, second = self.ask(prompt("hello")), self.ask(prompt("hello"))
        self.assertEqual((first[0].said, first[1]), (second[0].said, second[1]))

    def test_a_prompt_with_braces_is_quoted_as_it_is(self) -> None:
        sink, _ = self.ask(prompt("a {prompt} {0} {"))
        self.assertIn("You wrote: a {prompt} {0} {", sink.whole_text)

    def test_nothing_comes_before_its_time(self) -> None:
        self.provider.stream(prompt("hello"), self.sink)
        self.assertEqual(self.sink.said, [])
        self.clock.advance(0.004)
        self.assertEqual(len(self.sink.said), 1)

    def test_usage_is_a_quarter_of_the_bytes_rounded_up(self) -> None:
        sink, reply = self.ask(prompt("hello"))
        thought, said = (-(-len(text.encode()) // 4) for text in (sink.whole_reasoning, sink.whole_text))
        self.assertEqual((reply.usage.input, reply.usage.reasoning), (-(-len("You are…".encode()) // 4) + 2, thought))
        self.assertEqual((reply.usage.output, reply.usage.total), (thought + said, thought + said + reply.usage.input))

    def test_a_cancelled_request_says_nothing_more_and_leaves_no_timer(self) -> None:
        asked: Deferred[ModelReply] = self.provider.stream(prompt("hello"), self.sink)
        self.clock.pump([0.004] * 3)
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.clock.pump([0.004] * 10)
        self.assertEqual(len(self.sink.said), 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_sink_that_cancels_hears_nothing_more(self) -> None:
        sink = self.sink
        asked: Deferred[ModelReply] = self.provider.stream(prompt("hello"), sink)
        sink.when_said(2).addCallback(lambda _: asked.cancel())
        self.clock.pump([0.004] * 10)
        self.failureResultOf(asked, CancelledError)
        self.assertEqual(len(sink.said), 2)

    def test_a_request_without_tools_is_answered_by_a_title(self) -> None:
        content = "Please fix the\nlogin form of the shop and then some more words"
        asked = f"Give a concise title to this:\n\n{content}\n<think>\n\n</think>"
        sink, _ = self.ask(prompt(asked, tools=()))
        self.assertEqual(sink.whole_text, "Please fix the login form of the shop and then…")
        self.assertEqual(sink.whole_reasoning, "")

    def test_a_title_of_nothing_is_not_empty(self) -> None:
        sink, _ = self.ask(prompt("", tools=()))
        self.assertEqual(sink.whole_text, "Offline session")

    def test_a_history_without_tools_is_no_request_for_a_title(self) -> None:
        request = ModelRequest(model=OFFLINE, turns=(UserTurn("a"), AssistantTurn("b"), UserTurn("sum it up")))
        sink, _ = self.ask(request)
        self.assertIn("offline model", sink.whole_text)

    def test_its_configuration_names_one_free_model(self) -> None:
        config = offline_config()
        (model,) = config.models
        self.assertEqual((config.id, config.name, config.type, model.id), ("offline", "Offline", "offline", "offline"))
        self.assertEqual((model.context_window, model.default_max_tokens, model.can_reason), (200_000, 4096, True))
        self.assertEqual((model.cost_per_1m_in, model.cost_per_1m_out), (0, 0))
