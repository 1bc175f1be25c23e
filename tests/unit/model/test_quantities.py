"""Sizes and durations on a command line."""

from collections.abc import Callable

import pytest

from txcrush.model.quantities import parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("67108864", 67108864), ("64M", 64 << 20), ("64MiB", 64 << 20), ("1 gb", 1 << 30), ("2k", 2048)],
)
def test_a_size_is_bytes_by_powers_of_1024(text: str, expected: int) -> None:
    assert parse_size(text) == expected


@pytest.mark.parametrize(("text", "expected"), [("90", 90), ("90s", 90), ("2m", 120), ("7d", 604_800), ("1W", 604_800)])
def test_a_duration_is_seconds(text: str, expected: int) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize("parse", [parse_size, parse_duration])
@pytest.mark.parametrize("text", ["", "-1", "1.5", "7y", "inf", "M", "1 2", "9" * 30])
def test_anything_else_is_refused_with_an_example(parse: Callable[[str], int], text: str) -> None:
    with pytest.raises(ValueError, match="such as"):
        parse(text)
