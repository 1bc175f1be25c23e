"""Text with its blanks set aside."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.editing.normalising import Match, normalised, normalised_matches


class NormalisingTests(SynchronousTestCase):
    def test_t_edit_16_words_stand_one_space_apart(self) -> None:
        self.assertEqual(normalised("a  b\t\tc"), "a b c")
        self.assertEqual(normalised("  a \n\tb  "), "a\nb")
        self.assertEqual(normalised(" \t "), "")

    def test_t_edit_16_blanks_alone_match_nothing(self) -> None:
        self.assertEqual(normalised_matches("a\n\nb", " \n\t"), [])

    def test_t_edit_07_only_whole_lines_match(self) -> None:
        self.assertEqual(normalised_matches("x a  b\n", "a b"), [])
        self.assertEqual(normalised_matches("a  b x\n", "a b"), [])
        self.assertEqual(normalised_matches("ab  ab ab\n", "ab ab"), [])
        self.assertEqual(normalised_matches("a  b a b\na\tb\n", "a b"), [Match(1, 1)])

    def test_matches_are_disjoint_and_found_after_rejected_ones(self) -> None:
        self.assertEqual(normalised_matches("a\na\na\na", "a\n a"), [Match(0, 1), Match(2, 3)])
        self.assertEqual(normalised_matches("x a\na\na", "a\na"), [Match(1, 2)])
