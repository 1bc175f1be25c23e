r"""Setting and removing a value in a JSON object by a dotted path.

Dots separate, `\.` is a dot inside a name, a number is an index where the parent is an array, `-1` appends there (and
is the last entry where something is removed). Missing parents are created: an array before a number, else an object.
"""

from collections.abc import Mapping

MAX_PADDING = 1000
"""Entries of null that a set far behind the end of an array may create."""


def set_value(target: Mapping[str, object], path: str, value: object) -> dict[str, object]:
    """A copy of the object that has the value at the path. Raises ValueError for a path that cannot be set."""
    changed = _with(dict(target), _names(path), value)
    assert isinstance(changed, dict)
    return changed


def remove_value(target: Mapping[str, object], path: str) -> dict[str, object]:
    """A copy of the object without the path; an absent path is fine. Raises ValueError for an empty path."""
    changed = _without(dict(target), _names(path))
    assert isinstance(changed, dict)
    return changed


def path_of(*names: str) -> str:
    """The dotted path of these names, dots inside them escaped."""
    return ".".join(name.replace("\\", "\\\\").replace(".", "\\.") for name in names)


def _names(path: str) -> list[str]:
    if not path:
        raise ValueError("path cannot be empty")
    names = [""]
    chars = iter(path)
    for char in chars:
        if char == ".":
            names.append("")
        else:
            names[-1] += next(chars, "\\") if char == "\\" else char
    if "" in names:
        raise ValueError("path has an empty part")
    if len(names) > 64:
        raise ValueError("path is too deep")
    return names


def _is_index(name: str) -> bool:
    return name == "-1" or (name.isascii() and name.isdigit())


def _with(parent: object, names: list[str], value: object) -> object:
    if not names:
        return value
    name, rest = names[0], names[1:]
    if isinstance(parent, dict):
        return {**parent, name: _with(parent.get(name), rest, value)}
    if isinstance(parent, list):
        return _with_entry(parent, name, rest, value)
    return _with_entry([], name, rest, value) if _is_index(name) else {name: _with(None, rest, value)}


def _with_entry(parent: list[object], name: str, rest: list[str], value: object) -> list[object]:
    if not _is_index(name):
        raise ValueError(f"cannot use {name} as an index of an array")
    index = len(parent) if name == "-1" else int(name[:9])
    if index > len(parent) + MAX_PADDING:
        raise ValueError(f"index {name[:20]} is out of range")
    entries = parent + [None] * (index + 1 - len(parent))
    entries[index] = _with(entries[index], rest, value)
    return entries


def _without(parent: object, names: list[str]) -> object:
    name, rest = names[0], names[1:]
    if isinstance(parent, dict) and name in parent:
        if rest:
            return {**parent, name: _without(parent[name], rest)}
        return {key: value for key, value in parent.items() if key != name}
    if isinstance(parent, list) and parent and _is_index(name):
        index = len(parent) - 1 if name == "-1" else int(name[:9])
        kept = [_without(parent[index], rest)] if rest and index < len(parent) else []
        return parent[:index] + kept + parent[index + 1 :]
    return parent
