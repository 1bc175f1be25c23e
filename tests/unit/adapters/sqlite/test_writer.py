"""A group of writes is one transaction; where it fails, each write is tried alone."""

import sqlite3
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.sqlite.writer import commit_group
from txcrush.model.errors import StorageFailed

Work = Callable[[sqlite3.Connection], object]


def insert(value: object) -> Work:
    def work(connection: sqlite3.Connection) -> object:
        connection.execute("INSERT INTO t VALUES (?)", (value,))
        return value

    return work


class CommitGroupTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.addCleanup(self.connection.close)
        self.connection.execute("CREATE TABLE t (v PRIMARY KEY)")
        self.statements: list[str] = []
        self.connection.set_trace_callback(self.statements.append)

    def values(self) -> list[object]:
        return [row[0] for row in self.connection.execute("SELECT v FROM t ORDER BY rowid")]

    def test_many_writes_are_one_commit(self) -> None:
        results = commit_group(self.connection, [insert(number) for number in range(50)])
        self.assertEqual(results, list(range(50)))
        self.assertEqual(self.statements.count("COMMIT"), 1)

    def test_one_bad_write_fails_alone_and_the_order_stays(self) -> None:
        results = commit_group(self.connection, [insert(1), insert(1), insert(2)])
        self.assertEqual([results[0], results[2]], [1, 2])
        self.assertIsInstance(results[1], StorageFailed)
        self.assertEqual(self.values(), [1, 2])

    def test_a_write_that_fails_half_way_keeps_nothing(self) -> None:
        def half(connection: sqlite3.Connection) -> None:
            insert(7)(connection)
            raise ValueError("half way")

        (result,) = commit_group(self.connection, [half])
        self.assertIsInstance(result, StorageFailed)
        self.assertEqual(self.values(), [])
        self.assertEqual(commit_group(self.connection, [insert(8)]), [8])

    def test_p73_a_full_disk_fails_each_write_with_its_own_error_and_the_next_works_when_there_is_space(self) -> None:
        (pages,) = self.connection.execute("PRAGMA page_count").fetchone()
        self.connection.execute(f"PRAGMA max_page_count = {pages}")
        big = [insert(bytes([number]) * 10_000) for number in range(3)]
        results = commit_group(self.connection, big)
        self.assertEqual(len({id(result) for result in results}), 3)
        for result in results:
            self.assertIsInstance(result, StorageFailed)
            self.assertIn("the disk is full", str(result))
        self.assertEqual(self.values(), [])
        self.connection.execute("PRAGMA max_page_count = 1000")
        self.assertNotIsInstance(commit_group(self.connection, big[:1])[0], Exception)

    def test_a_value_that_sqlite_cannot_hold_is_that_write_s_failure(self) -> None:
        results = commit_group(self.connection, [insert(2**70), insert("\ud800"), insert(1)])
        self.assertEqual([type(result) for result in results], [StorageFailed, StorageFailed, int])

    def test_a_transaction_left_open_by_a_failed_rollback_does_not_stay(self) -> None:
        self.connection.execute("BEGIN")
        (first,) = commit_group(self.connection, [insert(1)])
        self.assertIsInstance(first, StorageFailed)
        self.assertEqual(commit_group(self.connection, [insert(2)]), [2])
