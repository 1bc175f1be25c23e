"""Line ends before and after an edit (`tools.md` 4.5)."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.editing.line_endings import restored, to_lf


class LineEndingTests(SynchronousTestCase):
    def test_crlf_becomes_lf_and_lone_cr_and_bom_stay(self) -> None:
        self.assertEqual(to_lf("\ufeffa\r\nb\rc\n").lf, "\ufeffa\nb\rc\n")

    def test_a_crlf_file_gets_crlf_everywhere(self) -> None:
        edited = to_lf("a\r\nb\r\n")
        self.assertFalse(edited.is_mixed)
        self.assertEqual(restored(edited, "a\nB\r\nc\n"), "a\r\nB\r\nc\r\n")

    def test_an_lf_file_is_written_as_it_is(self) -> None:
        self.assertEqual(restored(to_lf("a\nb\n"), "a\r\nb\n"), "a\r\nb\n")

    def test_d_23_in_a_mixed_file_each_line_keeps_its_end(self) -> None:
        edited = to_lf("a\r\nb\nc\r\nd\n")
        self.assertTrue(edited.is_mixed)
        self.assertEqual(restored(edited, edited.lf), edited.raw)
        self.assertEqual(restored(edited, "a\nB\nc\nd\n"), "a\r\nB\nc\r\nd\n")
        self.assertEqual(restored(edited, "a\nb\nC\nx\nd\n"), "a\r\nb\nC\r\nx\r\nd\n")
        self.assertEqual(restored(edited, "b\nc\nd\n"), "b\nc\r\nd\n")
        self.assertEqual(restored(edited, "n\na\nb\nc\nd\n"), "n\r\na\r\nb\nc\r\nd\n")

    def test_d_23_what_follows_the_end_of_a_mixed_file_goes_on_as_it_did(self) -> None:
        self.assertEqual(restored(to_lf("a\nb\r\n"), "a\nb\nc\n"), "a\nb\r\nc\r\n")
        self.assertEqual(restored(to_lf("a\nb\r\nc"), "a\nb\nc\nd"), "a\nb\r\nc\r\nd")
