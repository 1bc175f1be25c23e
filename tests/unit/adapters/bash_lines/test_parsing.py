"""What the parser of the second opinion is shown of a line."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.bash_lines.judgement import judge
from txcrush.adapters.bash_lines.parsing import parse


class BeyondAscii(SynchronousTestCase):
    """The grammar's scanner ends the whole process on `{` and some characters beyond U+FFFF."""

    lines = ("{\U0001f600", "{\U00010330 x; }", "{" + "\U00020000" * 50, "écho \U0001d400{a,b}", 'echo "naïve"')

    def test_the_parser_sees_ascii_only_and_counts_characters(self) -> None:
        for line in self.lines:
            with self.subTest(line=line):
                shown = parse(line).tree.root_node.text or b""
                self.assertTrue(shown.isascii())
                self.assertEqual(parse(line).tree.root_node.end_byte, len(line))

    def test_such_lines_are_judged_and_ask(self) -> None:
        for line in self.lines:
            with self.subTest(line=line):
                self.assertFalse(judge(line).runs_unasked)
