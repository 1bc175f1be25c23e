"""Several edits of one text (`tools.md` 12)."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.editing.series import Edit, applied


class SeriesTests(SynchronousTestCase):
    def test_t_med_01_a_failing_edit_is_left_out_and_later_ones_see_earlier_results(self) -> None:
        edits = (Edit("one", "1"), Edit("nope", "x"), Edit("1 two", "12"), Edit("three", "3"))
        done = applied("one two three", edits)
        self.assertEqual((done.text, done.applied), ("12 3", 3))
        ((failed),) = done.failed
        self.assertEqual((failed.index, failed.edit), (2, edits[1]))
        self.assertIn("old_string not found", failed.error)

    def test_t_med_02_all_succeed_or_all_fail(self) -> None:
        self.assertEqual(applied("a b", (Edit("a", "1"), Edit("b", "2"))).text, "1 2")
        failed = applied("a b", (Edit("x", "1"), Edit("y", "2")))
        self.assertEqual((failed.text, failed.applied, len(failed.failed)), ("a b", 0, 2))

    def test_t_med_03_replace_all_ambiguity_and_nothing_by_nothing(self) -> None:
        self.assertEqual(applied("a a", (Edit("a", "b", True),)).text, "b b")
        self.assertIn("multiple times", applied("a a", (Edit("a", "b"),)).failed[0].error)
        nothing = applied("a", (Edit("", ""),))
        self.assertEqual((nothing.text, nothing.applied, nothing.failed), ("a", 1, ()))
        self.assertEqual(applied("a", (Edit("", "x"),)).applied, 0)

    def test_t_med_06_a_corrected_edit_is_reported_an_exact_one_is_not(self) -> None:
        self.assertTrue(applied("\ta b\n", (Edit("a  b", "c"),)).corrected)
        self.assertFalse(applied("\ta b\n", (Edit("a b", "c"),)).corrected)

    def test_numbers_go_on_from_the_first(self) -> None:
        self.assertEqual(applied("a", (Edit("x", "y"),), first_index=2).failed[0].index, 2)
