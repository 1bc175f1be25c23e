"""The `question` tool: ask the user something and wait (`tools.md` 22)."""

from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import Deferred

from txcrush.adapters.tools import specs
from txcrush.core.questions import Questions
from txcrush.model.errors import Refused
from txcrush.model.ids import BatchId
from txcrush.model.questions import Choice, Question, QuestionAnswer, QuestionBatch, QuestionType
from txcrush.model.tools import ToolOutput, ToolSpec, ToolUse
from txcrush.ports import Tool
from txcrush.wire.json import encode_text, parse_list

MOST_QUESTIONS = 5
TEXT_BYTES = 240
DESCRIPTION_BYTES = 600
FEWEST_CHOICES = 2
MOST_CHOICES = 5
CHOICE_BYTES = 200
"""Of a choice's label, and of its description."""

SHOWN_BYTES = 40
TYPES = ", ".join(QuestionType)
CHOICE_TYPES = (QuestionType.SINGLE_CHOICE, QuestionType.MULTI_CHOICE)
CONFIRM = ("Ready to go?", "Review your answers above and confirm.")
"""What clients show above and below the button that sends several answers."""

CLOSED = ToolOutput(content="The user closed the questions without an answer", is_error=True, stop_turn=True)
NOBODY = ToolOutput(content="Nobody answered the questions in time", is_error=True, stop_turn=True)

_CHOICE = {
    "type": "object",
    "properties": {
        "id": specs.text("A short name, once in the question"),
        "label": specs.text("What the user reads"),
        "description": specs.text("What choosing it means"),
    },
    "required": ["id", "label"],
}
_QUESTION = {
    "type": "object",
    "properties": {
        "type": specs.text(TYPES),
        "question": specs.text("The question itself"),
        "description": specs.text("Why it is asked, what follows from the answer"),
        "label": specs.text("One or two words that name the question"),
        "choices": {"type": "array", "description": "What can be chosen", "items": _CHOICE},
    },
    "required": ["type", "question", "description"],
}


class AskedChoice(Struct):
    """A choice as the model wrote it."""

    id: str = ""
    label: str = ""
    description: str = ""


class AskedQuestion(Struct):
    """A question as the model wrote it; `options` is what some models call the choices."""

    type: str = ""
    question: str = ""
    description: str = ""
    label: str = ""
    choices: list[AskedChoice] = []
    options: list[AskedChoice] = []


class Arguments(Struct):
    questions: list[AskedQuestion]
    confirm_title: str = ""
    confirm_description: str = ""


