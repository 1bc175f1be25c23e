"""The reference's names and shapes, as the recorded stories show them (`agent.md` 4.2, 13.4; `protocol.md` 5 to 7)."""

import json
from typing import Any

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.events import AgentEvent, AgentEventType, Change, ConfigChanged, Event, EventKind, RunComplete
from txcrush.model.ids import MessageId, RunId, SessionId, WorkspaceId
from txcrush.model.messages import (
    Binary,
    Finish,
    FinishReason,
    ImageUrl,
    Message,
    Part,
    Reasoning,
    Role,
    ShellCommand,
    Text,
    ToolCall,
    ToolResult,
)
from txcrush.model.sessions import FileVersion, Session, Todo, TodoStatus
from txcrush.wire.json import encode
from txcrush.wire.v1 import (
    NOT_READY,
    encode_event,
    file_body,
    message_body,
    part_body,
    session_body,
)

MESSAGE = Message(
    MessageId("m"), SessionId("s"), Role.ASSISTANT, (Text("w1 "),), "fake-large", "fake", created_at=1, updated_at=2
)
SESSION = Session(id=SessionId("s"), title="T", created_at=1, updated_at=2)


def on_the_wire(value: object) -> Any:
    return json.loads(encode(value))


def keys(value: object) -> list[str]:
    """The keys in their order: a client may decode an object as it comes."""
    return list(on_the_wire(value))


class Parts(SynchronousTestCase):
    def data(self, part: Part) -> Any:
        return on_the_wire(part_body(part))["data"]

    def test_every_kind_of_part_is_tagged(self) -> None:
        tags = {
            "text": Text("x"),
            "reasoning": Reasoning("x"),
            "image_url": ImageUrl("u"),
            "binary": Binary("p", "m", b""),
            "tool_call": ToolCall("c", "ls"),
            "tool_result": ToolResult("c", "ls", "ok"),
            "finish": Finish(FinishReason.STOP, 0),
            "shell_command": ShellCommand("ls", "", 0),
        }
        self.assertEqual({on_the_wire(part_body(part))["type"]: part for part in tags.values()}, tags)

    def test_reasoning_shows_only_what_is_not_the_providers_own(self) -> None:
        part = Reasoning("hm", "seal", 1, 2, "thought", "tool", {"id": "x"})
        self.assertEqual(self.data(part), {"thinking": "hm", "signature": "seal", "started_at": 1, "finished_at": 2})
        self.assertEqual(self.data(Reasoning("")), {"thinking": "", "signature": ""})

    def test_a_call_shows_that_it_is_finished_only_when_it_is(self) -> None:
        self.assertEqual(self.data(ToolCall("c", "ls")), {"id": "c", "name": "ls", "input": ""})
        done = ToolCall("c", "ls", "{}", provider_executed=True, finished=True)
        self.assertEqual(self.data(done), {"id": "c", "name": "ls", "input": "{}", "finished": True})

    def test_a_result_leaves_out_data_and_its_type_and_nothing_else(self) -> None:
        plain = {"tool_call_id": "c", "name": "ls", "content": "", "metadata": "", "is_error": False}
        self.assertEqual(self.data(ToolResult("c", "ls", "")), plain)
        media = ToolResult("c", "view", "x", "QQ==", "image/png", "{}", is_error=True)
        self.assertEqual(self.data(media), {
            "tool_call_id": "c", "name": "view", "content": "x", "data": "QQ==", "mime_type": "image/png",
            "metadata": "{}", "is_error": True,
        })  # fmt: skip

    def test_a_finish_keeps_its_time_also_when_it_is_nothing(self) -> None:
        self.assertEqual(self.data(Finish(FinishReason.STOP, 0)), {"reason": "stop", "time": 0})
        failed = Finish(FinishReason.ERROR, 5, "Bad Request", "scripted failure 400")
        self.assertEqual(self.data(failed), {
            "reason": "error", "time": 5, "message": "Bad Request", "details": "scripted failure 400",
        })  # fmt: skip

    def test_attachments_have_capital_keys_and_base64(self) -> None:
        part = Binary("/x/notes.txt", "text/plain", b"attached text")
        self.assertEqual(self.data(part), {
            "Path": "/x/notes.txt", "MIMEType": "text/plain", "Data": "YXR0YWNoZWQgdGV4dA==",
        })  # fmt: skip

    def test_the_others(self) -> None:
        self.assertEqual(self.data(ImageUrl("u")), {"url": "u"})
        self.assertEqual(self.data(ImageUrl("u", "low")), {"url": "u", "detail": "low"})
        self.assertEqual(self.data(ShellCommand("ls", "x", 1)), {"command": "ls", "output": "x", "exit_code": 1})


class Messages(SynchronousTestCase):
    def test_a_message_has_its_keys_in_the_order_of_the_wire(self) -> None:
        wanted = ["parts", "id", "role", "session_id", "model", "provider", "created_at", "updated_at"]
        self.assertEqual(keys(message_body(MESSAGE)), wanted)
        summary = replace(MESSAGE, is_summary_message=True)
        self.assertEqual(keys(message_body(summary)), [*wanted, "is_summary_message"])

    def test_an_empty_message_has_an_empty_list_of_parts(self) -> None:
        self.assertEqual(on_the_wire(message_body(replace(MESSAGE, parts=())))["parts"], [])


