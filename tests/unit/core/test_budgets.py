"""A budget stops a run before its next request, through the whole server. Tokens cost 1 and 2 dollars per million."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.tools.agent import Agent
from txcrush.core.budgets import Ledger
from txcrush.core.instructions import task_prompt
from txcrush.core.run import Run
from txcrush.core.workbench import Workbench
from txcrush.model.budgets import UNLIMITED, Budget
from txcrush.model.errors import BudgetExhausted
from txcrush.model.messages import Finish, FinishReason
from txcrush.model.providers import Usage
from txcrush.model.runs import Outcome, RunEnd
from txcrush.ports import Tool
from txcrush.testing.conversation import Conversation, now
from txcrush.testing.harness import Harness, configuration, model
from txcrush.testing.scripted_provider import Act, Call, Hang, Wait
from txcrush.testing.scripted_tool import ScriptedTool

A_DIME = Usage(input=100_000, output=0, total=100_000)
TITLE_COST = 30e-6 + 2 * 5e-6


class BudgetCase(SynchronousTestCase):
    def serve(self, budget: Budget = UNLIMITED, window: int = 10_000_000) -> None:
        self.tool = ScriptedTool("look")
        config = configuration(model("large", context_window=window), model("small"))
        self.harness = Harness(tools=self.tools, budget=budget, config=config)
        self.provider = self.harness.provider
        self.talk = Conversation(self.harness)
        self.timers = len(self.harness.clock.getDelayedCalls())

    def tools(self, bench: Workbench) -> list[Tool]:
        own: list[Tool] = [self.tool]
        return [*own, Agent(bench.subagents, own, lambda: task_prompt(bench.facts(bench.path)))]

    def steps(self, count: int, *acts: Act, used: Usage = A_DIME) -> None:
        """So many steps that each call the tool and cost a dime."""
        for _ in range(count):
            self.provider.add(*acts, Call("c1", "look"), usage=used)

    def work(self, budget: Budget = UNLIMITED) -> Run:
        """A run whose calls are answered while there are any."""
        run = self.talk.prompt("hi", "r1", budget=budget)
        self.answer()
        return run

    def answer(self) -> None:
        while self.tool.running:
            self.tool.answer("c1", f"look {len(self.provider.requests)}")

    def finish(self) -> Finish:
        last = [message for message in self.talk.messages() if message.role == "assistant"][-1]
        assert last.finish is not None
        return last.finish

    def stopped(self, run: Run, reason: str, requests: int) -> None:
        """The run ended once, clearly, after so many requests."""
        self.assertEqual(len(self.provider.requests), requests)
        end: RunEnd = now(run.when_ended())
        self.assertEqual((end.outcome, end.error), (Outcome.FAILED, f"Stopped by the budget: {reason}"))
        finish = self.finish()
        self.assertEqual((finish.reason, finish.message), (FinishReason.ERROR, "Stopped by the budget"))
        self.assertEqual(finish.details, reason)
        (told,) = self.talk.completions()
        self.assertEqual((told["error"], told["run_id"]), (end.error, "r1"))
        self.assertEqual(len(self.harness.clock.getDelayedCalls()), self.timers)


class Limits(BudgetCase):
    def test_promise_17_money_stops_a_run_before_the_next_request(self) -> None:
        self.serve(Budget(cost=0.25))
        self.steps(5)
        run = self.work()
        reason = "the run has cost $0.3000, and may cost $0.25: prompt again to go on, or raise max_cost"
        self.stopped(run, reason, 3)
        self.assertAlmostEqual(self.talk.workspace.sessions.get(self.talk.session_id).cost, 0.3 + TITLE_COST)

    def test_promise_17_tokens_stop_a_run(self) -> None:
        self.serve(Budget(tokens=150_000))
        self.steps(5)
        run = self.work()
        reason = "the run has used 200035 tokens, and may use 150000: prompt again to go on, or raise max_tokens"
        self.stopped(run, reason, 2)

    def test_promise_17_tokens_that_no_provider_counts_are_estimated(self) -> None:
        self.serve(Budget(tokens=40))
        self.steps(5, used=Usage())
        self.work()
        self.assertEqual((len(self.provider.requests), self.finish().reason), (1, FinishReason.ERROR))

    def test_promise_17_steps_stop_a_run(self) -> None:
        self.serve(Budget(steps=2))
        self.steps(5)
        run = self.work()
        reason = "the run has asked a model 2 times, which is its limit: prompt again to go on, or raise max_steps"
        self.stopped(run, reason, 2)

    def test_promise_17_time_cuts_a_request_off(self) -> None:
        self.serve(Budget(seconds=20.0))
        self.provider.add("half ", Hang())
        run = self.work()
        self.harness.clock.advance(19.9)
        self.assertIsNone(run.end)
        self.harness.clock.advance(0.1)
        reason = "the run has taken 20 s, which is its limit: prompt again to go on, or raise max_seconds"
        self.stopped(run, reason, 1)
        self.assertEqual(len(self.provider.cancelled), 1)
        self.assertEqual(self.talk.lines()[-1], "assistant: half  [error]")

    def test_promise_17_time_cuts_a_tool_off_and_its_call_is_answered(self) -> None:
        self.serve(Budget(seconds=20.0))
        self.steps(1)
        run = self.talk.prompt("hi", "r1")
        self.harness.clock.advance(20)
        self.stopped(run, "the run has taken 20 s, which is its limit: prompt again to go on, or raise max_seconds", 1)
        self.assertEqual(self.tool.cancelled, ["c1"])
        self.assertEqual(self.talk.lines()[-1], "tool: c1 There was an error while executing the tool")

    def test_promise_17_a_cancel_wins_over_a_budget(self) -> None:
        self.serve(Budget(seconds=20.0))
        self.provider.add(Hang())
        run = self.work()
        self.talk.cancel()
        self.assertEqual(now(run.when_ended()).outcome, Outcome.CANCELLED)
        self.assertEqual(len(self.harness.clock.getDelayedCalls()), self.timers)

    def test_promise_17_what_ends_within_its_budget_ends_well(self) -> None:
        self.serve(Budget(cost=1.0, tokens=1_000_000, steps=3, seconds=20.0))
        self.steps(2)
        self.provider.add("done")
        run = self.work()
        self.assertEqual(now(run.when_ended()).outcome, Outcome.COMPLETED)
        self.assertEqual(len(self.harness.clock.getDelayedCalls()), self.timers)

    def test_promise_17_the_next_run_has_a_budget_of_its_own(self) -> None:
        self.serve(Budget(steps=1))
        self.steps(1)
        self.work()
        self.provider.add("done")
        run = self.talk.prompt("go on")
        self.assertEqual(now(run.when_ended()).text, "done")


class OfPrompts(BudgetCase):
    def test_promise_17_a_prompt_lowers_the_servers_budget_and_never_raises_it(self) -> None:
        for own, requests in ((Budget(steps=1), 1), (Budget(steps=9), 3)):
            self.serve(Budget(steps=3))
            self.steps(5)
            self.work(own)
            self.assertEqual((len(self.provider.requests), self.finish().reason), (requests, FinishReason.ERROR))

    def test_promise_17_a_prompt_with_limits_has_a_turn_of_its_own(self) -> None:
        self.serve()
        self.provider.add(Wait(), Call("c1", "look"))
        self.provider.add("one is done")
        self.provider.add("two is done")
        self.talk.prompt("one")
        self.talk.prompt("two", budget=Budget(steps=1))
        self.provider.proceed()
        self.answer()
        self.assertEqual(self.talk.lines()[-2:], ["user: two", "assistant: two is done [end_turn]"])

    def test_promise_17_who_waits_behind_a_spent_budget_has_a_turn_of_his_own(self) -> None:
        self.serve(Budget(steps=1))
        self.provider.add(Wait(), Call("c1", "look"))
        self.provider.add("two is done")
        self.talk.prompt("one")
        self.talk.prompt("two")
        self.provider.proceed()
        self.answer()
        self.assertEqual(self.talk.lines()[-2:], ["user: two", "assistant: two is done [end_turn]"])

    def test_promise_17_limits_survive_a_restart_in_the_queue(self) -> None:
        self.serve()
        self.provider.add(Hang())
        self.talk.prompt("one")
        self.talk.prompt("two", "r2", budget=Budget(steps=1))
        now(self.talk.stop())
        other = Harness(stores=self.harness.stores, tools=[self.tool])
        other.provider.add(Call("c1", "look"))
        talk = self.talk.restarted(other)
        self.answer()
        (told,) = talk.completions()
        self.assertEqual((told["run_id"], "asked a model 1 times" in told["error"]), ("r2", True))


class OfAgents(BudgetCase):
    def test_promise_17_what_other_agents_use_counts_too(self) -> None:
        self.serve(Budget(cost=0.15))
        self.provider.add(Call("a1", "agent", '{"prompt":"look"}'), usage=A_DIME)
        self.provider.add(Call("c1", "look"), usage=A_DIME)
        run = self.work()
        error = now(run.when_ended()).error
        self.assertIn("the run has cost $0.2000", error)
        self.assertEqual(len(self.provider.requests), 2, "the caller is not asked again either")
        session = self.talk.workspace.sessions.get(self.talk.session_id)
        self.assertAlmostEqual(session.cost, 0.2 + TITLE_COST)

    def test_promise_17_time_ends_other_agents_for_the_same_reason(self) -> None:
        self.serve(Budget(seconds=20.0))
        self.provider.add(Call("a1", "agent", '{"prompt":"look"}'))
        self.provider.add("half ", Hang())
        run = self.work()
        self.harness.clock.advance(20)
        self.assertIn("the run has taken 20 s", now(run.when_ended()).error)
        (child,) = [one for one in now(self.talk.store.sessions()) if one.parent_session_id]
        last = now(self.talk.workspace.transcript.messages(child.id))[-1]
        assert last.finish is not None
        self.assertTrue(last.finish.message.startswith("Stopped by the budget"))


class Summaries(BudgetCase):
    def test_promise_17_a_summary_counts_and_is_not_made_beyond_the_budget(self) -> None:
        nearly_full = Usage(input=95_000, output=0, total=95_000)
        for steps, requests in ((2, 2), (1, 1)):
            self.serve(Budget(steps=steps), window=100_000)
            self.provider.add("done", usage=nearly_full)
            self.provider.add("a summary", usage=nearly_full)
            run = self.work()
            self.assertEqual(now(run.when_ended()).outcome, Outcome.COMPLETED)
            self.assertEqual((len(self.provider.requests), run.ledger.steps), (requests, steps))


class Accounts(BudgetCase):
    def test_a_step_whose_tools_are_cancelled_is_charged(self) -> None:
        self.serve()
        self.steps(1)
        self.talk.prompt("hi")
        self.talk.cancel()
        session = self.talk.workspace.sessions.get(self.talk.session_id)
        (stored,) = now(self.talk.store.sessions())
        self.assertAlmostEqual(session.cost, 0.1 + TITLE_COST)
        self.assertEqual((stored.cost, stored.prompt_tokens), (session.cost, 100_000))
        self.assertEqual(self.talk.listener.of("session")[-1]["cost"], session.cost)

    def test_a_step_is_charged_in_the_store_before_its_tools_have_ended(self) -> None:
        self.serve()
        self.provider.add(Call("c1", "look"), Call("c2", "look"), usage=A_DIME)
        self.talk.prompt("hi")
        self.tool.answer("c1")
        (stored,) = now(self.talk.store.sessions())
        self.assertAlmostEqual(stored.cost, 0.1 + TITLE_COST)


class Ledgers(SynchronousTestCase):
    def test_promise_17_cached_tokens_count_where_no_total_is_told(self) -> None:
        ledger = Ledger(Budget(tokens=10))
        ledger.spend(Usage(input=1, output=2, cache_creation=3, cache_read=4), 0.0)
        self.assertEqual(ledger.tokens, 10)
        self.assertRaises(BudgetExhausted, ledger.step)
        self.assertEqual(ledger.steps, 0)
