"""Naming a session (R-TITLE)."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.agents import Brain, Crew
from txcrush.core.events import EventLog
from txcrush.core.instructions import TITLE
from txcrush.core.sessions import Sessions
from txcrush.core.titles import MAX_TOKENS, UNTITLED, Titles, clean, from_prompt
from txcrush.model.config import ProviderConfig, SelectedModel
from txcrush.model.errors import ProviderError, StorageFailed
from txcrush.model.ids import SessionId
from txcrush.model.messages import FinishReason
from txcrush.model.providers import ModelReply, ModelRequest, SystemTurn, Usage, UserTurn
from txcrush.model.sessions import Session
from txcrush.model.storage import PutSession
from txcrush.ports import StreamSink
from txcrush.testing import harness as harness_module
from txcrush.testing.conversation import Conversation
from txcrush.testing.harness import NOW_S, Harness, Listener, model
from txcrush.testing.memory_store import MemoryStore
from txcrush.testing.scripted_provider import Call, Fail, Hang, Say, ScriptedProvider, Step, Think, Wait
from txcrush.wire.sse import frame
from txcrush.wire.v1 import encode_event

SESSION = Session(id=SessionId("s"), title="T", prompt_tokens=100, completion_tokens=10, cost=0.5)
REFUSED = ProviderError("no", title="Bad Request", status=400)
BUSY = ProviderError("later", title="Too Many Requests", status=429, retryable=True)
USED = Usage(input=30, output=5, total=35, cache_creation=7, cache_read=1000)


class Cleaning(SynchronousTestCase):
    def test_r_title_04_newlines_are_blanks_and_the_ends_are_trimmed(self) -> None:
        self.assertEqual(clean("\n A\nfine title \n"), "A fine title")
        self.assertEqual(clean("A\r\ntitle\u2028here"), "A title here")

    def test_r_title_04_what_it_thought_is_no_part_of_it(self) -> None:
        self.assertEqual(clean("<think>\nhm\n</think>\n\nA Title<think>x</think>"), "A Title")

    def test_r_title_04_stray_think_tags_go(self) -> None:
        self.assertEqual(clean("</think>A Title<think>"), "A Title")

    def test_r_title_04_an_answer_is_not_cut(self) -> None:
        self.assertEqual(clean("x" * 300), "x" * 300)


class Fallback(SynchronousTestCase):
    def test_r_title_05_a_short_prompt_is_its_own_title_on_one_line(self) -> None:
        self.assertEqual(from_prompt(" fix\nthe build "), "fix the build")
        self.assertEqual(from_prompt("x" * 50), "x" * 50)

    def test_r_title_05_a_long_prompt_is_cut_to_50_columns_with_an_ellipsis(self) -> None:
        self.assertEqual(from_prompt("x" * 51), "x" * 49 + "…")

    def test_r_title_05_wide_characters_take_two_columns(self) -> None:
        self.assertEqual(from_prompt("字" * 25), "字" * 25)
        self.assertEqual(from_prompt("字" * 26), "字" * 24 + "…")
        self.assertEqual(from_prompt("a" + "字" * 30), "a" + "字" * 24 + "…")

    def test_r_title_05_combining_marks_take_none_and_stay_with_their_letter(self) -> None:
        accented = "e\u0301"
        self.assertEqual(from_prompt(accented * 50), accented * 50)
        self.assertEqual(from_prompt(accented * 51), accented * 49 + "…")

    def test_r_title_05_nothing_at_all_is_untitled(self) -> None:
        self.assertEqual(from_prompt(" \n "), UNTITLED)

    def test_a_prompt_of_megabytes_is_cut_in_one_pass(self) -> None:
        self.assertEqual(from_prompt("x" * 5_000_000), "x" * 49 + "…")


class TitlesCase(SynchronousTestCase):
    """One session, a small and a large model of the same scripted provider."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW_S)
        self.store = MemoryStore()
        self.store.write(PutSession(SESSION))
        self.events = EventLog(self.store, encode_event, frame, self.clock, 0)
        self.listener = Listener()
        self.events.subscribe(self.listener)
        self.sessions = Sessions(self.events, self.clock, iter("xyz").__next__, [SESSION])
        self.titles = Titles(self.sessions, self.clock)
        self.provider = ScriptedProvider((), self.clock)
        self.prefix = ""
        self.small = model("small")

    def start(self, *steps: Step, prompt: str = "please fix the build") -> None:
        for step in steps:
            self.provider.add(*step.acts, usage=step.usage, finish=step.finish)
        config = ProviderConfig("scripted", system_prompt_prefix=self.prefix)
        small, large = (
            Brain(SelectedModel(one.id, "scripted"), one, config, self.provider) for one in (self.small, model("large"))
        )
        self.titles.start(SESSION.id, prompt, Crew(large, small, "", True))

    def session(self) -> Session:
        return self.sessions.get(SESSION.id)

    def stored(self) -> Session:
        (found,) = self.successResultOf(self.store.sessions())
        return found

    def asked(self) -> list[str]:
        return [request.model for request in self.provider.requests]


