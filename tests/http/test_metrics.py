"""`/metrics` and the health routes, in memory."""

import re

from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.vitals import Disk, Vitals
from txcrush.testing.http_harness import HttpHarness
from txcrush.testing.scripted_provider import Call, Hang, Pause, Step
from txcrush.testing.scripted_tool import ScriptedTool

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-")
LINE = re.compile(r'[a-z_]+(\{([a-z]+="([^"\\\n]|\\.)*",?)*\})? (\+Inf|-?[0-9.e+-]+)')


class Figures(SynchronousTestCase):
    def setUp(self) -> None:
        self.harness = HttpHarness()

    def begin(self, *steps: Step, **more: object) -> str:
        self.harness = HttpHarness(steps, **more)  # type: ignore[arg-type]
        self.workspace = self.harness.join()
        self.session = self.harness.session(self.workspace)
        return f"/v1/workspaces/{self.workspace}"

    def prompt(self, text: str = "hi", **fields: object) -> None:
        self.harness.client.ask(
            "POST", f"/v1/workspaces/{self.workspace}/agent", {"session_id": self.session, "prompt": text, **fields}
        )

    def scraped(self) -> dict[str, float]:
        """Every sample by its name and labels."""
        answer = self.harness.client.get("/metrics")
        self.assertEqual(answer.status, 200)
        lines = [line for line in answer.body.decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    def test_it_is_the_text_format_line_by_line(self) -> None:
        self.begin(Step("ok"))
        self.prompt()
        answer = self.harness.client.get("/metrics")
        self.assertEqual(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
        lines = answer.body.decode().splitlines()
        self.assertEqual([line for line in lines if line[0] != "#" and not LINE.fullmatch(line)], [])
        typed = [line.split()[2] for line in lines if line.startswith("# TYPE")]
        self.assertEqual(len(typed), len(set(typed)))

    def test_runs_are_shown_by_state_and_counted_by_outcome(self) -> None:
        path = self.begin(Step(Hang()), Step("three"))
        self.prompt(run_id="R1")
        self.prompt(run_id="R2")
        seen = self.scraped()
        self.assertEqual((seen['txcrush_runs{state="active"}'], seen['txcrush_runs{state="queued"}']), (1, 1))
        self.assertEqual((seen["txcrush_queue_depth"], seen["txcrush_runs_accepted_total"]), (1, 2))
        self.harness.client.post(f"{path}/agent/sessions/{self.session}/cancel")
        self.prompt(run_id="R3")
        seen = self.scraped()
        self.assertEqual(seen['txcrush_runs_ended_total{outcome="cancelled"}'], 2)
        self.assertEqual(seen['txcrush_runs_ended_total{outcome="completed"}'], 1)
        self.assertEqual(seen["txcrush_queue_depth"], 0)

    def test_streams_their_queues_and_what_was_coalesced(self) -> None:
        self.begin(Step("a", Pause(0.3), "b", Pause(0.3), "c", Pause(0.3), "d"))
        stream = self.harness.client.stream(self.workspace)
        self.assertEqual(self.scraped()["txcrush_streams_open"], 1)
        stream.pause()
        self.prompt()
        self.harness.clock.pump([0.05] * 60)
        seen = self.scraped()
        self.assertGreater(seen["txcrush_streams_queued_bytes"], 500)
        self.assertGreater(seen["txcrush_stream_updates_coalesced_total"], 0)
        stream.resume()
        self.assertEqual(self.scraped()["txcrush_streams_queued_bytes"], 0)

    def test_tools_are_counted_by_name_and_outcome_and_invented_ones_under_one_name(self) -> None:
        tool = ScriptedTool("look")
        self.begin(Step(Call("c1", "look")), Step(Call("c2", "made_up_by_a_model")), Step("ok"), tools=[tool])
        self.prompt()
        tool.answer("c1")
        self.harness.clock.advance(1)
        seen = {name: value for name, value in self.scraped().items() if name.startswith("txcrush_tool_calls")}
        self.assertEqual(seen['txcrush_tool_calls_total{tool="look",outcome="ok"}'], 1)
        self.assertEqual(seen['txcrush_tool_calls_total{tool="unknown",outcome="error"}'], 1)

    def test_models_are_timed_and_their_tokens_counted(self) -> None:
        self.begin(Step("ok"))
        self.prompt()
        seen = self.scraped()
        model = '{provider="scripted",model="large"'
        self.assertEqual(seen[f'txcrush_provider_requests_total{model},outcome="ok"}}'], 1)
        self.assertEqual(seen[f"txcrush_provider_first_token_seconds_count{model}}}"], 1)
        self.assertGreater(seen[f'txcrush_provider_tokens_total{model},kind="output"}}'], 0)

    def test_no_id_path_or_secret_stands_in_it(self) -> None:
        self.begin(Step("ok"))
        self.prompt("the secret plan")
        text = self.harness.client.get("/metrics").body.decode()
        for hidden in (self.session, self.workspace, "/project", "secret plan"):
            self.assertNotIn(hidden, text)
        self.assertIsNone(ID.search(text))

    def test_over_tcp_it_needs_the_token_as_everything_does(self) -> None:
        harness = HttpHarness(kind="tcp", token="t" * 43)
        for path in ("/metrics", "/v1/health", "/v1/health/details"):
            self.assertEqual(harness.client.get(path).status, 401)
            let_in = harness.client.ask("GET", path, Authorization=f"Bearer {'t' * 43}").answer
            self.assertEqual(let_in.status, 200)

    def test_process_figures_are_what_the_system_says(self) -> None:
        self.harness.vitals = Vitals(resident_bytes=7, open_files=5, file_limit=9, processes=3)
        seen = self.scraped()
        names = ("process_resident_memory_bytes", "process_open_fds", "process_max_fds", "txcrush_child_processes")
        self.assertEqual([seen[name] for name in names], [7, 5, 9, 3])
        self.assertEqual(seen['txcrush_build_info{version="test"}'], 1)


class HealthAnswers(SynchronousTestCase):
    def setUp(self) -> None:
        self.harness = HttpHarness()

    def test_all_is_well_says_what_the_reference_says(self) -> None:
        answer = self.harness.client.get("/v1/health")
        self.assertEqual((answer.status, answer.body, answer.headers["content-length"]), (200, b"", "0"))
        self.assertNotIn("content-type", answer.headers)
        details = self.harness.client.get("/v1/health/details").value
        self.assertEqual((details["status"], details["problems"]), ("ok", []))

    def test_what_harms_requests_is_told_in_a_200_that_clients_accept(self) -> None:
        self.harness.observations.databases.opened("/d").settled(0, 0.1, "disk is full")
        answer = self.harness.client.get("/v1/health")
        self.assertEqual((answer.status, answer.value["status"]), (200, "error"))
        (problem,) = answer.value["problems"]
        self.assertEqual((problem["code"], problem["severity"]), ("storage_failing", "error"))
        self.assertTrue(problem["action"])

    def test_a_warning_is_in_the_details_only(self) -> None:
        self.harness.vitals = Vitals(disks=(Disk("/d", 2 << 28, 2**40),))
        self.harness.vitals = Vitals(open_files=85, file_limit=100)
        self.assertEqual(self.harness.client.get("/v1/health/details").value["status"], "warning")
        self.assertEqual(self.harness.client.get("/v1/health").body, b"")

    def test_a_workspace_that_could_not_be_opened_is_told_until_it_is(self) -> None:
        from txcrush.model.errors import StorageFailed
        from txcrush.testing.harness import CLIENT

        self.harness.hold_opens()
        asked = self.harness.client.ask("POST", "/v1/workspaces", {"path": "/p", "client_id": CLIENT})
        self.harness.release_opens(StorageFailed("the database is newer than this program"))
        self.assertEqual(asked.answer.status, 500)
        (problem,) = self.harness.client.get("/v1/health").value["problems"]
        self.assertEqual(problem["code"], "workspace_not_opened")
        self.assertIn("newer than this program", problem["message"])
        self.harness.join("/p")
        self.assertEqual(self.harness.client.get("/v1/health").body, b"")
