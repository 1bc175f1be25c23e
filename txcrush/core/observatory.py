"""What watches the server, in one piece: its counters, its health, the lag of its loop, and what a scrape is shown."""

from collections.abc import Callable

from txcrush.core.health import Health, TakeVitals
from txcrush.core.loop_lag import LoopLag
from txcrush.core.metrics import Metrics
from txcrush.core.observations import Observations, OpenFailure
from txcrush.core.workspace_request import WorkspaceRequest
from txcrush.core.workspaces import OpenWorkspace, Workspace, Workspaces
from txcrush.model.errors import CrushError, ShuttingDown, StorageFailed
from txcrush.model.ids import WorkspaceId
from txcrush.ports import Clock


class Observatory:
    """`start` begins to watch, `stop` ends it. `monotonic` is a clock that nobody sets; `state_dir` the server's own
    directory."""

    def __init__(
        self,
        observations: Observations,
        workspaces: Workspaces,
        take_vitals: TakeVitals,
        clock: Clock,
        monotonic: Clock,
        *,
        state_dir: str,
        build: dict[str, str],
    ) -> None:
        def directories() -> list[str]:
            return list(dict.fromkeys([state_dir, *(one.settings.data_dir for one in workspaces.list())]))

        self.lag = LoopLag(monotonic)
        self.health = Health(observations, self.lag, take_vitals, directories, clock)
        self.metrics = Metrics(workspaces.list, observations, self.health, self.lag, clock, build)

    def start(self) -> None:
        self.lag.start()
        self.health.start()

    def stop(self) -> None:
        self.lag.stop()
        self.health.stop()


class WatchedOpener:
    """An `OpenWorkspace` that remembers which directories could not be opened, and why."""

    def __init__(self, opener: OpenWorkspace, observations: Observations, clock: Clock) -> None:
        self._opener = opener
        self._failures = observations.open_failures
        self._clock = clock

    async def __call__(
        self, workspace_id: WorkspaceId, key: str, request: WorkspaceRequest, when_idle: Callable[[], None]
    ) -> Workspace:
        try:
            workspace = await self._opener(workspace_id, key, request, when_idle)
        except ShuttingDown:
            raise
        except CrushError as error:
            storage = isinstance(error, StorageFailed) or isinstance(error.__cause__, StorageFailed)
            self._failures.note(key, OpenFailure(error.message, self._clock.seconds(), storage))
            raise
        self._failures.forget(key)
        return workspace
