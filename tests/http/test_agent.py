"""The agent over HTTP, in memory: its state, its queue, cancelling."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.config import Config, Options, TuiOptions
from txcrush.testing.http_harness import HttpHarness
from txcrush.testing.scripted_provider import Wait


class Agent(SynchronousTestCase):
    def setUp(self) -> None:
        self.harness = HttpHarness()
        self.client = self.harness.client
        self.workspace = self.harness.join()
        self.session = self.harness.session(self.workspace)
        self.root = f"/v1/workspaces/{self.workspace}/agent"
        self.path = f"{self.root}/sessions/{self.session}"

    def prompt(self, text: str) -> None:
        body = {"session_id": self.session, "prompt": text, "run_id": text}
        self.assertEqual(self.client.post(self.root, body).status, 202)

    def test_its_state_names_the_model_and_whether_it_works(self) -> None:
        idle = self.client.get(self.root).value
        self.assertEqual((idle["is_busy"], idle["is_ready"]), (False, True))
        self.assertEqual((idle["model"]["id"], idle["model_cfg"]["provider"]), ("large", "scripted"))
        self.harness.provider.add(Wait())
        self.prompt("a")
        self.assertTrue(self.client.get(self.root).value["is_busy"])

    def test_the_queue_is_shown_in_order_and_null_when_empty(self) -> None:
        self.assertEqual(self.client.get(f"{self.path}/prompts/list").body, b"null\n")
        self.harness.provider.add(Wait())
        for text in ("a", "b", "c"):
            self.prompt(text)
        self.assertEqual(self.client.get(f"{self.path}/prompts/queued").body, b"2\n")
        self.assertEqual(self.client.get(f"{self.path}/prompts/list").value, ["b", "c"])

    def test_clearing_drops_the_queue_and_leaves_the_run(self) -> None:
        stream = self.client.stream(self.workspace)
        self.harness.provider.add(Wait(), "ok")
        for text in ("a", "b", "c"):
            self.prompt(text)
        self.assertEqual(self.client.post(f"{self.path}/prompts/clear").status, 200)
        self.assertEqual(
            stream.of("run_complete"),
            [{"session_id": self.session, "run_id": name, "message_id": "", "cancelled": True} for name in "bc"],
        )
        self.harness.provider.proceed()
        self.assertEqual(stream.of("run_complete")[-1]["text"], "ok")

    def test_cancelling_and_clearing_what_is_idle_or_unknown_is_fine(self) -> None:
        for session in (self.session, "ghost"):
            for what in ("cancel", "prompts/clear"):
                self.assertEqual(self.client.post(f"{self.root}/sessions/{session}/{what}").status, 200)

    def test_p09_an_idle_cancel_spoils_no_later_prompt(self) -> None:
        self.client.post(f"{self.path}/cancel")
        self.harness.provider.add("ok")
        answer = self.client.post(self.root, {"session_id": self.session, "prompt": "hi"})
        self.assertEqual(answer.status, 200)
        self.assertEqual(len(self.harness.provider.requests), 1)

    def test_init_and_update_leave_a_live_run_alone(self) -> None:
        stream = self.client.stream(self.workspace)
        self.harness.provider.add(Wait(), "ok")
        self.prompt("a")
        for raw in (b"", b"{}", b'{"interactive":false}', b'{"interactive":true}'):
            self.assertEqual(self.client.post(f"{self.root}/init", raw=raw).status, 200)
        self.assertEqual(self.client.post(f"{self.root}/update").status, 200)
        self.assertTrue(self.client.get(self.path).value["is_busy"])
        self.harness.provider.proceed()
        self.assertEqual(stream.of("run_complete")[0]["text"], "ok")

    def test_the_default_small_model_falls_back_to_the_large_one(self) -> None:
        for query in ("", "?provider_id=nobody"):
            answer = self.client.get(f"{self.root}/default-small-model{query}")
            self.assertEqual((answer.value["model"], answer.value["provider"]), ("large", "scripted"))


class NotReady(SynchronousTestCase):
    def test_without_a_provider_every_route_says_so_in_its_own_words(self) -> None:
        bare = Config(providers={}, options=Options(tui=TuiOptions(), data_directory="/project/.crush"))
        harness = HttpHarness(config=bare)
        root = f"/v1/workspaces/{harness.join()}/agent"
        state = harness.client.get(root).value
        self.assertEqual((state["is_ready"], state["model"]["id"], state["model_cfg"]["model"]), (False, "", ""))
        for path, body, expected in [
            ("", b'{"session_id":"s","prompt":"p"}', (400, "agent coordinator not initialized")),
            ("/sessions/s/summarize", b"", (400, "agent coordinator not initialized")),
            ("/init", b"", (500, "coder agent configuration is missing")),
            ("/update", b"", (500, "agent configuration is missing")),
        ]:
            answer = harness.client.post(root + path, raw=body)
            self.assertEqual((answer.status, answer.message), expected)
        self.assertEqual(harness.client.post(f"{root}/sessions/s/cancel").status, 200)
        self.assertEqual(harness.client.get(f"{root}/sessions/s/prompts/list").value, None)
