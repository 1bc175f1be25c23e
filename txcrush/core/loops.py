"""Noticing that a turn goes round in circles (`agent.md` 7). Pure functions."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence

from txcrush.model.messages import ToolCall, ToolResult

WINDOW = 10
"""So many of the last steps are looked at; a turn of fewer is left alone."""

REPEATS = 5
"""A step that stands in the window more often than this is a loop."""


def signature(calls: Sequence[ToolCall], results: Iterable[ToolResult]) -> bytes:
    """What a step did: names, inputs and results of its calls, whatever their ids; empty for a step without calls."""
    if not calls:
        return b""
    by_call = {result.tool_call_id: result for result in results}
    digest = hashlib.sha256()
    for call in calls:
        for part in (call.name, call.input, _said(by_call.get(call.id))):
            digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return digest.digest()


def is_loop(signatures: Sequence[bytes]) -> bool:
    """Whether the steps, oldest first, have begun to repeat themselves."""
    latest = signatures[-WINDOW:]
    counts = Counter(one for one in latest if one)
    return len(latest) == WINDOW and any(count > REPEATS for count in counts.values())


def _said(result: ToolResult | None) -> str:
    return (result.data or result.content) if result is not None else ""
