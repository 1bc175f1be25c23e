"""The part of a file that is shown (`tools.md` 14.1)."""

from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.editing.sections import MAX_SECTION_BYTES, Section, TooLarge, numbered, section

FIVE = [b"1\n2\n3\n4\n5"]


class SectionTests(SynchronousTestCase):
    def test_t_view_01_limits_and_offsets(self) -> None:
        self.assertEqual(section(FIVE, 0, 5), Section(("1", "2", "3", "4", "5"), False))
        self.assertEqual(section(FIVE, 0, 4), Section(("1", "2", "3", "4"), True))
        self.assertEqual(section(FIVE, 4, 5), Section(("5",), False))
        self.assertEqual(section(FIVE, 10, 5), Section((), False))

    def test_a_final_newline_shows_one_more_line(self) -> None:
        self.assertEqual(section([b"a\n"], 0, 9).lines, ("a", ""))
        self.assertEqual(section([], 0, 9).lines, ("",))

    def test_t_view_02_a_long_line_is_cut(self) -> None:
        self.assertEqual(section([b"x" * 2010], 0, 1).lines, ("x" * 2000 + "...",))
        self.assertEqual(section([b"x" * 2000 + b"\r\n"], 0, 1).lines, ("x" * 2000,))
        self.assertEqual(len(section([b"x" * 1000] * 2000 + [b"\nb"], 0, 2).lines[0]), 2003)

    def test_t_view_02_a_line_is_cut_between_characters(self) -> None:
        for width in ("é", "€", "😀"):
            (line,) = section([("x" + width * 2000).encode()], 0, 1).lines
            self.assertLessEqual(len(line[:-3].encode()), 2000)
            self.assertGreater(len(line[:-3].encode()), 2000 - 4)
            self.assertEqual(line[1:-3].strip(width), "")

    def test_t_view_03_a_line_behind_a_huge_one_is_shown(self) -> None:
        chunks = [b"y" * 100_000] * 10 + [b"\ntarget", b" line\nmore"]
        self.assertEqual(section(chunks, 1, 1), Section(("target line",), True))

    def test_t_view_04_a_section_that_is_too_large_is_refused_while_it_is_read(self) -> None:
        def chunks() -> Iterator[bytes]:
            for _ in range(105):
                yield b"z" * 2000 + b"\n"
            self.fail("read on")

        with self.assertRaises(TooLarge):
            section(chunks(), 0, 200)

    def test_t_view_05_exactly_the_limit_is_allowed_and_one_byte_more_is_not(self) -> None:
        lines = [b"a" * 1023] * 199 + [b"a" * 1024]
        exact = b"\n".join(lines)
        self.assertEqual(len(exact), MAX_SECTION_BYTES)
        self.assertEqual(len(section([exact], 0, 200).lines), 200)
        with self.assertRaises(TooLarge):
            section([b"a" + exact], 0, 200)
        self.assertEqual(section([b"b" * 500_000, b"\n" + b"c"], 1, 5).lines, ("c",))

    def test_only_one_cr_is_taken_from_an_end(self) -> None:
        self.assertEqual(section([b"a\r\r\nb\rc\r\n"], 0, 3).lines, ("a\r", "b\rc", ""))

    def test_bytes_that_are_no_text_are_refused_and_nul_is_text(self) -> None:
        self.assertEqual(section([b"a\0b"], 0, 1).lines, ("a\0b",))
        with self.assertRaises(UnicodeDecodeError):
            section([b"\xff\xfe"], 0, 1)

    def test_the_cuts_between_chunks_do_not_matter(self) -> None:
        text = "eins\nzwölf\r\n\ndrei".encode()
        whole = section([text], 1, 2)
        for size in range(1, len(text)):
            chunks = [text[at : at + size] for at in range(0, len(text), size)]
            self.assertEqual(section(chunks, 1, 2), whole)

    def test_numbers_stand_in_six_columns(self) -> None:
        self.assertEqual(numbered(["a", ""], 1), "     2|a\n     3|")
        self.assertEqual(numbered([], 5), "")
