"""The todo list of a session, as a model replaces it (`tools.md` 21)."""

from typing import Any

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.tools.todos import Todos
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import ToolCall
from txcrush.model.sessions import Session, Todo, TodoStatus
from txcrush.model.tools import ToolOutput, ToolUse
from txcrush.wire.json import encode_text, parse_object


class OneSession:
    """A sessions service with one session in memory."""

    def __init__(self) -> None:
        self.session = Session(id=SessionId("s"))

    def get(self, session_id: SessionId) -> Session:
        return self.session

    async def update(self, session_id: SessionId, **changes: Any) -> Session:
        self.session = replace(self.session, **changes)
        return self.session


def item(content: str, status: str = "pending") -> dict[str, str]:
    return {"content": content, "status": status, "active_form": f"{content}ing"}


class TodosCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.sessions = OneSession()
        self.tool = Todos(self.sessions, encode_text)

    def call(self, todos: object) -> ToolOutput:
        return self.successResultOf(self.tool.run(self.use(todos)))

    def use(self, todos: object) -> ToolUse:
        return ToolUse(
            call=ToolCall("c1", "todos"),
            arguments={"todos": todos},
            session_id=SessionId("s"),
            message_id=MessageId("m"),
        )


class Saving(TodosCase):
    def test_the_list_lands_on_the_session_and_its_counts_are_told(self) -> None:
        output = self.call([item("walk"), item("talk", "in_progress")])
        self.assertEqual(
            self.sessions.session.todos,
            (Todo("walk", TodoStatus.PENDING, "walking"), Todo("talk", TodoStatus.IN_PROGRESS, "talking")),
        )
        self.assertIn("Status: 1 pending, 1 in progress, 0 completed", output.content)
        self.assertFalse(output.is_error)

    def test_r_sess_06_the_whole_list_is_replaced(self) -> None:
        self.call([item("walk"), item("talk")])
        self.call([item("sing")])
        self.assertEqual([todo.content for todo in self.sessions.session.todos], ["sing"])

    def test_the_metadata_says_what_has_changed(self) -> None:
        self.call([item("walk"), item("talk", "in_progress")])
        changed = parse_object(self.call([item("walk", "in_progress"), item("talk", "completed")]).metadata)
        self.assertEqual((changed["is_new"], changed["completed"], changed["total"]), (False, 1, 2))
        self.assertEqual((changed["just_completed"], changed["just_started"]), (["talk"], "walking"))


class Refusing(TodosCase):
    def test_what_the_model_can_put_right_is_a_result(self) -> None:
        for todos in ("walk", ["walk"], [{"content": 1, "status": "pending", "active_form": "x"}]):
            output = self.call(todos)
            self.assertTrue(output.is_error)
            self.assertIn("invalid parameters", output.content)
        self.assertEqual(self.sessions.session.todos, ())

    def test_r_sess_06_d_14_an_unknown_status_is_an_error_result_and_saves_nothing(self) -> None:
        output = self.call([item("talk"), item("walk", "sleeping")])
        self.assertEqual((output.content, output.is_error), ('invalid status "sleeping" for todo "walk"', True))
        self.assertEqual(self.sessions.session.todos, ())
