"""How two JSON objects of configuration become one: the later one wins, lists are appended."""

from collections.abc import Mapping

JsonObject = dict[str, object]


class MergeConflict(ValueError):
    """Two sources give one key values of different JSON types. The text names the path and the types, no value."""


def merge(first: Mapping[str, object], second: Mapping[str, object]) -> JsonObject:
    """`second` laid over `first`, neither changed.

    Objects merge key by key, arrays are concatenated, scalars of one JSON type are replaced, null never clears.
    Raises `MergeConflict` where the types differ.
    """
    merged = dict(first)
    for key, value in second.items():
        try:
            merged[key] = _merged(merged.get(key), value)
        except MergeConflict as error:
            raise MergeConflict(f"field '{key}': {error}") from None
    return merged


def _merged(first: object, second: object) -> object:
    if second is None:
        return first
    if first is None:
        return second
    if isinstance(first, dict) and isinstance(second, dict):
        return merge(first, second)
    if isinstance(first, list) and isinstance(second, list):
        return first + second
    expected, incoming = _kind(first), _kind(second)
    if expected != incoming:
        raise MergeConflict(f"type mismatch, expect {expected}, incoming {incoming}")
    return second


def _kind(value: object) -> str:
    """The JSON type in the words of the protocol's error texts; `1` and `1.0` are one type."""
    names: tuple[tuple[type, str], ...] = (
        (bool, "bool"),
        (str, "string"),
        (dict, "map"),
        (list, "slice"),
        (int, "float64"),
        (float, "float64"),
    )
    return next(name for kind, name in names if isinstance(value, kind))
