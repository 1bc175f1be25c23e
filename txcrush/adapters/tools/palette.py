"""All built-in tools of a workspace."""

from collections.abc import Mapping

from txcrush.adapters.tools.searching import search_tools
from txcrush.adapters.tools.todos import Todos
from txcrush.core.workbench import Kit, Workbench
from txcrush.ports import Clock, InThread
from txcrush.wire.json import encode_text


class Palette:
    """Makes the tools of each workspace from what the whole server shares; a `MakeKit`."""

    def __init__(self, clock: Clock, environ: Mapping[str, str], in_thread: InThread) -> None:
        self._clock = clock
        self._environ = environ
        self._in_thread = in_thread

    def __call__(self, bench: Workbench) -> Kit:
        searching = search_tools(
            bench.path,
            bench.permissions,
            bench.config,
            clock=self._clock,
            environ=self._environ,
            in_thread=self._in_thread,
        )
        return Kit((Todos(bench.sessions, encode_text), *searching))
