"""The YAML at the head of a `SKILL.md`.

The files come from checked-out repositories, so as little of YAML as will do: every scalar is text (the base loader
knows no tags, no numbers and no merge keys, so an alias costs nothing), and size and depth have a bound.
"""

from itertools import dropwhile
from typing import TYPE_CHECKING, Any

import msgspec

from txcrush.model.skills import SkillHeader

if TYPE_CHECKING:
    import yaml  # on first use: most servers read no skill while they start

MAX_HEADER_BYTES = 8 * 1024
"""The end of the front matter must stand within these first bytes of the file. At worst they take 20 ms."""

MAX_DEPTH = 16
"""Collections inside collections. The loader recurses: 30,000 opening brackets end the process."""

_MARK = "---"
_DEEP = "nested too deeply"
_LIBRARY_DEEP = "nesting depth"
"""How newer C libraries end a text that nests too deeply, before an event of it is seen."""

_SWITCHES = frozenset(("user-invocable", "disable-model-invocation"))
_SWITCH_WORDS = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def read_header(raw: bytes) -> SkillHeader:
    """The front matter of a file that begins with `raw`. Raises ValueError with the reason in the reference's words."""
    import yaml

    text = _front_matter(raw[:MAX_HEADER_BYTES].decode("utf-8", "replace").removeprefix("\ufeff"))
    try:
        _ensure_shallow(text)
        fields = yaml.load(text, _loader())
        header = msgspec.convert(_given(fields), SkillHeader, strict=False)
        "".join((header.name, header.description, header.compatibility)).encode()
    except yaml.MarkedYAMLError as error:
        raise ValueError(f"parsing frontmatter: {_said(error)}") from None
    except (yaml.YAMLError, msgspec.ValidationError, UnicodeEncodeError) as error:
        raise ValueError(f"parsing frontmatter: {str(error).splitlines()[0]}") from None
    return header


def _front_matter(text: str) -> str:
    """What stands between the first two delimiter lines; only blank lines may come before."""
    all_lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines = list(dropwhile(lambda line: not line.strip(), all_lines))
    if not lines or lines[0].rstrip() != _MARK:
        raise ValueError("no YAML frontmatter found")
    for number, line in enumerate(lines[1:], 1):
        if line.rstrip() == _MARK:
            return "\n".join(lines[1:number])
    raise ValueError("unclosed frontmatter")


def _loader() -> Any:
    import yaml

    return getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def _ensure_shallow(text: str) -> None:
    import yaml

    depth = 0
    for event in yaml.parse(text, _loader()):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=_DEEP)


def _given(fields: object) -> object:
    """The map without its empty values, which stand for absent ones, and with YAML's other words for true and false.
    Nothing at all is an empty map."""
    if fields in (None, ""):
        return {}
    if not isinstance(fields, dict):
        return fields
    given = {key: value for key, value in fields.items() if value != ""}
    for key in _SWITCHES & given.keys():
        given[key] = _SWITCH_WORDS.get(str(given[key]).lower(), given[key])
    return given


def _said(error: "yaml.MarkedYAMLError") -> str:
    mark = error.problem_mark
    if _LIBRARY_DEEP in str(error.problem):
        return _DEEP
    return f"line {mark.line + 1}: {error.problem}" if mark else str(error.problem)
