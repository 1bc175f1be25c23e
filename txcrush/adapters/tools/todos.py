"""The todo list of a session (`tools.md` 21)."""

from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Protocol

from msgspec import Struct
from twisted.internet.defer import Deferred

from txcrush.model.ids import SessionId
from txcrush.model.sessions import Session, Todo, TodoStatus
from txcrush.model.tools import ToolOutput, ToolSpec, ToolUse

SPEC = ToolSpec(
    name="todos",
    description=(
        "Replaces the todo list of this session. Use it when the work has several steps: write all of them down first, "
        "keep exactly one in progress while you work on it, and mark each completed as soon as it is. Pass the whole "
        "list every time. Skip it for work of one or two steps."
    ),
    properties={
        "todos": {
            "type": "array",
            "description": "The whole list, in order",
            "items": {
                "type": "object",
                "properties": {
                    "content": {"type": "string", "description": "What is to be done, as an order: Run the tests"},
                    "status": {"type": "string", "description": "pending, in_progress or completed"},
                    "active_form": {"type": "string", "description": "The same while it is done: Running the tests"},
                },
                "required": ["content", "status", "active_form"],
            },
        }
    },
    required=("todos",),
)
"""How the tool is offered."""

CHANGED = (
    "The list is saved. Keep it true while you work: one item in progress at a time, each completed as soon as it is. "
    "Go on with the current item now."
)


class SavedTodos(Struct, omit_defaults=True, kw_only=True):
    """What clients draw the call from."""

    is_new: bool
    todos: tuple[Todo, ...]
    just_completed: tuple[str, ...] = ()
    just_started: str = ""
    completed: int
    total: int


class TodoSessions(Protocol):
    """The part of the sessions service that the tool needs."""

    def get(self, session_id: SessionId) -> Session: ...
    def update(self, session_id: SessionId, **changes: object) -> "Coroutine[Deferred[object], object, Session]": ...


class Todos:
    """The `todos` tool. `encode` turns the metadata into JSON text."""

    spec = SPEC

    def __init__(self, sessions: TodoSessions, encode: Callable[[object], str]) -> None:
        self._sessions = sessions
        self._encode = encode

    def run(self, use: ToolUse) -> "Deferred[ToolOutput]":
        """Replaces the list; nothing is saved where an item is not as it should be."""
        return Deferred.fromCoroutine(self._run(use))

    async def _run(self, use: ToolUse) -> ToolOutput:
        try:
            todos = read(use.arguments["todos"])
        except ValueError as error:
            return ToolOutput(content=str(error), is_error=True)
        before = self._sessions.get(use.session_id).todos
        await self._sessions.update(use.session_id, todos=todos)
        return ToolOutput(content=report(todos), metadata=self._encode(saved(before, todos)))


def read(value: object) -> tuple[Todo, ...]:
    """The list as the model wrote it. Raises ValueError with what is wrong."""
    if not isinstance(value, list):
        raise ValueError("invalid parameters: todos must be a list")
    return tuple(_item(item) for item in value)


def _item(item: object) -> Todo:
    if not isinstance(item, dict):
        raise ValueError("invalid parameters: each todo must be an object with content, status and active_form")
    content, status, active_form = (item.get(key, "") for key in ("content", "status", "active_form"))
    if not all(isinstance(text, str) for text in (content, status, active_form)):
        raise ValueError("invalid parameters: content, status and active_form of a todo are texts")
    if status not in {known.value for known in TodoStatus}:
        raise ValueError(f'invalid status "{status}" for todo "{content}"')
    return Todo(content, TodoStatus(status), active_form)


def report(todos: tuple[Todo, ...]) -> str:
    """What the model gets back."""
    count = Counter(todo.status for todo in todos)
    return (
        "Todo list updated successfully.\n\n"
        f"Status: {count[TodoStatus.PENDING]} pending, {count[TodoStatus.IN_PROGRESS]} in progress, "
        f"{count[TodoStatus.COMPLETED]} completed\n{CHANGED}"
    )


def saved(before: tuple[Todo, ...], after: tuple[Todo, ...]) -> SavedTodos:
    """What changed between two lists; items are the same when their content is."""
    was = {todo.content: todo.status for todo in before}
    completed = [todo.content for todo in after if todo.status == TodoStatus.COMPLETED]
    begun = [
        todo.active_form or todo.content
        for todo in after
        if todo.status == TodoStatus.IN_PROGRESS and was.get(todo.content) != TodoStatus.IN_PROGRESS
    ]
    return SavedTodos(
        is_new=not before,
        todos=after,
        just_completed=tuple(
            content for content in completed if was.get(content, TodoStatus.COMPLETED) != TodoStatus.COMPLETED
        ),
        just_started=begun[-1] if begun else "",
        completed=len(completed),
        total=len(after),
    )
