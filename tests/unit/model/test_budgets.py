"""Limits of a run."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.budgets import Budget


class Budgets(SynchronousTestCase):
    def test_promise_17_of_two_budgets_the_lower_limits_hold(self) -> None:
        server = Budget(cost=1.0, steps=10)
        self.assertEqual(server.within(Budget(cost=0.5, tokens=7, steps=20)), Budget(cost=0.5, tokens=7, steps=10))
        self.assertEqual(server.within(Budget()), server)
        self.assertEqual(Budget().within(Budget(seconds=1.0)), Budget(seconds=1.0))

    def test_a_budget_that_limits_nothing_is_empty(self) -> None:
        self.assertTrue(Budget().is_empty)
        self.assertFalse(Budget(seconds=1.0).is_empty)
