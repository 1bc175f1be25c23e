"""Tokens and money (`agent.md` 6). Pure functions."""

from collections.abc import Iterable

from txcrush.model.config import Model
from txcrush.model.messages import Message, Reasoning, Text, ToolCall
from txcrush.model.providers import AssistantTurn, CallResult, ResultsTurn, SystemTurn, Turn, Usage, UserTurn
from txcrush.model.sessions import Session

PER_MILLION = 1_000_000


def estimate(text: str) -> int:
    """Tokens of a text, for want of better: a quarter of its bytes, rounded up."""
    return -(-len(text.encode("utf-8", "replace")) // 4)


def estimated(turns: Iterable[Turn], answer: Message) -> Usage:
    """Usage of a step whose provider reported none: its messages as prepared, and what it said."""
    asked = sum(_turn_tokens(turn) for turn in turns)
    said = sum(_part_tokens(part) for part in answer.parts)
    return Usage(input=asked, output=said, total=asked + said)


def _turn_tokens(turn: Turn) -> int:
    match turn:
        case SystemTurn():
            return estimate("system") + estimate(turn.text)
        case UserTurn():
            files = (f"{file.mime_type} {file.filename} {len(file.data)} bytes" for file in turn.files)
            return estimate("user") + estimate(turn.text) + sum(map(estimate, files))
        case AssistantTurn():
            calls = sum(estimate(call.name) + estimate(call.arguments) for call in turn.calls)
            return estimate("assistant") + estimate(turn.text) + estimate(turn.reasoning) + calls
        case ResultsTurn():
            return estimate("tool") + sum(map(_result_tokens, turn.results))


def _result_tokens(result: CallResult) -> int:
    said = result.text
    if result.media is not None:
        said = f"{result.media.mime_type} {said} {len(result.media.data)} bytes"
    return estimate(result.call_id) + estimate(said)


def _part_tokens(part: object) -> int:
    match part:
        case Text():
            return estimate(part.text)
        case Reasoning():
            return estimate(part.thinking)
        case ToolCall():
            return estimate(part.name) + estimate(part.input)
        case _:
            return 0


def cost(usage: Usage, model: Model, *, flat_rate: bool) -> float:
    """US dollars: the provider's own figure where it gave one, else the model's prices; nothing at a flat rate."""
    if flat_rate:
        return 0.0
    if usage.cost is not None:
        return usage.cost
    return (
        model.cost_per_1m_in_cached * usage.cache_creation
        + model.cost_per_1m_out_cached * usage.cache_read
        + model.cost_per_1m_in * usage.input
        + model.cost_per_1m_out * usage.output
    ) / PER_MILLION


def gauges(session: Session, usage: Usage) -> dict[str, int]:
    """The session's counters after a request: the sizes of this one, where it had them (R-USE-09)."""
    prompt = usage.input + usage.cache_read
    return {
        "prompt_tokens": prompt or session.prompt_tokens,
        "completion_tokens": usage.output or session.completion_tokens,
    }
