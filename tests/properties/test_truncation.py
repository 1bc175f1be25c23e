"""What holds for every text that is cut."""

from itertools import pairwise

import wcwidth
from hypothesis import given, settings
from hypothesis import strategies as st

from txcrush.adapters.tools.truncation import HALF_CELLS, LIMIT_CELLS, truncated
from txcrush.core.kept_output import KeptOutput

PIECES = [
    "a",
    "word ",
    "\n",
    "\t",
    "\r\n",
    "中",
    "🙂",
    "👨‍👩‍👧‍👦",
    "e\u0301",
    "\x1b[1;31m",
    "\x1b[0m",
    "\x07",
    "ü",
    "🇩🇪",
    "ก",
    "\x1b]8;;u\x07",
]
TEXTS = st.lists(
    st.tuples(st.sampled_from(PIECES), st.integers(1, 9000)).map(lambda pair: pair[0] * pair[1]), max_size=12
).map("".join)


def cells(text: str) -> int:
    plain = "".join(char for char in wcwidth.strip_sequences(text) if char.isprintable() or not char.isascii())
    return sum(max(0, wcwidth.wcswidth(grapheme)) for grapheme in wcwidth.iter_graphemes(plain))


@settings(max_examples=60)
@given(TEXTS)
def test_t_bash_06_the_halves_are_ends_of_the_text_and_fit(text: str) -> None:
    cut = truncated(text)
    cut.encode()
    if cut == text:
        return
    begun, _, rest = cut.partition("\n\n... [")
    number, _, ended = rest.partition(" lines truncated] ...\n\n")
    assert cells(text) > LIMIT_CELLS - 4
    assert HALF_CELLS - 2 <= cells(begun) <= HALF_CELLS
    assert HALF_CELLS <= cells(ended) <= HALF_CELLS + 1
    assert int(number) == max(0, text.count("\n") - begun.count("\n") - ended.count("\n"))
    without = wcwidth.strip_sequences
    assert without(text).startswith(without(begun))
    assert without(text).endswith(without(ended))


@settings(max_examples=60)
@given(TEXTS)
def test_t_bash_07_what_fits_is_unchanged(text: str) -> None:
    if cells(text) < LIMIT_CELLS - 4:
        assert truncated(text) == text


@given(st.binary(max_size=300), st.integers(1, 40), st.lists(st.integers(0, 300), max_size=5))
def test_d_27_kept_output_is_the_ends_of_the_stream(data: bytes, size: int, cuts: list[int]) -> None:
    output = KeptOutput(size)
    places = [0, *sorted(cuts), len(data)]
    for begin, end in pairwise(places):
        output.take(data[begin:end])
    parts = output.parts
    if len(data) <= 2 * size:
        assert parts == (data.decode("utf-8", "replace"), 0, "")
    else:
        assert bytes(output._head) == data[:size]
        assert bytes(output._tail) == data[-size:]
        assert output.dropped_lines == data[size:-size].count(b"\n")
