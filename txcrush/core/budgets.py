"""Budgets: a run stops before the next request that would be paid for.

Theory. What a request will cost is known only afterwards, so a run may go beyond its budget by the request that it is
at, one for each agent at work. The ledger belongs to the run; the agents that its tools send write in the same one.
Time is different: it is up when it is up, and whatever the run is at then is cut off.
"""

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred

from txcrush.model.budgets import Budget
from txcrush.model.errors import BudgetExhausted
from txcrush.model.providers import Usage
from txcrush.model.runs import RunUsage
from txcrush.ports import Clock


class Ledger:
    """What one run has used. `stopped` says that its time was up."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.cost = 0.0
        self.tokens = 0
        self.steps = 0
        self.stopped: BudgetExhausted | None = None

    def limit(self, budget: Budget) -> None:
        """These limits hold as well."""
        self.budget = self.budget.within(budget)

    @property
    def usage(self) -> RunUsage:
        """What the run has used so far."""
        return RunUsage(self.cost, self.tokens, self.steps)

    @property
    def is_spent(self) -> bool:
        return self._exhausted() is not None

    def step(self) -> None:
        """A model is to be asked. Raises `BudgetExhausted`."""
        exhausted = self._exhausted()
        if exhausted is not None:
            raise exhausted
        self.steps += 1

    def spend(self, used: Usage, cost: float) -> None:
        """A model has answered."""
        self.tokens += used.total or used.input + used.output + used.cache_creation + used.cache_read
        self.cost += cost

    def _exhausted(self) -> BudgetExhausted | None:
        limits = self.budget
        if self.stopped is not None:
            return self.stopped
        if limits.cost is not None and self.cost >= limits.cost:
            return BudgetExhausted(f"the run has cost ${self.cost:.4f}, and may cost ${limits.cost:g}", "max_cost")
        if limits.tokens is not None and self.tokens >= limits.tokens:
            return BudgetExhausted(f"the run has used {self.tokens} tokens, and may use {limits.tokens}", "max_tokens")
        if limits.steps is not None and self.steps >= limits.steps:
            return BudgetExhausted(f"the run has asked a model {self.steps} times, which is its limit", "max_steps")
        return None


async def in_time(ledger: Ledger, clock: Clock, work: Coroutine[Deferred[Any], Any, None]) -> None:
    """Do the work; it is cancelled when the run's time is up. Raises `BudgetExhausted` then."""
    seconds = ledger.budget.seconds
    if seconds is None:
        await work
        return
    task = Deferred.fromCoroutine(work)

    def up() -> None:
        ledger.stopped = BudgetExhausted(f"the run has taken {seconds:g} s, which is its limit", "max_seconds")
        task.cancel()

    timer = clock.callLater(seconds, up)
    try:
        await task
    except Exception:
        # What a cancelled await fails with has many names; who has cancelled is told by the mark.
        if ledger.stopped is not None:
            raise ledger.stopped from None
        raise
    finally:
        if timer.active():
            timer.cancel()
