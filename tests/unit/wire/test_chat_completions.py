"""Requests as bytes, chunks as values."""

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.errors import ProviderError
from txcrush.model.messages import FinishReason
from txcrush.model.providers import (
    AssistantCall,
    AssistantTurn,
    CallResult,
    FilePart,
    ModelRequest,
    ResultsTurn,
    SystemTurn,
    Turn,
    Usage,
    UserTurn,
)
from txcrush.model.tools import ToolSpec
from txcrush.wire.chat_completions import decode_chunk, encode_request, finish_reason


def body(*turns: Turn, keywords: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    request = ModelRequest(model="m", turns=turns, **fields)
    encoded: dict[str, Any] = json.loads(encode_request(request, **(keywords or {})))
    return encoded


def messages(*turns: Turn, **keywords: Any) -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = body(*turns, keywords=keywords)["messages"]
    return written


class RequestTests(SynchronousTestCase):
    def test_a_plain_request_holds_nothing_that_was_not_set(self) -> None:
        self.assertEqual(
            body(UserTurn("hi")),
            {
                "model": "m",
                "messages": [{"role": "user", "content": "hi"}],
                "stream": True,
                "stream_options": {"include_usage": True},
            },
        )

    def test_sampling_and_limit_are_sent_when_set_also_when_zero(self) -> None:
        sent = body(max_tokens=7, temperature=0.0, top_p=0.5, top_k=3, frequency_penalty=0.1, presence_penalty=0.2)
        wanted = {"max_tokens": 7, "temperature": 0.0, "top_p": 0.5, "top_k": 3}
        self.assertEqual(
            {key: sent[key] for key in sent if key not in ("model", "messages", "stream", "stream_options")},
            wanted | {"frequency_penalty": 0.1, "presence_penalty": 0.2},
        )

    def test_the_limit_has_the_name_that_the_server_wants(self) -> None:
        sent = body(max_tokens=7, top_k=3, keywords={"limit_key": "max_completion_tokens", "top_k": False})
        self.assertEqual(sent["max_completion_tokens"], 7)
        self.assertNotIn("max_tokens", sent)
        self.assertNotIn("top_k", sent)

    def test_tools_come_with_a_tool_choice(self) -> None:
        spec = ToolSpec(name="ls", description="Lists.", properties={"path": {"type": "string"}}, required=("path",))
        sent = body(tools=(spec,))
        parameters = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
        function = {"name": "ls", "description": "Lists.", "parameters": parameters}
        self.assertEqual(sent["tools"], [{"type": "function", "function": function}])
        self.assertEqual(sent["tool_choice"], "auto")

    def test_the_users_options_win_over_ours_and_extra_body_over_all(self) -> None:
        sent = body(
            options={"a": 2, "b": 2, "temperature": 1},
            temperature=0.5,
            keywords={"options": {"a": 1, "b": 1, "c": 1}, "extra_body": {"b": 3}},
        )
        self.assertEqual([sent[key] for key in ("a", "b", "c", "temperature")], [2, 3, 1, 1])

    def test_what_cannot_be_json_is_a_provider_error(self) -> None:
        error = self.assertRaises(ProviderError, body, UserTurn("\ud800"))
        self.assertFalse(error.retryable)


class MessageTests(SynchronousTestCase):
    def test_a_conversation_with_calls(self) -> None:
        calls = (AssistantCall("c1", "ls", '{"path":"."}'), AssistantCall("c2", "ls", "not JSON"))
        written = messages(
            SystemTurn("be kind"),
            UserTurn("list"),
            AssistantTurn("Well", "hm", "", calls),
            ResultsTurn((CallResult("c1", "ls", "a.txt"), CallResult("c2", "ls", "no such", is_error=True))),
        )
        functions = [{"name": "ls", "arguments": '{"path":"."}'}, {"name": "ls", "arguments": "{}"}]
        ids = ("c1", "c2")
        self.assertEqual(
            written,
            [
                {"role": "system", "content": "be kind"},
                {"role": "user", "content": "list"},
                {
                    "role": "assistant",
                    "content": "Well",
                    "tool_calls": [
                        {"id": call_id, "type": "function", "function": function}
                        for call_id, function in zip(ids, functions, strict=True)
                    ],
                },
                {"role": "tool", "tool_call_id": "c1", "content": "a.txt"},
                {"role": "tool", "tool_call_id": "c2", "content": "no such"},
            ],
        )

    def test_calls_without_text_have_null_content_and_arguments_are_never_empty(self) -> None:
        (written,) = messages(AssistantTurn(calls=(AssistantCall("c", "ls", ""),)))
        self.assertIsNone(written["content"])
        self.assertEqual(written["tool_calls"][0]["function"]["arguments"], "{}")

    def test_reasoning_is_given_back_only_where_the_server_needs_it(self) -> None:
        turn = AssistantTurn(reasoning="hm", calls=(AssistantCall("c", "ls", "{}"),))
        self.assertNotIn("reasoning_content", messages(turn)[0])
        self.assertEqual(messages(turn, echo_reasoning=True)[0]["reasoning_content"], "hm")

    def test_a_turn_of_reasoning_alone_is_left_out(self) -> None:
        self.assertEqual(messages(AssistantTurn(reasoning="hm")), [])

    def test_images_are_data_urls_and_other_files_are_files(self) -> None:
        files = (FilePart("a.png", "image/png", b"\x89"), FilePart("b.pdf", "application/pdf", b"%"))
        (written,) = messages(UserTurn("see", files))
        self.assertEqual(
            written["content"],
            [
                {"type": "text", "text": "see"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iQ=="}},
                {"type": "file", "file": {"filename": "b.pdf", "file_data": "data:application/pdf;base64,JQ=="}},
            ],
        )


class ChunkTests(SynchronousTestCase):
    def test_cached_tokens_are_counted_apart(self) -> None:
        row = (
            b'{"usage":{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"cost":0.5,'
            b'"prompt_tokens_details":{"cached_tokens":60},"completion_tokens_details":{"reasoning_tokens":8}}}'
        )
        usage = decode_chunk(row).usage
        assert usage is not None
        self.assertEqual(usage.usage(), Usage(input=40, output=20, total=120, reasoning=8, cache_read=60, cost=0.5))

    def test_nulls_are_absent(self) -> None:
        chunk = decode_chunk(
            b'{"choices":[{"delta":{"content":null,"tool_calls":null},"finish_reason":null}],"usage":null}'
        )
        assert chunk.choices is not None
        self.assertIsNone(chunk.usage)
        self.assertIsNone(chunk.choices[0].finish_reason)

    def test_promise_22_garbage_is_a_provider_error_that_is_not_retried(self) -> None:
        garbage = [
            b"", b"{", b"nope", b"[]", b"null", b"7", b'{"choices":7}', b'{"choices":[7]}', b"\xff",
            b'{"choices":[{"delta":{"content":{"a":1}}}]}', b'{"choices":[{"delta":{"content":"\xff"}}]}',
            b'{"choices":[{"delta":{"content":"\\ud800"}}]}', b'{"x":' + b"[" * 100_000,
            b'{"usage":{"prompt_tokens":"7"}}',
            b'{"choices":[{"delta":{"tool_calls":{}}}]}', b'{"choices":[{"finish_reason":{}}]}', b"NaN",
        ]  # fmt: skip
        for data in garbage:
            error = self.assertRaises(ProviderError, decode_chunk, data)
            self.assertEqual((error.title, error.retryable), ("Invalid Response", False))

    def test_finish_reasons(self) -> None:
        table = {
            ("stop", False): FinishReason.END_TURN,
            ("stop", True): FinishReason.TOOL_USE,
            ("length", True): FinishReason.MAX_TOKENS,
            ("tool_calls", True): FinishReason.TOOL_USE,
            ("function_call", False): FinishReason.TOOL_USE,
            ("content_filter", False): FinishReason.CONTENT_FILTER,
            ("weather", False): FinishReason.UNKNOWN,
        }
        self.assertEqual({case: finish_reason(*case) for case in table}, table)
