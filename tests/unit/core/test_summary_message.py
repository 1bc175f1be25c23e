"""When a session is summed up by itself, and what becomes of the turn in which that happens (`R-SUM`, 15.6)."""

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.instructions import SUMMARY, resumed_request
from txcrush.core.summary_message import SUMMARIZATION_ERROR, is_nearly_full
from txcrush.model.config import Options, TuiOptions
from txcrush.model.errors import ProviderError
from txcrush.model.messages import Message
from txcrush.model.providers import SystemTurn, Usage, UserTurn
from txcrush.model.runs import Attachment, Outcome, WhenBusy
from txcrush.testing.conversation import Conversation, now
from txcrush.testing.harness import Harness, configuration, model
from txcrush.testing.scripted_provider import Call, Fail, Hang, Wait
from txcrush.testing.scripted_tool import ScriptedTool

FULL = Usage(input=850, output=10, total=860)
"""What leaves too little of a window of 1,000 tokens."""

REFUSED = ProviderError("no", title="Bad Request", status=400)


class Fullness(SynchronousTestCase):
    def test_a_roomy_window_is_full_when_20_000_tokens_are_left(self) -> None:
        self.assertFalse(is_nearly_full(300_000, 279_999))
        self.assertTrue(is_nearly_full(300_000, 280_000))

    def test_any_other_when_a_fifth_is_left(self) -> None:
        self.assertFalse(is_nearly_full(200_000, 159_999))
        self.assertTrue(is_nearly_full(200_000, 160_000))
        self.assertFalse(is_nearly_full(1_004, 803))
        self.assertTrue(is_nearly_full(1_004, 804))

    def test_an_unknown_window_never_is(self) -> None:
        self.assertFalse(is_nearly_full(0, 10**9))


class FullCase(SynchronousTestCase):
    """A model with a window of 1,000 tokens."""

    options = Options(tui=TuiOptions())

    def setUp(self) -> None:
        self.tool = ScriptedTool("look")
        config = configuration(model("large", context_window=1_000), model("small"))
        self.harness = Harness(config=replace(config, options=self.options), tools=[self.tool])
        self.provider = self.harness.provider
        self.talk = Conversation(self.harness)

    def summaries(self) -> list[Message]:
        return [message for message in self.talk.messages() if message.is_summary_message]

    def is_summary(self, request: int) -> bool:
        return self.provider.requests[request].turns[0] == SystemTurn(SUMMARY)


class AfterTheLastStep(FullCase):
    def test_the_turn_ends_and_the_next_begins_from_the_summary(self) -> None:
        self.provider.add("an answer", usage=FULL)
        self.provider.add("a summary", usage=Usage(input=200, output=20, total=220))
        run = self.talk.prompt("a question", "r1")
        self.assertEqual(
            self.talk.lines(),
            ["user: a question", "assistant: an answer [end_turn]", "assistant: a summary [end_turn]"],
        )
        end = now(run.when_ended())
        self.assertEqual((end.outcome, end.text), (Outcome.COMPLETED, "an answer"))
        self.assertEqual([one["text"] for one in self.talk.completions()], ["an answer"])
        session = self.talk.workspace.sessions.get(self.talk.session_id)
        self.assertEqual((session.prompt_tokens, session.completion_tokens), (0, 20))
        self.assertEqual(session.summary_message_id, self.summaries()[0].id)
        self.provider.add("more")
        self.talk.prompt("next")
        self.assertIn(UserTurn("a summary"), self.provider.requests[-1].turns)
        self.assertNotIn(UserTurn("a question"), self.provider.requests[-1].turns)

    def test_with_room_left_nothing_is_summed_up(self) -> None:
        self.provider.add("an answer", usage=Usage(input=700, output=10, total=710))
        self.talk.prompt("a question")
        self.assertEqual(len(self.provider.requests), 1)


