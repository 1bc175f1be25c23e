"""How the models behind Anthropic Messages are made to think, and what else depends on which model it is.

Claude up to 4.5 knows thinking with a budget of tokens; 4.6 prefers, and 4.7 insists on, deciding itself ("adaptive").
From 4.7 on sampling parameters are refused. Whatever a user's options say wins over these.
"""

import re

from msgspec import Struct

from txcrush.model.config import ProviderConfig
from txcrush.model.providers import ModelRequest

BUDGET = 2000
"""Tokens that a model may think which does not decide that itself."""

_ADAPTIVE: dict[str, object] = {"type": "adaptive", "display": "summarized"}
"""Without `display` the newest models send thinking without its text."""

_ADAPTIVE_FROM = (4, 6)
_NO_SAMPLING_FROM = (4, 7)
_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")


class Ways(Struct, frozen=True):
    """`options` are fields of the body. `first`: the model is one that thinks, so its thinking begins each message of
    the past; elsewhere it stands behind the text. `replay`: thinking is given back at all. `sampling`: the model takes
    temperature and its like."""

    options: dict[str, object]
    first: bool
    replay: bool
    sampling: bool


def thinking_ways(config: ProviderConfig, request: ModelRequest) -> Ways:
    """How this provider wants this request.

    Of the request's options `effort`, `send_reasoning` and `disable_parallel_tool_use` are names of the reference's
    own, and `thinking` may leave out its type; all others are fields of the body.
    """
    options = dict(request.options)
    replay = options.pop("send_reasoning", True) is not False
    if options.pop("disable_parallel_tool_use", False) is True and request.tools:
        options.setdefault("tool_choice", {"type": "auto", "disable_parallel_tool_use": True})
    options = _controls(config, request, options)
    model = config.model(request.model)
    return Ways(
        options,
        first="thinking" in options or bool(model and model.can_reason),
        replay=replay,
        sampling=_version(request.model) < _NO_SAMPLING_FROM,
    )


def _controls(config: ProviderConfig, request: ModelRequest, options: dict[str, object]) -> dict[str, object]:
    """The options with those that control thinking, unless they hold them already."""
    effort = options.pop("effort", "") or request.reasoning_effort
    thinking = options.get("thinking")
    if isinstance(thinking, dict) and "type" not in thinking and "budget_tokens" in thinking:
        options["thinking"] = {"type": "enabled", **thinking}
    if config.id.startswith("alibaba"):
        own: dict[str, object] = {"reasoning_effort": effort} if effort else _switch(request.think)
        return own | options
    wanted = {"output_config": {"effort": effort}} if effort else {}
    return wanted | _thinking(request, effort) | options


def _thinking(request: ModelRequest, effort: object) -> dict[str, object]:
    """Whoever has an effort decides how much to think, but for Claude 4.5, which knows effort and budgets."""
    version = _version(request.model)
    if version >= _ADAPTIVE_FROM or (effort and version == (0, 0)):
        return {"thinking": _ADAPTIVE} if effort or request.think else {}
    return {"thinking": {"type": "enabled", "budget_tokens": BUDGET}} if request.think else {}


def _switch(think: bool) -> dict[str, object]:
    return {"thinking": {"type": "enabled" if think else "disabled"}}


def _version(model_id: str) -> tuple[int, int]:
    """Which Claude it is; (0, 0) for what is none, or does not say."""
    found = _VERSION.search(model_id.lower())
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)
