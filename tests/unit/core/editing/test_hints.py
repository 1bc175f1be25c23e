"""Hints for text that was not found (`tools.md` 11.4)."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.editing.hints import hint, visible


class HintTests(SynchronousTestCase):
    def test_t_edit_13_other_blanks_are_named_and_shown(self) -> None:
        for old in ("if x {\n    y()\n}", "\tif x {\n\t\ty()\n\t}", "if x {  \n\ty()\n}"):
            told = hint("a\nif x {\n\ty()\n}\n", old)
            self.assertIn("whitespace-normalized match", told)
            self.assertIn("(lines 2-4):\n     2|if x {\n     3|→y()\n     4|}\n", told)
            self.assertTrue(told.endswith("Use the exact whitespace shown above (→ = tab, · = space)."))

    def test_t_edit_14_the_closest_lines_are_shown_with_one_around_them(self) -> None:
        told = hint("top\none\ntwo\nthree\nfour\nend\n", "\none\ntwo\nTHREE\nfour\n")
        self.assertIn("Closest match at lines 2-5 (3/4 lines match", told)
        self.assertIn("     1|top\n     2|one\n     3|two\n     4|three\n     5|four\n     6|end\n", told)

    def test_t_edit_14_unrelated_and_empty_text_gets_no_hint(self) -> None:
        for old in ("zebra\nyak", "", " \n ", "one\nx\ny"):
            self.assertEqual(hint("one\ntwo\nthree\nfour\n", old), "")

    def test_half_rounded_up_is_enough_and_the_earliest_place_wins(self) -> None:
        self.assertIn("lines 1-3 (2/3", hint("a\nb\nx\na\nb\ny", "a\nb\nc"))
        self.assertEqual(hint("a\nx\ny", "a\nb\nc"), "")

    def test_t_edit_15_blanks_are_made_visible(self) -> None:
        self.assertEqual(visible("    code"), "····code")
        self.assertEqual(visible("\t\tcode"), "→→code")
        self.assertEqual(visible("a  b\tc"), "a  b→c")

    def test_a_file_of_equal_lines_costs_no_more_than_the_bound(self) -> None:
        self.assertEqual(hint("same\n" * 50_000, "same\n" * 200 + "other"), "")
