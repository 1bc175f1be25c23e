"""The event log: durable before visible, one order, and no subscriber that harms another."""

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.events import BIG_EVENT, EventLog, Frame
from txcrush.model.errors import StorageFailed
from txcrush.model.events import Change, Event, EventKind, LoggedEvent
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import Message, Role
from txcrush.model.sessions import Session
from txcrush.model.storage import PutSession, StoreChange
from txcrush.testing.memory_store import MemoryStore


def session(title: str) -> Session:
    return Session(id=SessionId("s"), title=title)


def told(title: str) -> Event:
    """An event that is known by its text."""
    return Event(EventKind.SESSION, Change.UPDATED, session(title), key="s")


def encode(event: Event) -> bytes:
    return event.payload.title.encode() if isinstance(event.payload, Session) else event.kind.encode()


class Ear:
    """A subscriber that keeps what it hears, and does what it is told to at each frame."""

    def __init__(self, do: Callable[[Frame], object] = lambda _: None) -> None:
        self.heard: list[str] = []
        self.seqs: list[int] = []
        self.ended = 0
        self.do = do

    def deliver(self, frame: Frame) -> None:
        self.heard.append(frame.data.decode())
        self.seqs.append(frame.seq)
        self.do(frame)

    def end(self) -> None:
        self.ended += 1


class EventsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = MemoryStore()
        self.events = EventLog(self.store, encode, bytes, Clock(), 7)
        self.ear = Ear()
        self.events.subscribe(self.ear)

    def commit(self, *titles: str) -> Deferred[None]:
        return self.events.commit([PutSession(session(titles[-1]))], [told(title) for title in titles])

    def show(self, title: str) -> None:
        self.events.show(told(title))


class Preparing(EventsCase):
    def setUp(self) -> None:
        super().setUp()
        self.encoded: list[Deferred[tuple[bytes, bytes]]] = []
        self.events.encode_apart = self._encode_apart

    def _encode_apart(self, event: Event) -> Deferred[tuple[bytes, bytes]]:
        self.encoded.append(Deferred())
        return self.encoded[-1]

    def test_a_big_event_is_encoded_beforehand_and_goes_out_so(self) -> None:
        preparing = Deferred.fromCoroutine(self.events.prepared(told("a"), BIG_EVENT))
        self.assertNoResult(preparing)
        self.encoded[0].callback((b"beforehand", b"framed"))
        self.events.commit([], [self.successResultOf(preparing)])
        self.assertEqual(self.ear.heard, ["framed"])

    def test_a_small_one_is_left_as_it_is(self) -> None:
        event = told("a")
        self.assertIs(self.successResultOf(Deferred.fromCoroutine(self.events.prepared(event, BIG_EVENT - 1))), event)
        self.assertEqual(self.encoded, [])


