"""Taking up a stream where its reader left off: whatever happens in between, no gap and no duplicate."""

import itertools
from collections.abc import AsyncIterator, Callable, Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.event_ids import EventIds
from txcrush.core.events import EventLog, Frame
from txcrush.core.live_message import message_event
from txcrush.core.resuming import PAGE, Resuming
from txcrush.model.errors import StorageFailed
from txcrush.model.events import Change, Event, EventKind, LoggedEvent, Reset
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import Finish, FinishReason, Message, Role, Text
from txcrush.model.sessions import Session
from txcrush.model.storage import AppendEvent, PutMessage, PutSession
from txcrush.testing.memory_store import MemoryStore
from txcrush.testing.scale import scaled

STEPS = 6
S = SessionId("s")
M = MessageId("m")


def encode(event: Event) -> bytes:
    match event.payload:
        case Session():
            return f"title {event.payload.title}".encode()
        case Message():
            return f"text {event.payload.text}{'.' if event.payload.finish else ''}".encode()
        case Reset():
            return f"reset {event.payload.reason}".encode()
        case _:
            return event.kind.encode()


class Scribe:
    """A reader that writes down what it is sent, as number and text, and holds back what it must."""

    wants_deltas = False

    def __init__(self) -> None:
        self.sent: list[tuple[int, str]] = []
        self.begun: list[int] = []
        self.live_at: int | None = None
        self.ended = 0
        self._held: list[Frame] = []

    def begin(self, at: int, frames: Sequence[Frame]) -> None:
        self.begun.append(at)
        self._held.clear()
        for frame in frames:
            self.send(frame)

    def send(self, frame: Frame) -> None:
        self.sent.append((frame.seq, frame.data.decode()))

    def ready(self) -> Deferred[None]:
        return succeed(None)

    def holds(self, key: str) -> bool:
        return any(frame.key == key for frame in self._held)

    def go_live(self, at: int) -> None:
        self.live_at = at
        for frame in self._held:
            self.send(frame)

    def deliver(self, frame: Frame) -> None:
        if self.live_at is None:
            self._held.append(frame)
        else:
            self.send(frame)

    def end(self) -> None:
        self.ended += 1


class World:
    """A log whose disk is slow, a message that grows, titles that change, and a reader that comes at some time."""

    def __init__(self, cursor: Callable[[int], str]) -> None:
        self.store = MemoryStore()
        self.events = EventLog(self.store, encode, bytes, Clock(), 100)
        self.ids = EventIds("g", ())
        self.reader = Scribe()
        self.titles: list[str] = []
        self.text = ""
        self.missed = ""
        self.since = 0
        self._cursor = cursor
        self._work: Deferred[None] | None = None
        self.events.commit([PutSession(Session(id=S, title=""))])
        created = message_event(self._message(), Change.CREATED)
        self.events.commit([PutMessage(self._message())], [created])
        self.retitle()
        self.cursor = cursor(self.events.published)
        self.before = len(self.titles)
        self.retitle()
        self.store.hold()

    # What can happen

    def retitle(self) -> None:
        self.titles.append(str(len(self.titles)))
        told = Event(EventKind.SESSION, Change.UPDATED, Session(id=S, title=self.titles[-1]), key=S)
        self.events.commit([PutSession(Session(id=S, title=self.titles[-1]))], [told])

    def grow(self) -> None:
        self.text += "x"
        self.events.show(message_event(self._message(), replaceable=True))

    def save(self) -> None:
        """The message is written, and that is told."""
        self.text += "X"
        self.events.commit([PutMessage(self._message())], [message_event(self._message())])

    def settle(self) -> None:
        """The disk has done the oldest thing that it was asked for."""
        self.store.release(1)

    def come(self) -> None:
        self.since = self.events.published
        self._work = Resuming(self.events, self.ids, self.store, self, self.reader).start(self.cursor)

    # A snapshot

    def pending(self) -> Sequence[Event]:
        return ()

    def sessions(self) -> Sequence[Event]:
        return [Event(EventKind.SESSION, Change.UPDATED, Session(id=S, title=self.titles[-1]), key=S)]

    async def messages(self) -> AsyncIterator[Message]:
        self.store.write(PutMessage(self._message()))  # what grew is handed to the store before it is read
        for message in await self.store.messages(S):
            yield message

    def _message(self) -> Message:
        return Message(M, S, Role.ASSISTANT, (Text(self.text),))

    def finish(self) -> None:
        """The last of everything, live."""
        done = Message(M, S, Role.ASSISTANT, (Text(self.text), Finish(FinishReason.END_TURN, 1)))
        self.events.commit([PutMessage(done)], [message_event(done)])
        self.retitle()


