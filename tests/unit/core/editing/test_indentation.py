"""Units, depths and moves of indentation (`tools.md` 11.3)."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.editing.indentation import depth_of, reindented, unit_of


class IndentationTests(SynchronousTestCase):
    def test_t_edit_10_the_unit_is_a_tab_or_the_smallest_number_of_spaces(self) -> None:
        units = {
            "\t": ["a", "\tb", "\t\tc"],
            "    ": ["a", "    b", "        c"],
            "  ": ["a", "  b", "    c"],
            "": ["a", "b"],
        }
        for unit, lines in units.items():
            self.assertEqual(unit_of(lines), unit)
        self.assertEqual(unit_of(["    a", "  b"]), "  ")
        self.assertEqual(unit_of(["  a", " \tb"]), "\t")
        self.assertEqual(unit_of([" ", "    a"]), "    ")

    def test_t_edit_10_the_depth_counts_units(self) -> None:
        self.assertEqual(depth_of("\t\tx", "\t"), 2)
        self.assertEqual(depth_of("    x", "  "), 2)
        self.assertEqual(depth_of("    x", "    "), 1)
        self.assertEqual(depth_of("    x", ""), 0)

    def test_a_file_without_indentation_takes_the_text_as_it_is(self) -> None:
        self.assertEqual(reindented("  a\n    b", "x", ["x"], ""), "  a\n    b")

    def test_blank_lines_stay_as_they_are(self) -> None:
        self.assertEqual(reindented("a\n\n  \nb", "a", ["\ta"], "\t"), "\ta\n\n  \n\tb")

    def test_nothing_is_moved_out_of_the_page(self) -> None:
        self.assertEqual(reindented("a\n        b", "        a", ["a"], "\t"), "a\nb")
