"""The part in which two texts differ."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.editing.narrowing import Narrowed, narrowed


class NarrowingTests(SynchronousTestCase):
    def test_whole_lines_stay_around_the_difference(self) -> None:
        old = "".join(f"line {number}\n" for number in range(100))
        new = old.replace("line 50", "line fifty")
        part = narrowed(old, new, 1)
        self.assertEqual(part, Narrowed(49, "line 49\nline 50\nline 51\n", "line 49\nline fifty\nline 51\n"))

    def test_at_the_ends_there_are_fewer(self) -> None:
        self.assertEqual(narrowed("a\nb", "x\nb", 3), Narrowed(0, "a\nb", "x\nb"))
        self.assertEqual(narrowed("", "a", 3), Narrowed(0, "", "a"))
        self.assertEqual(narrowed("a\na\n", "a\na\na\n", 0), Narrowed(2, "", "a\n"))

    def test_starts_and_ends_that_overlap_are_counted_once(self) -> None:
        for old, new in (("aa", "aaa"), ("aaa", "aa"), ("x\nx\nx\n", "x\nx\n"), ("ab\nab", "ab")):
            part = narrowed(old, new, 0)
            self.assertEqual(len(new) - len(old), len(part.new) - len(part.old))
            self.assertNotEqual(part.old, part.new)
