"""Questions: they queue, the first answer wins, and a cancel takes them back."""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.core.test_permissions import ALICE, BOB
from txcrush.core.policies import UNCOVERED_S
from txcrush.model.desk import DeskEntry, Settlement, parse_unanswered
from txcrush.model.errors import StorageFailed
from txcrush.model.ids import BatchId, SessionId
from txcrush.model.questions import BatchEnd, Choice, Question, QuestionAnswer, QuestionBatch, QuestionType
from txcrush.testing.conversation import Conversation, now
from txcrush.testing.harness import CLIENT, Harness

YES = QuestionAnswer(yes=True)
NOTHING = BatchId("")


def question(text: str = "Go on?", question_id: str = "") -> Question:
    return Question(id=question_id, type=QuestionType.YES_NO, question=text, description="whether")


class QuestionCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.harness = Harness()
        self.talk = Conversation(self.harness)
        self.talk.workspace.claims.attach(CLIENT)
        self.questions = self.talk.workspace.questions

    def ask(self, *asked: Question, call: str = "c1", session: str = "") -> "Deferred[BatchEnd]":
        batch = QuestionBatch(
            id=NOTHING,
            session_id=SessionId(session) or self.talk.session_id,
            tool_call_id=call,
            questions=asked or (question(),),
        )
        asking = self.questions.ask(batch)
        asking.addErrback(lambda failure: failure.trap(CancelledError) and None)
        return asking

    def answer(self, *answers: QuestionAnswer, batch_id: str = "") -> bool:
        return now(self.questions.answer(BatchId(batch_id), answers, ALICE))

    def heard(self) -> list[str]:
        """The events of questions, in order, by the tool call or the batch of the same place."""
        calls: dict[str, str] = {}
        words = []
        for kind, _, payload in self.talk.listener.events:
            if kind == "question_batch_request":
                calls[payload["id"]] = payload["tool_call_id"]
                words.append(f"{payload['tool_call_id']} asked")
            if kind == "question_batch_notification":
                words.append(f"{calls[payload['batch_id']]} closed")
        return words

    def entry(self, batch_id: str) -> DeskEntry:
        found = now(self.talk.store.desk_entry(batch_id))
        assert found is not None
        return found


class Asking(QuestionCase):
    def test_r_q_02_ids_are_minted_where_there_are_none(self) -> None:
        self.ask(question(), question(question_id="mine"))
        (batch,) = self.questions.pending()
        self.assertTrue(batch.id and batch.questions[0].id)
        self.assertEqual(batch.questions[1].id, "mine")

    def test_the_request_is_in_the_wires_shape(self) -> None:
        choices = (Choice(id="a", label="A"), Choice(id="b", label="B", description="bb"))
        pick = Question(id="q2", type=QuestionType.SINGLE_CHOICE, label="L", question="pick", choices=choices)
        self.ask(question(question_id="q1"), pick)
        (payload,) = self.talk.listener.of("question_batch_request")
        self.assertEqual(
            {**payload, "id": "B"},
            {
                "id": "B",
                "session_id": self.talk.session_id,
                "tool_call_id": "c1",
                "questions": [
                    {"id": "q1", "type": "yes_no", "question": "Go on?", "description": "whether"},
                    {
                        "id": "q2",
                        "type": "single_choice",
                        "label": "L",
                        "question": "pick",
                        "choices": [{"id": "a", "label": "A"}, {"id": "b", "label": "B", "description": "bb"}],
                    },
                ],
            },
        )
        self.assertEqual(list(payload["questions"][1]), ["id", "type", "label", "question", "choices"])

    def test_r_q_03_the_asker_waits_for_the_answer(self) -> None:
        asking = self.ask()
        self.assertFalse(asking.called)
        (batch,) = self.questions.pending()
        self.assertTrue(self.answer(YES))
        self.assertEqual(now(asking), BatchEnd((QuestionAnswer(question_id=batch.questions[0].id, yes=True),)))
        self.assertEqual(self.questions.pending(), [])

    def test_nothing_is_visible_before_its_row_is_durable(self) -> None:
        self.talk.store.hold()
        self.ask()
        self.assertEqual((self.heard(), self.questions.pending(), self.questions.shown()), ([], [], []))
        self.talk.store.release()
        self.assertEqual((self.heard(), len(self.questions.shown())), (["c1 asked"], 1))

    def test_a_store_that_refuses_fails_the_asker(self) -> None:
        self.talk.store.fail_next(StorageFailed("disk full"))
        self.failureResultOf(self.ask(), StorageFailed)
        self.talk.store.hold()
        asking = self.ask()
        self.talk.store.release(1)
        self.talk.store.fail_next(StorageFailed("disk full"))
        self.talk.store.release()
        self.failureResultOf(asking, StorageFailed)
        self.assertEqual((self.questions.pending(), self.heard()), ([], []))