class AskQuestions:
    """The tool. It asks by `questions`, the workspace's service."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        self._spec = specs.described(
            "question",
            {
                "questions": {"type": "array", "description": "1 to 5 questions", "items": _QUESTION},
                "confirm_title": specs.text("A heading over the button that sends several answers"),
                "confirm_description": specs.text("A line below that heading"),
            },
            "questions",
        )

    @property
    def spec(self) -> ToolSpec:
        return self._spec

    def run(self, use: ToolUse) -> "Deferred[ToolOutput]":
        """See `ports.Tool`."""
        return Deferred.fromCoroutine(self._run(use))

    async def _run(self, use: ToolUse) -> ToolOutput:
        batch = read(use)
        end = await self._questions.ask(batch)
        if end.answers is None:
            return NOBODY if end.nobody else CLOSED
        return ToolOutput(content=report(batch.questions, end.answers))


def read(use: ToolUse) -> QuestionBatch:
    """The batch that the model asks for, its ids still to be minted. Raises `Refused` with what is wrong."""
    asked = specs.arguments(replace(use, arguments=_arguments(use)), Arguments)
    check(asked.questions)
    confirm = CONFIRM if len(asked.questions) > 1 else ("", "")
    return QuestionBatch(
        id=BatchId(""),
        session_id=use.session_id,
        tool_call_id=use.call.id,
        questions=tuple(_question(one) for one in asked.questions),
        confirm_title=asked.confirm_title or confirm[0],
        confirm_description=asked.confirm_description or confirm[1],
    )


def _arguments(use: ToolUse) -> dict[str, object]:
    """The arguments. Some models write the list of questions as a text."""
    questions = use.arguments.get("questions")
    if isinstance(questions, str):
        try:
            questions = parse_list(questions.strip())
        except ValueError as error:
            raise Refused(f"invalid parameters: questions: {error}") from error
    return {**use.arguments, "questions": _without_nulls(questions)}


def _without_nulls(value: object) -> object:
    """A null inside is the same as nothing."""
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    return value


def _question(asked: AskedQuestion) -> Question:
    return Question(
        id="",
        type=QuestionType(asked.type),
        label=asked.label,
        question=asked.question,
        description=asked.description,
        choices=tuple(Choice(id=one.id, label=one.label, description=one.description) for one in choices_of(asked)),
    )


def choices_of(asked: AskedQuestion) -> list[AskedChoice]:
    return asked.choices or asked.options


def check(questions: Sequence[AskedQuestion]) -> None:
    """Raises `Refused` with the first thing that is wrong."""
    if not questions:
        raise Refused("there must be at least one question")
    if len(questions) > MOST_QUESTIONS:
        raise Refused(
            f"{len(questions)} questions are too many: at most {MOST_QUESTIONS} go into one call. Ask the first now, "
            "and say that more will follow"
        )
    for number, asked in enumerate(questions, 1):
        problem = next(problems(asked), None)
        if problem is not None:
            raise Refused(f"question {number} [{_name(asked)}]: {problem}")


def problems(asked: AskedQuestion) -> Iterator[str]:
    """Everything that is wrong with a question. Sizes are bytes."""
    if asked.type not in frozenset(QuestionType):
        yield f'"{asked.type}" is no type of question: use one of {TYPES}'
        return
    if not asked.question:
        yield "the question has no text"
    yield from _too_long("the text", asked.question, TEXT_BYTES)
    if not asked.description:
        yield "the description is missing"
    yield from _too_long("the description", asked.description, DESCRIPTION_BYTES)
    if asked.type in CHOICE_TYPES:
        yield from _choice_problems(asked.type, choices_of(asked))


def _choice_problems(kind: str, choices: Sequence[AskedChoice]) -> Iterator[str]:
    if len(choices) < FEWEST_CHOICES:
        yield f'{kind} needs at least {FEWEST_CHOICES} entries in "choices", and has {len(choices)}'
    if len(choices) > MOST_CHOICES:
        yield f"{len(choices)} choices are too many: at most {MOST_CHOICES} can be offered"
    seen: set[str] = set()
    for number, choice in enumerate(choices, 1):
        if not choice.id:
            yield f'choice {number} has no "id"'
        if choice.id in seen:
            yield f'choice {number} has the id "{choice.id}" of another choice'
        seen.add(choice.id)
        if not choice.label:
            yield f'choice {number} ({choice.id}) has no "label"'
        yield from _too_long(f"the label of choice {number}", choice.label, CHOICE_BYTES)
        yield from _too_long(f"the description of choice {number}", choice.description, CHOICE_BYTES)


def _too_long(what: str, text: str, limit: int) -> Iterator[str]:
    size = len(text.encode())
    if size > limit:
        yield f"{what} has {size} characters, at most {limit} are allowed"


def _name(asked: AskedQuestion) -> str:
    """What the model knows the question by."""
    text = asked.question.encode()
    shown = text[:SHOWN_BYTES].decode(errors="ignore")
    return asked.label or (f"{shown}…" if len(text) > SHOWN_BYTES else shown)


def report(questions: Sequence[Question], answers: Sequence[QuestionAnswer]) -> str:
    """The answers as the model reads them, in the order of the questions."""
    pairs = zip(questions, answers, strict=True)
    return "\n\n".join(f"Q{number}: {one.question}\n{_said(said)}" for number, (one, said) in enumerate(pairs, 1))


def _said(answer: QuestionAnswer) -> str:
    lines = []
    if answer.yes is not None:
        lines.append(f"The user says: {'yes' if answer.yes else 'no'}")
    if answer.selected_ids:
        lines.append(f"The user chose: {encode_text(answer.selected_ids)}")
    if answer.fill_in_text:
        lines.append(f"The user wrote: {answer.fill_in_text}")
    said = "\n".join(lines) or "The user skipped this one"
    notes = [f"\n- {note}" if key == "_question" else f"\n- [{key}]: {note}" for key, note in answer.notes.items()]
    return f"{said}\n\nNotes:{''.join(notes)}" if notes else said


def _conforms(tool: AskQuestions) -> Tool:
    return tool
