"""How the servers of the Chat Completions family differ: addresses, names of fields, and the controls of reasoning.

Whatever a user's options say wins over these.
"""

import re

from msgspec import Struct

from txcrush.model.config import ProviderConfig
from txcrush.model.providers import ModelRequest

DEFAULT_BASES = {
    "openai": "https://api.openai.com/v1",
    "openrouter": "https://openrouter.ai/api/v1",
    "vercel": "https://ai-gateway.vercel.sh/v1",
    "anthropic": "https://api.anthropic.com",
}
MESSAGES_TYPE = "anthropic"
"""The type that speaks Anthropic Messages; all others speak Chat Completions."""

MESSAGES_MODELS = {"opencode-zen": ("qwen3.7-max",), "opencode-go": ("qwen3.7-max",)}
"""Models that speak Anthropic Messages, by the provider whose other models do not."""

SUPPORTED_TYPES = (
    "openai",
    "openai-compat",
    "openrouter",
    "vercel",
    "hyper",
    "litellm",
    "llamacpp",
    "lmstudio",
    "ollama",
    "omlx",
    MESSAGES_TYPE,
)
_AS_MERGED = ("litellm", "ollama", "omlx")
"""Types that get the user's options only."""

_ECHO_REASONING = re.compile(r"deepseek|moonshot|kimi")
"""Servers that refuse the results of calls when the reasoning that led to them is missing."""

_OPENAI_REASONING = re.compile(r"(?:o\d|gpt-[5-9])")


class Dialect(Struct, frozen=True):
    """`limit_key` names the token limit; `options` are fields of the body that the request's own options override."""

    limit_key: str
    top_k: bool
    echo_reasoning: bool
    options: dict[str, object]


def dialect(config: ProviderConfig, request: ModelRequest) -> Dialect:
    """How this provider wants this request."""
    plain_openai = config.type == "openai"
    return Dialect(
        limit_key="max_completion_tokens" if plain_openai and _reasons(config, request.model) else "max_tokens",
        top_k=not plain_openai,
        echo_reasoning=bool(_ECHO_REASONING.search(config.id)),
        options=_reasoning(config, request) | ({"tool_stream": True} if config.id == "zai" else {}),
    )


def _reasons(config: ProviderConfig, model_id: str) -> bool:
    model = config.model(model_id)
    return bool(model and model.can_reason) or bool(_OPENAI_REASONING.match(model_id))


def _reasoning(config: ProviderConfig, request: ModelRequest) -> dict[str, object]:
    effort, provider_id = request.reasoning_effort, config.id
    if config.type in _AS_MERGED:
        return {}
    if config.type in ("openrouter", "vercel"):
        return {"reasoning": {"enabled": True, "effort": effort}} if effort else {}
    if provider_id == "ionet":
        return {"reasoning": {"effort": effort or ("medium" if request.think else "none")}}
    if provider_id.startswith("opencode-") and request.model.startswith("minimax"):
        return _minimax(effort, request.think)
    return ({"reasoning_effort": effort} if effort else {}) | _switch(provider_id, effort, request.think)


def _minimax(effort: str, think: bool) -> dict[str, object]:
    if effort:
        return {"thinking": {"type": "adaptive"}, "reasoning_split": True}
    return {} if think else {"thinking": {"type": "disabled"}}


def _switch(provider_id: str, effort: str, think: bool) -> dict[str, object]:
    """The field that turns thinking on and off, where a server has one beside the effort."""
    kind = {"type": "enabled" if effort or think else "disabled"}
    if provider_id == "hyper":
        return {"thinking": think}
    if provider_id in ("zai", "deepseek"):
        return {"thinking": kind}
    if provider_id == "fireworks":
        return {} if effort else {"thinking": kind}
    if provider_id == "baseten":
        return {"chat_template_args": {"enable_thinking": effort != "none" if effort else think}}
    if provider_id.startswith("alibaba"):
        return {"enable_thinking": bool(effort) or think}
    return {}
