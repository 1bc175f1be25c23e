"""What the wires share in reading a provider's reply: why it ended, and how many tokens it took. Pure."""

from collections.abc import Mapping

from txcrush.model.messages import FinishReason

MOST_TOKENS = 10**9
MOST_DOLLARS = 10**6


def finish_of(reason: str, known: Mapping[str, FinishReason], *, has_calls: bool) -> FinishReason:
    """The reason in our words. Several servers say that the turn is over where they called tools."""
    finish = known.get(reason, FinishReason.UNKNOWN)
    if has_calls and finish in (FinishReason.END_TURN, FinishReason.UNKNOWN):
        return FinishReason.TOOL_USE
    return finish


def token_count(tokens: float | None) -> int:
    """A number of tokens, whatever a server made of it: some count in fractions, some below zero, and no request has
    as many as some say."""
    return max(0, round(min(tokens or 0, MOST_TOKENS)))


def dollars(cost: float | None) -> float | None:
    """What a server says that a request has cost; None where it says nothing, or nothing that could be."""
    return max(0.0, cost) if cost is not None and cost < MOST_DOLLARS else None