class BetweenTwoSteps(FullCase):
    def start(self, attachments: tuple[Attachment, ...] = ()) -> None:
        """A turn whose first step calls a tool and fills the window; the summary follows."""
        self.provider.add("let me see", Call("c1", "look"), usage=FULL)
        self.provider.add("a summ", Wait(), "ary")
        self.run_ = self.talk.prompt("a question", "r1", attachments=attachments)
        self.tool.answer("c1", "a thing")
        self.assertTrue(self.is_summary(1))

    def test_r_rc_17_the_same_run_goes_on_from_the_summary_and_ends_once(self) -> None:
        self.start((Attachment("n.txt", "n.txt", "text/plain", b"words"),))
        self.provider.add("done")
        self.provider.proceed()
        self.assertEqual(
            self.talk.lines(),
            [
                "user: a question",
                "assistant: let me see [tool_use]",
                "tool: c1 a thing",
                "assistant: a summary [end_turn]",
                f"user: {resumed_request('a question')}",
                "assistant: done [end_turn]",
            ],
        )
        turns = self.provider.requests[2].turns
        users = [turn.text for turn in turns if isinstance(turn, UserTurn) and "<system_reminder" not in turn.text]
        self.assertEqual(users[0], "a summary")
        self.assertTrue(users[1].startswith(resumed_request("a question")) and "words" in users[1])
        self.assertEqual([(one["run_id"], one["text"]) for one in self.talk.completions()], [("r1", "done")])

    def test_r_sum_10_the_session_is_busy_all_the_while_and_prompts_wait(self) -> None:
        self.start()
        self.assertTrue(self.talk.is_busy)
        later = self.talk.prompt("later", "r2")
        self.assertEqual(self.talk.queued(), ["later"])
        self.provider.add("done")
        self.provider.add("too")
        self.provider.proceed()
        self.assertEqual(now(later.when_ended()).text, "too")

    def test_r_sum_09_a_cancel_takes_the_summary_back_and_ends_the_turn(self) -> None:
        self.start()
        self.talk.cancel()
        self.assertEqual(
            self.talk.lines(), ["user: a question", "assistant: let me see [canceled]", "tool: c1 a thing"]
        )
        (complete,) = self.talk.completions()
        self.assertTrue(complete["cancelled"])
        self.assertEqual((self.talk.is_busy, len(self.provider.requests)), (False, 2))
        deleted = [one for kind, change, one in self.talk.listener.events if (kind, change) == ("message", "deleted")]
        self.assertEqual(len(deleted), 1)
        session = self.talk.workspace.sessions.get(self.talk.session_id)
        self.assertEqual((session.summary_message_id, session.message_count), ("", 3))

    def test_h_24_a_cancel_at_any_write_around_the_summary_resumes_nothing(self) -> None:
        for writes in range(7):
            with self.subTest(writes=writes):
                self.setUp()
                self.start()
                self.provider.add(Hang())
                self.talk.store.hold()
                self.provider.proceed()
                self.talk.store.release(writes)
                self.talk.cancel()
                self.talk.store.release()
                self.assertEqual(now(self.run_.when_ended()).outcome, Outcome.CANCELLED)
                self.assertEqual(len(self.talk.completions()), 1)
                self.assertNotIn("?", "".join(line[-2] for line in self.talk.lines()))
                stored = self.talk.workspace.sessions.get(self.talk.session_id)
                self.assertEqual(stored.message_count, len(self.talk.lines()))

    def test_r_sum_13_a_summary_that_fails_fails_the_turn_and_says_so_itself(self) -> None:
        self.provider.add("let me see", Call("c1", "look"), usage=FULL)
        self.provider.add("half", Fail(REFUSED))
        run = self.talk.prompt("a question", "r1")
        self.tool.answer("c1", "a thing")
        self.assertEqual(now(run.when_ended()).error, "bad request: no")
        (summary,) = self.summaries()
        assert summary.finish is not None
        self.assertEqual((summary.finish.message, summary.finish.details), (SUMMARIZATION_ERROR, "no"))
        self.assertEqual(self.talk.lines()[1], "assistant: let me see [tool_use]")
        self.assertEqual(self.talk.workspace.sessions.get(self.talk.session_id).summary_message_id, "")

    def test_a_second_summary_asks_for_the_work_in_the_same_words(self) -> None:
        self.start()
        self.provider.add(Call("c2", "look"), usage=FULL)
        self.provider.add("summed up again")
        self.provider.add("done")
        self.provider.proceed()
        self.tool.answer("c2")
        asked = [line for line in self.talk.lines() if line.startswith("user")]
        self.assertEqual(asked, ["user: a question", *[f"user: {resumed_request('a question')}"] * 2])

    def test_a_deleted_session_takes_its_summary_with_it(self) -> None:
        self.start()
        self.successResultOf(self.talk.delete())
        self.assertEqual((self.talk.lines(), self.talk.workspace.runs.live()), ([], []))

    def test_a_prompt_that_folds_joins_after_the_summary(self) -> None:
        self.start()
        self.talk.prompt("and this", when_busy=WhenBusy.STEER)
        self.provider.add("done")
        self.provider.proceed()
        self.assertEqual(self.talk.lines()[-2:], ["user: and this", "assistant: done [end_turn]"])


class SwitchedOff(FullCase):
    options = Options(tui=TuiOptions(), disable_auto_summarize=True)

    def test_nothing_is_summed_up(self) -> None:
        self.provider.add("an answer", usage=FULL)
        self.talk.prompt("a question")
        self.assertEqual((len(self.provider.requests), self.summaries()), (1, []))
