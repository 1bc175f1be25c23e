"""All built-in tools of a workspace."""

from txcrush.adapters.places import Places
from txcrush.adapters.tools.todos import Todos
from txcrush.adapters.tools.web_tools import WebTools
from txcrush.core.workbench import Kit, Workbench
from txcrush.wire.json import encode_text


class Palette:
    """Makes the tools of each workspace from what the whole server shares; a `MakeKit`."""

    def __init__(self, web: WebTools) -> None:
        self._web = web

    def __call__(self, bench: Workbench) -> Kit:
        return Kit((Todos(bench.sessions, encode_text), *self._web.for_workspace(bench, Places(bench.path))))
