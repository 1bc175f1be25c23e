"""Finding a file by a part of its path."""

from hypothesis import given
from hypothesis import strategies as st

from txcrush.core.name_search import best_names

NAMES = [
    "docs/page.md",
    "src/page.py",
    "src/homepage.py",
    "package/index.js",
    "page",
    "Makefile",
    "src/main/page_view.py",
]


def test_the_files_own_name_counts_most_and_short_paths_more_than_long_ones() -> None:
    assert best_names(NAMES, "page", 5) == [
        "page",
        "src/page.py",
        "docs/page.md",
        "src/main/page_view.py",
        "src/homepage.py",
    ]


def test_directories_and_left_out_letters_fit_too() -> None:
    assert best_names(NAMES, "src/ma", 1) == ["src/main/page_view.py"]
    assert best_names(NAMES, "smpv", 9) == ["src/main/page_view.py"]
    assert best_names(NAMES, "zzz", 9) == []


def test_only_a_capital_insists() -> None:
    assert best_names(NAMES, "make", 9) == ["Makefile"]
    assert best_names(NAMES, "Make", 9) == ["Makefile"]
    assert best_names(NAMES, "MAKE", 9) == []


@given(st.lists(st.text("ab/_.A", min_size=1, max_size=8), max_size=30), st.text("abA/", max_size=4), st.integers(1, 5))
def test_what_is_found_is_among_the_names_and_holds_the_letters(names: list[str], wanted: str, limit: int) -> None:
    found = best_names(names, wanted, limit)
    assert len(found) <= limit
    for name in found:
        letters = iter(name if wanted != wanted.lower() else name.lower())
        assert name in names and all(letter in letters for letter in wanted)
