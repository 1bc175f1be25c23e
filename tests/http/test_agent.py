"""The agent over HTTP, in memory: its state, its queue, cancelling."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.config import Config, Options, TuiOptions
from txcrush.testing.http_harness import Asked, HttpHarness
from txcrush.testing.scripted_processes import ScriptedChild
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

    def test_promise_09_an_idle_cancel_spoils_no_later_prompt(self) -> None:
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


class Shell(SynchronousTestCase):
    """Commands that a user runs himself, over scripted programs."""

    def setUp(self) -> None:
        self.harness = HttpHarness()
        self.client = self.harness.client
        self.workspace = self.harness.join(env=["A=1", "PAGER=less", "OPENAI_API_KEY=sk", "odd"])
        self.session = self.harness.session(self.workspace)

    def ask(self, command: str = "ls", session: str = "", **fields: object) -> Asked:
        path = f"/v1/workspaces/{self.workspace}/agent/sessions/{session or self.session}/shell"
        return self.client.ask("POST", path, {"command": command, **fields})

    @property
    def child(self) -> ScriptedChild:
        return self.harness.processes.children[-1]

    def messages(self) -> list[dict[str, Any]]:
        return list(self.client.get(f"/v1/workspaces/{self.workspace}/sessions/{self.session}/messages").value)

    def test_t_bang_01_it_is_held_answered_and_stored_before_that(self) -> None:
        stream = self.client.stream(self.workspace)
        asked = self.ask("echo hi; echo err >&2; exit 3")
        self.assertFalse(asked.is_answered)
        self.child.write(b"hi\n", b"err\n").exit(3)
        self.assertEqual(asked.answer.value, {"output": "hi\n\nerr\n", "exit_code": 3})
        part = {"command": "echo hi; echo err >&2; exit 3", "output": "hi\n\nerr\n", "exit_code": 3}
        (message,) = self.messages()
        self.assertEqual(message["role"], "user")
        self.assertEqual(
            message["parts"],
            [{"type": "shell_command", "data": part}, {"type": "finish", "data": {"reason": "stop", "time": 0}}],
        )
        self.assertEqual([payload["id"] for payload in stream.of("message")], [message["id"]])

    def test_only_standard_error_stands_without_a_newline_before_it(self) -> None:
        asked = self.ask()
        self.child.write(err=b"oops\n").exit()
        self.assertEqual(asked.answer.value, {"output": "oops\n", "exit_code": 0})

    def test_t_bang_01_for_an_unknown_session_it_runs_and_nothing_is_stored(self) -> None:
        asked = self.ask(session="00000000-0000-4000-8000-000000000000")
        self.child.write(b"x").exit()
        self.assertEqual(asked.answer.value, {"output": "x", "exit_code": 0})
        self.assertEqual(self.messages(), [])

    def test_t_bang_01_a_session_that_is_deleted_meanwhile_is_no_error(self) -> None:
        asked = self.ask()
        self.client.delete(f"/v1/workspaces/{self.workspace}/sessions/{self.session}")
        self.child.exit()
        self.assertEqual(asked.answer.status, 200)

    def test_a_client_that_drops_ends_the_command_and_stores_nothing(self) -> None:
        asked = self.ask("sleep 99")
        asked.drop()
        self.assertEqual(self.child.graces, [2.0])
        self.assertEqual((self.messages(), asked.raw), ([], b""))

    def test_no_run_begins_and_nothing_is_busy(self) -> None:
        self.ask("sleep 99")
        self.assertFalse(self.client.get(f"/v1/workspaces/{self.workspace}/agent").value["is_busy"])

    def test_it_runs_in_the_workspace_with_its_environment_colours_and_width(self) -> None:
        self.ask(term_width=40)
        program = self.child.program
        self.assertEqual(program.cwd, "/project")
        self.assertEqual((program.env["A"], program.env["FORCE_COLOR"], program.env["COLUMNS"]), ("1", "1", "40"))
        self.assertEqual((program.env["COLORTERM"], program.env["CLICOLOR_FORCE"]), ("truecolor", "1"))

    def test_a_line_that_bash_cannot_read_gives_one_and_no_output(self) -> None:
        asked = self.ask("if")
        self.child.write(err=b"bash: -c: line 2: syntax error: unexpected end of file\n").exit(2)
        self.assertEqual(asked.answer.value, {"output": "", "exit_code": 1})

    def test_a_directory_that_is_gone_is_said(self) -> None:
        self.harness.processes.missing.add("/project")
        answer = self.ask().answer.value
        self.assertEqual(answer["exit_code"], 1)
        self.assertIn("/project", answer["output"])

    def test_runaway_output_is_answered_with_its_ends(self) -> None:
        asked = self.ask("yes")
        for _ in range(50):
            self.child.write(b"y\n" * 100_000)
        self.child.exit(141)
        output = asked.answer.value["output"]
        self.assertLess(len(output), 1_100_000)
        self.assertIn("lines truncated", output)

    def test_what_still_runs_when_the_workspace_closes_is_ended(self) -> None:
        asked = self.ask("sleep 99")
        self.successResultOf(Deferred.fromCoroutine(self.harness.workspaces.stop()))
        self.assertEqual(self.child.graces, [1.0])
        self.assertEqual((asked.answer.status, asked.answer.message), (409, "workspace closing"))

    def test_too_many_at_once_are_refused(self) -> None:
        for _ in range(50):
            self.ask("sleep 99")
        self.assertEqual(self.ask().answer.message, "50 shell commands run already")
