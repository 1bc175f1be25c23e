"""A project on a real disk, and the tools that look around in it."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from txcrush.adapters.guarded_places import OwnPlaces
from txcrush.adapters.private_places import PrivatePlaces
from txcrush.adapters.tools.searching import search_tools
from txcrush.model.config import Config, Options, ToolLimits, TuiOptions
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import ToolCall
from txcrush.model.tools import ToolOutput, ToolUse
from txcrush.testing.scripted_desk import ScriptedDesk
from txcrush.wire.json import encode_text, parse_object


class Shown(Struct, frozen=True):
    """What a call gave; `metadata` is decoded."""

    text: str
    metadata: dict[str, Any]
    is_error: bool
    stop_turn: bool


class SearchedProject:
    """The directory `project` below `root`; `home` is beside it, and whatever else a test puts there is outside.

    `desk` answers what is asked; `limits` is the configuration's `tools`; `data_dir` is `.crush` in it unless it is
    said to be elsewhere.
    """

    def __init__(
        self, root: Path, reactor: Any, environ: Mapping[str, str] | None = None, data_dir: Path | None = None
    ) -> None:
        self.root = root
        self.path = root / "project"
        self.path.mkdir()
        (root / "home").mkdir()
        self.desk = ScriptedDesk()
        self.limits: ToolLimits | None = None
        self._reactor = reactor
        self._now_ns = time.time_ns()
        known = {"HOME": str(root / "home"), "PATH": os.environ.get("PATH", ""), **(environ or {})}
        own = OwnPlaces(state_dir=str(root / "home" / "state"), token_file="", env=known)
        tools = search_tools(
            str(self.path),
            self.desk,
            self._config,
            clock=reactor,
            environ=known,
            in_thread=self._in_thread,
            private=PrivatePlaces(str(self.path), str(data_dir or self.path / ".crush"), own),
        )
        self._tools = {tool.spec.name: tool for tool in tools}

    def write(self, name: str, content: str | bytes = "", *, age_s: float = 0) -> Path:
        """A file, by its path in the project (or absolute), as old as said."""
        path = Path(os.path.normpath(self.path / name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        changed = self._now_ns - int(age_s * 1e9)
        os.utime(path, ns=(changed, changed))
        return path

    def start(self, name: str, **arguments: object) -> Deferred[ToolOutput]:
        """The call while it runs."""
        call = ToolCall("call-1", name, encode_text(arguments), finished=True)
        use = ToolUse(call=call, arguments=arguments, session_id=SessionId("s"), message_id=MessageId("m"))
        return self._tools[name].run(use)

    async def call(self, name: str, **arguments: object) -> Shown:
        """What the call gives. Raises `Refused`."""
        output = await self.start(name, **arguments)
        metadata = parse_object(output.metadata) if output.metadata else {}
        return Shown(output.content, metadata, output.is_error, output.stop_turn)

    def turn(self) -> Deferred[None]:
        """Fires once a thread has been to work: a call has gone on meanwhile."""
        return self._in_thread(os.getpid)

    async def turns(self, count: int) -> None:
        for _ in range(count):
            await self.turn()

    def _config(self) -> Config:
        return Config(providers={}, options=Options(tui=TuiOptions()), tools=self.limits)

    def _in_thread(self, function: Any, *arguments: Any) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), function, *arguments)
