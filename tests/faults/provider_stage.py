"""A whole server in memory on a provider in memory: real adapters, real turns, one fake clock."""

import json
from typing import Any

from txcrush.adapters.providers import Limits
from txcrush.core.run import Run
from txcrush.testing.conversation import Conversation
from txcrush.testing.harness import CLIENT, Harness
from txcrush.testing.memory_model import Line, MemoryModel
from txcrush.testing.prompt_tool import PromptTool

from .provider_cases import CHAT, GOOD, MESSAGES, answer, frame, stream

KINDS = (CHAT, MESSAGES)


class Stage:
    """One session on one wire. `tool` counts how often it was called."""

    def __init__(self, kind: str, **limits: Any) -> None:
        self.kind = kind
        self.tool = PromptTool("look")
        self.harness = Harness(tools=[self.tool])
        self.clock = self.harness.clock
        self.model = MemoryModel(kind, self.clock, Limits(**limits))
        self.harness.provider = self.model  # type: ignore[assignment]
        self.talk = Conversation(self.harness)
        self.talk.workspace.claims.attach(CLIENT)

    def prompt(self) -> Run:
        return self.talk.prompt("go", "r1")

    def head(self) -> Line:
        """The request's line, on which an event stream begins."""
        line = self.model.accept()
        line.send(answer(b""))
        return line

    def says(self, line: Line, name: str, count: int | None = None) -> None:
        """So many events of a good answer, or all of it."""
        events = GOOD[self.kind][name]
        if count is None:
            line.send(stream(self.kind, events))
        else:
            line.send(b"".join(frame(json.dumps(event).encode()) for event in events[:count]))
        self.settle()

    def reply(self, name: str = "text") -> None:
        """A whole good answer."""
        line = self.head()
        self.says(line, name)
        line.close()
        self.settle()

    def settle(self) -> None:
        """What is due now happens."""
        self.clock.pump([0.0] * 5)

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.settle()

    @property
    def requests(self) -> int:
        """How often the model was asked."""
        return sum(line.sent.count(b"POST ") for line in self.model.lines) + self.model.connecting

    def finish(self) -> tuple[str, str]:
        """Reason and message of the last assistant message's finish."""
        last = [message for message in self.talk.messages() if message.role == "assistant"][-1]
        assert last.finish is not None
        return last.finish.reason.value, last.finish.message

    def stalls(self) -> list[str]:
        """What clients were told of silence."""
        told = self.talk.listener.of("agent_event")
        return [event["progress"] for event in told if event["type"] == "stalled"]
