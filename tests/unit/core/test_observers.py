from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.observers import OneShot, apart, ended, within


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


class Ended(SynchronousTestCase):
    def setUp(self) -> None:
        self.given_up: list[object] = []
        self.work: Deferred[str] = Deferred(self.given_up.append)
        self.waiting = Deferred.fromCoroutine(ended(self.work))

    def test_it_gives_what_the_work_gives(self) -> None:
        self.work.callback("done")
        self.assertEqual(self.successResultOf(self.waiting), "done")

    def test_it_fails_as_the_work_does(self) -> None:
        self.work.errback(ValueError("no"))
        self.failureResultOf(self.waiting, ValueError)

    def test_who_is_cancelled_is_so_once_the_work_has_ended(self) -> None:
        self.waiting.cancel()
        self.waiting.cancel()
        self.assertNoResult(self.waiting)
        self.assertEqual(self.given_up, [])
        self.work.callback("done")
        self.failureResultOf(self.waiting, CancelledError)


class Apart(SynchronousTestCase):
    def setUp(self) -> None:
        self.given_up: list[object] = []
        self.work: Deferred[str] = Deferred(self.given_up.append)

    def test_it_fires_and_fails_as_the_work_does(self) -> None:
        asker = apart(self.work)
        self.work.callback("done")
        self.assertEqual(self.successResultOf(asker), "done")
        failing: Deferred[str] = Deferred()
        asker = apart(failing)
        failing.errback(ValueError("no"))
        self.failureResultOf(asker, ValueError)

    def test_cancelling_it_leaves_the_work_alone(self) -> None:
        asker = apart(self.work)
        asker.cancel()
        self.failureResultOf(asker, CancelledError)
        self.assertEqual(self.given_up, [])
        self.work.callback("done")

    def test_a_late_failure_is_its_owners(self) -> None:
        asker = apart(self.work)
        asker.cancel()
        self.failureResultOf(asker, CancelledError)
        self.work.errback(ValueError("late"))
        self.assertIsNone(self.successResultOf(self.work))

    def test_a_wait_ends_and_the_work_goes_on(self) -> None:
        clock = Clock()
        asker = within(5, clock, self.work)
        clock.advance(5)
        self.failureResultOf(asker, TimeoutError)
        self.assertEqual(self.given_up, [])

    def test_an_answer_in_time_leaves_no_timer(self) -> None:
        clock = Clock()
        asker = within(5, clock, self.work)
        self.work.callback("done")
        self.assertEqual((self.successResultOf(asker), clock.getDelayedCalls()), ("done", []))