class Order(EventsCase):
    def test_numbers_go_on_from_the_last_one_and_strictly_increase(self) -> None:
        self.commit("a", "b")
        self.show("c")
        self.assertEqual(self.ear.seqs, [8, 9, 10])

    def test_nothing_is_seen_before_it_is_durable(self) -> None:
        self.store.hold()
        committed = self.commit("a")
        self.assertNoResult(committed)
        self.assertEqual(self.ear.heard, [])
        self.store.release()
        self.successResultOf(committed)
        self.assertEqual(self.ear.heard, ["a"])

    def test_growth_waits_for_its_turn_behind_what_is_being_written(self) -> None:
        self.store.hold()
        self.commit("a")
        self.show("b")
        self.commit("c")
        self.show("d")
        self.store.release(1)
        self.assertEqual(self.ear.heard, ["a", "b"])
        self.store.release()
        self.assertEqual((self.ear.heard, self.ear.seqs), (["a", "b", "c", "d"], [8, 9, 10, 11]))

    def test_growth_is_seen_at_once_where_nothing_waits(self) -> None:
        self.store.hold()
        self.show("a")
        self.assertEqual(self.ear.heard, ["a"])

    def test_writes_without_events_hold_nobody_up(self) -> None:
        self.store.hold()
        self.events.commit([PutSession(session("x"))])
        self.show("a")
        self.assertEqual(self.ear.heard, ["a"])

    def test_of_a_failed_write_nothing_is_seen_and_the_rest_is_in_order(self) -> None:
        self.store.hold()
        self.store.fail_next(StorageFailed("disk full"))
        lost, kept = self.commit("lost"), self.commit("b")
        self.show("c")
        self.store.release()
        self.failureResultOf(lost, StorageFailed)
        self.successResultOf(kept)
        self.assertEqual(self.ear.heard, ["b", "c"])

    def test_a_write_that_ends_before_an_earlier_one_waits_for_it(self) -> None:
        late = LateStore()
        events = EventLog(late, encode, bytes, Clock(), 0)
        events.subscribe(self.ear)
        events.commit([], [told("a")])
        events.commit([], [told("b")])
        late.settle(1)
        self.assertEqual(self.ear.heard, [])
        late.settle(0)
        self.assertEqual(self.ear.heard, ["a", "b"])

    def test_before_publish_is_called_between_the_disk_and_the_first_reader(self) -> None:
        self.store.hold()
        seen: list[list[str]] = []
        committed = self.events.commit([], [told("a")], lambda: seen.append(list(self.ear.heard)))
        self.assertEqual(seen, [])
        self.store.release()
        self.successResultOf(committed)
        self.assertEqual((seen, self.ear.heard), ([[]], ["a"]))

    def test_before_publish_has_its_turn_also_without_events(self) -> None:
        self.store.hold()
        order: list[str] = []
        self.ear.do = lambda frame: order.append(frame.data.decode())
        self.commit("a")
        self.events.commit([], [], lambda: order.append("before"))
        self.commit("b")
        self.store.release()
        self.assertEqual(order, ["a", "before", "b"])

    def test_before_publish_is_not_called_for_a_write_that_failed(self) -> None:
        self.store.fail_next(StorageFailed("disk full"))
        called: list[int] = []
        self.failureResultOf(self.events.commit([], [told("a")], lambda: called.append(1)), StorageFailed)
        self.assertEqual(called, [])

    def test_what_is_published_from_inside_before_publish_comes_after_it(self) -> None:
        committed = self.events.commit([], [told("a"), told("b")], lambda: self.commit("c"))
        self.successResultOf(committed)
        self.assertEqual(self.ear.heard, ["a", "b", "c"])

    def test_what_a_subscriber_publishes_while_it_hears_comes_after_that(self) -> None:
        second = Ear()
        self.events.subscribe(second)
        self.ear.do = lambda frame: self.show("c") if frame.data == b"a" else None
        self.commit("a", "b")
        self.assertEqual((self.ear.heard, second.heard), (["a", "b", "c"], ["a", "b", "c"]))
        self.assertEqual(second.seqs, [8, 9, 10])

    def test_who_gives_up_waiting_does_not_take_the_write_or_the_event_with_it(self) -> None:
        self.store.hold()
        committed = self.commit("a")
        committed.cancel()
        self.failureResultOf(committed, CancelledError)
        self.store.release()
        self.assertEqual(self.ear.heard, ["a"])
        self.assertEqual(len(self.successResultOf(self.store.sessions())), 1)

    def test_who_gives_up_waiting_hears_nothing_of_a_later_failure(self) -> None:
        self.store.hold()
        self.store.fail_next(StorageFailed("disk full"))
        committed = self.commit("a")
        committed.cancel()
        self.failureResultOf(committed, CancelledError)
        self.store.release()
        self.assertEqual(self.flushLoggedErrors(), [])


class Subscribers(EventsCase):
    def test_every_subscriber_gets_every_event_once_in_order_and_the_same_bytes(self) -> None:
        frames: list[Frame] = []
        for _ in range(2):
            self.events.subscribe(Ear(frames.append))
        self.commit("a")
        self.assertEqual(self.ear.heard, ["a"])
        self.assertIs(frames[0], frames[1])

    def test_no_subscribers_never_block(self) -> None:
        self.events.unsubscribe(self.ear)
        self.successResultOf(self.commit("a"))
        self.assertEqual((self.events.subscribers, self.ear.heard), (0, []))

    def test_a_subscriber_hears_what_is_published_from_then_on(self) -> None:
        late = Ear()
        self.ear.do = lambda _: self.events.subscribe(late)
        self.commit("a")
        self.commit("b")
        self.assertEqual(late.heard, ["b"])

    def test_one_that_leaves_while_it_hears_disturbs_nobody(self) -> None:
        other = Ear()
        self.events.subscribe(other)
        self.ear.do = lambda _: self.events.unsubscribe(self.ear)
        self.commit("a", "b")
        self.assertEqual((self.ear.heard, other.heard), (["a"], ["a", "b"]))

    def test_one_that_is_sent_away_by_another_hears_no_more(self) -> None:
        other = Ear()
        self.events.subscribe(other)
        self.ear.do = lambda _: self.events.unsubscribe(other)
        self.commit("a")
        self.assertEqual(other.heard, [])

    def test_one_that_raises_is_given_up_and_disturbs_nobody(self) -> None:
        def explode(_: Frame) -> None:
            raise ValueError("broken reader")

        broken, other = Ear(explode), Ear()
        self.events.subscribe(broken)
        self.events.subscribe(other)
        self.successResultOf(self.commit("a", "b"))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual((broken.heard, self.ear.heard, other.heard), (["a"], ["a", "b"], ["a", "b"]))

    def test_leaving_twice_is_nothing(self) -> None:
        self.events.unsubscribe(self.ear)
        self.events.unsubscribe(self.ear)
        self.assertEqual(self.events.subscribers, 0)

    def test_the_end_ends_every_stream_once(self) -> None:
        other = Ear()
        self.events.subscribe(other)
        self.events.end()
        self.events.end()
        self.commit("late")
        self.assertEqual((self.ear.ended, other.ended, self.ear.heard), (1, 1, []))


