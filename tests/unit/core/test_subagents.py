"""Errands: another agent, in a session below the caller's (`agent.md` 9)."""

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.tools.agent import TITLE, Agent
from txcrush.core.instructions import TASK, task_prompt
from txcrush.core.workbench import Workbench
from txcrush.model.errors import ProviderError, StorageFailed
from txcrush.model.ids import SessionId
from txcrush.model.messages import Message
from txcrush.model.providers import SystemTurn, Usage
from txcrush.model.sessions import Session
from txcrush.model.storage import StoreChange
from txcrush.ports import Tool
from txcrush.testing.conversation import Conversation, line_of, now
from txcrush.testing.harness import Harness
from txcrush.testing.scripted_provider import Call, Fail, Hang
from txcrush.testing.scripted_tool import ScriptedTool

BROKEN = ProviderError("no such model", title="Not Found", status=404)


class SubAgentCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.view = ScriptedTool("view")
        self.write = ScriptedTool("write")
        self.harness = Harness(tools=self.tools)
        self.provider = self.harness.provider
        self.talk = Conversation(self.harness)

    def tools(self, bench: Workbench) -> list[Tool]:
        own: list[Tool] = [self.view, self.write]
        return [*own, Agent(bench.subagents, own, lambda: task_prompt(bench.facts(bench.path)))]

    def send(self, *arguments: str) -> None:
        """Prompt; the model calls the tool once for each of the arguments."""
        calls = [Call(f"c{number}", "agent", text) for number, text in enumerate(arguments or ['{"prompt":"look"}'])]
        self.provider.add(*calls)

    @property
    def children(self) -> list[Session]:
        stored = now(self.talk.store.sessions())
        return sorted((one for one in stored if one.parent_session_id), key=lambda one: one.id)

    def child_messages(self, index: int = 0) -> list[Message]:
        return now(self.talk.workspace.transcript.messages(self.children[index].id))

    def results(self) -> list[str]:
        return [line for line in self.talk.lines() if line.startswith("tool:")]


class Errands(SubAgentCase):
    def test_r_sub_01_the_last_words_of_the_child_are_the_result(self) -> None:
        self.send()
        self.provider.add("let me look ", Call("v1", "view"))
        self.provider.add("it is in a.py")
        self.provider.add("done")
        self.talk.prompt("where is it?")
        self.view.answer("v1", "text")
        self.assertEqual(self.results(), ["tool: c0 it is in a.py"])
        self.assertEqual(self.talk.lines()[-1], "assistant: done [end_turn]")

    def test_r_sub_06_the_child_has_a_session_of_its_own_that_clients_know_by_its_id(self) -> None:
        self.send()
        self.provider.add("found")
        self.provider.add("done")
        self.talk.prompt("where is it?")
        caller = next(message for message in self.talk.messages() if message.tool_calls)
        (child,) = self.children
        self.assertEqual(child.id, f"{caller.id}$$c0")
        self.assertEqual((child.parent_session_id, child.title), (self.talk.session_id, TITLE))
        self.assertEqual([line_of(one) for one in self.child_messages()], ["user: look", "assistant: found [end_turn]"])
        self.assertNotIn(child.id, [session.id for session in self.talk.workspace.sessions.top_level()])
        ends = [one["session_id"] for one in self.talk.completions()]
        self.assertEqual(ends, [child.id, self.talk.session_id])

    def test_it_can_read_and_no_more_and_is_told_so(self) -> None:
        self.send()
        self.provider.add(Call("w1", "write"))
        self.provider.add("I could not")
        self.provider.add("done")
        self.talk.prompt("where is it?")
        asked = self.provider.requests[1]
        self.assertEqual([spec.name for spec in asked.tools], ["view"])
        self.assertTrue(isinstance(asked.turns[0], SystemTurn) and asked.turns[0].text.startswith(TASK))
        self.assertEqual(len(asked.turns), 2, "no reminder of todos that it does not have")
        self.assertIn("tool not found: write. Available tools: view", line_of(self.child_messages()[2]))

    def test_r_sub_02_an_answer_without_text_is_an_error_result(self) -> None:
        self.send()
        self.provider.add(" ")
        self.provider.add("done")
        self.talk.prompt("where is it?")
        self.assertEqual(self.results(), ["tool: c0 Sub-agent completed but produced no text output."])

    def test_r_sub_03_a_failure_of_the_child_is_an_error_result_and_the_turn_goes_on(self) -> None:
        self.send()
        self.provider.add(Fail(BROKEN))
        self.provider.add("done")
        self.talk.prompt("where is it?")
        self.assertEqual(self.results(), ["tool: c0 Failed to generate response: not found: no such model"])
        self.assertEqual(line_of(self.child_messages()[-1]), "assistant:  [error]")
        self.assertEqual(self.talk.lines()[-1], "assistant: done [end_turn]")

    def test_r_sub_04_a_child_that_cannot_be_made_fails_the_turn(self) -> None:
        self.send()
        store = self.talk.store
        write = store.write

        def refusing(*changes: StoreChange) -> "Deferred[None]":
            if any(getattr(getattr(change, "session", None), "parent_session_id", "") for change in changes):
                return fail(StorageFailed("disk full"))
            return write(*changes)

        self.patch(store, "write", refusing)
        self.talk.prompt("where is it?")
        self.assertEqual([one["error"] for one in self.talk.errors()], ["disk full"])
        self.assertEqual(self.results(), ["tool: c0 disk full"])

    def test_r_sub_07_what_the_children_cost_is_added_to_the_caller(self) -> None:
        self.send('{"prompt":"one"}', '{"prompt":"two"}')
        for _ in range(2):
            self.provider.add("found", usage=Usage(input=100_000, output=0, total=100_000))
        self.provider.add("done", usage=Usage(input=50_000, output=0, total=50_000))
        self.talk.prompt("where is it?")
        titled, asked = 30e-6 + 2 * 5e-6, 10e-6 + 2 * 5e-6
        self.assertAlmostEqual(self.talk.workspace.sessions.get(self.talk.session_id).cost, 0.25 + titled + asked)
        self.assertEqual([child.cost for child in self.children], [0.1, 0.1])

    def test_r_sub_08_a_cost_that_cannot_be_added_is_logged_and_the_output_is_returned(self) -> None:
        self.send()
        self.provider.add("found", usage=Usage(input=1000, output=0, total=1000))
        self.provider.add("done")
        sessions = self.talk.workspace.sessions
        update = sessions.update

        async def refusing(session_id: SessionId, **changes: object) -> Session:
            if "cost" in changes and "title" not in changes:
                raise StorageFailed("disk full")
            return await update(session_id, **changes)

        self.patch(sessions, "update", refusing)
        self.talk.prompt("where is it?")
        self.assertEqual(self.results(), ["tool: c0 found"])

    def test_r_sub_12_several_work_side_by_side(self) -> None:
        self.send('{"prompt":"one"}', '{"prompt":"two"}')
        self.provider.add(Hang())
        self.provider.add(Hang())
        self.talk.prompt("where is it?")
        self.assertEqual(len(self.provider.requests), 3)
        self.assertEqual(len(self.children), 2)

    def test_r_sub_13_an_empty_prompt_is_refused(self) -> None:
        self.send('{"prompt":""}')
        self.provider.add("done")
        self.talk.prompt("where is it?")
        self.assertEqual((self.results(), self.children), (["tool: c0 prompt is required"], []))


