"""Edits of arbitrary text."""

import re

from hypothesis import given
from hypothesis import strategies as st

from txcrush.core.editing.line_endings import restored, to_lf
from txcrush.core.editing.matching import NoReplacement, replaced
from txcrush.core.editing.normalising import normalised, normalised_matches
from txcrush.core.editing.sections import section
from txcrush.core.editing.series import Edit, applied
from txcrush.core.editing.unified_diff import unified

LINES = st.lists(st.sampled_from(["", "a", "\ta", "    a", "a  b", "b", "\t\tb", "  c", "}"]), max_size=12)
TEXT = LINES.map("\n".join)
RAW = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["\n", "\r\n"])), max_size=8).map(
    lambda pairs: "".join(line + end for line, end in pairs)
)


@given(TEXT, TEXT.filter(bool), TEXT)
def test_t_edit_01_a_unique_text_is_replaced_exactly(text: str, old: str, new: str) -> None:
    if len(re.findall(f"(?={re.escape(old)})", text)) == 1:
        done = replaced(text, old, new)
        assert (done.text, done.corrected) == (text.replace(old, new), False)


@given(TEXT, TEXT.filter(bool), TEXT, st.booleans())
def test_t_edit_08_a_corrected_edit_touches_whole_matched_lines_only(
    text: str, old: str, new: str, replace_all: bool
) -> None:
    try:
        done = replaced(text, old, new, replace_all=replace_all)
    except NoReplacement as error:
        assert str(error).startswith("old_string ")
        return
    if done.corrected:
        matched = {number for match in normalised_matches(text, old) for number in range(match.first, match.last + 1)}
        kept = [line for number, line in enumerate(text.split("\n")) if number not in matched]
        left = iter(done.text.split("\n"))
        assert all(line in left for line in kept)  # in order
        assert len(done.text.split("\n")) == len(kept) + len(normalised_matches(text, old)) * (new.count("\n") + 1)


@given(TEXT, TEXT)
def test_t_edit_07_matches_are_whole_lines_with_the_same_words(text: str, old: str) -> None:
    lines = text.split("\n")
    last = -1
    for match in normalised_matches(text, old):
        assert match.first > last
        last = match.last
        assert normalised("\n".join(lines[match.first : match.last + 1])) == normalised(old)


@given(TEXT, st.lists(st.builds(Edit, TEXT, TEXT, st.booleans()), max_size=5))
def test_t_med_01_a_series_is_its_edits_one_by_one(text: str, edits: list[Edit]) -> None:
    whole = applied(text, edits)
    assert whole.applied + len(whole.failed) == len(edits)
    for edit in edits:
        text = applied(text, [edit]).text
    assert whole.text == text


@given(RAW)
def test_d_23_a_text_comes_back_as_it_was(raw: str) -> None:
    edited = to_lf(raw)
    assert "\r" not in edited.lf
    assert restored(edited, edited.lf) == raw


@given(RAW, RAW)
def test_d_23_an_edit_changes_line_ends_and_nothing_else(raw: str, new: str) -> None:
    edited, plain = to_lf(raw), to_lf(new).lf
    written = restored(edited, plain)
    assert to_lf(written).lf == plain
    if not edited.is_mixed and "\r" in raw:
        assert written == plain.replace("\n", "\r\n")


@given(st.lists(st.sampled_from("abcd\n"), max_size=60).map("".join), st.lists(st.sampled_from("abcd\n")).map("".join))
def test_t_diff_01_a_diff_applied_to_the_old_text_gives_the_new_one(old: str, new: str) -> None:
    diff = unified(old, new, "f")
    assert patched(old, diff.text) == new


@given(st.binary(max_size=200), st.integers(1, 40), st.integers(0, 5), st.integers(1, 5))
def test_t_view_01_a_section_is_what_splitting_gives(content: bytes, size: int, offset: int, limit: int) -> None:
    chunks = [content[at : at + size] for at in range(0, len(content), size)]
    lines = [line.removesuffix(b"\r") for line in content.split(b"\n")][offset:]
    try:
        expected = tuple(line.decode() for line in lines[:limit])
    except UnicodeDecodeError:
        return
    shown = section(chunks, offset, limit)
    assert (shown.lines, shown.has_more) == (expected, len(lines) > limit)


def patched(old: str, diff: str) -> str:
    """The text after the diff, whose context must be right."""
    lines = old.split("\n")
    old_lines = [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    made: list[str] = []
    at = 0
    for line in _joined(diff):
        header = re.match(r"@@ -(\d+)(?:,(\d+))? ", line)
        if header:
            start = int(header[1]) - (header[2] != "0")
            made += old_lines[at:start]
            at = start
            continue
        if line[0] != "+":
            assert old_lines[at] == line[1:]
            at += 1
        if line[0] != "-":
            made.append(line[1:])
    return "".join(made + old_lines[at:])


def _joined(diff: str) -> list[str]:
    """The lines of the hunks; one without a newline at its end has none."""
    lines: list[str] = []
    for line in diff.split("\n")[2:-1]:
        if line.startswith("\\"):
            lines[-1] = lines[-1].removesuffix("\n")
        else:
            lines.append(line + "\n")
    return lines
