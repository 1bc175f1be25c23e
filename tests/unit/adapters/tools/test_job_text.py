"""Jobs in words."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.tools.job_text import body, output, with_directory
from txcrush.core.jobs import JobEnd


def told(out: str = "", err: str = "", status: int = 0, failure: str = "", *, killed: bool = False) -> str:
    return body((out, 0, ""), (err, 0, ""), JobEnd(status, 0.0, failure, killed))


class Body(SynchronousTestCase):
    def test_output_errors_and_exit_code_stand_as_the_reference_has_them(self) -> None:
        self.assertEqual(told("hello\n"), "hello\n")
        self.assertEqual(told("out\n", "err\n", 3), "out\n\n\nerr\n\nExit code 3")
        self.assertEqual(told(status=1), "\nexit status 1\nExit code 1")
        self.assertEqual(told(err="err\n"), "\nerr\n")
        self.assertEqual(told("out\n", status=2), "out\n\nexit status 2\nExit code 2")
        missing = '"nopenope": executable file not found in $PATH\n'
        self.assertEqual(told(err=missing, status=127), f"\n{missing}\nExit code 127")

    def test_a_command_that_never_ran_says_why(self) -> None:
        why = 'command is not allowed for security reasons: "curl"'
        self.assertEqual(told(status=1, failure=why), f"\n{why}\nExit code 1")

    def test_a_killed_one_was_aborted(self) -> None:
        self.assertEqual(
            told("out\n", status=130, killed=True), "out\n\nexit status 130\nCommand was aborted before completion"
        )

    def test_each_stream_is_cut_on_its_own(self) -> None:
        both = told("x" * 40_000, "y" * 40_000)
        self.assertEqual(both.count("lines truncated"), 2)

    def test_without_any_output_there_is_no_directory(self) -> None:
        self.assertEqual(with_directory(told(), "/w"), "no output")
        self.assertEqual(with_directory("hello\n", "/w"), "hello\n\n\n<cwd>/w</cwd>")


class Output(SynchronousTestCase):
    def told(self, out: str = "", err: str = "", end: JobEnd | None = None) -> str:
        return output((out, 0, ""), (err, 0, ""), end)

    def test_what_there_is_line_by_line(self) -> None:
        self.assertEqual(self.told("out", "err", JobEnd(3, 0.0)), "out\nerr\nExit code 3")
        self.assertEqual(self.told("", "err"), "err")
        self.assertEqual(self.told("", "", JobEnd(0, 0.0)), "no output")
        self.assertEqual(self.told("", "", JobEnd(1, 0.0, "not there")), "not there\nExit code 1")

    def test_it_is_cut_as_one(self) -> None:
        self.assertEqual(self.told("x" * 40_000, "y" * 40_000).count("lines truncated"), 1)
