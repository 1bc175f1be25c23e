"""A model that plays the part that a test wrote for each prompt, and notes what it should never have been asked."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from txcrush.testing.accepted import accepts
from txcrush.testing.model_server import Exchange
from txcrush.testing.two_wires import CHAT, TwoWires, voice_for, wire_of
from txcrush.wire.json import encode_text

Step = Callable[["PlayedModel", Exchange], None]
"""Answers one request of a turn."""

FULL = 95_000
"""Tokens that nearly fill the window of `TwoWires.config`."""


class PlayedModel(TwoWires):
    """`parts` holds the steps for each prompt, by its text. `faults` is what was wrong with requests: what a provider
    would refuse, and a step of a turn that was asked for twice. Whatever fits no part asks for a summary."""

    def __init__(self, handler: Callable[[Exchange], None] | None = None) -> None:
        super().__init__(handler or self._play)
        self.parts: dict[str, tuple[Step, ...]] = {}
        self.faults: list[str] = []
        self.calls_made = 0
        self._asked: Counter[tuple[str, int]] = Counter()
        self._gates: dict[str, list[Callable[[], None]]] = {}
        self._opened: set[str] = set()
        self._is_open = False

    def plays(self, prompt: str, *steps: Step) -> None:
        """From now on this is what the prompt gets."""
        self.parts[prompt] = steps

    def go_on(self, *gates: str) -> None:
        """Go on with what waits at these, and wait there no more."""
        self._opened.update(gates)
        for gate in gates:
            for go_on in self._gates.pop(gate, []):
                go_on()

    def go_on_everywhere(self) -> None:
        """Wait nowhere any more."""
        self._is_open = True
        self.go_on(*self._gates)

    def at(self, gate: str, go_on: Callable[[], None]) -> None:
        """Go on once the gate is open."""
        if self._is_open or gate in self._opened:
            go_on()
        else:
            self._gates.setdefault(gate, []).append(go_on)

    def _play(self, exchange: Exchange) -> None:
        body = exchange.json()
        self.faults += accepts(body)
        prompt, step = _place(body)
        part = self.parts.get(prompt) or next((part for name, part in self.parts.items() if name in prompt), None)
        if part is None:
            voice_for(exchange).say("a summary")
            return
        self._asked[prompt, step] += 1
        if self._asked[prompt, step] > 1:
            self.faults.append(f"step {step} of {prompt!r} was asked for {self._asked[prompt, step]} times")
        part[min(step, len(part) - 1)](self, exchange)


def _place(body: Mapping[str, Any]) -> tuple[str, int]:
    """What the user said last, and how often the model has spoken since."""
    messages = body["messages"]
    said = [(place, text) for place, one in enumerate(messages) if one["role"] == "user" for text in _texts(one)]
    place, text = said[-1] if said else (-1, "")
    return text, sum(one["role"] == "assistant" for one in messages[place + 1 :])


def _texts(message: Mapping[str, Any]) -> list[str]:
    content = message["content"]
    if isinstance(content, str):
        return [content]
    return [part["text"] for part in content if part["type"] == "text"]


# Steps


def says(text: str) -> Step:
    """Ends the turn with this."""
    return lambda _, exchange: voice_for(exchange).say(text)


def begins(text: str, rest: Step, gate: str) -> Step:
    """Says the text, in an answer that goes on as `rest` does once the gate is open. Chat Completions only."""

    def play(model: PlayedModel, exchange: Exchange) -> None:
        assert wire_of(exchange) == CHAT
        exchange.head()
        exchange.text(text)
        model.at(gate, lambda: rest(model, exchange))

    return play


def more(text: str, *calls: tuple[str, Mapping[str, object]], usage: int = 10) -> Step:
    """The rest of an answer that has begun: text, then calls. `{id}` in a text among the arguments is the call's id."""

    def play(model: PlayedModel, exchange: Exchange) -> None:
        exchange.text(text)
        for index, (name, arguments) in enumerate(calls):
            model.calls_made += 1
            call_id = f"call_{model.calls_made}"
            written = encode_text(arguments).replace("{id}", call_id)
            half = len(written) // 2
            head = {"index": index, "id": call_id, "function": {"name": name, "arguments": written[:half]}}
            exchange.delta(tool_calls=[head])
            exchange.delta(tool_calls=[{"index": index, "function": {"arguments": written[half:]}}])
        exchange.finish("tool_calls" if calls else "stop")
        exchange.usage(usage, 5)
        exchange.done()

    return play


def calls(*made: tuple[str, Mapping[str, object]], usage: int = 10) -> Step:
    """Makes these calls. Chat Completions only."""
    return begins("let me see", more("", *made, usage=usage), "open from the start")
