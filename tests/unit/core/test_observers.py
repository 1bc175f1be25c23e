from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.observers import OneShot


class OneShots(SynchronousTestCase):
    def test_every_asker_has_a_deferred_of_its_own(self) -> None:
        shot: OneShot[int] = OneShot()
        first, second = shot.when(), shot.when()
        first.addCallback(lambda value: value + 1)
        shot.fire(1)
        self.assertEqual((self.successResultOf(first), self.successResultOf(second)), (2, 1))

    def test_cancelling_one_asker_touches_nobody_else(self) -> None:
        shot: OneShot[str] = OneShot()
        leaving, staying = shot.when(), shot.when()
        leaving.cancel()
        self.failureResultOf(leaving, CancelledError)
        shot.fire("done")
        self.assertEqual(self.successResultOf(staying), "done")

    def test_a_late_asker_is_told_at_once(self) -> None:
        shot: OneShot[str] = OneShot()
        shot.fire("done")
        shot.fire("again")
        self.assertEqual(self.successResultOf(shot.when()), "done")

    def test_failing_those_who_wait_leaves_it_open(self) -> None:
        shot: OneShot[str] = OneShot()
        waiting = [shot.when(), shot.when()]
        shot.fail_waiting(lambda: ValueError("no"))
        errors = [self.failureResultOf(one, ValueError).value for one in waiting]
        self.assertIsNot(errors[0], errors[1])
        self.assertFalse(shot.happened)
