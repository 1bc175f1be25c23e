"""The hand that tests have on the store in memory."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.errors import CursorTooOld, StorageFailed
from txcrush.model.events import Change, EventKind, LoggedEvent
from txcrush.model.ids import SessionId
from txcrush.model.sessions import Session
from txcrush.model.storage import AppendEvent, PutSession
from txcrush.testing.memory_store import MemoryStore


def put(name: str) -> PutSession:
    return PutSession(Session(id=SessionId(name)))


class MemoryStoreTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = MemoryStore()

    def names(self) -> list[str]:
        return [session.id for session in self.successResultOf(self.store.sessions())]

    def test_writes_are_durable_at_once(self) -> None:
        self.assertIsNone(self.successResultOf(self.store.write(put("a"))))
        self.assertEqual(self.names(), ["a"])

    def test_held_writes_and_the_reads_behind_them_wait_for_the_release(self) -> None:
        self.store.hold()
        write, read = self.store.write(put("a")), self.store.sessions()
        self.assertNoResult(write)
        self.assertNoResult(read)
        self.assertEqual(self.store.held, 2)
        self.store.release()
        self.successResultOf(write)
        self.assertEqual(len(self.successResultOf(read)), 1)
        self.assertEqual(self.names(), ["a"])

    def test_a_counted_release_lets_the_oldest_go_and_holds_on(self) -> None:
        self.store.hold()
        writes = [self.store.write(put(name)) for name in "abc"]
        self.store.release(1)
        self.successResultOf(writes[0])
        self.assertNoResult(writes[1])
        self.assertNoResult(self.store.write(put("d")))
        self.store.release()
        self.assertEqual(self.names(), ["a", "b", "c", "d"])

    def test_a_write_called_while_a_release_fires_comes_behind_what_was_held(self) -> None:
        order: list[str] = []
        self.store.hold()
        first = self.store.write(put("a"))
        first.addCallback(lambda _: self.store.write(put("c")).addCallback(lambda _: order.append("c")))
        self.store.write(put("b")).addCallback(lambda _: order.append("b"))
        self.store.release()
        self.assertEqual(order, ["b", "c"])

    def test_the_next_write_fails_as_told_and_only_that(self) -> None:
        self.store.fail_next(StorageFailed("the disk is full"))
        failure = self.failureResultOf(self.store.write(put("a")), StorageFailed)
        self.assertEqual(failure.value.message, "the disk is full")
        self.successResultOf(self.store.write(put("b")))
        self.assertEqual(self.names(), ["b"])

    def test_a_crash_loses_what_was_held_and_the_next_opening_finds_the_rest(self) -> None:
        self.successResultOf(self.store.write(put("a")))
        self.store.hold()
        lost = self.store.write(put("b"))
        self.store.crash()
        self.failureResultOf(self.store.sessions(), StorageFailed)
        self.store.head()
        self.assertEqual(self.names(), ["a"])
        self.assertNoResult(lost)

    def test_what_retention_removed_is_told_to_a_cursor_before_it(self) -> None:
        logged = [
            LoggedEvent(seq=seq, kind=EventKind.SESSION, change=Change.UPDATED, key="", body=b"", at=1)
            for seq in (1, 2, 3)
        ]
        self.successResultOf(self.store.write(*(AppendEvent(event) for event in logged)))
        self.store.trim(2)
        self.failureResultOf(self.store.events_after(1, 9), CursorTooOld)
        self.assertEqual(self.successResultOf(self.store.events_after(2, 9)), logged[2:])

    def test_writes_are_counted(self) -> None:
        self.store.write(put("a"))
        self.store.write(put("b"))
        self.assertEqual(self.store.writes, 2)
