"""The event log stays within its bytes and its age, and its numbers never go back."""

import sqlite3

from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.sqlite import queries
from txcrush.adapters.sqlite.changes import apply_changes
from txcrush.adapters.sqlite.migrate import scripts
from txcrush.adapters.sqlite.retention import Retention
from txcrush.model.errors import CursorTooOld
from txcrush.model.events import Change, EventKind, LoggedEvent
from txcrush.model.storage import AppendEvent, SkipNumbers


def append(seq: int, at: int = 1000, size: int = 0) -> AppendEvent:
    body = b"x" * size
    return AppendEvent(LoggedEvent(seq=seq, kind=EventKind.SESSION, change=Change.UPDATED, key="", body=body, at=at))


class RetentionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now_s = 1000.0
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.addCleanup(self.connection.close)
        for script in scripts():
            self.connection.executescript(script)
        self.retention = Retention(max_bytes=10_000, max_age_s=100, now=lambda: self.now_s)

    def add(self, *changes: AppendEvent) -> None:
        apply_changes(self.connection, changes)
        self.retention.note(changes)

    def numbers(self) -> list[int]:
        return [seq for (seq,) in self.connection.execute("SELECT seq FROM events ORDER BY seq")]

    def test_what_is_within_the_limits_stays(self) -> None:
        self.add(append(1), append(2))
        self.retention.trim(self.connection)
        self.assertEqual(self.numbers(), [1, 2])
        self.assertEqual(queries.events_after(self.connection, 0, 9)[0].seq, 1)

    def test_the_oldest_go_when_the_log_is_too_big(self) -> None:
        self.add(*(append(seq, size=936) for seq in range(1, 16)))
        self.retention.trim(self.connection)
        self.assertEqual(self.numbers(), list(range(6, 16)))

    def test_the_oldest_go_when_they_are_too_old(self) -> None:
        self.add(append(1, at=800), append(2, at=899), append(3, at=900))
        self.retention.trim(self.connection)
        self.assertEqual(self.numbers(), [3])

    def test_the_last_number_survives_when_everything_is_trimmed(self) -> None:
        self.add(append(1, at=1), append(7, at=1))
        self.retention.trim(self.connection)
        self.assertEqual(self.numbers(), [])
        self.assertEqual(queries.head(self.connection).seq, 7)

    def test_the_last_number_is_of_the_log_again_once_it_grows(self) -> None:
        self.add(append(7, at=1))
        self.retention.trim(self.connection)
        self.retention.trim(self.connection)
        self.add(append(8))
        self.assertEqual(queries.head(self.connection).seq, 8)

    def test_a_cursor_before_the_trimmed_part_is_too_old_and_one_at_its_end_is_not(self) -> None:
        self.add(append(1, at=1), append(2, at=1), append(3))
        self.retention.trim(self.connection)
        self.assertRaises(CursorTooOld, queries.events_after, self.connection, 1, 9)
        self.assertEqual([event.seq for event in queries.events_after(self.connection, 2, 9)], [3])

    def test_skipped_numbers_are_forgotten_with_what_stood_behind_them(self) -> None:
        self.add(append(1, at=1), append(21, at=1), append(31))
        apply_changes(self.connection, [SkipNumbers(1, 20), SkipNumbers(21, 30)])
        self.retention.trim(self.connection)
        self.assertEqual(queries.head(self.connection).skipped, (SkipNumbers(21, 30),))

    def test_it_is_due_at_first_then_after_an_hour_or_a_sixteenth_of_the_bytes(self) -> None:
        self.assertTrue(self.retention.is_due)
        self.retention.trim(self.connection)
        self.assertFalse(self.retention.is_due)
        self.add(append(1, size=700))
        self.assertTrue(self.retention.is_due)
        self.retention.trim(self.connection)
        self.assertFalse(self.retention.is_due)
        self.now_s += 3600
        self.assertTrue(self.retention.is_due)

    def test_p80_a_clock_that_jumps_back_does_not_stop_it(self) -> None:
        self.retention.trim(self.connection)
        self.now_s -= 86_400
        self.assertTrue(self.retention.is_due)

    def test_a_long_log_is_trimmed_in_steps(self) -> None:
        self.add(*(append(seq, at=1) for seq in range(1, 4502)))
        self.retention.trim(self.connection)
        self.assertEqual(self.numbers()[0], 2001)
        self.assertTrue(self.retention.is_due)
        self.retention.trim(self.connection)
        self.retention.trim(self.connection)
        self.assertEqual(self.numbers(), [])
        self.assertFalse(self.retention.is_due)
