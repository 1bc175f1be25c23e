"""Tokens and money (R-USE)."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.core import usage
from txcrush.model.config import ProviderConfig
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import (
    Finish,
    FinishReason,
    Message,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from txcrush.model.providers import (
    AssistantCall,
    AssistantTurn,
    CallResult,
    FilePart,
    ResultsTurn,
    SystemTurn,
    Usage,
    UserTurn,
)
from txcrush.model.sessions import Session
from txcrush.testing.conversation import Conversation
from txcrush.testing.harness import Harness, configuration, model
from txcrush.testing.scripted_provider import Step, Wait

SESSION = Session(id=SessionId("s"), prompt_tokens=7, completion_tokens=8, cost=1.5)
NONE = Usage()


def answer(*parts: Part) -> Message:
    return Message(MessageId("m"), SessionId("s"), Role.ASSISTANT, parts)


class Zero(SynchronousTestCase):
    def test_r_use_01_usage_is_zero_iff_all_six_counts_are(self) -> None:
        self.assertTrue(NONE.is_zero)
        self.assertTrue(Usage(cost=0.5).is_zero)
        for name in ("input", "output", "total", "reasoning", "cache_creation", "cache_read"):
            self.assertFalse(Usage(**{name: 1}).is_zero)


class Estimates(SynchronousTestCase):
    def test_r_use_06_a_quarter_of_the_bytes_rounded_up(self) -> None:
        self.assertEqual([usage.estimate(text) for text in ("", "a", "abcd", "abcde", "é€")], [0, 1, 1, 2, 2])

    def test_r_use_03_input_is_all_messages_and_output_is_what_was_said(self) -> None:
        turns = [SystemTurn("be kind."), UserTurn("hello"), AssistantTurn("x", "yyyyy", "seal")]
        said = answer(Reasoning("hm"), Text("abcdefgh"), ToolCall("c", "ls", "{}"), Finish(FinishReason.END_TURN, 1))
        estimated = usage.estimated(turns, said)
        # role and text of each: system 2+2, user 1+2, assistant 3+1 and 2 of reasoning
        self.assertEqual(estimated, Usage(input=13, output=1 + 2 + 2, total=18))

    def test_r_use_04_client_executed_results_are_no_output(self) -> None:
        said = answer(ToolResult("c", "ls", "a very long listing"))
        self.assertEqual(usage.estimated([], said).output, 0)

    def test_r_use_05_nothing_to_count_is_zero_usage(self) -> None:
        self.assertTrue(usage.estimated([], answer()).is_zero)

    def test_r_use_06_calls_count_by_name_and_input_results_by_id_and_text(self) -> None:
        asked = AssistantTurn(calls=(AssistantCall("id is not counted", "view", '{"a":"b"}'),))
        results = ResultsTurn((CallResult("call", "view", "12345678"),))
        self.assertEqual(usage.estimated([asked], answer()).input, 3 + 1 + 3)
        self.assertEqual(usage.estimated([results], answer()).input, 1 + 1 + 2)

    def test_r_use_06_media_counts_by_its_description_not_its_size(self) -> None:
        media = FilePart("p", "image/png", bytes(10**6))
        turn = ResultsTurn((CallResult("call", "view", "seen", media=media),))
        self.assertEqual(
            usage.estimated([turn], answer()).input, 1 + 1 + usage.estimate("image/png seen 1000000 bytes")
        )
        self.assertLess(usage.estimated([UserTurn("", (media,))], answer()).input, 20)

    def test_text_that_is_no_utf_8_is_estimated_all_the_same(self) -> None:
        self.assertEqual(usage.estimate("\ud800"), 1)


class Gauges(SynchronousTestCase):
    def gauges(self, **counts: int) -> tuple[int, int]:
        found = usage.gauges(SESSION, Usage(**counts))
        return found["prompt_tokens"], found["completion_tokens"]

    def test_the_gauges_are_the_sizes_of_the_last_request(self) -> None:
        self.assertEqual(self.gauges(input=100, cache_read=20, output=30), (120, 30))

    def test_r_use_08_zero_usage_changes_nothing(self) -> None:
        self.assertEqual((self.gauges(), usage.cost(NONE, model("m"), flat_rate=False)), ((7, 8), 0.0))

    def test_r_use_09_partial_usage_changes_only_what_it_has(self) -> None:
        self.assertEqual(self.gauges(input=100), (100, 8))
        self.assertEqual(self.gauges(cache_read=100), (100, 8))
        self.assertEqual(self.gauges(output=30), (7, 30))
        self.assertEqual(self.gauges(total=500), (7, 8))


class Estimated(SynchronousTestCase):
    def test_r_use_11_whether_usage_was_estimated_is_not_on_the_wire(self) -> None:
        talks = []
        for reported in (Usage(), Usage(input=10, output=2, total=12)):
            talk = Conversation(Harness([Step("hello", usage=reported)]))
            talk.prompt("hi")
            talks.append(talk.listener.of("session")[-1])
        estimated, counted = talks
        self.assertEqual(list(estimated), list(counted))
        self.assertGreater(estimated["prompt_tokens"], 0)


class Costs(SynchronousTestCase):
    def cost(self, used: Usage, *, flat_rate: bool = False) -> float:
        priced = model("m", cost_per_1m_in=10, cost_per_1m_out=20, cost_per_1m_in_cached=3, cost_per_1m_out_cached=5)
        return usage.cost(used, priced, flat_rate=flat_rate)

    def test_r_use_10_a_thousand_in_and_two_thousand_out_at_10_and_20_per_million(self) -> None:
        self.assertAlmostEqual(self.cost(Usage(input=1000, output=2000)), 0.05)

    def test_cached_tokens_have_their_own_prices(self) -> None:
        self.assertAlmostEqual(self.cost(Usage(cache_creation=10**6, cache_read=10**6)), 8.0)

    def test_the_providers_own_figure_wins_also_when_it_is_nothing(self) -> None:
        self.assertEqual(self.cost(Usage(input=1000, cost=0.25)), 0.25)
        self.assertEqual(self.cost(Usage(input=1000, cost=0.0)), 0.0)

    def test_a_flat_rate_costs_nothing_whatever_the_provider_says(self) -> None:
        self.assertEqual(self.cost(Usage(input=1000, cost=0.25), flat_rate=True), 0.0)


class Accounts(SynchronousTestCase):
    """What a run leaves on its session, through the whole server."""

    def after(self, *steps: Step, flat_rate: bool = False) -> Session:
        config = configuration()
        entry = config.providers["scripted"]
        values = {name: getattr(entry, name) for name in entry.__struct_fields__}
        config.providers["scripted"] = ProviderConfig(**{**values, "flat_rate": flat_rate})
        self.conversation = Conversation(Harness(steps, config=config))
        run = self.conversation.prompt("say:5", "r1")
        while self.conversation.harness.provider.waiting:
            self.conversation.harness.provider.proceed()
        self.successResultOf(run.when_ended())
        return self.conversation.workspace.sessions.get(self.conversation.session_id)

    def test_r_use_02_the_numbers_of_the_recorded_prompt(self) -> None:
        session = self.after(Step("w1 ", usage=Usage(input=1000, output=50, total=1050)))
        self.assertEqual((session.prompt_tokens, session.completion_tokens), (1000, 50))
        self.assertAlmostEqual(session.cost, 0.00114)
        self.assertEqual((session.title, session.message_count), ("A Title", 2))

    def test_r_use_02_the_stored_and_the_published_session_say_the_same(self) -> None:
        session = self.after(Step("w1 ", usage=Usage(input=1000, output=50, total=1050)))
        (stored,) = self.successResultOf(self.conversation.store.sessions())
        published = self.conversation.listener.of("session")[-1]
        self.assertEqual(stored, session)
        self.assertEqual((published["cost"], published["prompt_tokens"]), (session.cost, 1000))

    def test_r_use_07_estimated_usage_moves_the_gauges_and_costs_nothing(self) -> None:
        session = self.after(Step("abcdefgh", usage=NONE))
        self.assertEqual(session.completion_tokens, 2)
        self.assertGreater(session.prompt_tokens, 0)
        self.assertAlmostEqual(session.cost, 0.00004)  # the title's, which was reported

    def test_the_cost_grows_and_the_gauges_do_not(self) -> None:
        used = Usage(input=1000, output=50, total=1050)
        self.after(Step("w1 ", usage=used), Step("w2 ", usage=used))
        self.successResultOf(self.conversation.prompt("say:5", "r2").when_ended())
        session = self.conversation.workspace.sessions.get(self.conversation.session_id)
        self.assertEqual((session.prompt_tokens, session.completion_tokens), (1000, 50))
        self.assertAlmostEqual(session.cost, 0.00224)

    def test_at_a_flat_rate_neither_the_answer_nor_the_title_costs(self) -> None:
        session = self.after(Step("a", Wait(), "b", usage=Usage(input=1000, output=50, cost=3.0)), flat_rate=True)
        self.assertEqual((session.cost, session.prompt_tokens), (0.0, 1000))
