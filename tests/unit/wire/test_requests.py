"""Request bodies: what the real client sends is understood, and what is absent has its default."""

import inspect
from typing import Any

import msgspec
from msgspec import UNSET, Struct
from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.runs import Attachment
from txcrush.model.sessions import Todo, TodoStatus
from txcrush.wire import requests
from txcrush.wire.json import decode_body

BODIES = [
    kind for _, kind in inspect.getmembers(requests, inspect.isclass) if kind.__module__ == requests.__name__
]  # fmt: skip


class Defaults(SynchronousTestCase):
    def test_every_body_may_be_empty_or_null(self) -> None:
        self.assertGreater(len(BODIES), 20)
        for kind in BODIES:
            self.assertEqual(decode_body(b"{}", kind), decode_body(b"null", kind))

    def test_every_field_that_has_a_shape_may_be_null(self) -> None:
        for kind in BODIES:
            if issubclass(kind, Struct):
                shaped = (field for field in msgspec.structs.fields(kind) if field.type is not Any)
                nulls = {field.encode_name: None for field in shaped}
                self.assertEqual(decode_body(msgspec.json.encode(nulls), kind), kind())

    def test_a_null_is_kept_where_any_shape_may_stand(self) -> None:
        self.assertIs(decode_body(b'{"params":null}', requests.PermissionAnswer).params, None)
        self.assertIs(decode_body(b"{}", requests.PermissionAnswer).params, UNSET)


class Prompts(SynchronousTestCase):
    def test_a_prompt_as_the_client_sends_it(self) -> None:
        raw = b"""{"session_id":"s","run_id":"r","prompt":"say:2","attachments":[{"file_path":"/x/notes.txt",
        "file_name":"notes.txt","mime_type":"text/plain","content":"YXR0YWNoZWQgdGV4dA=="}]}"""
        body = decode_body(raw, requests.SubmitPrompt)
        self.assertEqual((body.session_id, body.run_id, body.prompt, body.when_busy), ("s", "r", "say:2", ""))
        self.assertEqual(body.attachments, (Attachment("/x/notes.txt", "notes.txt", "text/plain", b"attached text"),))

    def test_attachments_may_be_null_as_go_writes_an_empty_list(self) -> None:
        self.assertEqual(decode_body(b'{"attachments":null}', requests.SubmitPrompt).attachments, ())


class Sessions(SynchronousTestCase):
    def test_only_what_is_there_is_set(self) -> None:
        body = decode_body(b'{"id":"s","title":"T"}', requests.PutSession)
        self.assertEqual((body.title, body.cost, body.todos, body.prompt_tokens), ("T", UNSET, UNSET, UNSET))

    def test_both_spellings_are_understood(self) -> None:
        go = decode_body(b'{"PromptTokens":1,"CompletionTokens":2,"SummaryMessageID":"m"}', requests.PutSession)
        self.assertEqual((go.go_prompt_tokens, go.go_completion_tokens, go.go_summary_message_id), (1, 2, "m"))
        wire = decode_body(b'{"prompt_tokens":1,"completion_tokens":2}', requests.PutSession)
        self.assertEqual((wire.prompt_tokens, wire.completion_tokens, wire.go_prompt_tokens), (1, 2, UNSET))

    def test_todos_are_typed(self) -> None:
        raw = b'{"todos":[{"content":"a","status":"in_progress","active_form":"doing a"}]}'
        body = decode_body(raw, requests.PutSession)
        self.assertEqual(body.todos, (Todo("a", TodoStatus.IN_PROGRESS, "doing a"),))


class Permissions(SynchronousTestCase):
    def test_an_answer_with_params_of_any_shape(self) -> None:
        for params in (b'{"command":"ls"}', b'"text"', b"[1]"):
            raw = b'{"permission":{"id":"p","params":' + params + b'},"action":"allow"}'
            grant = decode_body(raw, requests.Grant)
            self.assertEqual((grant.permission.id, grant.action), ("p", "allow"))

    def test_answers_to_questions(self) -> None:
        raw = b'{"batch_request_id":"b","responses":[{"request_id":"q","selected_ids":["1"],"yes":false}]}'
        answer = decode_body(raw, requests.Answer)
        self.assertEqual((answer.batch_request_id, answer.responses[0].selected_ids), ("b", ["1"]))
        self.assertIs(answer.responses[0].yes, False)
