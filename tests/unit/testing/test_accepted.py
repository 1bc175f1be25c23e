"""The checker of requests refuses what providers refuse: each rule, broken once in a body that is right otherwise."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcrush.testing.accepted import accepts, accepts_chat

Body = dict[str, Any]
Breaking = Callable[[Body], object]


def chat() -> Body:
    function = {"name": "ls", "arguments": "{}"}
    return {
        "model": "m",
        "stream_options": {"include_usage": True},
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "list"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c", "type": "function", "function": function}],
            },
            {"role": "tool", "tool_call_id": "c", "content": ""},
            {"role": "assistant", "content": "done"},
            {"role": "user", "content": "thanks"},
        ],
        "tools": [{"type": "function", "function": {"name": "ls", "description": "", "parameters": {}}}],
    }


def messages() -> Body:
    call = {"type": "tool_use", "id": "c", "name": "ls", "input": {}}
    thinking = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    return {
        "model": "m",
        "max_tokens": 4000,
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
        "tools": [{"name": "ls", "description": "", "input_schema": {"type": "object"}}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "list"}]},
            {"role": "assistant", "content": [thinking, {"type": "text", "text": "so"}, call]},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "a"}]},
                    {"type": "text", "text": "and?"},
                ],
            },
        ],
    }


class AcceptedTests(SynchronousTestCase):
    def refused(self, body: Body, breakings: dict[str, Breaking]) -> None:
        self.assertEqual(accepts(body), [])
        for words, breaking in breakings.items():
            broken = deepcopy(body)
            breaking(broken)
            self.assertIn(words, "; ".join(accepts(broken)))

    def test_the_rules_of_chat_completions(self) -> None:
        def call(body: Body) -> Body:
            made: Body = body["messages"][2]["tool_calls"][0]
            return made

        self.refused(
            chat(),
            {
                "calls were not answered before it": lambda body: body["messages"].pop(3),
                "the last calls were not answered": lambda body: body["messages"].__delitem__(slice(3, None)),
                "answers no call": lambda body: body["messages"].insert(4, body["messages"][3]),
                "of assistant without content": lambda body: body["messages"][4].update(content=""),
                "of user without content": lambda body: body["messages"][1].update(content=""),
                "tool_calls is empty": lambda body: body["messages"][4].update(tool_calls=[]),
                "user makes calls": lambda body: body["messages"][2].update(role="user"),
                "no text": lambda body: body["messages"][3].update(content=None),
                "no JSON object": lambda body: call(body)["function"].update(arguments="[1]"),
                "in a string: no text": lambda body: call(body)["function"].update(arguments={}),
                "the name 'no.such'": lambda body: call(body)["function"].update(name="no.such"),
                "a call without an id": lambda body: call(body).update(id=""),
                "an id twice": lambda body: body["messages"][2]["tool_calls"].append(call(body)),
                "tools is empty": lambda body: body.update(tools=[]),
                "nobody says anything": lambda body: body["messages"].__delitem__(slice(1, None)),
            },
        )

    def test_the_rules_of_order_of_anthropic_messages(self) -> None:
        self.refused(
            messages(),
            {
                "the first message is not": lambda body: body["messages"].pop(0),
                "the last message is not": lambda body: body["messages"].pop(),
                "speaks twice": lambda body: body["messages"].append(body["messages"][0]),
                "calls ['c'], results []": lambda body: body["messages"][2]["content"].pop(0),
                "calls [], results ['c']": lambda body: body["messages"][1]["content"].pop(),
                "something stands before the results": lambda body: body["messages"][2]["content"].reverse(),
                "no content": lambda body: body["messages"][0].update(content=[]),
                "tool_result of assistant": lambda body: body["messages"][1]["content"].append(
                    {"type": "tool_result", "tool_use_id": "x"}
                ),
                "an id twice": lambda body: body["messages"][1]["content"].append(body["messages"][1]["content"][2]),
            },
        )

    def test_the_rules_of_blocks_of_anthropic_messages(self) -> None:
        def block(body: Body, message: int, place: int) -> Body:
            made: Body = body["messages"][message]["content"][place]
            return made

        def image(kind: str, media_type: str) -> Body:
            return {"type": kind, "source": {"type": "base64", "media_type": media_type, "data": ""}}

        self.refused(
            messages(),
            {
                "max_tokens": lambda body: body.pop("max_tokens"),
                "messages.0: a text": lambda body: block(body, 0, 0).update(text=" \n"),
                "system: a text": lambda body: body["system"][0].update(text=""),
                "the schema of ls": lambda body: body["tools"][0].update(input_schema={}),
                "tools is empty": lambda body: body.update(tools=[]),
                "the id 'a.b'": lambda body: (
                    block(body, 1, 2).update(id="a.b"),
                    block(body, 2, 0).update(tool_use_id="a.b"),
                ),
                "the name ''": lambda body: block(body, 1, 2).update(name=""),
                "is no object": lambda body: block(body, 1, 2).update(input="{}"),
                "an error without content": lambda body: block(body, 2, 0).update(content="", is_error=True),
                "a result of blanks": lambda body: block(body, 2, 0).update(content=" "),
                "messages.2: a text": lambda body: block(body, 2, 0)["content"][0].update(text=""),
                "thinking in a result": lambda body: block(body, 2, 0)["content"].append(
                    {"type": "thinking", "signature": "s"}
                ),
                "an image of type image/tiff": lambda body: body["messages"][0]["content"].append(
                    image("image", "image/tiff")
                ),
                "a document of type text/html": lambda body: body["messages"][0]["content"].append(
                    image("document", "text/html")
                ),
            },
        )

    def test_the_rules_of_thinking_and_of_cache_markers(self) -> None:
        def content(body: Body) -> list[Body]:
            made: list[Body] = body["messages"][1]["content"]
            return made

        marker = {"cache_control": {"type": "ephemeral"}}
        self.refused(
            messages(),
            {
                "thinking without a signature": lambda body: content(body)[0].update(signature=""),
                "redacted thinking without data": lambda body: content(body).insert(0, {"type": "redacted_thinking"}),
                "does not come first": lambda body: content(body).insert(0, content(body).pop(1)),
                "comes last": lambda body: content(body).append(content(body)[0]),
                "did not begin with thinking": lambda body: content(body).pop(0),
                "a budget of 4000": lambda body: body["thinking"].update(budget_tokens=4000),
                "sampling parameters": lambda body: body.update(temperature=0.5),
                "5 cache markers": lambda body: body["messages"][0]["content"].extend(
                    [{"type": "text", "text": "x"} | marker] * 4
                ),
                "a cache marker on thinking": lambda body: content(body)[0].update(marker),
            },
        )

    def test_a_body_without_the_marks_of_chat_is_of_the_other_wire(self) -> None:
        body = {"messages": [{"role": "user", "content": "hi"}]}
        self.assertEqual(accepts_chat(body), [])
        self.assertIn(
            "max_tokens", accepts({"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]})[0]
        )
