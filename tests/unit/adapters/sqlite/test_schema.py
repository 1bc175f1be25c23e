"""The schema: every column of the reference's tables, and ours."""

import sqlite3

from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.sqlite.migrate import scripts

COLUMNS = {
    "sessions": "id parent_session_id title message_count prompt_tokens completion_tokens cost updated_at created_at "
    "summary_message_id todos",
    "messages": "id session_id role parts model created_at updated_at finished_at provider is_summary_message",
    "files": "id session_id path content version created_at updated_at",
    "read_files": "session_id path read_at size mtime_ns",
}
INDICES = {
    "idx_files_session_id",
    "idx_files_path",
    "idx_messages_session_id",
    "idx_sessions_created_at",
    "idx_messages_created_at",
    "idx_files_created_at",
    "idx_read_files_session_id",
    "idx_read_files_path",
}


class SchemaTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.connection = sqlite3.connect(":memory:")
        self.addCleanup(self.connection.close)
        for script in scripts():
            self.connection.executescript(script)

    def test_every_column_of_the_reference_is_there_and_ours(self) -> None:
        for table, names in COLUMNS.items():
            found = {row[1] for row in self.connection.execute(f"PRAGMA table_info({table})")}
            self.assertEqual(found, set(names.split()))

    def test_every_index_of_the_reference_is_there(self) -> None:
        found = {row[0] for row in self.connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
        self.assertLessEqual(INDICES, found)

    def test_there_are_no_triggers(self) -> None:
        (count,) = self.connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'trigger'").fetchone()
        self.assertEqual(count, 0)

    def test_the_queue_shows_runs_that_a_restart_starts_again_by_position(self) -> None:
        runs = [("ended", 1, 0), ("begun", 2, 5), ("second", 4, 0), ("first", 3, 0)]
        self.connection.executemany(
            "INSERT INTO runs (id, position, began_at, minted, session_id, client_run_id, prompt, when_busy, "
            "accepted_at) VALUES (?, ?, ?, 0, 's', '', 'p', '', 1)",
            runs,
        )
        self.connection.execute("INSERT INTO run_ends VALUES ('ended', 'completed', '', '', '', '', '', 1, 0, 0, 0)")
        self.assertEqual([row[0] for row in self.connection.execute("SELECT id FROM queue")], ["first", "second"])
