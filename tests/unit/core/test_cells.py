"""Text in cells."""

import wcwidth
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.cells import beginning


class Beginning(SynchronousTestCase):
    def test_wide_characters_take_two_cells_and_are_never_halved(self) -> None:
        self.assertEqual([beginning("a界b", cells) for cells in range(5)], ["", "a", "a", "a界", "a界b"])

    def test_what_combines_stays_with_what_it_combines_with(self) -> None:
        self.assertEqual(beginning("e\u0301e\u0301e\u0301", 2), "e\u0301e\u0301")

    def test_control_characters_take_no_room(self) -> None:
        self.assertEqual(beginning("\x1b\x07ab\tc", 2), "\x1b\x07ab\t")

    @given(st.text(), st.integers(0, 20))
    def test_it_is_no_wider_and_nothing_more_would_fit(self, text: str, cells: int) -> None:
        shown = beginning(text, cells)
        self.assertTrue(text.startswith(shown))
        widths = [wcwidth.width(one, control_codes="ignore") for one in wcwidth.iter_graphemes(text)]
        kept = sum(wcwidth.width(one, control_codes="ignore") for one in wcwidth.iter_graphemes(shown))
        self.assertLessEqual(kept, cells)
        if shown != text:
            self.assertGreater(kept + max(widths), cells)
