"""The body of a request in Anthropic Messages."""

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.errors import ProviderError
from txcrush.model.providers import (
    AssistantCall,
    AssistantTurn,
    CallResult,
    FilePart,
    ModelRequest,
    ResultsTurn,
    SystemTurn,
    Turn,
    UserTurn,
)
from txcrush.model.tools import ToolSpec
from txcrush.wire.messages_request import GO_ON, NO_OUTPUT, encode_request

CALL = AssistantCall("c", "ls", '{"path": "."}')
THOUGHT = AssistantTurn("so", "hm", "c2ln", (CALL,))
RESULT = ResultsTurn((CallResult("c", "ls", "a.txt"),))
BUDGET = {"thinking": {"type": "enabled", "budget_tokens": 2000}}
ADAPTIVE = {"thinking": {"type": "adaptive"}}


def body(*turns: Turn, keywords: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    request = ModelRequest(model="m", turns=turns, **fields)
    encoded: dict[str, Any] = json.loads(encode_request(request, **({"max_tokens": 4096} | (keywords or {}))))
    return encoded


def messages(*turns: Turn, **keywords: Any) -> list[tuple[str, list[dict[str, Any]]]]:
    written = body(*turns, keywords=keywords)["messages"]
    return [(message["role"], message["content"]) for message in written]


def kinds(*turns: Turn, **keywords: Any) -> list[tuple[str, list[str]]]:
    return [(role, [block["type"] for block in content]) for role, content in messages(*turns, **keywords)]


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


class RequestTests(SynchronousTestCase):
    def test_a_plain_request_holds_nothing_that_was_not_set(self) -> None:
        wanted = {
            "model": "m",
            "max_tokens": 4096,
            "messages": [{"role": "user", "content": [text("hi")]}],
            "stream": True,
        }
        self.assertEqual(body(UserTurn("hi")), wanted)

    def test_the_system_prompt_stands_apart_in_blocks(self) -> None:
        sent = body(SystemTurn("prefix"), SystemTurn(" "), SystemTurn("be kind"), UserTurn("hi"))
        self.assertEqual(sent["system"], [text("prefix"), text("be kind")])

    def test_sampling_is_sent_where_the_model_takes_it_and_penalties_never(self) -> None:
        fields: dict[str, Any] = {
            "temperature": 0.0,
            "top_p": 0.5,
            "top_k": 3,
            "frequency_penalty": 1.0,
            "presence_penalty": 1.0,
        }
        sent = body(UserTurn("hi"), **fields)
        self.assertEqual([sent.get(key) for key in fields], [0.0, 0.5, 3, None, None])
        sent = body(UserTurn("hi"), keywords={"sampling": False}, **fields)
        self.assertFalse(set(fields) & set(sent))

    def test_tools_have_an_input_schema(self) -> None:
        spec = ToolSpec(name="ls", description="Lists.", properties={"path": {"type": "string"}}, required=("path",))
        sent = body(UserTurn("hi"), tools=(spec,))
        schema = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
        self.assertEqual(sent["tools"], [{"name": "ls", "description": "Lists.", "input_schema": schema}])
        self.assertEqual(sent["tool_choice"], {"type": "auto"})

    def test_options_win_over_ours_and_extra_body_over_all(self) -> None:
        keywords = {"options": {"max_tokens": 2, "a": 1}, "extra_body": {"a": 3}}
        sent = body(UserTurn("hi"), max_tokens=7, keywords=keywords)
        self.assertEqual((sent["max_tokens"], sent["a"]), (2, 3))

    def test_what_cannot_be_json_is_a_provider_error(self) -> None:
        self.assertFalse(self.assertRaises(ProviderError, body, UserTurn("\ud800")).retryable)


class ConversationTests(SynchronousTestCase):
    def test_a_conversation_with_calls(self) -> None:
        calls = (CALL, AssistantCall("d", "cat", "not JSON"))
        results = ResultsTurn((CallResult("c", "ls", "a.txt"), CallResult("d", "cat", "no such", is_error=True)))
        self.assertEqual(
            messages(UserTurn("list"), AssistantTurn("Well ", calls=calls), results, UserTurn("thanks")),
            [
                ("user", [text("list")]),
                (
                    "assistant",
                    [
                        text("Well"),
                        {"type": "tool_use", "id": "c", "name": "ls", "input": {"path": "."}},
                        {"type": "tool_use", "id": "d", "name": "cat", "input": {}},
                    ],
                ),
                (
                    "user",
                    [
                        {"type": "tool_result", "tool_use_id": "c", "content": "a.txt"},
                        {"type": "tool_result", "tool_use_id": "d", "content": "no such", "is_error": True},
                        text("thanks"),
                    ],
                ),
            ],
        )

    def test_roles_alternate_and_the_user_is_first_and_last(self) -> None:
        self.assertEqual(
            messages(AssistantTurn("a"), AssistantTurn("b"), UserTurn("c"), UserTurn("d"), AssistantTurn("e")),
            [
                ("user", [text(GO_ON)]),
                ("assistant", [text("a"), text("b")]),
                ("user", [text("c"), text("d")]),
                ("assistant", [text("e")]),
                ("user", [text(GO_ON)]),
            ],
        )
        self.assertEqual(messages(), [("user", [text(GO_ON)])])

    def test_what_is_empty_is_left_out(self) -> None:
        turns = (UserTurn("a"), AssistantTurn(" \n"), AssistantTurn("", "only thought", "c2ln"), UserTurn("\n"))
        self.assertEqual(messages(*turns), [("user", [text("a")])])

    def test_results_may_be_empty_but_errors_may_not(self) -> None:
        for said, is_error, content in (
            ("", False, ""),
            (" \n", False, ""),
            ("", True, NO_OUTPUT),
            ("x\n", True, "x\n"),
        ):
            results = ResultsTurn((CallResult("c", "ls", said, is_error=is_error),))
            (_, (_, [block])) = messages(AssistantTurn(calls=(CALL,)), results)[1:]
            self.assertEqual(block["content"], content)

    def test_images_and_documents_are_blocks_and_other_files_are_named(self) -> None:
        files = (
            FilePart("a.png", "image/png", b"\x89"),
            FilePart("b.pdf", "application/pdf", b"%"),
            FilePart("c.tiff", "image/tiff", b"II"),
        )
        ((_, (image, document, other)),) = messages(UserTurn("", files))
        self.assertEqual(image["source"], {"type": "base64", "media_type": "image/png", "data": "iQ=="})
        self.assertEqual((document["type"], document["title"]), ("document", "b.pdf"))
        self.assertIn("c.tiff", other["text"])

    def test_a_result_can_hold_an_image(self) -> None:
        media = FilePart("tool-result-c", "image/png", b"\x89")
        results = ResultsTurn((CallResult("c", "view", "Loaded", media=media),))
        (_, (_, [block])) = messages(AssistantTurn(calls=(CALL,)), results)[1:]
        self.assertEqual([inner["type"] for inner in block["content"]], ["text", "image"])


class ThinkingTests(SynchronousTestCase):
    def test_thinking_stands_first_where_the_model_thinks_else_behind_the_text(self) -> None:
        first = ("assistant", ["thinking", "text", "tool_use"])
        self.assertEqual(kinds(UserTurn("x"), THOUGHT, RESULT)[1], first)
        behind = ("assistant", ["text", "thinking", "tool_use"])
        self.assertEqual(kinds(UserTurn("x"), THOUGHT, RESULT, thinking_first=False)[1], behind)

    def test_unsigned_thinking_is_dropped_and_signed_can_be(self) -> None:
        unsigned = AssistantTurn("so", "hm")
        self.assertEqual(kinds(UserTurn("x"), unsigned, UserTurn("y"))[1], ("assistant", ["text"]))
        plain = ("assistant", ["text", "tool_use"])
        self.assertEqual(kinds(UserTurn("x"), THOUGHT, RESULT, replay_thinking=False)[1], plain)

    def test_thinking_in_the_middle_of_a_message_is_dropped(self) -> None:
        turns = (UserTurn("x"), AssistantTurn("a"), THOUGHT, RESULT)
        self.assertEqual(kinds(*turns)[1], ("assistant", ["text", "text", "tool_use"]))

    def test_sampling_does_not_go_with_thinking(self) -> None:
        for options in (BUDGET, ADAPTIVE):
            sent = body(UserTurn("x"), temperature=0.5, top_k=3, top_p=0.9, keywords={"options": options})
            self.assertFalse({"temperature", "top_k", "top_p"} & set(sent))
            self.assertEqual(body(UserTurn("x"), top_p=0.97, keywords={"options": options})["top_p"], 0.97)

    def test_the_budget_fits_into_the_limit(self) -> None:
        for limit, sent in ((100, 2100), (2000, 4000), (2001, 2001)):
            self.assertEqual(body(UserTurn("x"), max_tokens=limit, keywords={"options": BUDGET})["max_tokens"], sent)

    def test_a_past_that_thinking_cannot_go_on_from_is_answered_without(self) -> None:
        cut_off = AssistantTurn(calls=(CALL,))
        thinks = {"options": BUDGET}
        self.assertNotIn("thinking", body(UserTurn("x"), cut_off, RESULT, keywords=thinks))
        self.assertNotIn("thinking", body(UserTurn("x"), cut_off, RESULT, UserTurn("y"), keywords=thinks))
        self.assertIn("thinking", body(UserTurn("x"), cut_off, RESULT, keywords={"options": ADAPTIVE}))
        self.assertIn("thinking", body(UserTurn("x"), THOUGHT, RESULT, keywords=thinks))
        went_on = (THOUGHT, RESULT, AssistantTurn(calls=(CALL,)), RESULT)
        self.assertIn("thinking", body(UserTurn("x"), *went_on, keywords=thinks))
        later = (cut_off, RESULT, AssistantTurn("done"), UserTurn("next"))
        self.assertIn("thinking", body(UserTurn("x"), *later, keywords=thinks))


class CacheTests(SynchronousTestCase):
    """`agent.md` 4.6."""

    turns = (SystemTurn("a"), SystemTurn("b"), UserTurn("c"), UserTurn("d"), THOUGHT, RESULT)
    tools = tuple(ToolSpec(name=name, description="", properties={}) for name in "xy")

    def marked(self, *turns: Turn, **fields: Any) -> list[str]:
        sent = body(*turns, tools=self.tools, keywords=fields.pop("keywords", None), **fields)
        blocks = [*sent["system"], *sent["tools"], *(one for said in sent["messages"] for one in said["content"])]
        return [block.get("text") or block.get("name") or block["type"] for block in blocks if "cache_control" in block]

    def test_the_last_system_block_the_last_tool_and_the_last_two_turns_are_marked(self) -> None:
        self.assertEqual(self.marked(*self.turns, mark_cache=True), ["b", "y", "ls", "tool_result"])
        self.assertEqual(self.marked(*self.turns[:4], mark_cache=True), ["b", "y", "c", "d"])

    def test_thinking_carries_no_marker(self) -> None:
        turns = (SystemTurn("b"), UserTurn("c"), AssistantTurn("so", "hm", "c2ln"), UserTurn("d"))
        marked = self.marked(*turns, mark_cache=True, keywords={"thinking_first": False})
        self.assertEqual(marked, ["b", "y", "so", "d"])

    def test_nothing_is_marked_for_titles_and_summaries_or_where_it_is_forbidden(self) -> None:
        self.assertEqual(self.marked(*self.turns), [])
        self.assertEqual(self.marked(*self.turns, mark_cache=True, keywords={"cache": False}), [])
