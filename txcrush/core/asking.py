"""From a chosen model and a conversation to a request."""

import hashlib
from collections.abc import Sequence

from txcrush.core.agents import Brain
from txcrush.core.model_choice import call_options, effective_effort
from txcrush.model.ids import SessionId
from txcrush.model.providers import ModelRequest, SystemTurn, Turn
from txcrush.model.tools import ToolSpec


def affinity_of(session_id: SessionId) -> str:
    """What a provider may keep its caches by: tells requests of one session, and says nothing of the session."""
    return hashlib.blake2b(session_id.encode(), digest_size=8).hexdigest()


def system_turns(brain: Brain, instructions: str) -> list[Turn]:
    """The instructions, after the provider's own prefix where it has one."""
    prefix = brain.config.system_prompt_prefix
    return [SystemTurn(text) for text in (prefix, instructions) if text]


def model_request(
    brain: Brain, turns: Sequence[Turn], session_id: SessionId, tools: Sequence[ToolSpec] = ()
) -> ModelRequest:
    """A request with everything that the configuration says of the model. Raises `ConfigInvalid`."""
    options = call_options(brain.choice, brain.config, brain.model)
    return ModelRequest(
        model=brain.model.id,
        turns=tuple(turns),
        tools=tuple(tools),
        max_tokens=brain.choice.max_tokens or brain.model.default_max_tokens,
        temperature=options.temperature,
        top_p=options.top_p,
        top_k=options.top_k,
        frequency_penalty=options.frequency_penalty,
        presence_penalty=options.presence_penalty,
        reasoning_effort=effective_effort(brain.choice, brain.model),
        think=brain.choice.think,
        options=options.provider_options,
        affinity=affinity_of(session_id),
        mark_cache=True,
    )


def bare_request(brain: Brain, turns: Sequence[Turn], session_id: SessionId, max_tokens: int) -> ModelRequest:
    """A request without tools and sampling, for titles and summaries; `max_tokens` 0 sets no limit."""
    return ModelRequest(
        model=brain.model.id,
        turns=tuple(turns),
        max_tokens=max_tokens,
        options=call_options(brain.choice, brain.config, brain.model).provider_options,
        affinity=affinity_of(session_id),
    )
