"""What the threads of a store know of its disk, for those who ask on the reactor's thread."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twisted.logger import Logger

from txcrush.adapters.sqlite.failures import is_damage, is_of_the_disk
from txcrush.adapters.sqlite.soundness import mark_suspect
from txcrush.model.errors import StorageFailed

log = Logger()


@dataclass
class Condition:
    """Set on the store's threads, read on any. `now` tells Unix time, `path` is the database."""

    path: str
    now: Callable[[], float]
    failing_since: float = 0.0
    reason: str = ""
    _is_suspect: bool = False

    def wrote(self, results: Sequence[object]) -> None:
        """Note how a group of writes came out: a failure is the disk's only where all of them failed by it."""
        failures = [one for one in results if isinstance(one, StorageFailed) and is_of_the_disk(one)]
        if not failures:
            self._recovered()
            return
        for failure in failures:
            self.met(failure)
        if not self.failing_since:
            self.failing_since = self.now()
            log.error("{path} cannot be written: {reason}", path=self.path, reason=failures[0])
        self.reason = str(failures[0])

    def met(self, result: object) -> None:
        """Note what a read or a write came upon: a damaged file is checked whole when it is next opened."""
        if isinstance(result, Exception) and is_damage(result) and not self._is_suspect:
            self._is_suspect = True
            log.critical(
                "{path} is damaged; it is moved aside when it is next opened: {error}", path=self.path, error=result
            )
            mark_suspect(self.path)

    def _recovered(self) -> None:
        if self.failing_since:
            log.info("{path} can be written again", path=self.path)
        self.failing_since, self.reason = 0.0, ""
