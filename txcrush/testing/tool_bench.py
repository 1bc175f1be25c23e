"""The tools of a workspace over a real directory, called one by one: everything else is a harness, threads included."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred, maybeDeferred

from txcrush.adapters.guarded_places import OwnPlaces
from txcrush.adapters.tools.file_tools import file_tools
from txcrush.core.workbench import Workbench
from txcrush.model.config import Config
from txcrush.model.errors import Refused
from txcrush.model.ids import MessageId
from txcrush.model.messages import ToolCall
from txcrush.model.sessions import FileVersion
from txcrush.model.tools import ToolOutput, ToolUse
from txcrush.ports import InThread, Tool
from txcrush.testing.conversation import Conversation, now
from txcrush.testing.harness import Harness, configuration
from txcrush.testing.scripted_desk import ScriptedDesk
from txcrush.wire.json import encode_text, parse_object


def at_once(function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
    """An `InThread` that calls the function here and now."""
    return maybeDeferred(function, *arguments)


class ToolBench:
    """The tools of the workspace `root` (a directory), with `home` as the user's.

    `desk` holds what was asked and says what is granted, unless the workspace keeps its own; `talk` is the session that
    calls, with a listener that hears the events.
    """

    def __init__(
        self,
        root: Path,
        home: Path,
        *,
        config: Config | None = None,
        in_thread: InThread = at_once,
        own_desk: bool = False,
    ) -> None:
        self.root = root
        self.desk = ScriptedDesk()
        self._own = OwnPlaces(state_dir=str(home / "state"), token_file="", env={"HOME": str(home)})
        self._in_thread = in_thread
        self._own_desk = own_desk
        self._calls = itertools.count(1)
        self.tools: dict[str, Tool] = {}
        self.harness = Harness(config=config or configuration(), tools=self._made)
        self.talk = Conversation(self.harness, str(root))

    def _made(self, bench: Workbench) -> tuple[Tool, ...]:
        asked = bench if self._own_desk else replace(bench, permissions=self.desk)
        tools = file_tools(asked, self._own, self._in_thread)
        self.tools = {tool.spec.name: tool for tool in tools}
        return tools

    def start(self, name: str, *, supports_images: bool = False, **arguments: object) -> Deferred[ToolOutput]:
        """Call the tool; what it refuses is an error result, as in a turn."""
        call = ToolCall(f"call_{next(self._calls)}", name, encode_text(arguments))
        use = ToolUse(
            call=call,
            arguments=arguments,
            session_id=self.talk.session_id,
            message_id=MessageId("m"),
            supports_images=supports_images,
            model_name="Plain Model",
        )
        return self.tools[name].run(use).addErrback(_refusal)

    def run(self, name: str, **arguments: Any) -> ToolOutput:
        """Call the tool; it must have ended."""
        return now(self.start(name, **arguments))

    def fact(self, output: ToolOutput) -> dict[str, Any]:
        """The metadata of a result."""
        return parse_object(output.metadata)

    def history(self) -> list[FileVersion]:
        """The file versions that the session made."""
        return now(self.talk.workspace.file_history.versions(self.talk.session_id))

    def reads(self) -> list[str]:
        """What the session has read, latest first."""
        return now(self.talk.workspace.file_tracker.files(self.talk.session_id))


def _refusal(failure: Any) -> ToolOutput:
    failure.trap(Refused)
    return ToolOutput(content=failure.value.message, is_error=True)
