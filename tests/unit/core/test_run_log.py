"""The line that a run leaves in the log."""

from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.logs import Redactor, json_line, text_line
from txcrush.core.run import BY_USER
from txcrush.model.errors import ProviderError
from txcrush.model.ids import RunId
from txcrush.model.providers import Usage
from txcrush.model.runs import Prompt
from txcrush.testing.harness import Harness
from txcrush.testing.scripted_provider import Fail, Hang, Step
from txcrush.wire.json import parse_object

PROMPT = "the secret plan"


class RunLine(SynchronousTestCase):
    def line_of(self, harness: Harness, *, cancel: bool = False) -> LogEvent:
        """The one line of one run."""
        workspace = self.successResultOf(harness.open())
        session = self.successResultOf(Deferred.fromCoroutine(workspace.sessions.create("t")))
        with capturedLogs() as logged:
            prompt = Prompt(session_id=session.id, text=PROMPT, run_id=RunId("R 1"))
            workspace.runs.accept(prompt, "C")
            harness.clock.advance(2.5)
            if cancel:
                workspace.runs.cancel(session.id)
            harness.clock.advance(1)
        (line,) = [event for event in logged if "run" in event]
        return line

    def test_it_holds_ids_figures_and_no_word_of_the_prompt(self) -> None:
        line = self.line_of(Harness([Step("fine", usage=Usage(input=100, output=20, total=120))]))
        run = line["run"]
        self.assertEqual((run["run_id"], run["client_id"], run["outcome"]), ("R 1", "C", "completed"))
        self.assertEqual((run["provider"], run["model"], run["steps"]), ("scripted", "large", 1))
        self.assertEqual((run["input_tokens"], run["output_tokens"]), (100, 20))
        self.assertAlmostEqual(run["cost"], 0.00018)  # the title is charged too
        self.assertTrue(run["session_id"])
        for written in (text_line(line, Redactor()), json_line(line, Redactor())):
            self.assertNotIn(PROMPT, written)
            self.assertNotIn("fine", written)
            self.assertEqual(written.count("\n"), 1)

    def test_as_text_it_is_pairs_and_as_json_an_object(self) -> None:
        line = self.line_of(Harness([Step("fine")]))
        text = text_line(line, Redactor())
        self.assertIn('run ended: run_id="R 1" session_id=', text)
        self.assertIn(" outcome=completed steps=1 ", text)
        record = parse_object(json_line(line, Redactor()))
        self.assertEqual(record["run"], line["run"])

    def test_a_cancelled_run_says_why_and_by_whom(self) -> None:
        run = self.line_of(Harness([Step(Hang())]), cancel=True)["run"]
        self.assertEqual((run["outcome"], run["source"]), ("cancelled", "user"))
        self.assertEqual(run["reason"], "User canceled request")
        self.assertEqual(run["duration_s"], 2.5)

    def test_of_a_failure_only_its_code_is_told(self) -> None:
        run = self.line_of(Harness([Step(Fail(ProviderError(f"bad prompt: {PROMPT}", status=400)))]))["run"]
        self.assertEqual((run["outcome"], run["reason"]), ("failed", "provider_failed"))
        self.assertNotIn(PROMPT, str(run))

    def test_a_prompt_that_had_to_queue_says_how_long(self) -> None:
        harness = Harness([Step(Hang()), Step("two")])
        workspace = self.successResultOf(harness.open())
        session = self.successResultOf(Deferred.fromCoroutine(workspace.sessions.create("t")))
        for run_id in ("R1", "R2"):
            workspace.runs.accept(Prompt(session_id=session.id, text="x", run_id=RunId(run_id)))
        harness.clock.advance(4)
        with capturedLogs() as logged:
            active = workspace.runs.find(RunId("R1"))
            assert active is not None
            active.cancel(BY_USER)
            harness.clock.advance(1)
        lines = {event["run"]["run_id"]: event["run"] for event in logged if "run" in event}
        self.assertEqual((lines["R1"]["queue_wait_s"], lines["R2"]["queue_wait_s"]), (0.0, 4.0))
        self.assertEqual(harness.observations.runs.waited.total(), 4.0)

    def test_a_secret_is_blanked_out(self) -> None:
        line = self.line_of(Harness([Step("fine")]))
        redactor = Redactor()
        redactor.add("scripted")
        self.assertNotIn("scripted", text_line(line, redactor) + json_line(line, redactor))