class Cancelling(SubAgentCase):
    def test_r_sub_11_cancelling_the_caller_ends_the_whole_tree(self) -> None:
        self.send('{"prompt":"one"}', '{"prompt":"two"}')
        self.provider.add("half ", Hang())
        self.provider.add(Call("v1", "view"))
        self.talk.prompt("where is it?")
        self.talk.cancel()
        self.assertFalse(self.talk.is_busy)
        self.assertEqual(self.view.cancelled, ["v1"])
        self.assertEqual(line_of(self.child_messages(0)[-1]), "assistant: half  [canceled]")
        finishes = [message.finish for message in self.child_messages(1) if message.role == "assistant"]
        self.assertEqual([one.reason.value for one in finishes if one], ["canceled"])
        self.assertEqual(
            sorted(one["session_id"] for one in self.talk.completions() if one.get("cancelled")),
            sorted([child.id for child in self.children] + [self.talk.session_id]),
        )

    def test_r_sub_11_a_cancel_of_the_child_alone_does_nothing(self) -> None:
        self.send()
        self.provider.add("half ", Hang())
        self.talk.prompt("where is it?")
        self.talk.workspace.runs.cancel(self.children[0].id)
        self.assertTrue(self.talk.is_busy)
        self.assertEqual(self.provider.cancelled, [])

    def test_h_30_deleting_the_childs_session_ends_the_errand_and_the_caller_goes_on(self) -> None:
        self.send()
        self.provider.add("half ", Hang())
        self.provider.add("done")
        self.talk.prompt("where is it?")
        child = self.children[0].id
        now(self.talk.workspace.delete_session(child))
        self.assertEqual(len(self.provider.cancelled), 1)
        self.assertEqual(self.children, [])
        self.assertEqual(self.results(), ["tool: c0 Failed to generate response: context canceled"])
        self.assertEqual(self.talk.lines()[-1], "assistant: done [end_turn]")

    def test_what_a_deleted_child_cost_is_added_to_the_caller_all_the_same(self) -> None:
        self.send()
        self.provider.add(Call("v1", "view"), usage=Usage(input=100_000, output=0, total=100_000))
        self.provider.add(Hang())
        self.provider.add("done")
        self.talk.prompt("where is it?")
        self.view.answer("v1", "text")
        before = self.talk.workspace.sessions.get(self.talk.session_id).cost
        now(self.talk.workspace.delete_session(self.children[0].id))
        self.assertGreater(self.talk.workspace.sessions.get(self.talk.session_id).cost, before + 0.09)

    def test_a_stop_of_the_server_ends_the_child_as_the_caller(self) -> None:
        self.send()
        self.provider.add("half ", Hang())
        self.talk.prompt("where is it?")
        child = self.children[0].id
        now(self.talk.stop())
        talk = self.talk.restarted(Harness(stores=self.harness.stores, tools=self.tools))
        finish = now(talk.workspace.transcript.messages(child))[-1].finish
        assert finish is not None
        self.assertEqual(finish.message, "Interrupted by a server restart")

    def test_an_errand_is_not_started_again_after_a_crash(self) -> None:
        self.send()
        self.provider.add("half ", Hang())
        self.talk.prompt("where is it?")
        again = Harness(stores=self.harness.stores, tools=self.tools)
        talk = self.talk.restarted(again)
        self.assertEqual(again.provider.requests, [])
        child = next(one for one in now(talk.store.sessions()) if one.parent_session_id)
        said = now(talk.workspace.transcript.messages(child.id))
        self.assertEqual(
            [message.finish.reason.value for message in said if message.role == "assistant" and message.finish],
            ["canceled"],
        )