class Asking(TitlesCase):
    def test_r_title_01_an_empty_prompt_makes_no_title(self) -> None:
        self.start(prompt="")
        self.assertEqual((self.asked(), self.session().title), ([], "T"))

    def test_r_title_02_the_small_model_is_asked_first_and_alone(self) -> None:
        self.start(Step("A Title"))
        self.assertEqual((self.asked(), self.session().title), (["small"], "A Title"))

    def test_r_title_02_after_an_error_the_large_one_is_asked(self) -> None:
        self.start(Step(Fail(REFUSED)), Step("B"))
        self.assertEqual((self.asked(), self.session().title), (["small", "large"], "B"))

    def test_r_title_02_after_a_cut_answer_the_large_one_is_asked(self) -> None:
        self.start(Step("Half a", finish=FinishReason.MAX_TOKENS), Step("B"))
        self.assertEqual((self.asked(), self.session().title), (["small", "large"], "B"))

    def test_r_title_02_the_retry_policy_holds_for_each_and_nothing_of_a_failed_try_stays(self) -> None:
        self.start(Step("wrong", Fail(BUSY)), Step("right"))
        self.assertEqual(self.session().title, "T")
        self.clock.advance(5)
        self.assertEqual((self.asked(), self.session().title), (["small", "small"], "right"))

    def test_r_title_03_the_request_has_40_tokens_no_tools_and_the_rules(self) -> None:
        self.prefix = "PREFIX"
        self.start(Step("A Title"))
        (request,) = self.provider.requests
        self.assertEqual((request.max_tokens, request.tools, request.temperature), (MAX_TOKENS, (), None))
        self.assertEqual(request.turns[:2], (SystemTurn("PREFIX"), SystemTurn(TITLE)))
        self.assertTrue(request.affinity)
        (asked,) = request.turns[2:]
        self.assertIn("please fix the build", asked.text)
        self.assertIn("<think>\n\n</think>", asked.text)
        self.assertIsInstance(asked, UserTurn)

    def test_r_title_03_a_model_that_can_reason_gets_its_own_limit(self) -> None:
        self.small = model("small", can_reason=True, default_max_tokens=777)
        self.start(Step("A Title"))
        self.assertEqual(self.provider.requests[0].max_tokens, 777)

    def test_reasoning_and_calls_are_no_part_of_a_title(self) -> None:
        self.start(Step(Think("hm"), "A ", Call("c", "ls"), Say("Title"), finish=FinishReason.END_TURN))
        self.assertEqual(self.session().title, "A Title")


class Saving(TitlesCase):
    def test_r_title_05_an_answer_that_is_empty_after_cleaning_gives_way_to_the_prompt(self) -> None:
        self.start(Step("<think>hm</think>\n"))
        self.assertEqual((self.asked(), self.session().title), (["small"], "please fix the build"))

    def test_r_title_06_both_failed(self) -> None:
        self.start(Step(Fail(REFUSED)), Step("x", finish=FinishReason.MAX_TOKENS))
        self.assertEqual((self.session().title, self.stored().title), (UNTITLED, UNTITLED))
        self.assertEqual(self.session().cost, SESSION.cost)

    def test_r_title_06_saving_failed(self) -> None:
        self.start(Step(Wait(), "A Title"))
        self.store.fail_next(StorageFailed("disk full"))
        self.provider.proceed()
        self.assertEqual((self.stored().title, self.listener.of("session")[-1]["title"]), (UNTITLED, UNTITLED))

    def test_r_title_07_title_tokens_and_cost_are_added_in_one_write_and_published(self) -> None:
        before = self.store.writes
        self.start(Step("A Title", usage=USED))
        session = self.stored()
        self.assertEqual((session.title, session.prompt_tokens, session.completion_tokens), ("A Title", 137, 15))
        self.assertAlmostEqual(session.cost, 0.5 + 0.00004)
        self.assertEqual(self.store.writes, before + 1)
        (published,) = self.listener.of("session")
        self.assertEqual((published["title"], published["prompt_tokens"]), ("A Title", 137))

    def test_r_title_07_what_changed_while_it_was_made_is_added_to_not_overwritten(self) -> None:
        self.start(Step("A Title", Wait(), usage=USED))
        self.successResultOf(Deferred.fromCoroutine(self.sessions.update(SESSION.id, cost=9.0, prompt_tokens=1000)))
        self.provider.proceed()
        self.assertEqual(self.session().prompt_tokens, 1037)
        self.assertAlmostEqual(self.session().cost, 9.00004)

    def test_r_title_08_no_later_write_of_the_session_brings_the_old_title_back(self) -> None:
        self.store.hold()
        self.start(Step("A Title"))
        self.sessions.changed(SESSION.id, prompt_tokens=5)
        counted = self.sessions.counted(SESSION.id, 1)
        self.store.write(*counted)
        self.store.release()
        self.assertEqual((self.stored().title, self.stored().message_count), ("A Title", 1))

    def test_a_session_that_is_gone_needs_no_title(self) -> None:
        self.start(Step("A Title", Wait()))
        self.successResultOf(self.sessions.delete(SESSION.id))
        self.provider.proceed()
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertFalse(self.sessions.exists(SESSION.id))


