"""A desk that answers as a test says."""

from twisted.internet.defer import Deferred, succeed

from txcrush.model.permissions import Ask
from txcrush.ports import Permissions


class ScriptedDesk:
    """Grants or denies everything at once; with `grant=None` each ask waits in `waiting` until the test answers it.

    `asks` holds what was asked, in order; `cancelled` what was taken back.
    """

    def __init__(self, *, grant: bool | None = True) -> None:
        self.grant = grant
        self.asks: list[Ask] = []
        self.waiting: list[Deferred[bool]] = []
        self.cancelled: list[Ask] = []

    def ask(self, ask: Ask) -> Deferred[bool]:
        """See `ports.Permissions`."""
        self.asks.append(ask)
        if self.grant is not None:
            return succeed(self.grant)
        waiting: Deferred[bool] = Deferred(lambda _: self.cancelled.append(ask))
        self.waiting.append(waiting)
        return waiting


def _conforms(desk: ScriptedDesk) -> Permissions:
    return desk
