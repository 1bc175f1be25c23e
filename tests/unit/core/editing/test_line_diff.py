"""Common lines, and the bounds on looking for them."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.editing.line_diff import MAX_PAIRS, opcodes


class LineDiffTests(SynchronousTestCase):
    def test_only_what_lies_between_the_first_and_the_last_difference_is_compared(self) -> None:
        old = [str(number) for number in range(100_000)]
        new = [*old[:5], "x", *old[6:]]
        self.assertEqual(
            opcodes(old, new),
            [("equal", 0, 5, 0, 5), ("replace", 5, 6, 5, 6), ("equal", 6, 100_000, 6, 100_000)],
        )

    def test_empty_sides(self) -> None:
        self.assertEqual(opcodes([], []), [])
        self.assertEqual(opcodes([], ["a"]), [("insert", 0, 0, 0, 1)])
        self.assertEqual(opcodes(["a"], []), [("delete", 0, 1, 0, 0)])

    def test_too_many_equal_lines_count_as_replaced(self) -> None:
        many = int(MAX_PAIRS**0.5) + 1
        codes = opcodes(["a", *["x"] * many, "b"], ["c", *["x"] * many, "d"])
        self.assertEqual(codes, [("replace", 0, many + 2, 0, many + 2)])
