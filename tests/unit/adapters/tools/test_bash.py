"""The `bash` tool over scripted programs, a scripted desk and a scripted judgement."""

from unittest import mock

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.bash_lines import Judgement
from txcrush.adapters.tools.bash import SPEC, BashTool
from txcrush.core.jobs import MOST_RUNNING, Jobs
from txcrush.model.errors import Failed, Refused
from txcrush.model.tools import ToolOutput
from txcrush.testing.harness import program_of
from txcrush.testing.scripted_desk import ScriptedDesk
from txcrush.testing.scripted_processes import ScriptedChild, ScriptedProcesses
from txcrush.testing.tool_calls import use_of
from txcrush.wire.json import parse_object


def asking(line: str, **changes: object) -> Judgement:
    values: dict[str, object] = {
        "runs_unasked": False,
        "command": line,
        "keys": (line,),
        "blocked": "",
        "parse_error": "",
        "guarded": False,
    }
    return Judgement(**{**values, **changes})  # type: ignore[arg-type]


class BashCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.processes = ScriptedProcesses()
        self.jobs = Jobs(self.processes, program_of, self.clock, "scope")
        self.desk = ScriptedDesk()
        self.tool = BashTool("/w", self.desk, self.jobs, self.clock, maybeDeferred)
        self.judgements: dict[str, Judgement] = {}
        judging = mock.patch(
            "txcrush.adapters.tools.bash.judge", lambda line: self.judgements.get(line) or asking(line)
        )
        judging.start()
        self.addCleanup(judging.stop)

    def run_it(self, command: str = "make", **arguments: object) -> Deferred[ToolOutput]:
        return self.tool.run(use_of("bash", description="builds", command=command, **arguments))

    @property
    def child(self) -> ScriptedChild:
        return self.processes.children[-1]

    def metadata(self, output: ToolOutput) -> dict[str, object]:
        return parse_object(output.metadata)


class Asking(BashCase):
    def test_the_ask_has_all_five_parameters_as_they_were_given(self) -> None:
        self.judgements["git push"] = asking("git push", keys=("git push",))
        self.run_it("git push", working_dir="sub")
        (ask,) = self.desk.asks
        self.assertEqual((ask.tool_name, ask.action, ask.path), ("bash", "execute", "/w/sub"))
        self.assertEqual(ask.description, "Execute command: git push")
        self.assertEqual(
            ask.params,
            {
                "description": "builds",
                "command": "git push",
                "working_dir": "sub",
                "run_in_background": False,
                "auto_background_after": 0,
            },
        )
        self.assertEqual((ask.keys, ask.guarded), (("git push",), False))

    def test_a_guarded_line_is_asked_as_such(self) -> None:
        self.judgements["rm .git/config"] = asking("rm .git/config", guarded=True)
        self.run_it("rm .git/config")
        self.assertTrue(self.desk.asks[0].guarded)

    def test_t_bash_02_a_read_only_line_runs_unasked_as_the_judgement_rewrote_it(self) -> None:
        self.judgements["git status"] = asking("git -c x=y status", runs_unasked=True)
        self.run_it("git status")
        self.assertEqual(self.desk.asks, [])
        self.assertEqual(self.child.command, "git -c x=y status")

    def test_d_07_a_read_only_line_that_leads_out_of_the_workspace_asks_and_runs_as_given(self) -> None:
        self.judgements["git status"] = asking("git -c x=y status", runs_unasked=True, reads=("link",))
        looked: list[object] = []
        with mock.patch("txcrush.adapters.tools.bash.leads_out", lambda *given: looked.append(given) or True):
            self.run_it("git status", working_dir="sub")
        self.assertEqual(looked, [(("link",), "/w/sub", "/w")])
        self.assertEqual(len(self.desk.asks), 1)
        self.assertEqual(self.child.command, "git status")

    def test_t_bash_01_a_line_that_asks_runs_as_it_was_given(self) -> None:
        self.judgements["ls && echo done"] = asking("something else")
        self.run_it("ls && echo done")
        self.assertEqual(len(self.desk.asks), 1)
        self.assertEqual(self.child.command, "ls && echo done")

    def test_t_bash_03_denied_nothing_runs_and_the_turn_stops(self) -> None:
        self.desk.grant = False
        output = self.successResultOf(self.run_it("ls && rm x"))
        self.assertIn("User denied permission", output.content)
        self.assertEqual((output.is_error, output.stop_turn, output.metadata), (True, True, ""))
        self.assertEqual(self.processes.children, [])

    def test_cancelled_while_it_asks_nothing_runs(self) -> None:
        self.desk.grant = None
        running = self.run_it()
        running.cancel()
        self.failureResultOf(running, CancelledError)
        self.assertEqual((len(self.desk.cancelled), self.processes.children), (1, []))

    def test_without_a_command_or_a_session_nothing_is_asked(self) -> None:
        self.assertEqual(self.failureResultOf(self.run_it(""), Refused).getErrorMessage(), "missing command")
        self.failureResultOf(self.tool.run(use_of("bash", session="", command="ls")), Failed)
        self.assertEqual(self.desk.asks, [])

    def test_what_is_required_is_declared(self) -> None:
        self.assertEqual(SPEC.required, ("description", "command"))
        self.assertFalse(SPEC.parallel)


