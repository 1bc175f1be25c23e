"""The agent of a workspace: when it is ready, and what a run gets to work with."""

from msgspec.structs import replace
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.agents import Agents, Crew
from txcrush.core.instructions import Facts
from txcrush.model.errors import Failed
from txcrush.testing.conversation import now
from txcrush.testing.harness import configuration, model
from txcrush.testing.scripted_provider import ScriptedProvider


class AgentsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.config = configuration()
        self.gathering: list[Deferred[Facts]] = []
        self.mcp: Deferred[None] = Deferred()
        self.built = 0
        self.agents = Agents(lambda: self.config, self.build, self.gather, lambda: self.mcp)

    def build(self, _config: object) -> ScriptedProvider:
        self.built += 1
        return ScriptedProvider()

    async def gather(self) -> Facts:
        waiting: Deferred[Facts] = Deferred()
        self.gathering.append(waiting)
        return await waiting

    def prepare(self) -> "Deferred[Crew]":
        return Deferred.fromCoroutine(self.agents.prepare())

    def ready(self) -> None:
        self.gathering.pop().callback(Facts("/project", "test", "1/2/2027"))


class Readiness(AgentsCase):
    def test_r_disp_06_the_instructions_are_made_once_for_all_who_wait(self) -> None:
        waiting = [self.prepare(), self.prepare()]
        self.assertEqual(len(self.gathering), 1)
        self.ready()
        self.assertEqual(*[self.successResultOf(one).instructions for one in waiting])
        self.successResultOf(self.prepare())
        self.assertEqual(self.gathering, [])

    def test_r_disp_06_dropping_who_waits_spoils_nothing(self) -> None:
        dropped, kept = self.prepare(), self.prepare()
        dropped.cancel()
        self.failureResultOf(dropped, CancelledError)
        self.ready()
        self.assertIn("/project", self.successResultOf(kept).instructions)

    def test_r_disp_06_a_failure_is_told_and_the_next_run_tries_again(self) -> None:
        waiting = self.prepare()
        self.gathering.pop().errback(OSError("no such directory"))
        self.assertIn("no such directory", self.failureResultOf(waiting, Failed).value.message)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        again = self.prepare()
        self.ready()
        self.successResultOf(again)

    def test_r_disp_06_a_failure_at_once_is_told_as_well(self) -> None:
        async def gather() -> Facts:
            return await fail(OSError("no"))

        self.agents = Agents(lambda: self.config, self.build, gather, lambda: self.mcp)
        self.failureResultOf(self.prepare(), Failed)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_r_disp_05_an_interactive_agent_never_waits_for_mcp(self) -> None:
        waiting = self.prepare()
        self.ready()
        self.assertTrue(self.successResultOf(waiting).interactive)

    def test_r_disp_05_a_non_interactive_agent_waits_for_mcp_before_each_run(self) -> None:
        self.agents.init(interactive=False)
        waiting = self.prepare()
        self.assertEqual(self.gathering, [])
        self.mcp.callback(None)
        self.ready()
        self.assertFalse(self.successResultOf(waiting).interactive)
        self.mcp = Deferred()
        self.assertNoResult(self.prepare())

    def test_r_disp_05_a_run_that_ends_before_mcp_is_ready_says_so(self) -> None:
        self.agents.init(interactive=False)
        waiting = self.prepare()
        waiting.cancel()
        self.assertIn("MCP initialization", self.failureResultOf(waiting, Failed).value.message)


class Crews(AgentsCase):
    def setUp(self) -> None:
        super().setUp()
        self.prepare()
        self.ready()

    def test_r_disp_07_models_and_providers_are_those_of_the_configuration_now(self) -> None:
        before = self.built
        now(self.prepare())
        self.config = configuration(model("newer"))
        crew = now(self.prepare())
        self.assertEqual((crew.large.model.id, crew.small.model.id), ("newer", "newer"))
        self.assertEqual(self.built, before + 4)

    def test_what_is_missing_is_named(self) -> None:
        self.config = replace(self.config, models={})
        failure = self.failureResultOf(self.prepare(), Failed)
        self.assertEqual(failure.value.message, "failed to update models: large model not selected")

    def test_without_a_provider_there_is_no_agent(self) -> None:
        self.config = replace(self.config, models={}, providers={})
        self.assertFalse(self.agents.is_ready)
        self.assertRaises(Failed, self.agents.init, interactive=True)
        self.assertRaises(Failed, self.agents.update)

    def test_r_disp_09_a_new_agent_is_as_interactive_as_it_was_asked_to_be(self) -> None:
        self.mcp = succeed(None)
        self.agents.init(interactive=False)
        waiting = self.prepare()
        self.ready()
        self.assertFalse(self.successResultOf(waiting).interactive)
