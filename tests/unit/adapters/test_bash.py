"""Lines as programs. What bash makes of the prelude is shown in `tests/live`."""

import os
import stat
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.bash import LONGEST_BYTES, Bash, prelude
from txcrush.adapters.bash_lines import Shape
from txcrush.model.errors import Refused
from txcrush.model.processes import Program, ShellLine

SHAPES = (Shape("npm", ("install",), ("-g",)), Shape("curl", ("x",)))


class Programs(SynchronousTestCase):
    def setUp(self) -> None:
        parent = tempfile.TemporaryDirectory()
        self.addCleanup(parent.cleanup)
        self.folder = os.path.join(parent.name, "shell")

    def made(self, command: str = "ls", environ: dict[str, str] | None = None, **line: object) -> Program:
        bash = Bash({"PATH": os.defpath, **(environ or {})}, self.folder, ["curl"], SHAPES)
        return bash(ShellLine(command=command, cwd="/w", mark="m", **line))  # type: ignore[arg-type]

    def test_the_line_is_one_argument_whatever_it_begins_with(self) -> None:
        program = self.made("-x")
        self.assertEqual(program.argv[1:], ("-c", "--", "-x", "bash"))
        self.assertTrue(program.argv[0].endswith("/bash"))
        self.assertEqual((program.cwd, program.mark), ("/w", "m"))

    def test_to_parse_only_nothing_is_run(self) -> None:
        self.assertEqual(self.made(only_parse=True).argv[1:3], ("-n", "-c"))

    def test_the_prelude_is_for_nobody_else_to_read_and_is_mended(self) -> None:
        file = Path(self.made().env["BASH_ENV"])
        self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(file.parent.stat().st_mode), 0o700)
        whole = file.read_text()
        file.write_text("")
        self.made()
        self.assertEqual(file.read_text(), whole)

    def test_without_the_block_list_only_the_manners_are_kept(self) -> None:
        file = Path(self.made(blocks=False).env["BASH_ENV"])
        self.assertNotIn("curl", file.read_text())
        self.assertIn("command_not_found_handle", file.read_text())

    def test_what_would_mislead_bash_is_not_handed_on(self) -> None:
        bad = {"BASH_ENV": "/x", "POSIXLY_CORRECT": "1", "SHELLOPTS": "noexec", "ENV": "/y"}
        env = self.made(environ=bad, env=bad).env
        self.assertEqual([name for name in bad if env.get(name) == bad[name]], [])

    def test_the_lines_variables_lie_over_the_servers_but_below_the_forced_ones(self) -> None:
        env = self.made(environ={"A": "1", "B": "1"}, env={"B": "2", "PAGER": "less", "COLUMNS": "40"}).env
        self.assertEqual((env["A"], env["B"], env["PAGER"], env["COLUMNS"]), ("1", "2", "cat", "40"))

    def test_withheld_variables_are_in_neither(self) -> None:
        env = self.made(environ={"K": "1"}, env={"L": "2", "TXCRUSH_X": "3"}, withheld=frozenset({"K", "L"})).env
        self.assertEqual({"K", "L", "TXCRUSH_X"} & env.keys(), set())

    def test_a_line_that_is_too_long_for_an_argument_is_refused(self) -> None:
        with self.assertRaisesRegex(Refused, "too long"):
            self.made("x" * (LONGEST_BYTES + 1))

    def test_without_bash_the_reason_is_said(self) -> None:
        bash = Bash({"PATH": "/nowhere"}, self.folder, [], [])
        bash._bash = ""
        with self.assertRaisesRegex(Refused, "no bash on this machine"):
            bash(ShellLine(command="ls", cwd="/", mark="m"))

    def test_a_folder_that_cannot_be_written_is_said(self) -> None:
        Path(self.folder).write_text("a file")
        with self.assertRaisesRegex(Refused, "bash cannot be prepared"):
            self.made()


class Prelude(SynchronousTestCase):
    def test_every_name_and_every_shape_has_its_function(self) -> None:
        text = prelude(["curl", "apt-get"], SHAPES)
        for begin in ("unset BASH_ENV", "curl() {", "apt-get() {", "npm() {"):
            self.assertTrue(any(line.startswith(begin) for line in text.splitlines()), begin)

    def test_a_name_that_is_banned_altogether_needs_no_shapes(self) -> None:
        self.assertEqual(prelude(["curl"], SHAPES).count("curl()"), 1)
