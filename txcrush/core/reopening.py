"""What a start does about the work that the last server left (`contract.md` 4): open its directories again.

Theory. A directory that cannot be opened must not keep the server from starting, nor the others from being opened: its
entry stays, with what was wrong, for the next start. An attempt is noted before it is made and crossed out after, so a
directory whose opening ends the server is known by its count, and left alone after a few starts.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred, DeferredList, TimeoutError
from twisted.logger import Logger

from txcrush.core.observers import within
from txcrush.core.workspace_request import WorkspaceRequest
from txcrush.core.workspaces import Workspaces
from txcrush.model.errors import CrushError, ShuttingDown, StorageFailed
from txcrush.model.ids import ClientId
from txcrush.model.register import Listed
from txcrush.ports import Clock, Register

MOST_ATTEMPTS = 5
FORGET_S = 7 * 24 * 3600.0
"""A directory that could not be opened for so long is nobody's any more."""

AT_ONCE = 4
OPEN_S = 30.0
"""Nobody waits longer for a directory whose disk does not answer; it may still open later."""

GONE = "the data directory is gone"

log = Logger()


class Reopening:
    """Opens what the register lists. `is_there` says whether a data directory still holds a database."""

    def __init__(
        self,
        register: Register,
        workspaces: Workspaces,
        is_there: Callable[[str], Deferred[bool]],
        clock: Clock,
    ) -> None:
        self._register = register
        self._workspaces = workspaces
        self._is_there = is_there
        self._clock = clock

    async def reopen(self) -> None:
        """Returns when every directory is open or given up for this time; raises nothing."""
        try:
            left = list(reversed(await self._register.entries()))
        except StorageFailed as error:
            log.error("the register cannot be read; what the last server left waits for clients: {e}", e=error.message)
            return
        lanes = [Deferred.fromCoroutine(self._work_off(left)) for _ in range(min(AT_ONCE, len(left)))]
        await DeferredList(lanes, consumeErrors=True)

    async def _work_off(self, left: list[Listed]) -> None:
        while left:
            entry = left.pop()
            try:
                await within(OPEN_S, self._clock, Deferred.fromCoroutine(self._take_up(entry)))
            except TimeoutError:
                log.error("{path} does not open: its disk does not answer", path=entry.path)
            except StorageFailed as error:
                log.error("the register does not take what became of {path}: {e}", path=entry.path, e=error.message)
            except Exception:
                log.failure("opening {path} again crashed", path=entry.path)

    async def _take_up(self, entry: Listed) -> None:
        if entry.attempts >= MOST_ATTEMPTS:
            reason = f"opening it ended the server {entry.attempts} times in a row: skipped until a client opens it"
            await self._put_off(entry, reason, is_skipped=True)
        elif not await self._is_there(entry.data_dir):
            await self._put_off(entry, GONE)
        else:
            await self._register.attempt(entry.data_dir)
            await self._open(entry)

    async def _open(self, entry: Listed) -> None:
        request = WorkspaceRequest(
            path=entry.path,
            client_id=ClientId(""),
            data_dir=entry.data_dir,
            debug=entry.debug,
            channels=entry.channels,
        )
        try:
            await self._workspaces.reopen(entry.workspace_id, request)
        except ShuttingDown:
            await self._register.opened(entry.data_dir)
        except CrushError as error:
            await self._put_off(entry, error.message)
        except Exception as error:
            log.failure("opening {path} again failed", path=entry.path)
            await self._put_off(entry, f"{type(error).__name__}: {error}")
        else:
            log.info("{path} is open again: work was left there", path=entry.path)
            await self._register.opened(entry.data_dir)

    async def _put_off(self, entry: Listed, reason: str, *, is_skipped: bool = False) -> None:
        """To the next start, unless it has been so for too long."""
        now = self._clock.seconds()
        still_gone = reason == entry.error == GONE
        if still_gone or (entry.failing_since and now - entry.failing_since >= FORGET_S):
            log.error("{path} cannot be opened and is no longer listed: {reason}", path=entry.path, reason=reason)
            await self._register.remove(entry.data_dir)
            return
        log.error("{path} cannot be opened again, work is left there: {reason}", path=entry.path, reason=reason)
        note = self._register.skipped if is_skipped else self._register.failed
        await note(entry.data_dir, reason, int(now))
