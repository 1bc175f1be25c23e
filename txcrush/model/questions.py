"""Questions of the agent to the people who watch: what would you like?"""

from enum import StrEnum

from msgspec import Struct

from txcrush.model.ids import BatchId, SessionId


class QuestionType(StrEnum):
    YES_NO = "yes_no"
    SINGLE_CHOICE = "single_choice"
    MULTI_CHOICE = "multi_choice"
    FREE_TEXT = "free_text"


class Choice(Struct, frozen=True, kw_only=True, omit_defaults=True):
    id: str
    label: str
    description: str = ""


class Question(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One question; the key order is the wire's."""

    id: str
    type: QuestionType
    label: str = ""
    question: str
    description: str = ""
    choices: tuple[Choice, ...] = ()


class QuestionBatch(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Questions that are asked together and answered together; the key order is the wire's."""

    id: BatchId
    session_id: SessionId
    tool_call_id: str
    questions: tuple[Question, ...]
    confirm_title: str = ""
    confirm_description: str = ""


class QuestionNotification(Struct, frozen=True):
    """The batch is settled, whoever did it: forms can be closed."""

    batch_id: BatchId


class QuestionAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What somebody answered to one question. `notes` maps a choice's id, or `_question`, to what was remarked."""

    question_id: str = ""
    selected_ids: tuple[str, ...] = ()
    fill_in_text: str = ""
    yes: bool | None = None
    notes: dict[str, str] = {}


class BatchEnd(Struct, frozen=True):
    """How a batch ended: with one answer for each question, in their order, or without any (`answers` is None).

    `nobody` says that it was a policy that withdrew it, because nobody answered.
    """

    answers: tuple[QuestionAnswer, ...] | None
    nobody: bool = False
