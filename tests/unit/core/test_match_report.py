import wcwidth
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.match_report import MAX_CELLS, cut, first, report
from txcrush.model.searches import FileMatches, LineMatch


def matches(path: str, *lines: int) -> FileMatches:
    return FileMatches(path, tuple(LineMatch(number, 5, f" \ttext {number}\r") for number in lines))


class ReportTests(SynchronousTestCase):
    def test_files_stand_apart_and_lines_are_trimmed(self) -> None:
        text = "\n".join(report([matches("/a.go", 12, 14), matches("/b.go", 3)]))
        self.assertEqual(
            text,
            "Found 3 matches\n/a.go:\n  Line 12, Char 5: text 12\n  Line 14, Char 5: text 14\n"
            "\n/b.go:\n  Line 3, Char 5: text 3",
        )

    def test_the_first_so_many_are_kept(self) -> None:
        files = [matches("/a", 1, 2), matches("/b", 1, 2), matches("/c", 1)]
        self.assertEqual(first(files, 3), [matches("/a", 1, 2), matches("/b", 1)])
        self.assertEqual(first(files, 4), files[:2])
        self.assertEqual(first(files, 9), files)


class CutTests(SynchronousTestCase):
    def test_a_line_is_cut_by_its_width_and_ends_in_dots(self) -> None:
        self.assertEqual(cut("x" * MAX_CELLS, MAX_CELLS), "x" * MAX_CELLS)
        self.assertEqual(cut("x" * (MAX_CELLS + 1), MAX_CELLS), "x" * (MAX_CELLS - 3) + "...")
        self.assertEqual(cut("漢" * 251, MAX_CELLS), "漢" * 248 + "...")
        self.assertEqual(cut("e\u0301" * 500, MAX_CELLS), "e\u0301" * 500)

    def test_tabs_and_control_characters_take_no_room(self) -> None:
        self.assertEqual(cut("\tx\x1b" * 500, MAX_CELLS), "\tx\x1b" * 500)

    @given(st.text(max_size=40), st.integers(3, 20))
    def test_nothing_is_wider_and_what_fits_stays(self, text: str, cells: int) -> None:
        shown = cut(text, cells)
        width = sum(wcwidth.width(one, control_codes="ignore") for one in wcwidth.iter_graphemes(text))
        if width <= cells:
            self.assertEqual(shown, text)
        else:
            self.assertTrue(shown.endswith("...") and text.startswith(shown[:-3]))
            kept = sum(wcwidth.width(one, control_codes="ignore") for one in wcwidth.iter_graphemes(shown))
            self.assertLessEqual(kept, cells)
