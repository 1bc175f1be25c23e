"""Output cut to 30000 cells."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.tools.truncation import HALF_CELLS, LIMIT_CELLS, truncated

MARK = "\n\n... [{} lines truncated] ...\n\n"


def halves(text: str) -> tuple[str, str]:
    """What stands before and behind the mark."""
    begun, _, rest = text.partition("\n\n... [")
    return begun, rest.partition(" lines truncated] ...\n\n")[2]


class Truncated(SynchronousTestCase):
    def test_t_bash_07_short_text_is_unchanged(self) -> None:
        for text in ("", "a\n", "x" * LIMIT_CELLS, "中" * HALF_CELLS, "\n" * 100_000, "\x1b[31m" * 40_000):
            self.assertEqual(truncated(text), text)

    def test_one_cell_more_is_cut(self) -> None:
        self.assertEqual(truncated("x" * (LIMIT_CELLS + 1)), "x" * HALF_CELLS + MARK.format(0) + "x" * HALF_CELLS)

    def test_twenty_thousand_lines_of_two_letters_lose_five_thousand(self) -> None:
        self.assertEqual(truncated("ab\n" * 20_000), "ab\n" * 7500 + MARK.format(5000) + "ab\n" * 7500)

    def test_t_bash_06_wide_characters_and_families_come_out_whole(self) -> None:
        for letter in ("中", "👨‍👩‍👧‍👦"):
            cut = truncated(letter * 30_000 * (4 if letter == "中" else 1))
            cut.encode()
            self.assertIn("lines truncated", cut)
            self.assertEqual(halves(cut), (letter * (HALF_CELLS // 2), letter * (HALF_CELLS // 2)))

    def test_a_wide_one_across_the_cut_is_left_out_before_and_kept_behind(self) -> None:
        begun, ended = halves(truncated("a" + "中" * 20_000 + "b"))
        self.assertEqual(begun, "a" + "中" * 7499)
        self.assertEqual(ended, "中" * 7500 + "b")

    def test_what_has_no_width_at_the_cut_goes_with_the_beginning_only(self) -> None:
        text = "x" * HALF_CELLS + "\n\n" + "y" * 10 + "\n\n" + "z" * HALF_CELLS
        self.assertEqual(halves(truncated(text)), ("x" * HALF_CELLS + "\n\n", "z" * HALF_CELLS))

    def test_the_rich_and_the_plain_way_agree(self) -> None:
        text = "x" * 5000 + "\n\tline\n" * 9000 + "y"
        rich = halves(truncated(text + "\x1b[0m"))
        plain = halves(truncated(text))
        self.assertEqual((rich[0], rich[1]), (plain[0] + "\x1b[0m", plain[1] + "\x1b[0m"))

    def test_escape_sequences_of_what_is_cut_away_stand_in_both_halves(self) -> None:
        begun, ended = halves(truncated("a" * 20_000 + "\x1b[31m" + "b" * 20_000))
        self.assertEqual(begun, "a" * HALF_CELLS + "\x1b[31m")
        self.assertEqual(ended, "\x1b[31m" + "b" * HALF_CELLS)

    def test_what_was_let_go_before_counts(self) -> None:
        self.assertEqual(truncated("a\n", 7, "b\n"), "a\n" + MARK.format(7) + "b\n")
        long = truncated("ab\n" * 20_000, 10, "ab\n" * 20_000)
        self.assertEqual(long, "ab\n" * 7500 + MARK.format(40_010 - 15_000) + "ab\n" * 7500)

    def test_broken_sequences_and_stray_marks_are_no_trap(self) -> None:
        for text in ("\x1b" * 70_000, "\x1b]0;title" * 20_000, "\u0301" * 70_000, "\x9b" * 70_000, "\x1b[" * 50_000):
            truncated(text + "x" * 40_000).encode()
