"""What lies in storage comes back as it went in, in the shape of `agent.md` 4.2."""

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.errors import StorageFailed
from txcrush.model.messages import (
    Binary,
    Finish,
    FinishReason,
    ImageUrl,
    Reasoning,
    ShellCommand,
    Text,
    ToolCall,
    ToolResult,
)
from txcrush.model.runs import Attachment
from txcrush.model.sessions import Todo, TodoStatus
from txcrush.wire import stored

PARTS = (
    Text("Zwölf <b>\u2028"),
    Reasoning("hm", "sig", 3, 4, "thought", "tool", {"a": [1, None]}),
    ImageUrl("http://x", "low"),
    Binary("a.png", "image/png", b"\x00\xff"),
    ToolCall("c1", "bash", '{"command":"ls"}', True, True),
    ToolResult("c1", "bash", "out", "aGk=", "image/png", '{"n":1}', True),
    Finish(FinishReason.ERROR, 7, "Too bad", "details"),
    ShellCommand("ls", "out", 2),
)


def shape(*parts: object) -> object:
    return json.loads(stored.encode_parts(parts))  # type: ignore[arg-type]


class PartsTests(SynchronousTestCase):
    def test_every_kind_of_part_survives(self) -> None:
        self.assertEqual(stored.decode_parts(stored.encode_parts(PARTS)), PARTS)

    def test_no_parts_are_an_empty_list(self) -> None:
        self.assertEqual(stored.encode_parts(()), "[]")
        self.assertEqual(stored.decode_parts("[]"), ())

    def test_a_binary_part_has_capitalised_keys_and_base64(self) -> None:
        data = {"Path": "a", "MIMEType": "text/plain", "Data": "aGk="}
        self.assertEqual(shape(Binary("a", "text/plain", b"hi")), [{"type": "binary", "data": data}])

    def test_reasoning_keeps_the_fields_that_never_leave_the_server_and_omits_unset_times(self) -> None:
        data = {"thinking": "hm", "signature": "", "thought_signature": "", "tool_id": "", "responses_data": None}
        self.assertEqual(shape(Reasoning("hm")), [{"type": "reasoning", "data": data}])

    def test_a_tool_call_keeps_its_false_flags(self) -> None:
        data = {"id": "c", "name": "ls", "input": "", "provider_executed": False, "finished": False}
        self.assertEqual(shape(ToolCall("c", "ls")), [{"type": "tool_call", "data": data}])

    def test_optional_fields_of_finish_and_image_are_omitted(self) -> None:
        finish = {"type": "finish", "data": {"reason": "stop", "time": 0}}
        image = {"type": "image_url", "data": {"url": "u"}}
        self.assertEqual(shape(Finish(FinishReason.STOP, 0), ImageUrl("u")), [finish, image])

    def test_an_unknown_type_fails_the_whole_list(self) -> None:
        text = '[{"type":"text","data":{"text":"a"}},{"type":"hologram","data":{}}]'
        error = self.assertRaises(StorageFailed, stored.decode_parts, text)
        self.assertIn("hologram", error.message)

    def test_what_is_not_json_or_has_a_wrong_type_is_a_storage_failure(self) -> None:
        for text in ("", "{", "{}", '[{"type":"text"}]', '[{"type":"text","data":{"text":1}}]'):
            self.assertRaises(StorageFailed, stored.decode_parts, text)

    @given(st.text(st.characters(exclude_categories=("Cs",))), st.binary())
    def test_any_text_and_any_bytes_survive(self, text: str, data: bytes) -> None:
        parts = (Text(text), Binary(text, text, data))
        self.assertEqual(stored.decode_parts(stored.encode_parts(parts)), parts)


class OtherJsonTests(SynchronousTestCase):
    def test_todos_survive_and_none_are_null(self) -> None:
        todos = (Todo("write", TodoStatus.IN_PROGRESS, "Writing"),)
        text = stored.encode_todos(todos)
        self.assertEqual(
            json.loads(text or ""), [{"content": "write", "status": "in_progress", "active_form": "Writing"}]
        )
        self.assertEqual(stored.decode_todos(text), todos)
        self.assertIsNone(stored.encode_todos(()))
        self.assertEqual(stored.decode_todos(None), ())

    def test_attachments_survive_and_none_are_null(self) -> None:
        attachments = (Attachment("/a/b", "b", "image/png", b"\x00\x01"),)
        self.assertEqual(stored.decode_attachments(stored.encode_attachments(attachments)), attachments)
        self.assertIsNone(stored.encode_attachments(()))
        self.assertEqual(stored.decode_attachments(None), ())

    def test_an_unknown_todo_status_is_a_storage_failure(self) -> None:
        self.assertRaises(StorageFailed, stored.decode_todos, '[{"content":"a","status":"b","active_form":"c"}]')

    def test_r_db_05_the_lock_file_is_indented_json(self) -> None:
        owner = stored.LockOwner(7, "0.1", "2026-11-24T00:00:00Z")
        raw = stored.encode_lock_owner(owner)
        self.assertEqual(raw, b'{\n  "pid": 7,\n  "version": "0.1",\n  "started_at": "2026-11-24T00:00:00Z"\n}\n')
        self.assertEqual(stored.decode_lock_owner(raw), owner)
