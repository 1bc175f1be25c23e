"""What waits for the disk is bounded by count, by size and by time."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.sqlite.backlog import FULL_BYTES, FULL_COUNT, SLOW_BYTES, SLOW_COUNT, SLOW_S, Backlog


class BacklogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.backlog = Backlog(self.clock.seconds)

    def test_nothing_waits_at_first_however_much_time_passes(self) -> None:
        self.clock.advance(1000)
        self.assertEqual((self.backlog.stalled_s, self.backlog.is_slow, self.backlog.is_full), (0.0, False, False))

    def test_it_is_slow_and_then_full_by_count(self) -> None:
        for _ in range(SLOW_COUNT):
            self.assertFalse(self.backlog.is_slow)
            self.backlog.add(1)
        self.assertEqual((self.backlog.is_slow, self.backlog.is_full), (True, False))
        for _ in range(FULL_COUNT - SLOW_COUNT):
            self.backlog.add(1)
        self.assertTrue(self.backlog.is_full)
        self.backlog.remove(FULL_COUNT, FULL_COUNT)
        self.assertEqual((self.backlog.is_slow, self.backlog.is_full), (False, False))

    def test_it_is_slow_and_then_full_by_size(self) -> None:
        self.backlog.add(SLOW_BYTES)
        self.assertEqual((self.backlog.is_slow, self.backlog.is_full), (True, False))
        self.backlog.add(FULL_BYTES - SLOW_BYTES)
        self.assertTrue(self.backlog.is_full)

    def test_it_is_slow_where_nothing_moves_for_long(self) -> None:
        self.backlog.add(1)
        self.backlog.add(1)
        self.clock.advance(SLOW_S)
        self.assertTrue(self.backlog.is_slow)
        self.backlog.remove(1, 1)
        self.assertEqual((self.backlog.stalled_s, self.backlog.is_slow), (0.0, False))
