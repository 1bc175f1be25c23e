from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.searches import FileMatches, LineMatch
from txcrush.wire.ripgrep import MAX_LINE_BYTES, read_error, read_matches, read_names

BINARY = b'./b.bin: binary file matches (found "\\0" byte around offset 6)\n'


class ReadTests(SynchronousTestCase):
    def test_names_end_in_nul_and_one_that_was_cut_off_is_left_out(self) -> None:
        self.assertEqual(list(read_names(b"./a\0./b c\nd\0./\xff\0./cut")), ["a", "b c\nd", "\udcff"])
        self.assertEqual(list(read_names(b"")), [])

    def test_matches_are_gathered_by_file(self) -> None:
        output = b"./a\x001:2:x:y\n./a\x003:1:\xff\n./b\nc\x001:1:z\n"
        self.assertEqual(
            read_matches(output),
            [
                FileMatches("a", (LineMatch(1, 2, "x:y"), LineMatch(3, 1, "\ufffd"))),
                FileMatches("b\nc", (LineMatch(1, 1, "z"),)),
            ],
        )

    def test_a_file_that_turns_out_binary_is_left_out(self) -> None:
        a, c = b"./a\x001:1:x\n", b"./c\x002:1:x\n"
        expected = [FileMatches("a", (LineMatch(1, 1, "x"),)), FileMatches("c", (LineMatch(2, 1, "x"),))]
        self.assertEqual(read_matches(a + b"./b.bin\x001:1:x\n" + BINARY + c), expected)
        self.assertEqual(read_matches(BINARY + a + c + BINARY), expected)

    def test_a_text_that_sounds_like_a_binary_notice_is_a_text(self) -> None:
        text = 'x: binary file matches (found "\\0" byte)'
        self.assertEqual(read_matches(f"./a\x001:1:{text}\n".encode()), [FileMatches("a", (LineMatch(1, 1, text),))])

    def test_what_was_cut_off_is_left_out(self) -> None:
        whole = b"./a\x001:1:x\n"
        for cut in (b"./b", b"./b\x00", b"./b\x001:1:x"):
            self.assertEqual(read_matches(whole + cut), [FileMatches("a", (LineMatch(1, 1, "x"),))], cut)

    def test_a_long_line_is_cut_again(self) -> None:
        (found,) = read_matches(b"./a\x001:1:" + b"x" * (MAX_LINE_BYTES + 20) + b"\n")
        self.assertEqual(len(found.lines[0].text), MAX_LINE_BYTES)

    def test_errors_are_one_line_in_its_own_words(self) -> None:
        self.assertEqual(
            read_error("rg: regex parse error:\n    (?:()\n    ^\nerror: unclosed group"), "unclosed group"
        )
        self.assertEqual(read_error("rg: error parsing glob '[a': unclosed"), "error parsing glob '[a': unclosed")
        self.assertEqual(read_error(""), "unknown error")

    @given(st.binary(max_size=60), st.integers(0, 60))
    def test_no_bytes_are_too_much(self, noise: bytes, cut: int) -> None:
        output = b"./a\x001:1:x\n" + BINARY + noise.replace(b"\0", b"\x001:1:")
        read_matches(output[:cut])
        list(read_names(output[:cut]))
