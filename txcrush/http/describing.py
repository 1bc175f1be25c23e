"""From the route table to what the description of the interface is made of (`wire/openapi.py`)."""

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from inspect import cleandoc

from msgspec import UNSET

from txcrush.http.routing import Handler, RouteSpec, routes_of
from txcrush.wire.openapi import STREAM, Operation, Tag, parameters_of, summary_and_rest
from txcrush.wire.parameters import PathParameters

REFERENCE = re.compile(r" \(`\w+\.md`[^)]*\)")
"""A note for those who have the design papers."""


def operations_of(families: Iterable[object]) -> Iterator[Operation]:
    """Every route that is part of the interface, family by family, in the order of their handlers' source."""
    for family in families:
        shown = [(spec, handler) for spec, handler in routes_of(family) if not spec.hidden]
        for spec, handler in sorted(shown, key=_place):
            yield _operation(tag_of(family), spec, handler)


def tags_of(families: Iterable[object]) -> Iterator[Tag]:
    """One tag for each family that has a route to show; the first sentence of its module describes it."""
    for family in families:
        if any(not spec.hidden for spec, _ in routes_of(family)):
            module = sys.modules[type(family).__module__]
            yield Tag(tag_of(family), REFERENCE.sub("", summary_and_rest(cleandoc(module.__doc__ or ""))[0]))


def missing_in(families: Iterable[object]) -> Iterator[str]:
    """What somebody has still to write, a line each."""
    for family in families:
        for spec, handler in routes_of(family):
            if not spec.hidden:
                yield from (f"{spec.method} {spec.path} {problem}" for problem in _problems(spec, handler))


def _problems(spec: RouteSpec, handler: Handler) -> Iterator[str]:
    where = f"{type(handler.__self__).__name__}.{handler.__name__}"  # type: ignore[attr-defined]  # a bound method
    if not handler.__doc__:
        yield f"has no summary: write a docstring for {where}"
    if spec.answers is UNSET:
        yield f"has no answer type: add answers=SomeType, or answers=None for an empty body, to the @route of {where}"
    for name in parameters_of(spec.path):
        if name not in PathParameters.__struct_fields__:
            yield f"has a path parameter {name!r} that PathParameters of wire/parameters.py does not describe"


def tag_of(family: object) -> str:
    return type(family).__module__.rpartition(".")[2]


def _operation(tag: str, spec: RouteSpec, handler: Handler) -> Operation:
    answers = spec.answers if isinstance(spec.answers, dict) else {200: spec.answers}
    return Operation(
        method=spec.method,
        path=spec.path,
        tag=tag,
        name=handler.__name__,
        doc=cleandoc(handler.__doc__ or ""),
        body=spec.body,
        optional_body=spec.optional_body,
        answers={status: None if kind is UNSET else kind for status, kind in answers.items()},
        media=STREAM if spec.stream else spec.media,
        query=spec.query,
        headers=spec.headers,
        labels=spec.labels,
        errors=spec.errors,
    )


def _place(route: tuple[RouteSpec, Callable[..., object]]) -> int:
    return route[1].__code__.co_firstlineno