class Foreground(BashCase):
    def test_t_bash_04_a_quick_command_is_answered_in_place(self) -> None:
        running = self.run_it("echo hi")
        self.child.write(b"hi\n")
        self.clock.advance(0.25)
        self.child.exit()
        output = self.successResultOf(running)
        self.assertEqual((output.content, output.is_error), ("hi\n\n\n<cwd>/w</cwd>", False))
        self.assertEqual(
            self.metadata(output),
            {
                "start_time": 1_000_000,
                "end_time": 1_000_250,
                "output": "hi\n",
                "description": "builds",
                "working_directory": "/w",
            },
        )
        self.assertEqual(self.jobs.all(), [])

    def test_a_failing_command_is_no_error_result(self) -> None:
        running = self.run_it("false")
        self.child.exit(1)
        output = self.successResultOf(running)
        self.assertEqual((output.content, output.is_error), ("\nexit status 1\nExit code 1\n\n<cwd>/w</cwd>", False))

    def test_d_01_a_relative_directory_stands_under_the_workspace(self) -> None:
        for given, seen in (("sub/..//x", "/w/x"), ("", "/w"), ("/abs", "/abs"), ("..", "/")):
            running = self.run_it("pwd", working_dir=given)
            self.assertEqual(self.child.program.cwd, seen)
            self.child.exit()
            self.assertEqual(self.metadata(self.successResultOf(running))["working_directory"], seen)

    def test_a_directory_that_is_not_there_is_told_like_a_failing_command(self) -> None:
        self.processes.missing.add("/w/gone")
        output = self.successResultOf(self.run_it("ls", working_dir="gone"))
        self.assertRegex(
            output.content, r"\A\ncould not run command: could not stat: .*/w/gone.*\nExit code 1\n\n<cwd>"
        )
        self.assertFalse(output.is_error)

    def test_cancelling_kills_the_command_and_waits_until_it_is_gone(self) -> None:
        running = self.run_it("sleep 99")
        self.child.is_stubborn = True
        running.cancel()
        self.assertNoResult(running)
        self.child.give_in()
        self.failureResultOf(running, CancelledError)
        self.assertEqual(self.jobs.all(), [])

    def test_a_command_that_another_call_kills_was_aborted(self) -> None:
        running = self.run_it("sleep 99")
        self.jobs.kill(self.jobs.all()[0])
        self.assertIn("Command was aborted before completion", self.successResultOf(running).content)

    def test_too_many_jobs_fail_the_turn(self) -> None:
        for _ in range(MOST_RUNNING):
            self.jobs.start("x", "/w")
        message = self.failureResultOf(self.run_it(), Failed).getErrorMessage()
        self.assertTrue(message.startswith("error starting shell: maximum number of background jobs (50) reached."))
        message = self.failureResultOf(self.run_it(run_in_background=True), Failed).getErrorMessage()
        self.assertTrue(message.startswith("error starting background shell: maximum"))

    def test_long_output_is_cut(self) -> None:
        running = self.run_it("seq")
        self.child.write(b"ab\n" * 20_000).exit()
        self.assertIn("[5000 lines truncated]", self.successResultOf(running).content)


