"""Tool calls of the past in a form that providers take: ids, names and arguments. Pure.

Theory. What is stored came from any provider, or from a turn that was cut off, and goes to the one that is chosen now.
Each refuses a whole conversation for one bad call in its past. So ids are made legal, the same for a call and for its
result, and always the same for the same past: provider caches go by equal beginnings.
"""

import re
from collections.abc import Callable, Iterable, Iterator

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from txcrush.model.providers import AssistantCall, AssistantTurn, CallResult, ResultsTurn, Turn
from txcrush.wire.json import parse_object

_ILLEGAL = re.compile(r"[^a-zA-Z0-9_-]")
_LONE = re.compile(r"\\u[dD][89a-fA-F]")
"""An escape that may be half of a surrogate pair; its other half is not looked for."""
_LONGEST_NAME = 64
_object = msgspec.json.Decoder(dict[str, Raw])

LegalId = Callable[[str], str]


def safe_id(call_id: str) -> str:
    """The id with nothing in it but letters, digits, `_` and `-`."""
    return _ILLEGAL.sub("_", call_id) or "call"


def any_id(call_id: str) -> str:
    """The id as it is; no wire takes an empty one."""
    return call_id or "call"


def with_legal_calls(turns: Iterable[Turn], legal_id: LegalId, *, unique_throughout: bool) -> Iterator[Turn]:
    """The turns with legal ids and names in their calls and results.

    An id that was there before gets a number: before in the same turn, or anywhere with `unique_throughout`. A result
    that no call of the turn before waits for is left out.
    """
    taken: set[str] = set()
    waiting: list[tuple[str, str]] = []
    for turn in turns:
        if isinstance(turn, AssistantTurn):
            taken = taken if unique_throughout else set()
            waiting = [(call.id, _taken(legal_id(call.id), taken)) for call in turn.calls]
            yield replace(turn, calls=tuple(map(_renamed, turn.calls, waiting)))
        elif isinstance(turn, ResultsTurn):
            answers = tuple(_answers(turn.results, waiting))
            if answers:
                yield ResultsTurn(answers)
        else:
            yield turn


def arguments_text(text: str) -> str:
    """The arguments of a call as they are where they are a JSON object, else the empty one."""
    return text if _parsed(text) is not None else "{}"


def arguments_object(text: str) -> object:
    """The arguments of a call as a value that encodes as a JSON object, unread where that is possible."""
    if _LONE.search(text):  # half a pair is JSON, but servers refuse the whole request for it
        return _without_lone_surrogates(text)
    return _parsed(text) or {}


def _parsed(text: str) -> dict[str, Raw] | None:
    try:
        return _object.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def _without_lone_surrogates(text: str) -> dict[str, object]:
    try:
        return parse_object(text)
    except ValueError:
        return {}


def _taken(wanted: str, taken: set[str]) -> str:
    """The id, or the first with a number behind it, that is still free; it no longer is."""
    free, number = wanted, 1
    while free in taken:
        number += 1
        free = f"{wanted}_{number}"
    taken.add(free)
    return free


def _renamed(call: AssistantCall, ids: tuple[str, str]) -> AssistantCall:
    name = _ILLEGAL.sub("_", call.name)[:_LONGEST_NAME] or "unknown"
    return AssistantCall(ids[1], name, call.arguments)


def _answers(results: Iterable[CallResult], waiting: list[tuple[str, str]]) -> Iterator[CallResult]:
    for result in results:
        ids = next((ids for ids in waiting if ids[0] == result.call_id), None)
        if ids is not None:
            waiting.remove(ids)
            yield replace(result, call_id=ids[1])
