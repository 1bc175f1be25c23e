"""What turns work with."""

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from txcrush.core.agents import Crew
from txcrush.core.events import EventLog
from txcrush.core.sessions import Sessions
from txcrush.core.titles import Titles
from txcrush.core.toolbox import Toolbox
from txcrush.core.transcript import Transcript
from txcrush.model.budgets import Budget
from txcrush.model.config import Model, SelectedModel
from txcrush.ports import Clock


class Staff(Protocol):
    """Who does the work of a turn."""

    async def prepare(self) -> Crew:
        """What this turn works with. Raises `Failed` or `ConfigInvalid`."""

    def current(self) -> tuple[SelectedModel, Model] | None:
        """The model that would answer now, or None."""


class Equipment(Struct, frozen=True):
    """What every turn of a workspace works with. `disabled_tools` names those that are not offered now; `sums_up` says
    whether a conversation that gets too long is summed up by itself; `budget` limits each run."""

    events: EventLog
    sessions: Sessions
    transcript: Transcript
    agents: Staff
    toolbox: Toolbox
    titles: Titles
    clock: Clock
    disabled_tools: Callable[[], Sequence[str]]
    sums_up: Callable[[], bool]
    budget: Budget = Budget()
