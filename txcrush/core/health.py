"""Is the server well, and if it is not: what is wrong, and what to do about it.

Theory. What cannot be seen from a counter (disks, open files) is looked at every few seconds in a thread, so that the
answer costs nothing. Only what harms requests now or soon is an error; the rest is a warning. A moment's trouble is no
problem: the lag of the event loop counts as a mean over ten seconds, a failed write until the next one succeeds.
"""

from collections.abc import Callable, Iterator, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from txcrush.core.loop_lag import LoopLag
from txcrush.core.observations import Observations, OpenFailure
from txcrush.model.vitals import Disk, Problem, Severity, Vitals
from txcrush.ports import Clock

LOOK_S = 15.0
FIRST_LOOK_S = 1.0
"""The first requests of a new server come before it."""

LAG_WARNING_S = 0.1
LAG_ERROR_S = 0.5
FILES_WARNING = 0.8
FILES_ERROR = 0.95
OPEN_FAILURE_S = 3600.0
"""A directory that could not be opened is told of for so long, unless it is opened."""

MIB = 1024 * 1024

TakeVitals = Callable[[Sequence[str]], "Deferred[Vitals]"]
"""Looks at the process and at the disks that these directories lie on."""

STALL_S = 10.0
"""Seconds without progress after which new prompts are refused."""

log = Logger()


class Health:
    """`directories` gives those that the server writes to. `lag` is running while the server is."""

    def __init__(
        self,
        observations: Observations,
        lag: LoopLag,
        take_vitals: TakeVitals,
        directories: Callable[[], Sequence[str]],
        clock: Clock,
    ) -> None:
        self._observations = observations
        self._lag = lag
        self._take_vitals = take_vitals
        self._directories = directories
        self._clock = clock
        self._timer: IDelayedCall | None = None
        self._running = False
        self.vitals = Vitals()

    def start(self) -> None:
        self._running = True
        self._look_later(FIRST_LOOK_S)

    def stop(self) -> None:
        self._running = False
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    async def look(self) -> Vitals:
        """Look at the process and its disks now. Where that fails, what was seen last stays."""
        try:
            self.vitals = await self._take_vitals(self._directories())
        except Exception as error:  # nobody else holds what is awaited, so it is never a cancel
            log.warn("the process cannot be looked at: {error}", error=error)
        return self.vitals

    def problems(self) -> list[Problem]:
        """What is wrong now, errors first."""
        found = [*self._of_storage(), *self._of_opening(), *self._of_loop(), *self._of_files(), *self._of_disks()]
        return sorted(found, key=lambda problem: problem.severity != Severity.ERROR)

    def errors(self) -> list[Problem]:
        """Only what harms requests."""
        return [problem for problem in self.problems() if problem.severity == Severity.ERROR]

    async def _look_on(self) -> None:
        await self.look()
        if self._running:
            self._look_later(LOOK_S)

    def _look_later(self, delay_s: float) -> None:
        self._timer = self._clock.callLater(delay_s, lambda: Deferred.fromCoroutine(self._look_on()))

    def _of_storage(self) -> Iterator[Problem]:
        for path, reason in self._observations.databases.failing().items():
            yield Problem(
                "storage_failing",
                Severity.ERROR,
                f"the database in {path} cannot be written: {reason}",
                "free space on its disk, or end what else holds the database; the next write that succeeds ends this",
            )

        for path, stalled_s in self._observations.databases.stalled().items():
            if stalled_s >= STALL_S:
                yield Problem(
                    "storage_stalled",
                    Severity.ERROR,
                    f"the disk of {path} has taken no write for {stalled_s:.0f} s",
                    "look at the disk, or end what else holds the database; new prompts are refused until it moves",
                )
        for path, aside in self._observations.databases.moved_aside().items():
            yield Problem(
                "database_was_damaged",
                Severity.WARNING,
                f"the database in {path} was damaged: a new one holds what could be read of it",
                f"what is missing may be in {aside}: keep it, or delete it; the next start tells no more of it",
            )

    def _of_opening(self) -> Iterator[Problem]:
        now = self._clock.seconds()
        for path, failure in self._observations.open_failures.by_path.items():
            if now - failure.at_s < OPEN_FAILURE_S:
                yield _of_opening(path, failure)

    def _of_loop(self) -> Iterator[Problem]:
        mean_s = self._lag.mean_s
        if mean_s >= LAG_WARNING_S:
            yield Problem(
                "event_loop_slow",
                Severity.ERROR if mean_s >= LAG_ERROR_S else Severity.WARNING,
                f"the event loop has been late by {mean_s * 1000:.0f} ms on average, {self._lag.worst_s:.1f} s at most",
                "look at the load of the machine and at /metrics; every request waits that long",
            )

    def _of_files(self) -> Iterator[Problem]:
        used, limit = self.vitals.open_files, self.vitals.file_limit
        if limit and used >= FILES_WARNING * limit:
            yield Problem(
                "files_exhausted" if used >= FILES_ERROR * limit else "files_low",
                Severity.ERROR if used >= FILES_ERROR * limit else Severity.WARNING,
                f"{used} of {limit} file descriptors are in use",
                "raise the hard limit of open files (ulimit -Hn) and start again, or close clients",
            )

    def _of_disks(self) -> Iterator[Problem]:
        for disk in self.vitals.disks:
            if disk.free < _low(disk, 512 * MIB, 0.05):
                full = disk.free < _low(disk, 64 * MIB, 0.01)
                yield Problem(
                    "disk_full" if full else "disk_low",
                    Severity.ERROR if full else Severity.WARNING,
                    f"{disk.free // MIB} MiB are left on the disk of {disk.path}",
                    "free space there: runs cannot be written once it is full",
                )


def _of_opening(path: str, failure: OpenFailure) -> Problem:
    return Problem(
        "workspace_not_opened",
        Severity.ERROR if failure.storage else Severity.WARNING,
        f"{path} could not be opened: {failure.reason}",
        "put right what it says and open the directory again; `txcrush doctor` there tells more",
    )


def _low(disk: Disk, most: int, share: float) -> float:
    return min(most, share * disk.total)
