"""Everything that `/metrics` shows: the counters of the services, and what the services say when they are asked."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from txcrush.core._runmachine import RunState
from txcrush.core.health import Health
from txcrush.core.loop_lag import LoopLag
from txcrush.core.observations import Observations
from txcrush.core.workspaces import Workspace
from txcrush.model.metrics import Family, Sample
from txcrush.model.vitals import Severity, Vitals
from txcrush.ports import Clock

LIVE = tuple(state for state in RunState if state != RunState.ENDED)


class Metrics:
    """`workspaces` gives those that are open; `build` describes the program; `started_at` is Unix seconds."""

    def __init__(
        self,
        workspaces: Callable[[], Sequence[Workspace]],
        observations: Observations,
        health: Health,
        lag: LoopLag,
        clock: Clock,
        build: dict[str, str],
    ) -> None:
        self._workspaces = workspaces
        self._observations = observations
        self._health = health
        self._lag = lag
        self._clock = clock
        self._build = build
        self._started_at = clock.seconds()

    @property
    def uptime_s(self) -> float:
        return max(0.0, self._clock.seconds() - self._started_at)

    async def families(self) -> list[Family]:
        """All of them, as they are now."""
        vitals = await self._health.look()
        return [
            *self._of_build(),
            *_of_workspaces(self._workspaces()),
            *self._observations.families(),
            *self._lag.families(),
            _gauge("txcrush_database_write_queue", "Writes not on disk yet.", self._observations.databases.waiting),
            *_of_process(vitals),
            self._of_problems(),
        ]

    def _of_build(self) -> Iterator[Family]:
        yield Family(
            "txcrush_build_info", "gauge", "The program, always 1.", (Sample(1, tuple(sorted(self._build.items()))),)
        )
        yield _gauge("txcrush_uptime_seconds", "Since the server was made.", self.uptime_s)

    def _of_problems(self) -> Family:
        counts = Counter(problem.severity for problem in self._health.problems())
        samples = tuple(Sample(counts[severity], (("severity", severity.value),)) for severity in Severity)
        return Family("txcrush_problems", "gauge", "What /v1/health/details tells of.", samples)


def _of_workspaces(workspaces: Sequence[Workspace]) -> Iterator[Family]:
    states = Counter(run.state for workspace in workspaces for run in workspace.runs.live())
    samples = tuple(Sample(states[state], (("state", state.value),)) for state in LIVE)
    yield _gauge("txcrush_workspaces", "Workspaces that are open.", len(workspaces))
    yield Family("txcrush_runs", "gauge", "Runs that have not ended, by state.", samples)
    yield _gauge("txcrush_queue_depth", "Prompts that wait for their session.", states[RunState.QUEUED])
    yield _gauge("txcrush_streams_open", "Open event streams.", sum(one.events.subscribers for one in workspaces))
    queued = sum(one.events.queued_bytes for one in workspaces)
    yield _gauge("txcrush_streams_queued_bytes", "Bytes that wait for slow readers.", queued)
    permissions = sum(len(one.permissions.pending()) for one in workspaces)
    yield _gauge("txcrush_permission_requests_pending", "Permission requests without an answer.", permissions)
    questions = sum(len(one.questions.shown()) for one in workspaces)
    yield _gauge("txcrush_question_batches_pending", "Batches of questions without an answer.", questions)


def _of_process(vitals: Vitals) -> Iterator[Family]:
    yield _gauge("txcrush_child_processes", "Processes below the server.", vitals.processes)
    yield _gauge("process_resident_memory_bytes", "Resident memory.", vitals.resident_bytes)
    yield _gauge("process_open_fds", "Open file descriptors.", vitals.open_files)
    yield _gauge("process_max_fds", "How many there may be.", vitals.file_limit)


def _gauge(name: str, help: str, value: float) -> Family:
    return Family(name, "gauge", help, (Sample(value),))
