"""The `agentic_fetch` tool: asks, fetches, sends another agent, and tidies up."""

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.tools.agentic_fetch import TITLE, AgenticFetch
from txcrush.adapters.tools.web_fetch import LARGEST_SHOWN
from txcrush.adapters.web import WebFailed
from txcrush.core.instructions import FETCH, SEARCHING
from txcrush.core.workbench import Workbench
from txcrush.model.desk import Answerer, Settler
from txcrush.model.permissions import PermissionRequest, Verdict
from txcrush.model.providers import SystemTurn, UserTurn
from txcrush.ports import Tool
from txcrush.testing.conversation import Conversation, now
from txcrush.testing.harness import CLIENT, Harness
from txcrush.testing.scripted_provider import Call, Hang
from txcrush.testing.scripted_tool import ScriptedTool


class AgenticFetchCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.page: Deferred[str] = succeed("the page")
        self.view = ScriptedTool("view")
        self.directories: list[str] = []
        self.slow: list[Callable[[], None]] = []
        self.harness = Harness(tools=self.tools)
        self.provider = self.harness.provider
        self.home = self.mktemp()
        os.makedirs(self.home)
        self.talk = Conversation(self.harness, os.path.abspath(self.home))

    def tools(self, bench: Workbench) -> list[Tool]:
        return [AgenticFetch(bench, lambda _url: self.page, self.fetchers, self.in_thread)]

    def fetchers(self, directory: str) -> tuple[Tool, ...]:
        self.directories.append(directory)
        return (self.view,)

    def slowly(self, function: Any, *arguments: Any, **named: Any) -> "Deferred[Any]":
        """The thread works when the test says so, whoever waits for it."""
        answer: Deferred[Any] = Deferred()

        def work() -> None:
            answer.callback(function(*arguments, **named))

        self.slow.append(work)
        return answer

    def in_thread(self, function: Any, *arguments: Any, **named: Any) -> "Deferred[Any]":
        return maybeDeferred(function, *arguments, **named)

    def ask(self, arguments: str = '{"prompt":"what is it?","url":"https://example.com/a"}') -> None:
        self.provider.add(Call("c1", "agentic_fetch", arguments))
        self.talk.prompt("hi")

    def answer(self, verdict: Verdict = Verdict.ALLOW) -> PermissionRequest:
        (request,) = self.talk.workspace.permissions.pending()
        now(self.talk.workspace.permissions.answer(request.id, verdict, Answerer(Settler.CLIENT, CLIENT)))
        return request

    def result(self) -> str:
        return next(line for line in self.talk.lines() if line.startswith("tool:"))


class Asking(AgenticFetchCase):
    def test_the_request_says_what_is_fetched(self) -> None:
        self.ask()
        request = self.answer(Verdict.DENY)
        self.assertEqual(request.description, "Fetch and analyze content from URL: https://example.com/a")
        self.assertEqual((request.tool_name, request.action), ("agentic_fetch", "fetch"))
        self.assertEqual(request.params, {"url": "https://example.com/a", "prompt": "what is it?"})
        self.assertEqual((self.result(), len(self.provider.requests)), ("tool: c1 User denied permission", 1))

    def test_without_an_address_it_asks_to_search(self) -> None:
        self.ask('{"prompt":"what is it?"}')
        request = self.answer(Verdict.DENY)
        self.assertEqual(request.description, "Search the web and analyze results")
        self.assertEqual(request.params, {"prompt": "what is it?"})

    def test_r_sub_13_an_empty_prompt_is_refused_unasked(self) -> None:
        self.provider.add(Call("c1", "agentic_fetch", '{"prompt":""}'))
        self.provider.add("end")
        self.talk.prompt("hi")
        self.assertEqual(self.result(), "tool: c1 prompt is required")


class Errands(AgenticFetchCase):
    def sent(self) -> tuple[str, str]:
        """What the other agent was told, and asked."""
        system, asked = self.provider.requests[1].turns
        assert isinstance(system, SystemTurn)
        assert isinstance(asked, UserTurn)
        return system.text, asked.text

    def test_a_small_page_is_shown_to_the_small_model_with_the_question(self) -> None:
        self.ask()
        self.provider.add("it is a page\n\nSources: https://example.com/a")
        self.provider.add("end")
        self.answer()
        system, asked = self.sent()
        self.assertTrue(system.startswith(FETCH) and self.directories[0] in system)
        self.assertIn("<webpage_content>\nthe page\n</webpage_content>", asked)
        self.assertEqual(self.provider.requests[1].model, "small")
        self.assertEqual([spec.name for spec in self.provider.requests[1].tools], ["view"])
        self.assertIn("it is a page", self.result())
        self.assertFalse(os.path.exists(self.directories[0]))
        child = next(one for one in now(self.talk.store.sessions()) if one.parent_session_id)
        self.assertEqual(child.title, TITLE)

    def test_a_large_page_is_saved_for_it(self) -> None:
        self.page = succeed("x" * (LARGEST_SHOWN + 1))
        self.ask()
        self.provider.add(Hang())
        self.answer()
        _, asked = self.sent()
        saved = os.listdir(self.directories[0])
        self.assertEqual((len(saved), saved[0] in asked, "xxx" in asked), (1, True, False))
        self.talk.cancel()
        self.assertFalse(os.path.exists(self.directories[0]))

    def test_without_an_address_it_is_told_to_search(self) -> None:
        self.ask('{"prompt":"what is it?"}')
        self.provider.add(Hang())
        self.answer()
        self.assertEqual(self.sent()[1], f"what is it?\n\n{SEARCHING}")
        self.talk.cancel()

    def test_a_page_that_cannot_be_read_is_an_error_result_and_nothing_is_left_behind(self) -> None:
        self.page = fail(WebFailed("request failed with status code: 404"))
        self.ask()
        self.provider.add("end")
        self.answer()
        self.assertEqual(self.result(), "tool: c1 Failed to fetch URL: request failed with status code: 404")
        self.assertEqual(os.listdir(os.path.join(self.home, ".crush")), [])

    def test_what_it_wants_beyond_its_tools_is_asked(self) -> None:
        self.ask()
        self.provider.add(Hang())
        self.answer()
        child = next(one for one in now(self.talk.store.sessions()) if one.parent_session_id)
        self.assertFalse(self.talk.workspace.permissions.policies.skips(child.id))
        self.talk.cancel()

    def test_a_directory_that_is_made_when_the_call_is_cancelled_is_removed(self) -> None:
        self.ask()
        tool: Any = self.talk.workspace.kit.tools[0]
        self.patch(tool, "_in_thread", self.slowly)
        self.answer()
        self.talk.cancel()
        self.patch(tool, "_in_thread", self.in_thread)
        self.slow[0]()
        self.assertFalse(self.talk.is_busy)
        self.assertEqual(os.listdir(os.path.join(self.home, ".crush")), [])
