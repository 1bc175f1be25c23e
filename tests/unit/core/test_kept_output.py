"""What is kept of an endless stream."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.kept_output import KEPT_BYTES, KeptOutput, whole


def kept(*pieces: bytes, size: int = 8) -> KeptOutput:
    output = KeptOutput(size)
    for piece in pieces:
        output.take(piece)
    return output


class Kept(SynchronousTestCase):
    def test_what_fits_is_all_there(self) -> None:
        self.assertEqual(kept(b"0123", b"4567", b"89").parts, ("0123456789", 0, ""))
        self.assertEqual(kept().parts, ("", 0, ""))

    def test_d_27_beyond_that_the_first_and_the_last_bytes_are_kept(self) -> None:
        output = kept(b"abcdefgh", b"\n" * 100, b"12345678")
        self.assertEqual(output.parts, ("abcdefgh", 100, "12345678"))
        self.assertEqual(output.dropped_bytes, 100)

    def test_d_27_a_gigabyte_costs_no_more_than_twice_the_bound(self) -> None:
        output = KeptOutput()
        for _ in range(1000):
            output.take(b"y\n" * 512 * 1024)
            self.assertLessEqual(len(output._head) + len(output._tail), 3 * KEPT_BYTES)
        head, lines, tail = output.parts
        self.assertEqual(lines + head.count("\n") + tail.count("\n"), 1000 * 512 * 1024)

    def test_reading_uses_nothing_up(self) -> None:
        output = kept(b"0123456789" * 3)
        self.assertEqual(output.parts, output.parts)
        output.take(b"!")
        self.assertTrue(output.parts[2].endswith("9!"))

    def test_no_character_is_cut_in_two(self) -> None:
        for letter in "aé中🙂":
            for shift in range(5):
                output = kept(b"x" * shift + letter.encode() * 50)
                self.assertNotIn("\ufffd", "".join(str(part) for part in output.parts), (letter, shift))

    def test_bytes_that_are_no_text_are_shown_as_such(self) -> None:
        self.assertEqual(kept(b"a\xffb").parts[0], "a\ufffdb")
        self.assertEqual(kept(b"\x80" * 30).parts[1], 0)

    def test_a_note_stands_where_lines_are_missing(self) -> None:
        self.assertEqual(whole(("a", 3, "b")), "a\n\n... [3 lines truncated] ...\n\nb")
        self.assertEqual(whole(("a", 0, "")), "a")

    def test_once_closed_it_keeps_nothing(self) -> None:
        output = kept(b"abc")
        output.close()
        output.take(b"def")
        self.assertEqual(output.parts, ("", 0, ""))
