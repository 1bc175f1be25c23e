"""The entry of one workspace in the server's register: made before its first prompt is acknowledged, removed when it
closes with nothing left to do.

In between it stays, whether or not something runs just now: a run costs no second write, and who watched an idle
workspace when the server was killed finds it again under its id.
"""

from os.path import join

from twisted.internet.defer import Deferred, TimeoutError
from twisted.logger import Logger

from txcrush.core.observers import OneShot, within
from txcrush.model.errors import StorageFailed
from txcrush.model.register import Listed
from txcrush.ports import Clock, Register, Store

WRITE_S = 5.0
"""A register that is slower keeps nobody waiting: without an entry all that is lost is that the next start opens the
directory by itself."""

log = Logger()


class Listing:
    """One workspace's entry."""

    def __init__(self, register: Register, entry: Listed, clock: Clock) -> None:
        self._register = register
        self._entry = entry
        self._clock = clock
        self._listed: OneShot[None] | None = None

    def ensure(self) -> Deferred[None]:
        """Fires when the entry is durable, or cannot be made; never fails. Each asker has a Deferred of its own."""
        listed = self._listed
        if listed is None:
            listed = self._listed = OneShot()
            Deferred.fromCoroutine(self._add(listed))
        return listed.when()

    async def settle(self, store: Store) -> None:
        """The workspace closes: its entry stays only if a run is left."""
        try:
            if not await store.unfinished_runs():
                await within(WRITE_S, self._clock, self._register.remove(self._entry.data_dir))
        except (StorageFailed, TimeoutError) as error:
            log.warn("{path} stays in the register: {reason}", path=self._entry.path, reason=str(error))

    async def _add(self, listed: OneShot[None]) -> None:
        try:
            await within(WRITE_S, self._clock, self._register.add(self._entry))
        except (StorageFailed, TimeoutError) as error:
            self._listed = None
            log.error(
                "{path} is not in the register, so after a crash its runs wait for a client: {reason}",
                path=self._entry.path,
                reason=str(error) or "the disk does not answer",
            )
        listed.fire(None)


def absolute(path: str, data_dir: str) -> str:
    """A workspace's data directory under the name by which a later start finds it."""
    return join(path, data_dir)