class Stopping(TitlesCase):
    def test_a_stop_gives_up_the_request(self) -> None:
        self.start(Step("A Title", Hang()))
        self.titles.stop()
        self.assertEqual((len(self.provider.cancelled), self.session().title), (1, "T"))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_stop_gives_up_the_wait_for_another_try(self) -> None:
        self.start(Step(Fail(BUSY)))
        self.titles.stop()
        self.assertEqual((self.clock.getDelayedCalls(), self.asked()), ([], ["small"]))

    def test_a_stop_while_it_is_saved_lets_the_write_go_through(self) -> None:
        self.store.hold()
        self.start(Step("A Title"))
        self.titles.stop()
        self.store.release()
        self.assertEqual(self.stored().title, "A Title")

    def test_a_stop_without_titles_is_nothing(self) -> None:
        self.start(Step("A Title"))
        self.titles.stop()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_crash_is_reported_and_harms_nobody(self) -> None:
        self.start()  # the script has no step: a bug, not a provider's failure
        self.assertEqual(len(self.flushLoggedErrors(AssertionError)), 1)
        self.assertEqual(self.session().title, "T")


class Slowly:
    """Answers titles when it is told to, and everything else from its script."""

    def __init__(self, provider: ScriptedProvider) -> None:
        self._provider = provider
        self.titles: list[tuple[Deferred[ModelReply], StreamSink]] = []

    def stream(self, request: ModelRequest, sink: StreamSink) -> Deferred[ModelReply]:
        if SystemTurn(TITLE) not in request.turns:
            return self._provider.stream(request, sink)
        self.titles.append((Deferred(), sink))
        return self.titles[-1][0]

    def answer(self, title: str) -> None:
        asked, sink = self.titles.pop(0)
        sink.text(title)
        asked.callback(ModelReply(finish=FinishReason.END_TURN, usage=Usage(input=30, output=5, total=35)))


class DuringRuns(SynchronousTestCase):
    """Titles beside the runs of a whole server."""

    def setUp(self) -> None:
        harness = Harness()
        self.provider = harness.provider
        self.slowly = Slowly(self.provider)
        self.patch(harness_module, "TitlesAside", lambda *_: self.slowly)
        self.conversation = Conversation(harness)

    def title(self) -> str:
        return self.conversation.workspace.sessions.get(self.conversation.session_id).title

    def test_r_title_01_a_run_does_not_wait_for_its_title(self) -> None:
        self.provider.add("hello")
        self.successResultOf(self.conversation.prompt("hi", "r1").when_ended())
        self.assertEqual(self.title(), "A Session")
        self.slowly.answer("Late Title")
        self.assertEqual(self.title(), "Late Title")

    def test_r_title_01_a_title_survives_the_cancel_of_its_run(self) -> None:
        self.provider.add(Hang())
        run = self.conversation.prompt("hi", "r1")
        self.conversation.cancel()
        self.assertEqual(self.successResultOf(run.when_ended()).outcome, "cancelled")
        self.slowly.answer("A Title")
        self.assertEqual(self.title(), "A Title")

    def test_r_title_01_only_the_first_words_make_a_title(self) -> None:
        self.provider.add("one")
        self.provider.add("two")
        self.conversation.prompt("hi", "r1")
        self.conversation.prompt("again", "r2")
        self.assertEqual(len(self.slowly.titles), 1)

    def test_r_title_08_a_step_that_ends_after_the_title_keeps_it(self) -> None:
        self.provider.add("a", Wait(), usage=Usage(input=1000, output=50))
        self.conversation.prompt("hi", "r1")
        self.slowly.answer("A Title")
        self.provider.proceed()
        (stored,) = self.successResultOf(self.conversation.store.sessions())
        self.assertEqual((stored.title, stored.prompt_tokens), ("A Title", 1000))
        self.assertAlmostEqual(stored.cost, 0.00114)
        self.assertEqual(self.conversation.listener.of("agent_event")[-1]["session_title"], "A Title")
