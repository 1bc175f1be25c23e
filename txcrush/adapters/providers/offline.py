"""The offline model: a small deterministic "model" inside the server, for the time before a provider is configured.

It thinks for a moment, says that it is not a real model, that the server works, and how to set a provider. The same
request always gets the same answer.
"""

import re
from collections.abc import Iterator

from twisted.internet.defer import Deferred

from txcrush.adapters.providers._gate import stream_through_gate
from txcrush.model.config import Model, ProviderConfig
from txcrush.model.messages import FinishReason
from txcrush.model.providers import (
    AssistantTurn,
    ModelReply,
    ModelRequest,
    ResultsTurn,
    SystemTurn,
    Turn,
    Usage,
    UserTurn,
)
from txcrush.ports import Clock, Provider, StreamSink

OFFLINE = "offline"
_TITLE_WIDTH = 50
_ECHO_WIDTH = 120

_SNIPPET = """\
{
  "providers": {
    "my-provider": {
      "type": "openai-compat",
      "base_url": "https://api.example.com/v1",
      "api_key": "$MY_PROVIDER_API_KEY",
      "models": [
        {
          "id": "model-id",
          "name": "Model Name",
          "context_window": 128000,
          "default_max_tokens": 8192
        }
      ]
    }
  },
  "models": {
    "large": {"provider": "my-provider", "model": "model-id"},
    "small": {"provider": "my-provider", "model": "model-id"}
  }
}"""

_REASONING = "No provider is configured, so there is no model to ask. I can still show that the server works. "

_ANSWER = """\
This is the **offline model** of txcrush. It is no language model: it gives a fixed answer, so that you can see that \
everything else works. Your prompt reached the server, this answer streams to every client that is attached, and both \
are stored.

You wrote: {prompt}

To talk to a real model, put this into `~/.config/crush/crush.json` (any server that speaks OpenAI Chat Completions \
will do; for Anthropic Messages the type is "anthropic"):

```json
{snippet}
```

Set the key in the environment of the server, `export MY_PROVIDER_API_KEY=...`, and start it again. The offline model \
disappears as soon as a provider is configured."""


def offline_config() -> ProviderConfig:
    """The entry that stands in the configuration while there is no other provider."""
    model = Model(
        id=OFFLINE,
        name="Offline",
        cost_per_1m_in=0,
        cost_per_1m_out=0,
        cost_per_1m_in_cached=0,
        cost_per_1m_out_cached=0,
        context_window=200_000,
        default_max_tokens=4096,
        can_reason=True,
        supports_attachments=False,
    )
    return ProviderConfig(id=OFFLINE, name="Offline", type=OFFLINE, models=(model,))


class OfflineProvider:
    """Streams its answer word by word, `pause_s` seconds apart by the clock."""

    def __init__(self, clock: Clock, pause_s: float = 0.004) -> None:
        self._clock = clock
        self._pause_s = pause_s

    def stream(self, request: ModelRequest, sink: StreamSink) -> Deferred[ModelReply]:
        """See `ports.Provider`. Never fails."""
        return stream_through_gate(sink, lambda gate: self._speak(request, gate))

    async def _speak(self, request: ModelRequest, sink: StreamSink) -> ModelReply:
        reasoning, text = _answer(request)
        for piece in _pieces(reasoning):
            await self._pause()
            sink.reasoning(piece)
        if reasoning:
            sink.reasoning_ended()
        for piece in _pieces(text):
            await self._pause()
            sink.text(piece)
        return ModelReply(finish=FinishReason.END_TURN, usage=_usage(request, reasoning, text))

    def _pause(self) -> Deferred[None]:
        paused: Deferred[None] = Deferred(lambda _: call.cancel())
        call = self._clock.callLater(self._pause_s, paused.callback, None)
        return paused


def _answer(request: ModelRequest) -> tuple[str, str]:
    """Reasoning and text. A first prompt without tools is how the server asks for a title."""
    prompt = next((turn.text for turn in reversed(request.turns) if isinstance(turn, UserTurn)), "")
    if not request.tools and not any(isinstance(turn, AssistantTurn) for turn in request.turns):
        return "", _title(prompt)
    shown = _cut(" ".join(prompt.split()), _ECHO_WIDTH)
    return _REASONING, _ANSWER.format(prompt=shown or "(nothing)", snippet=_SNIPPET)


def _title(prompt: str) -> str:
    """The first words of what the title is for: the text behind the request's own first paragraph, where it has one."""
    bare = re.sub(r"<think>.*?</think>", "", prompt, flags=re.DOTALL).strip()
    asked, _, content = bare.partition("\n\n")
    words = " ".join((content if content and asked.rstrip().endswith(":") else bare).split())
    return _cut(words, _TITLE_WIDTH) or "Offline session"


def _cut(text: str, width: int) -> str:
    """At most `width` characters, ending at a word where that is possible."""
    if len(text) <= width:
        return text
    kept = text[: width - 1]
    return (kept.rsplit(" ", 1)[0] if " " in kept else kept) + "…"


def _pieces(text: str) -> Iterator[str]:
    """Words, each with the white space behind it."""
    return (match.group() for match in re.finditer(r"\S+\s*", text))


def _usage(request: ModelRequest, reasoning: str, text: str) -> Usage:
    """Four bytes are a token."""
    spoken = sum(_tokens(said) for turn in request.turns for said in _texts(turn))
    thought = _tokens(reasoning)
    output = thought + _tokens(text)
    return Usage(input=spoken, output=output, total=spoken + output, reasoning=thought)


def _texts(turn: Turn) -> Iterator[str]:
    match turn:
        case SystemTurn(text) | UserTurn(text):
            yield text
        case AssistantTurn():
            yield turn.text
            yield from (call.arguments for call in turn.calls)
        case ResultsTurn(results):
            yield from (result.text for result in results)


def _tokens(text: str) -> int:
    return -(-len(text.encode("utf-8", "surrogatepass")) // 4)


def _conforms(provider: OfflineProvider) -> Provider:
    return provider
