"""SQLite's errors become texts that tell the user what to do."""

import sqlite3

from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.sqlite.failures import storage_failure
from txcrush.model.errors import StorageFailed


def error(code: int, text: str = "words") -> sqlite3.OperationalError:
    made = sqlite3.OperationalError(text)
    made.sqlite_errorcode = code
    return made


class StorageFailureTests(SynchronousTestCase):
    def test_p73_each_cause_has_its_text_and_sqlite_s_words(self) -> None:
        texts = {
            sqlite3.SQLITE_FULL: "the disk is full: words",
            sqlite3.SQLITE_BUSY: "the database is locked by another process: words",
            sqlite3.SQLITE_READONLY: "the database is read-only: words",
            sqlite3.SQLITE_CORRUPT: "the database file is damaged: words",
            sqlite3.SQLITE_NOTADB: "the file is not a database: words",
            sqlite3.SQLITE_IOERR_FSYNC: "the disk refused to read or write the database: words",
            sqlite3.SQLITE_CONSTRAINT_UNIQUE: "the database refused the change: words",
        }
        for code, text in texts.items():
            self.assertEqual(storage_failure(error(code)).message, text)

    def test_what_is_not_sqlite_s_is_a_storage_failure_too_and_keeps_its_cause(self) -> None:
        cause = OverflowError("int too large")
        failure = storage_failure(cause)
        self.assertEqual(failure.message, "the database failed: int too large")
        self.assertIs(failure.__cause__, cause)

    def test_a_storage_failure_stays_itself(self) -> None:
        failure = StorageFailed("x")
        self.assertIs(storage_failure(failure), failure)
