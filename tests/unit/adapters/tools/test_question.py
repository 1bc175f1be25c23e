"""The `question` tool: what it takes, what it refuses, what the model reads."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.core.test_permissions import ALICE
from txcrush.adapters.tools.question import CONFIRM, AskQuestions, read, report
from txcrush.model.errors import Refused
from txcrush.model.ids import BatchId, MessageId, SessionId
from txcrush.model.messages import ToolCall
from txcrush.model.questions import Question, QuestionAnswer, QuestionType
from txcrush.model.tools import ToolOutput, ToolUse
from txcrush.testing.conversation import Conversation, now
from txcrush.testing.harness import Harness
from txcrush.testing.scripted_provider import Call
from txcrush.wire.json import encode_text

YES_NO = {"type": "yes_no", "question": "Go on?", "description": "whether"}
CHOICES = [{"id": "a", "label": "Apple"}, {"id": "b", "label": "Pear"}]
PICK = {"type": "single_choice", "question": "Which?", "description": "one of", "choices": CHOICES}


def use(questions: object, **more: object) -> ToolUse:
    return ToolUse(
        call=ToolCall("c1", "question", ""),
        arguments={"questions": questions, **more},
        session_id=SessionId("s"),
        message_id=MessageId("m"),
    )


class Reading(SynchronousTestCase):
    def test_t_q_01_r_q_01_a_list_may_be_written_as_a_text(self) -> None:
        native = read(use([YES_NO, PICK]))
        text = encode_text([YES_NO, PICK])
        for written in (text, f" \n{text}\t "):
            self.assertEqual(read(use(written)), native)
        for odd in ("", "yes", "{}", '"[]"', "[" * 10_000, f"{text},1", 7, {"a": 1}, [1], [{"type": 1}]):
            with self.assertRaisesRegex(Refused, "^invalid parameters: "):
                read(use(odd))

    def test_r_q_01_options_are_choices_where_there_are_none(self) -> None:
        asked = {**PICK, "choices": [], "options": CHOICES}
        self.assertEqual(read(use([asked])), read(use([PICK])))
        both = read(use([{**PICK, "options": [{"id": "z", "label": "Z"}]}]))
        self.assertEqual([choice.id for choice in both.questions[0].choices], ["a", "b"])

    def test_a_null_is_nothing(self) -> None:
        odd = {**PICK, "label": None, "choices": [{**choice, "description": None} for choice in CHOICES]}
        self.assertEqual(read(use([odd], confirm_title=None)), read(use([PICK])))

    def test_r_q_02_several_questions_get_a_confirmation(self) -> None:
        one, two = read(use([YES_NO])), read(use([YES_NO, PICK]))
        self.assertEqual((one.confirm_title, one.confirm_description), ("", ""))
        self.assertEqual((two.confirm_title, two.confirm_description), CONFIRM)
        own = read(use([YES_NO, PICK], confirm_title="Sure?"))
        self.assertEqual((own.confirm_title, own.confirm_description), ("Sure?", CONFIRM[1]))


class Refusing(SynchronousTestCase):
    def refused(self, questions: list[Any], *facts: str) -> None:
        with self.assertRaises(Refused) as caught:
            read(use(questions))
        for fact in facts:
            self.assertIn(fact, caught.exception.message)

    def test_r_q_08_the_number_of_questions(self) -> None:
        self.refused([], "at least one question")
        self.refused([YES_NO] * 6, "6 ", "at most 5")
        read(use([YES_NO] * 5))

    def test_r_q_08_the_type(self) -> None:
        self.refused([YES_NO, {**YES_NO, "type": "maybe", "label": "Go"}], "question 2 [Go]", '"maybe"', "multi_choice")

    def test_r_q_08_text_and_description(self) -> None:
        for name, limit in (("question", 240), ("description", 600)):
            self.refused([{**YES_NO, name: ""}], "question 1 [")
            self.refused([{**YES_NO, name: "x" * (limit + 1)}], str(limit), str(limit + 1))
            self.refused([{**YES_NO, name: "ä" * (limit // 2) + "x"}], str(limit), str(limit + 1))
            read(use([{**YES_NO, name: "x" * limit}]))

    def test_r_q_08_the_number_of_choices(self) -> None:
        many = [{"id": str(number), "label": "x"} for number in range(6)]
        for kind in ("single_choice", "multi_choice"):
            self.refused([{**PICK, "type": kind, "choices": []}], kind, "at least 2", "has 0", '"choices"')
            self.refused([{**PICK, "type": kind, "choices": many[:1]}], "at least 2", "has 1")
            self.refused([{**PICK, "type": kind, "choices": many}], "6 ", "at most 5")
            read(use([{**PICK, "type": kind, "choices": many[:5]}]))
        read(use([{**YES_NO, "choices": many[:1]}]))

    def test_r_q_08_each_choice(self) -> None:
        for choice, *facts in (
            ({"label": "x"}, "choice 2", '"id"'),
            ({"id": "a", "label": "x"}, "choice 2", '"a"'),
            ({"id": "b"}, "choice 2 (b)", '"label"'),
            ({"id": "b", "label": "x" * 201}, "choice 2", "label", "201", "200"),
            ({"id": "b", "label": "x", "description": "x" * 201}, "choice 2", "description", "201", "200"),
        ):
            self.refused([{**PICK, "choices": [CHOICES[0], choice]}], *facts)

    def test_a_question_is_named_by_its_label_or_the_first_40_bytes(self) -> None:
        self.refused([{**YES_NO, "question": "ä" * 30, "description": ""}], f"[{'ä' * 20}…]")
        self.refused([{**YES_NO, "label": "L", "description": ""}], "[L]")


class Reporting(SynchronousTestCase):
    def said(self, **answer: Any) -> str:
        asked = Question(id="q", type=QuestionType.MULTI_CHOICE, question="Which?")
        head, _, said = report([asked], [QuestionAnswer(question_id="q", **answer)]).partition("\n")
        self.assertEqual(head, "Q1: Which?")
        return said

    def test_t_q_02_r_q_07_selections_and_fill_in_are_both_reported(self) -> None:
        both = self.said(selected_ids=("a", 'b"<'), fill_in_text="c")
        self.assertEqual(both, 'The user chose: ["a","b\\"\\u003c"]\nThe user wrote: c')
        self.assertEqual(self.said(selected_ids=("a",)), 'The user chose: ["a"]')
        self.assertEqual(self.said(), "The user skipped this one")

    def test_r_q_07_yes_and_no(self) -> None:
        self.assertEqual((self.said(yes=True), self.said(yes=False)), ("The user says: yes", "The user says: no"))

    def test_r_q_07_notes_follow(self) -> None:
        self.assertEqual(
            self.said(yes=True, notes={"_question": "really", "b": "ripe"}),
            "The user says: yes\n\nNotes:\n- really\n- [b]: ripe",
        )


class Running(SynchronousTestCase):
    def setUp(self) -> None:
        self.harness = Harness(tools=lambda bench: [AskQuestions(bench.questions)])
        self.talk = Conversation(self.harness)
        self.questions = self.talk.workspace.questions
        self.harness.provider.add(Call("c1", "question", encode_text({"questions": [YES_NO, PICK]})))
        self.harness.provider.add("thanks")
        self.run_ = self.talk.prompt("hi", "r1")

    def test_r_q_07_the_model_reads_the_answers(self) -> None:
        answers = [QuestionAnswer(yes=True), QuestionAnswer(selected_ids=("b",))]
        now(self.questions.answer(BatchId(""), answers, ALICE))
        self.assertEqual(
            self.talk.lines()[2:],
            [
                'tool: c1 Q1: Go on?\nThe user says: yes\n\nQ2: Which?\nThe user chose: ["b"]',
                "assistant: thanks [end_turn]",
            ],
        )

    def test_r_q_05_closing_them_ends_the_turn(self) -> None:
        now(self.questions.cancel(BatchId(""), ALICE))
        self.assertEqual(
            self.talk.lines()[1:],
            ["assistant:  [end_turn]", "tool: c1 The user closed the questions without an answer"],
        )

    def test_r_q_06_a_cancelled_run_takes_them_back_and_tells(self) -> None:
        (batch,) = self.questions.pending()
        self.talk.cancel()
        self.assertEqual(self.talk.listener.of("question_batch_notification"), [{"batch_id": batch.id}])
        self.assertEqual(self.talk.lines()[1], "assistant:  [canceled]")
        self.assertEqual(self.questions.pending(), [])

    def test_nobodys_answer_ends_the_turn_too(self) -> None:
        tool = AskQuestions(self.questions)
        running = tool.run(use([YES_NO]))
        now(self.questions.cancel(self.questions.pending()[1].id, ALICE))
        output: ToolOutput = now(running)
        self.assertEqual((output.is_error, output.stop_turn), (True, True))

    def test_how_it_is_offered(self) -> None:
        spec = AskQuestions(self.questions).spec
        self.assertEqual((spec.name, spec.required, spec.parallel), ("question", ("questions",), False))
        self.assertEqual(list(spec.properties), ["questions", "confirm_title", "confirm_description"])