class Sessions(SynchronousTestCase):
    def test_a_session_shows_every_count_also_when_it_is_nothing(self) -> None:
        self.assertEqual(on_the_wire(session_body(SESSION)), {
            "id": "s", "parent_session_id": "", "title": "T", "message_count": 0, "prompt_tokens": 0,
            "completion_tokens": 0, "summary_message_id": "", "cost": 0, "created_at": 1, "updated_at": 2,
            "is_busy": False, "attached_clients": 0,
        })  # fmt: skip

    def test_todos_are_shown_where_there_are_any(self) -> None:
        todos = (Todo("a", TodoStatus.PENDING, "doing a"),)
        shown = on_the_wire(session_body(replace(SESSION, todos=todos)))["todos"]
        self.assertEqual(shown, [{"content": "a", "status": "pending", "active_form": "doing a"}])

    def test_r_sess_03_in_events_nobody_is_busy_or_attached(self) -> None:
        event = Event(EventKind.SESSION, Change.UPDATED, SESSION)
        payload = json.loads(encode_event(event))["payload"]["payload"]
        self.assertEqual((payload["is_busy"], payload["attached_clients"]), (False, 0))
        read = on_the_wire(session_body(SESSION, is_busy=True, attached_clients=2))
        self.assertEqual((read["is_busy"], read["attached_clients"]), (True, 2))


class Events(SynchronousTestCase):
    def sent(self, kind: EventKind, change: Change, payload: Any) -> Any:
        return json.loads(encode_event(Event(kind, change, payload)))

    def test_the_envelope_names_the_kind_and_then_the_change(self) -> None:
        raw = encode_event(Event(EventKind.MESSAGE, Change.CREATED, MESSAGE))
        self.assertTrue(raw.startswith(b'{"type":"message","payload":{"type":"created","payload":{"parts":['))
        self.assertNotIn(b"\n", raw)

    def test_r_stream_an_event_and_a_read_of_a_message_say_the_same(self) -> None:
        event = self.sent(EventKind.MESSAGE, Change.UPDATED, MESSAGE)
        self.assertEqual(event["payload"]["payload"], on_the_wire(message_body(MESSAGE)))

    def test_the_end_of_a_run_leaves_out_what_is_empty(self) -> None:
        done = RunComplete(session_id=SessionId("s"), run_id=RunId("r"), message_id=MessageId("m"), text="w1 ")
        payload = self.sent(EventKind.RUN_COMPLETE, Change.UPDATED, done)["payload"]["payload"]
        self.assertEqual(payload, {"session_id": "s", "run_id": "r", "message_id": "m", "text": "w1 "})
        cleared = RunComplete(session_id=SessionId("s"), message_id=MessageId(""), cancelled=True)
        payload = self.sent(EventKind.RUN_COMPLETE, Change.UPDATED, cleared)["payload"]["payload"]
        self.assertEqual(payload, {"session_id": "s", "message_id": "", "cancelled": True})

    def test_an_agent_event_holds_an_empty_message(self) -> None:
        empty = {"parts": [], "id": "", "role": "", "session_id": "", "model": "", "provider": "",
                 "created_at": 0, "updated_at": 0}  # fmt: skip
        finished = AgentEvent(type=AgentEventType.FINISHED, session_id=SessionId("s"), session_title="T")
        payload = self.sent(EventKind.AGENT_EVENT, Change.CREATED, finished)["payload"]["payload"]
        wanted = {"type": "agent_finished", "message": empty, "session_id": "s", "session_title": "T"}
        self.assertEqual(payload, wanted)
        failed = AgentEvent(type=AgentEventType.ERROR, session_id=SessionId("s"), run_id=RunId("r"), error="no")
        payload = self.sent(EventKind.AGENT_EVENT, Change.CREATED, failed)["payload"]["payload"]
        self.assertEqual(payload, {
            "error": "no", "type": "error", "message": empty, "run_id": "r", "session_id": "s",
        })  # fmt: skip

    def test_files_and_configurations(self) -> None:
        version = FileVersion(id="f", session_id=SessionId("s"), path="/x", content="c", version=1, created_at=1)
        sent = self.sent(EventKind.FILE, Change.CREATED, version)["payload"]["payload"]
        self.assertEqual(sent, on_the_wire(file_body(version)))
        changed = self.sent(EventKind.CONFIG_CHANGED, Change.UPDATED, ConfigChanged(WorkspaceId("w")))
        self.assertEqual(changed["payload"]["payload"], {"workspace_id": "w"})

    def test_promise_14_text_that_is_no_unicode_still_makes_an_event(self) -> None:
        broken = replace(MESSAGE, parts=(ToolResult("c", "bash", "a\udcffb"),))
        sent = self.sent(EventKind.MESSAGE, Change.UPDATED, broken)
        self.assertEqual(sent["payload"]["payload"]["parts"][0]["data"]["content"], "a�b")
        self.assertEqual(sent["payload"]["payload"]["id"], "m")


class Others(SynchronousTestCase):
    def test_an_agent_that_is_not_ready_has_an_empty_model(self) -> None:
        shown = on_the_wire(NOT_READY)
        self.assertEqual((shown["is_busy"], shown["is_ready"], shown["model"]["id"]), (False, False, ""))