class Logged(EventsCase):
    def logged(self) -> list[LoggedEvent]:
        return self.successResultOf(self.store.events_after(0, 99))

    def test_an_event_is_encoded_once_and_the_log_keeps_these_bytes(self) -> None:
        encoded: list[Event] = []

        def counting(event: Event) -> bytes:
            encoded.append(event)
            return encode(event)

        self.events.encode = counting
        self.commit("a")
        self.assertEqual(([one.body for one in self.logged()], len(encoded)), ([b"a"], 1))

    def test_of_a_message_the_log_keeps_only_that_it_changed(self) -> None:
        message = Message(MessageId("m"), SessionId("s"), Role.USER, ())
        for change in (Change.CREATED, Change.UPDATED, Change.DELETED):
            self.events.commit([], [Event(EventKind.MESSAGE, change, message, key="m")])
        self.assertEqual([one.body for one in self.logged()], [b"", b"", b"message"])

    def test_growing_text_is_not_logged(self) -> None:
        self.show("a")
        self.assertEqual(self.logged(), [])

    def test_only_messages_have_a_key_under_which_they_are_superseded(self) -> None:
        frames: list[Frame] = []
        self.ear.do = frames.append
        message = Message(MessageId("m"), SessionId("s"), Role.USER, ())
        self.events.show(Event(EventKind.MESSAGE, Change.UPDATED, message, key="m", replaceable=True))
        self.commit("a")
        self.assertEqual([(one.key, one.replaceable) for one in frames], [("message:m", True), ("", False)])


class Draining(EventsCase):
    def test_drained_is_at_once_where_nothing_waits(self) -> None:
        self.successResultOf(self.events.when_drained())

    def test_drained_is_when_everything_handed_in_is_published(self) -> None:
        self.store.hold()
        self.commit("a")
        self.show("b")
        first, second = self.events.when_drained(), self.events.when_drained()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertNoResult(second)
        self.store.release()
        self.successResultOf(second)
        self.assertEqual(self.ear.heard, ["a", "b"])

    def test_drained_comes_also_when_the_last_write_failed(self) -> None:
        self.store.hold()
        self.store.fail_next(StorageFailed("disk full"))
        lost, drained = self.commit("a"), self.events.when_drained()
        self.store.release()
        self.failureResultOf(lost, StorageFailed)
        self.successResultOf(drained)


class Hung(EventsCase):
    """The disk takes no write: what grows meanwhile waits once."""

    def grows(self, message_id: str, *, replaceable: bool = True) -> None:
        message = Message(MessageId(message_id), SessionId("s"), Role.ASSISTANT, ())
        event = Event(EventKind.MESSAGE, Change.UPDATED, message, key=message_id, replaceable=replaceable)
        self.events.show(event)

    def test_growing_text_that_waits_replaces_its_older_state(self) -> None:
        self.store.hold()
        self.commit("a")
        for _ in range(100):
            self.grows("m1")
        self.assertLessEqual(len(self.events._outbox), 2)
        self.commit("b")
        for _ in range(100):
            self.grows("m1")
            self.grows("m2")
        self.assertEqual(sum(len(batch.frames) for batch in self.events._outbox), 4)
        self.store.release()
        self.assertEqual(self.ear.heard, ["a", "b", "message", "message"])
        self.assertEqual(self.ear.seqs, sorted(self.ear.seqs))

    def test_what_is_no_growth_is_never_left_out(self) -> None:
        self.store.hold()
        self.commit("a")
        for _ in range(3):
            self.grows("m1", replaceable=False)
        self.store.release()
        self.assertEqual(self.ear.heard, ["a", "message", "message", "message"])

    def test_afterwards_every_state_is_shown_again(self) -> None:
        self.store.hold()
        self.commit("a")
        self.grows("m1")
        self.store.release()
        self.grows("m1")
        self.grows("m1")
        self.assertEqual(self.ear.heard, ["a", "message", "message", "message"])

    def test_what_the_disk_refused_is_told_and_given_for_the_log(self) -> None:
        logged = self.events.tell(told("lost"))
        self.assertEqual((logged.seq, logged.body), (self.ear.seqs[-1], b"lost"))
        self.assertEqual(self.ear.heard, ["lost"])


class LateStore(MemoryStore):
    """Settles its writes in the order that the test says."""

    def __init__(self) -> None:
        super().__init__()
        self._unsettled: list[Deferred[None]] = []

    def write(self, *changes: StoreChange) -> Deferred[None]:
        written: Deferred[None] = Deferred()
        self._unsettled.append(written)
        return written

    def settle(self, index: int) -> None:
        self._unsettled[index].callback(None)
