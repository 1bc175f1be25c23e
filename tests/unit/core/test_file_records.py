"""What a session has read and what it has changed (`tools.md` 5, 6)."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.file_records import Fingerprint, is_changed, timestamp
from txcrush.model.errors import StorageFailed
from txcrush.model.ids import SessionId
from txcrush.model.storage import ReadMark
from txcrush.testing.conversation import Conversation, now
from txcrush.testing.harness import NOW_S, Harness


class RecordsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.talk = Conversation(Harness())
        self.clock: Clock = self.talk.harness.clock
        self.tracker = self.talk.workspace.file_tracker
        self.history = self.talk.workspace.file_history
        self.session = self.talk.session_id
        self.other = now(self.talk.workspace.sessions.create("Other")).id

    def change(self, old: str, new: str, path: str = "/project/a", session: SessionId | None = None) -> None:
        now(self.history.changed(session or self.session, path, old, new))

    def versions(self, session: SessionId | None = None) -> list[tuple[int, str]]:
        return [(one.version, one.content) for one in now(self.history.versions(session or self.session))]


class Tracking(RecordsCase):
    def last(self, path: str = "/project/a", session: SessionId | None = None) -> int:
        mark = now(self.tracker.last_read(session or self.session, path))
        return mark.at if mark else 0

    def test_t_trk_01_a_reading_has_the_time_of_now(self) -> None:
        now(self.tracker.record(self.session, "/project/a"))
        self.assertLessEqual(abs(self.last() - NOW_S), 2)

    def test_t_trk_02_what_was_never_read_has_no_time(self) -> None:
        now(self.tracker.record(self.session, "/project/a"))
        self.assertEqual(self.last("/project/b"), 0)
        self.assertEqual(self.last(session=SessionId("unknown")), 0)

    def test_t_trk_03_a_later_record_never_lowers_the_time(self) -> None:
        now(self.tracker.record(self.session, "/project/a"))
        self.clock.rightNow -= 1000
        now(self.tracker.record(self.session, "/project/a"))
        self.assertEqual(self.last(), NOW_S)
        self.clock.rightNow += 2000
        now(self.tracker.record(self.session, "/project/a"))
        self.assertEqual(self.last(), NOW_S + 1000)

    def test_t_trk_04_readings_are_of_one_session_and_one_path(self) -> None:
        now(self.tracker.record(self.session, "/project/a"))
        self.clock.advance(5)
        now(self.tracker.record(self.other, "/project/a"))
        now(self.tracker.record(self.session, "/project/b"))
        self.assertEqual((self.last(), self.last(session=self.other)), (NOW_S, NOW_S + 5))
        self.assertEqual(now(self.tracker.files(self.session)), ["/project/b", "/project/a"])
        self.assertEqual(now(self.tracker.files(self.other)), ["/project/a"])

    def test_d_01_relative_paths_are_of_the_workspace(self) -> None:
        now(self.tracker.record(self.session, "sub/../a"))
        now(self.tracker.record(self.session, "//etc/x"))
        self.assertEqual(set(now(self.tracker.files(self.session))), {"/project/a", "/etc/x"})
        self.assertEqual(self.last("./a"), NOW_S)

    def test_unknown_sessions_and_a_disk_that_refuses_are_no_errors(self) -> None:
        now(self.tracker.record(SessionId("unknown"), "/a"))
        now(self.tracker.record(self.session, ""))
        self.talk.store.fail_next(StorageFailed("full"))
        now(self.tracker.record(self.session, "/a"))
        self.assertEqual(len(self.flushLoggedErrors(StorageFailed)), 1)
        self.assertEqual(now(self.tracker.files(self.session)), [])

    def test_d_21_a_known_state_decides_also_within_a_second(self) -> None:
        mark = ReadMark("/a", 100, size=5, mtime_ns=100_000_000_001)
        self.assertFalse(is_changed(mark, Fingerprint(5, 100_000_000_001)))
        self.assertTrue(is_changed(mark, Fingerprint(5, 100_000_000_002)))
        self.assertTrue(is_changed(mark, Fingerprint(6, 100_000_000_001)))
        self.assertTrue(is_changed(mark, Fingerprint(5, 50_000_000_000)))

    def test_without_a_state_whole_seconds_decide_and_equal_passes(self) -> None:
        mark = ReadMark("/a", 100)
        self.assertFalse(is_changed(mark, Fingerprint(1, 100_999_999_999)))
        self.assertTrue(is_changed(mark, Fingerprint(1, 101_000_000_000)))

    def test_times_are_rfc_3339(self) -> None:
        self.assertEqual(timestamp(NOW_S + 0.9), "2027-01-15T08:00:00Z")


class Histories(RecordsCase):
    def test_a_new_file_begins_with_nothing(self) -> None:
        self.change("", "a")
        self.assertEqual(self.versions(), [(0, ""), (1, "a")])

    def test_d_18_the_old_content_is_stored_once(self) -> None:
        self.change("old", "new")
        self.assertEqual(self.versions(), [(0, "old"), (1, "new")])

    def test_a_change_that_goes_on_from_the_last_is_one_version(self) -> None:
        self.change("old", "new")
        self.change("new", "newer")
        self.assertEqual(self.versions(), [(0, "old"), (1, "new"), (2, "newer")])

    def test_what_somebody_else_has_changed_is_kept_first(self) -> None:
        self.change("old", "new")
        self.change("theirs", "newer")
        self.assertEqual(self.versions(), [(0, "old"), (1, "new"), (2, "theirs"), (3, "newer")])

    def test_d_17_numbers_go_on_across_sessions_and_contents_never_do(self) -> None:
        self.change("old", "new")
        self.change("new", "other's", session=self.other)
        self.assertEqual(self.versions(self.other), [(0, "new"), (2, "other's")])
        self.change("other's", "mine")
        self.assertEqual(self.versions()[2:], [(3, "other's"), (4, "mine")])
        self.change("x", "y", path="/project/b")
        self.assertEqual(self.versions()[:2], [(0, "old"), (0, "x")])

    def test_each_version_is_published_with_its_absolute_path(self) -> None:
        self.change("old", "new")
        told = [(one["path"], one["version"], one["content"]) for one in self.talk.listener.of("file")]
        self.assertEqual(told, [("/project/a", 0, "old"), ("/project/a", 1, "new")])

    def test_changes_at_the_same_time_are_kept_one_after_the_other(self) -> None:
        self.talk.store.hold()
        first = self.history.changed(self.session, "/project/a", "", "1")
        second = self.history.changed(self.session, "/project/a", "1", "2")
        waiting = [Deferred.fromCoroutine(first), Deferred.fromCoroutine(second)]
        self.talk.store.release()
        for one in waiting:
            self.successResultOf(one)
        self.assertEqual(self.versions(), [(0, ""), (1, "1"), (2, "2")])

    def test_a_disk_that_refuses_fails_and_leaves_the_history_usable(self) -> None:
        self.talk.store.fail_next(StorageFailed("full"))
        with self.assertRaises(StorageFailed):
            self.change("", "a")
        self.change("", "a")
        self.assertEqual(self.versions(), [(0, ""), (1, "a")])