class Interleavings(SynchronousTestCase):
    """Every order of six steps: what is published, what the disk has done, and when the reader comes."""

    def explore(self, cursor: Callable[[int], str], check: Callable[[World], None]) -> int:
        steps = (World.retitle, World.grow, World.settle, World.save)[: scaled(3, 4)]
        count = 0
        for others in itertools.product(steps, repeat=STEPS - 1):
            for at in range(STEPS):
                world = World(cursor)
                order = [*others[:at], World.come, *others[at:]]
                for step in order:
                    step(world)
                world.store.release()
                try:
                    if world.cursor:
                        self.assertEqual(self.texts(world)[-1:] or [""], [world.text])
                    world.finish()
                    self._check_order(world)
                    check(world)
                except Exception as error:
                    names = " ".join(step.__name__ for step in order)
                    raise AssertionError(f"{names}: {world.reader.sent}: {error}") from error
                count += 1
        return count

    def _check_order(self, world: World) -> None:
        numbers = [seq for seq, _ in world.reader.sent if seq > 0]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertEqual(self.texts(world)[-1], f"{world.text}.")
        self.assertEqual(self.told(world)[-1], world.titles[-1])

    def test_promise_28_a_cursor_loses_nothing_and_repeats_nothing_in_any_order(self) -> None:
        def check(world: World) -> None:
            self.assertEqual(self.told(world), world.titles[world.before :])
            self.assertEqual(world.reader.begun, [int(world.cursor[2:])])

        self.assertEqual(self.explore(lambda published: f"g-{published}", check), STEPS * scaled(3, 4) ** (STEPS - 1))

    def test_promise_28_a_snapshot_and_what_follows_it_have_no_race_in_any_order(self) -> None:
        def check(world: World) -> None:
            (first, *_) = world.reader.sent
            self.assertEqual(first, (world.since, "reset foreign"))
            numbered = [int(text[6:]) for seq, text in world.reader.sent if text.startswith("title") and seq > 0]
            self.assertEqual(numbered, list(range(numbered[0], len(world.titles))))

        self.explore(lambda _: "f-1", check)

    def test_promise_28_a_reader_without_a_cursor_has_all_that_is_published_after_it_came(self) -> None:
        def check(world: World) -> None:
            numbered = [int(title) for title in self.told(world)]
            self.assertEqual(numbered, list(range(numbered[0], len(world.titles))))
            self.assertEqual(world.reader.begun, [world.since])
            self.assertTrue(all(seq > world.since for seq, _ in world.reader.sent))

        self.explore(lambda _: "", check)

    def told(self, world: World) -> list[str]:
        return [text[6:] for _, text in world.reader.sent if text.startswith("title")]

    def texts(self, world: World) -> list[str]:
        return [text[5:] for _, text in world.reader.sent if text.startswith("text")]


class Troubles(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World(lambda published: f"g-{published}")

    def test_what_is_on_disk_and_not_published_yet_is_left_to_its_turn(self) -> None:
        world = self.world
        world.store.release()
        ahead = LoggedEvent(
            seq=world.events.published + 1, kind=EventKind.SESSION, change=Change.UPDATED, key=S, body=b"title 2", at=0
        )
        world.store.write(AppendEvent(ahead))
        world.come()
        self.assertEqual([text for _, text in world.reader.sent], ["title 1"])

    def test_a_log_that_cannot_be_read_ends_the_stream_so_that_its_reader_comes_again(self) -> None:
        self.world.store.release()
        self.world.store.close()
        self.world.come()
        self.assertEqual((self.world.reader.ended, self.world.reader.begun), (1, []))

    def test_retention_that_overtakes_a_replay_resets_it(self) -> None:
        world = self.world
        world.store.release()
        for _ in range(2 * PAGE):
            world.retitle()
        world.store.hold()
        world.come()
        world.settle()
        self.assertEqual(len(world.reader.sent), PAGE)
        here = world.events.published
        world.store.trim(here - 1)
        world.store.release()
        after = [text for _, text in world.reader.sent[PAGE:]]
        self.assertEqual(after, ["reset too_old", f"title {world.titles[-1]}", "text "])
        self.assertEqual(world.reader.live_at, here)

    def test_a_reader_that_goes_is_sent_nothing_more(self) -> None:
        world = self.world
        world.come()
        assert world._work is not None
        world._work.cancel()
        world.store.release()
        self.assertEqual((world.reader.sent, world.reader.ended), ([], 0))

    def test_a_log_that_ends_meanwhile_ends_the_reader(self) -> None:
        self.world.come()
        self.world.events.end()
        self.assertEqual(self.world.reader.ended, 1)

    def test_a_write_that_fails_leaves_no_gap(self) -> None:
        world = self.world
        world.store.release()
        world.store.fail_next(StorageFailed("full"))
        failed = world.events.commit([], [Event(EventKind.SESSION, Change.UPDATED, Session(id=S, title="lost"), key=S)])
        self.failureResultOf(failed, StorageFailed)
        world.come()
        world.finish()
        self.assertEqual([text for _, text in world.reader.sent if "title" in text], ["title 1", "title 2"])