class Background(BashCase):
    def test_t_bash_05_after_its_patience_the_command_goes_on_behind(self) -> None:
        running = self.run_it("sleep 1.5", auto_background_after=1)
        self.clock.advance(1)
        output = self.successResultOf(running)
        self.assertIn("moved to background", output.content)
        self.assertIn("001", output.content)
        told = self.metadata(output)
        self.assertEqual((told["background"], told["shell_id"], told["output"]), (True, "001", ""))
        self.assertFalse(self.child.has_exited)

    def test_d_15_nothing_and_less_mean_the_default_of_a_minute(self) -> None:
        for given in (0, -1):
            running = self.run_it(auto_background_after=given)
            self.clock.advance(59.9)
            self.assertNoResult(running)
            self.clock.advance(0.1)
            self.assertIn("moved to background", self.successResultOf(running).content)

    def test_once_behind_cancelling_the_run_leaves_it_alone(self) -> None:
        running = self.run_it(auto_background_after=1)
        self.clock.advance(1)
        running.cancel()
        self.successResultOf(running)
        self.assertEqual(self.child.graces, [])

    def test_on_request_it_is_told_after_a_second(self) -> None:
        running = self.run_it("serve", run_in_background=True)
        self.clock.advance(0.99)
        self.assertNoResult(running)
        self.clock.advance(0.01)
        output = self.successResultOf(running)
        self.assertIn("Background shell started with ID: 001", output.content)
        self.assertEqual(self.metadata(output)["shell_id"], "001")

    def test_on_request_what_ends_within_the_second_is_told_as_ended(self) -> None:
        running = self.run_it("serve", run_in_background=True)
        self.child.write(err=b"port in use\n").exit(1)
        output = self.successResultOf(running)
        self.assertIn("port in use", output.content)
        told = self.metadata(output)
        self.assertTrue(told["background"])
        self.assertNotIn("shell_id", told)


class NeverRun(BashCase):
    def test_what_the_judgement_blocks_is_not_run(self) -> None:
        self.judgements["command curl x"] = asking("command curl x", blocked="curl")
        output = self.successResultOf(self.run_it("command curl x"))
        self.assertEqual(
            output.content,
            '\ncommand is not allowed for security reasons: "curl"\nExit code 1\n\n<cwd>/w</cwd>',
        )
        self.assertEqual((output.is_error, self.processes.children), (False, []))

    def test_t_sh_08_what_bash_cannot_parse_is_not_run(self) -> None:
        self.judgements["if"] = asking("if", parse_error="odd")
        running = self.run_it("if")
        (check,) = self.processes.children
        check.write(err=b"bash: -c: line 2: syntax error: unexpected end of file\n").exit(2)
        output = self.successResultOf(running)
        self.assertEqual(
            output.content,
            "\ncould not parse command: line 2: syntax error: unexpected end of file\nExit code 1\n\n<cwd>/w</cwd>",
        )
        self.assertEqual(self.processes.children, [check])

    def test_what_only_our_parser_cannot_read_is_run(self) -> None:
        self.judgements["odd"] = asking("odd", parse_error="odd")
        running = self.run_it("odd")
        self.child.exit()
        self.child.write(b"fine\n").exit()
        self.assertIn("fine", self.successResultOf(running).content)
        self.assertEqual(len(self.processes.children), 2)