class Answering(QuestionCase):
    def test_r_q_04_answers_are_taken_by_position_and_a_missing_one_was_skipped(self) -> None:
        asking = self.ask(question("A?", "a"), question("B?", "b"), question("C?", "c"))
        self.answer(QuestionAnswer(question_id="what", yes=True), QuestionAnswer(fill_in_text="x"))
        self.assertEqual(
            now(asking).answers,
            (
                QuestionAnswer(question_id="a", yes=True),
                QuestionAnswer(question_id="b", fill_in_text="x"),
                QuestionAnswer(question_id="c"),
            ),
        )

    def test_answers_that_all_name_their_question_are_taken_by_name(self) -> None:
        asking = self.ask(question("A?", "a"), question("B?", "b"))
        self.answer(QuestionAnswer(question_id="b", yes=False))
        self.assertEqual(
            now(asking).answers, (QuestionAnswer(question_id="a"), QuestionAnswer(question_id="b", yes=False))
        )

    def test_r_q_09_the_first_answer_wins_and_is_told_once(self) -> None:
        asking = self.ask()
        (batch,) = self.questions.pending()
        self.assertTrue(self.answer(YES, batch_id=batch.id))
        self.assertFalse(self.answer(QuestionAnswer(yes=False), batch_id=batch.id))
        self.assertFalse(now(self.questions.cancel(batch.id, BOB)))
        self.assertFalse(self.answer(YES))
        self.assertIs(now(asking).answers[0].yes, True)  # type: ignore[index]
        self.assertEqual(self.heard(), ["c1 asked", "c1 closed"])

    def test_r_q_06_the_answer_is_told_and_stands_in_the_book(self) -> None:
        self.ask(question(question_id="a"))
        (batch,) = self.questions.pending()
        self.answer(YES)
        self.assertEqual(self.talk.listener.of("question_batch_notification"), [{"batch_id": batch.id}])
        entry = self.entry(batch.id)
        self.assertEqual((entry.kind, entry.outcome, entry.client_id), ("question", Settlement.ANSWERED, "alice"))
        self.assertEqual(entry.subject["answers"], [{"question_id": "a", "yes": True}])

    def test_r_q_05_a_client_can_close_them_without_an_answer(self) -> None:
        asking = self.ask()
        (batch,) = self.questions.pending()
        self.assertTrue(now(self.questions.cancel(NOTHING, BOB)))
        self.assertEqual(now(asking), BatchEnd(None))
        self.assertEqual((self.heard(), self.entry(batch.id).outcome), (["c1 asked", "c1 closed"], "cancelled"))
        self.assertFalse(now(self.questions.cancel(NOTHING, BOB)))

    def test_an_answer_that_cannot_be_kept_was_not_given(self) -> None:
        asking = self.ask()
        self.talk.store.fail_next(StorageFailed("disk full"))
        with self.assertRaises(StorageFailed):
            self.answer(YES)
        self.assertEqual((asking.called, len(self.questions.shown())), (False, 1))
        self.assertTrue(self.answer(YES))


