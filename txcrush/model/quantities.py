"""Sizes and durations as people write them on a command line."""

import re

_SIZE = re.compile(r"(\d{1,15})\s*(|k|m|g|t)(|b|ib)", re.IGNORECASE)
_DURATION = re.compile(r"(\d{1,12})\s*(|s|m|h|d|w)", re.IGNORECASE)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def parse_size(text: str) -> int:
    """Bytes: `67108864`, `64M` or `64MiB`, by powers of 1024. Raises `ValueError`, with what is wanted."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"wants a size such as 64M, not {text!r}")
    return int(found[1]) << 10 * " kmgt".index(found[2].lower() or " ")


def parse_duration(text: str) -> int:
    """Seconds: `604800`, `168h` or `7d`. Raises `ValueError`, with what is wanted."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"wants a duration such as 7d or 12h, not {text!r}")
    return int(found[1]) * _SECONDS[found[2].lower()]
