"""A scripted model that is asked over Chat Completions or Anthropic Messages, and answered without knowing which."""

from typing import Any, Protocol

from txcrush.core.instructions import TITLE
from txcrush.testing.messages_answer import MessagesAnswer
from txcrush.testing.model_server import Exchange, ModelServer
from txcrush.wire.json import encode

CHAT, MESSAGES = "chat", "messages"
WIRES = (CHAT, MESSAGES)


class Voice(Protocol):
    """What a model says to one request."""

    def begin(self) -> None:
        """The head of the answer."""

    def open_call(self, call_id: str, name: str, piece: str = "") -> None:
        """A call whose arguments have only begun."""

    def call(self, call_id: str, name: str, arguments: str) -> None:
        """A call with all its arguments; complete at the latest when the next one begins."""

    def end(self, reason: str = "calls") -> None:
        """The end: `calls`, `done`, or `cut` at the token limit."""

    def say(self, text: str) -> None:
        """A whole answer of nothing but text."""


class ChatVoice:
    """In Chat Completions."""

    _REASONS = {"calls": "tool_calls", "done": "stop", "cut": "length"}

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._calls = 0

    def begin(self) -> None:
        self._exchange.head()

    def open_call(self, call_id: str, name: str, piece: str = "") -> None:
        function = {"name": name, "arguments": piece}
        self._exchange.delta(tool_calls=[{"index": self._calls, "id": call_id, "function": function}])
        self._calls += 1

    def call(self, call_id: str, name: str, arguments: str) -> None:
        self.open_call(call_id, name, arguments)

    def end(self, reason: str = "calls") -> None:
        self._exchange.finish(self._REASONS[reason])
        self._exchange.done()

    def say(self, text: str) -> None:
        self._exchange.reply(text)


class MessagesVoice:
    """In Anthropic Messages."""

    _REASONS = {"calls": "tool_use", "done": "end_turn", "cut": "max_tokens"}

    def __init__(self, exchange: Exchange) -> None:
        self._answer = MessagesAnswer(exchange)
        self._is_open = False

    def begin(self) -> None:
        self._answer.begin()

    def open_call(self, call_id: str, name: str, piece: str = "") -> None:
        self._answer.call(call_id, name, *([piece] if piece else []))
        self._is_open = True

    def call(self, call_id: str, name: str, arguments: str) -> None:
        self._answer.call(call_id, name, arguments)
        self._answer.stop()

    def end(self, reason: str = "calls") -> None:
        if self._is_open:
            self._answer.stop()
        self._answer.finish(self._REASONS[reason])
        self._answer.done()

    def say(self, text: str) -> None:
        self._answer.reply(text)


class TwoWires(ModelServer):
    """Both providers at one address. It names sessions by itself, so a test sees the requests for prompts only."""

    def asked(self, exchange: Exchange) -> None:
        """Answer a request for a title, hand out any other."""
        if _is_for_a_title(exchange):
            voice_for(exchange).say("A Title")
        else:
            super().asked(exchange)

    def config(self) -> bytes:
        """A project's `crush.json` with both providers, each named as its wire, and the chat's models chosen."""
        row = {"context_window": 100_000, "default_max_tokens": 1000}
        models = [{"id": "large", "name": "Large", **row}, {"id": "small", "name": "Small", **row}]
        base = f"http://127.0.0.1:{self.port}"
        providers = {
            CHAT: {"id": CHAT, "type": "openai-compat", "base_url": f"{base}/v1"},
            MESSAGES: {"id": MESSAGES, "type": "anthropic", "base_url": base},
        }
        keyed = {wire: {**row, "api_key": f"sk-canary-{wire}", "models": models} for wire, row in providers.items()}
        return encode({"providers": keyed, "models": {slot: chosen(CHAT, slot) for slot in ("large", "small")}})


def chosen(wire: str, slot: str) -> dict[str, str]:
    """The choice of that wire's model for a slot."""
    return {"provider": wire, "model": slot}


def wire_of(exchange: Exchange) -> str:
    """How the model was asked."""
    return MESSAGES if exchange.target.endswith("/messages") else CHAT


def voice_for(exchange: Exchange) -> Voice:
    """What answers the request, in its wire."""
    return MessagesVoice(exchange) if wire_of(exchange) == MESSAGES else ChatVoice(exchange)


def _is_for_a_title(exchange: Exchange) -> bool:
    body: dict[str, Any] = exchange.json()
    told = body["system"] if wire_of(exchange) == MESSAGES else body["messages"][:1]
    return any(TITLE in (one.get("text"), one.get("content")) for one in told)
