"""Which generation of the Crush terminal asks: the two learn of a failed prompt in different ways.

The older one (May 2026) learns of it from the answer to its prompt, which it expects to be held: 500 with the reason.
The newer one (August 2026) learns of it from the event stream, and would show the reason a second time if the held
answer brought it too. Nothing in a prompt tells them apart, but the newer one says in `agent/init` whether it is
interactive and the older one sends no body there. Anybody else (a script, `curl`) is no Go client and gets its 500.
"""

from weakref import WeakSet

from txcrush.core.workspaces import Workspace
from txcrush.http.routing import Call

GO_CLIENT = "Go-http-client/"


class Generations:
    """Remembers in which workspaces the newer terminal was the last to begin."""

    def __init__(self) -> None:
        self._newer: WeakSet[Workspace] = WeakSet()

    def begins(self, call: Call, workspace: Workspace) -> None:
        """The call is an `agent/init` of this workspace."""
        if not _is_terminal(call):
            return
        if call.header("Content-Length") in ("", "0"):
            self._newer.discard(workspace)
        else:
            self._newer.add(workspace)

    def hears_by_events(self, call: Call, workspace: Workspace) -> bool:
        """Whether the client of this call learns of a failure from the event stream."""
        return _is_terminal(call) and workspace in self._newer


def _is_terminal(call: Call) -> bool:
    return call.header("User-Agent").startswith(GO_CLIENT)
