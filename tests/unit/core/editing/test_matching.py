"""Find and replace: exact, and with blanks set aside (`tools.md` 11.2, 11.3)."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.editing.matching import AMBIGUOUS, NOT_FOUND, NoReplacement, Replaced, replaced

GO = "package main\n\nfunc main() {\n\tfmt.Println(1)\n\tif x {\n\t\tfoo := 1\n\t}\n}\n"


class MatchingTests(SynchronousTestCase):
    def refused(self, text: str, old: str, new: str = "n", *, replace_all: bool = False) -> str:
        with self.assertRaises(NoReplacement) as caught:
            replaced(text, old, new, replace_all=replace_all)
        return str(caught.exception)

    def test_t_edit_01_an_exact_match_is_not_corrected(self) -> None:
        self.assertEqual(replaced("a b\nc", "b\nc", "d"), Replaced("a d"))

    def test_t_edit_02_spaces_match_tabs_and_the_result_keeps_tabs(self) -> None:
        old = "func main() {\n    fmt.Println(1)"
        done = replaced(GO, old, "func main() {\n    fmt.Println(2)\n    if y {\n        bar()\n    }")
        self.assertEqual(done.text, GO.replace("\tfmt.Println(1)\n", "\tfmt.Println(2)\n\tif y {\n\t\tbar()\n\t}\n", 1))
        self.assertTrue(done.corrected)

    def test_t_edit_03_tabs_to_spaces_and_back_and_two_to_four(self) -> None:
        cases = [
            ("a:\n    b\n", "a:\n\tb", "a:\n\tc\n\t\td", "a:\n    c\n        d\n"),
            ("a:\n\tb\n", "a:\n    b", "a:\n    c\n        d", "a:\n\tc\n\t\td\n"),
            ("a:\n    b\n", "a:\n  b", "a:\n  c\n    d", "a:\n    c\n        d\n"),
        ]
        for text, old, new, expected in cases:
            self.assertEqual(replaced(text, old, new), Replaced(expected, corrected=True))

    def test_t_edit_03_the_same_style_stays_as_it_is_written(self) -> None:
        done = replaced("a:\n    b  c\n", "a:\n    b c", "a:\n    d\n      e")
        self.assertEqual(done, Replaced("a:\n    d\n      e\n", corrected=True))

    def test_t_edit_04_the_right_unit_at_the_wrong_depth_is_moved(self) -> None:
        deep = "a {\n\tb {\n\t\tc\n\t}\n}\n"
        self.assertEqual(replaced(deep, "b {\n\tc\n}", "b {\n\td\n}").text, "a {\n\tb {\n\t\td\n\t}\n}\n")
        shallow = "b {\n\tc\n}\n"
        self.assertEqual(replaced(shallow, "\tb {\n\t\tc\n\t}", "\tb {\n\t\td\n\t}").text, "b {\n\td\n}\n")

    def test_t_edit_05_unindented_text_takes_the_place_of_indented_text(self) -> None:
        self.assertEqual(replaced(GO, "foo :=  1", "foo := 2").text, GO.replace("foo := 1", "foo := 2"))

    def test_t_edit_05_the_style_of_the_new_text_counts_where_the_old_has_none(self) -> None:
        done = replaced(GO, "foo :=  1", "for {\n  foo()\n}")
        self.assertEqual(done.text, GO.replace("\t\tfoo := 1", "\t\tfor {\n\t\t\tfoo()\n\t\t}"))

    def test_t_edit_06_several_normalised_matches_need_replace_all(self) -> None:
        text = "\ta  b\nx\n\ta  b\n"
        self.assertIn("old_string not found", self.refused(text, "a b"))
        self.assertEqual(replaced(text, "a b", "c", replace_all=True), Replaced("\tc\nx\n\tc\n", corrected=True))

    def test_t_edit_07_part_of_a_line_is_never_matched_by_words(self) -> None:
        for text in ("x a  b\n", "a  b x\n", "a  b a  b\n"):
            self.assertIn("old_string not found", self.refused(text, "a b"))

    def test_t_edit_08_nested_blocks_keep_their_depth(self) -> None:
        text = "a\n\tb\n\t\tc\n\t\t\td\n\t\t\t\te\n"
        old = "    b\n        c\n            d\n                e"
        done = replaced(text, old, old.replace("d", "D").replace("e", "E\n                F"))
        self.assertEqual(done.text, "a\n\tb\n\t\tc\n\t\t\tD\n\t\t\t\tE\n\t\t\t\tF\n")

    def test_t_edit_09_what_is_not_there_is_told(self) -> None:
        self.assertEqual(self.refused("alpha\n", "beta"), NOT_FOUND)

    def test_several_exact_matches_are_ambiguous_also_where_they_overlap(self) -> None:
        self.assertEqual(self.refused("a a", "a"), AMBIGUOUS)
        self.assertEqual(self.refused("aaa", "aa"), AMBIGUOUS)
        self.assertEqual(replaced("aaa", "aa", "b", replace_all=True), Replaced("ba"))

    def test_a_refusal_carries_the_hint(self) -> None:
        self.assertIn("\n\nA whitespace-normalized match", self.refused("\ta b\n\ta b\n", "a  b"))