class Queueing(QuestionCase):
    def test_d_16_batches_queue_and_one_is_shown_at_a_time(self) -> None:
        first, second = self.ask(call="c1"), self.ask(call="c2", session="other")
        self.assertEqual(self.heard(), ["c1 asked"])
        self.assertEqual([batch.tool_call_id for batch in self.questions.pending()], ["c1", "c2"])
        self.answer(YES)
        self.assertEqual((first.called, second.called), (True, False))
        self.assertEqual(self.heard(), ["c1 asked", "c1 closed", "c2 asked"])
        self.answer(YES)
        self.assertTrue(second.called)

    def test_an_empty_id_means_the_oldest_and_question_ids_say_more(self) -> None:
        self.ask(question(question_id="a"), call="c1")
        second = self.ask(question(question_id="b"), call="c2")
        self.answer(QuestionAnswer(question_id="b", yes=True))
        self.assertTrue(second.called)
        self.answer(YES)
        self.assertEqual(self.heard(), ["c1 asked", "c1 closed"])  # nobody had a form of the second

    def test_one_that_is_named_is_answered_out_of_its_turn(self) -> None:
        self.ask(call="c1")
        second, third = self.ask(call="c2"), self.ask(call="c3")
        self.assertTrue(self.answer(YES, batch_id=self.questions.pending()[1].id))
        self.assertEqual((second.called, third.called), (True, False))
        self.answer(YES)
        self.assertEqual(self.heard(), ["c1 asked", "c1 closed", "c3 asked"])

    def test_a_cancel_of_the_asker_closes_the_form_and_lets_the_next_come(self) -> None:
        first = self.ask(call="c1")
        self.ask(call="c2")
        (batch, _) = self.questions.pending()
        first.cancel()
        self.assertEqual(self.heard(), ["c1 asked", "c1 closed", "c2 asked"])
        self.assertEqual((self.entry(batch.id).outcome, self.entry(batch.id).by), ("cancelled", "cancel"))

    def test_a_cancel_in_the_queue_closes_nobodys_form(self) -> None:
        self.ask(call="c1")
        self.ask(call="c2").cancel()
        self.assertEqual((self.heard(), len(self.questions.pending())), (["c1 asked"], 1))

    def test_a_cancel_before_it_is_durable_is_settled_too(self) -> None:
        self.talk.store.hold()
        self.ask().cancel()
        self.talk.store.release()
        self.assertEqual((self.heard(), now(self.talk.store.pending_desk_entries())), ([], []))


class Unanswered(QuestionCase):
    def policy(self, text: str) -> None:
        policies = self.talk.workspace.permissions.policies
        now(policies.set(self.talk.session_id, ALICE, unanswered=parse_unanswered(text)))

    def test_promise_43_deny_closes_them_after_so_many_seconds(self) -> None:
        self.policy("deny:30")
        asking = self.ask()
        self.harness.clock.advance(29)
        self.assertFalse(asking.called)
        self.harness.clock.advance(1)
        self.assertEqual(now(asking), BatchEnd(None, nobody=True))
        self.assertEqual(self.heard(), ["c1 asked", "c1 closed"])

    def test_promise_43_allow_answers_no_question_and_does_not_wait_for_ever(self) -> None:
        self.policy("allow")
        asking = self.ask()
        self.harness.clock.advance(UNCOVERED_S)
        self.assertEqual(now(asking), BatchEnd(None, nobody=True))


class Restarting(QuestionCase):
    def end(self, after: Any) -> tuple[str, str]:
        again = Conversation(Harness(stores=self.harness.stores), session_id=self.talk.session_id)
        self.assertEqual(again.workspace.questions.pending(), [])
        logged = [one.kind.value for one in now(again.store.events_after(0, 1000))]
        self.assertEqual(logged.count("question_batch_notification"), 1)
        found = now(again.store.desk_entry(after))
        assert found is not None
        return found.outcome, found.by

    def test_promise_44_after_a_kill_they_are_interrupted(self) -> None:
        self.ask()
        (batch,) = self.questions.pending()
        self.talk.store.crash()
        self.assertEqual(self.end(batch.id), ("interrupted", "restart"))

    def test_promise_44_after_a_stop_too_and_none_is_shown_meanwhile(self) -> None:
        first, second = self.ask(call="c1"), self.ask(call="c2")
        batch, _ = self.questions.pending()
        self.questions.stop()
        first.cancel()
        second.cancel()
        self.assertEqual(self.heard(), ["c1 asked", "c1 closed"])
        now(self.talk.stop())
        self.assertEqual(self.end(batch.id), ("interrupted", "restart"))
