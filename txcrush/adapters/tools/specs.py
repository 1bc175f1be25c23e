"""How tools are offered to a model, and how what it sends is read."""

from importlib.resources import files
from typing import TypeVar

import msgspec
from msgspec import Struct

from txcrush.model.errors import Refused
from txcrush.model.tools import ToolSpec, ToolUse

_HERE = files("txcrush.adapters.tools")

T = TypeVar("T", bound=Struct)


def described(name: str, properties: dict[str, object], *required: str, parallel: bool = False) -> ToolSpec:
    """The tool's specification, with the description that lies beside its module as `NAME.md`."""
    text = _HERE.joinpath(f"{name}.md").read_text("utf-8").strip()
    return ToolSpec(name=name, description=text, properties=properties, required=required, parallel=parallel)


def text(description: str) -> dict[str, object]:
    """A parameter that is a string."""
    return {"type": "string", "description": description}


def integer(description: str) -> dict[str, object]:
    return {"type": "integer", "description": description}


def boolean(description: str) -> dict[str, object]:
    return {"type": "boolean", "description": description}


def arguments(use: ToolUse, kind: type[T]) -> T:
    """The call's arguments as a `kind`, unknown ones ignored. Raises `Refused` with what is wrong."""
    given = {name: value for name, value in use.arguments.items() if value is not None}
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise Refused(f"invalid parameters: {error}") from error
