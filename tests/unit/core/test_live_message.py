"""A message while it is written: what is shown when, what is stored when, and that both end alike (R-STREAM)."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.events import EventLog, Frame
from txcrush.core.live_message import REFUSED_ROW_S, ROW_S, WINDOW_MAX_S, WINDOW_MIN_S, LiveMessage
from txcrush.model.errors import StorageFailed
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import Finish, FinishReason, Message, Reasoning, Role, Text, ToolCall
from txcrush.model.sessions import Session
from txcrush.model.storage import PutSession
from txcrush.testing.harness import NOW_S, Listener
from txcrush.testing.memory_store import MemoryStore
from txcrush.wire.sse import frame
from txcrush.wire.v1 import encode_event

SESSION = SessionId("s")
EMPTY = Message(MessageId("m"), SESSION, Role.ASSISTANT, (), "large", "scripted")
DONE = Finish(FinishReason.END_TURN, int(NOW_S))


class LiveCase(SynchronousTestCase):
    """A live message over an event log, a store in memory and a clock."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW_S)
        self.store = MemoryStore()
        self.store.write(PutSession(Session(id=SESSION)))
        self.events = EventLog(self.store, encode_event, frame, self.clock, 0)
        self.listener = Listener()
        self.events.subscribe(self.listener)
        self.live = LiveMessage(EMPTY, self.events, self.clock)

    def row(self) -> Message | None:
        found: Message | None = self.successResultOf(self.store.message(EMPTY.id))
        return found

    def stored(self) -> str:
        row = self.row()
        return row.text if row else ""

    def shown(self) -> list[str]:
        """The text of every state that was published, in order."""
        return ["".join(self.texts(payload)) for payload in self.listener.of("message")]

    def texts(self, payload: dict) -> list[str]:
        return [part["data"]["text"] for part in payload["parts"] if part["type"] == "text"]

    def say(self, *deltas: str) -> None:
        for delta in deltas:
            self.live.text(delta)

    def finish(self) -> None:
        change, event = self.live.finish(DONE)
        self.events.commit([change], [event])


class Showing(LiveCase):
    def test_r_stream_01_the_first_delta_is_shown_at_once(self) -> None:
        self.say("a")
        self.assertEqual(self.shown(), ["a"])

    def test_r_stream_01_later_deltas_of_a_window_are_one_event(self) -> None:
        self.say("a", "b", "c", "d", "e")
        self.assertEqual(self.shown(), ["a"])
        self.clock.advance(WINDOW_MIN_S)
        self.assertEqual(self.shown(), ["a", "abcde"])

    def test_r_stream_01_the_window_is_fixed_not_started_anew_by_a_delta(self) -> None:
        self.say("a", "b")
        self.clock.advance(WINDOW_MIN_S / 2)
        self.say("c")
        self.clock.advance(WINDOW_MIN_S / 2)
        self.assertEqual(self.shown()[-1], "abc")

    def test_r_stream_01_nothing_is_published_when_nothing_grew(self) -> None:
        self.say("a", "b")
        self.clock.advance(1)
        self.clock.advance(1)
        self.assertEqual(self.shown(), ["a", "ab"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_r_stream_01_the_window_follows_the_cost_of_a_publication(self) -> None:
        self.events.subscribe(Slow(self.clock, 0.01))
        self.say("a", "b")
        self.clock.advance(0.019)
        self.assertEqual(self.shown(), ["a"])
        self.clock.advance(0.002)
        self.assertEqual(self.shown(), ["a", "ab"])

    def test_r_stream_01_the_window_is_at_most_33_ms(self) -> None:
        self.events.subscribe(Slow(self.clock, 5))
        self.say("a", "b")
        self.clock.advance(WINDOW_MAX_S)
        self.assertEqual(self.shown(), ["a", "ab"])

    def test_r_stream_03_text_reasoning_and_growth_alone_write_nothing(self) -> None:
        before = self.store.writes
        self.say("a", "b")
        self.live.reasoning("hm")
        self.clock.advance(WINDOW_MAX_S)
        self.assertEqual(self.store.writes, before)

    def test_r_stream_07_without_a_debounce_every_growth_is_written_before_it_returns(self) -> None:
        self.live = LiveMessage(EMPTY, self.events, self.clock, row_s=0)
        for text in ("a", "ab", "abc"):
            self.say(text[-1])
            self.assertEqual(self.stored(), text)
        self.clock.advance(1)
        self.assertEqual((self.stored(), self.shown()[-1], self.clock.getDelayedCalls()), ("abc", "abc", []))

    def test_r_stream_04_growth_may_be_replaced_and_states_may_not(self) -> None:
        self.say("a")
        self.live.reasoning("hm")
        self.live.reasoning_ended()
        self.live.tool_started("c", "ls")
        self.live.tool_call("c", "ls", "{}")
        self.finish()
        self.assertEqual([one.replaceable for one in self.listener.frames], [True, False, False, False, False])

    def test_events_name_their_message_so_that_a_newer_one_can_stand_for_it(self) -> None:
        self.say("a")
        self.assertEqual(self.listener.frames[0].key, "message:m")


class Writing(LiveCase):
    def test_rows_follow_on_their_own_slower_timer(self) -> None:
        self.say("a", "b")
        self.clock.advance(ROW_S)
        self.assertEqual(self.stored(), "ab")

    def test_r_stream_02_the_end_of_reasoning_is_written_and_shown_at_once(self) -> None:
        self.live.reasoning("hm")
        self.live.reasoning_ended("seal")
        self.assertEqual(self.row().parts, (Reasoning("hm", "seal", int(NOW_S), int(NOW_S)),))
        self.assertEqual(len(self.listener.frames), 2)

    def test_r_stream_02_a_second_end_of_reasoning_writes_nothing(self) -> None:
        self.live.reasoning("hm")
        self.live.reasoning_ended()
        before = self.store.writes
        self.live.reasoning_ended()
        self.assertEqual(self.store.writes, before)

    def test_r_stream_02_an_end_without_reasoning_writes_nothing(self) -> None:
        before = self.store.writes
        self.live.reasoning_ended("seal")
        self.assertEqual((self.store.writes, self.live.snapshot().parts), (before, ()))

    def test_r_stream_02_a_call_begun_and_a_call_complete_are_written_at_once(self) -> None:
        self.live.tool_started("c", "ls")
        self.assertEqual(self.row().tool_calls, (ToolCall("c", "ls"),))
        self.live.tool_call("c", "ls", '{"path":"."}')
        self.assertEqual(self.row().tool_calls, (ToolCall("c", "ls", '{"path":"."}', finished=True),))

    def test_r_stream_02_what_is_written_at_once_leaves_no_timer(self) -> None:
        self.say("a", "b")
        self.live.tool_started("c", "ls")
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.shown(), ["a", "ab"])

    def test_r_stream_02_the_finish_is_the_last_state_and_leaves_no_timer(self) -> None:
        self.say("a", "b")
        self.finish()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual((self.row().parts, self.shown()[-1]), ((Text("ab"), DONE), "ab"))

    def test_durable_states_wait_for_the_disk_and_growth_waits_behind_them(self) -> None:
        self.store.hold()
        self.live.tool_started("c", "ls")
        self.say("a")
        self.clock.advance(1)
        self.assertEqual(self.listener.frames, [])
        self.store.release()
        self.assertEqual(self.shown(), ["", "a"])

    def test_r_stream_05_a_flush_writes_what_is_pending_and_a_second_does_nothing(self) -> None:
        self.say("a", "b")
        before = self.store.writes
        self.live.flush()
        self.live.flush()
        self.assertEqual((self.stored(), self.store.writes), ("ab", before + 1))

    def test_r_stream_05_a_flush_takes_the_row_timer_with_it_but_not_the_window(self) -> None:
        self.say("a", "b")
        self.live.flush()
        before = self.store.writes
        self.clock.advance(1)
        self.assertEqual((self.shown(), self.store.writes), (["a", "ab"], before))

    def test_r_stream_06_a_read_behind_a_flush_waits_for_the_write_in_progress(self) -> None:
        self.store.hold()
        self.say("a")
        self.clock.advance(ROW_S)
        self.live.flush()
        read = self.store.message(EMPTY.id)
        self.assertNoResult(read)
        self.store.release()
        self.assertEqual(self.successResultOf(read).text, "a")

    def test_r_stream_08_coalesced_or_not_the_row_is_the_same(self) -> None:
        self.say("a", "b", "c")
        self.finish()
        coalesced = self.row()
        self.live = LiveMessage(EMPTY, self.events, self.clock)
        for delta in "abc":
            self.live.text(delta)
            self.live.save()
        self.finish()
        self.assertEqual(self.row(), coalesced)

    def test_r_stream_09_what_was_discarded_is_never_written_again(self) -> None:
        self.say("a", "b")
        before = self.store.writes
        self.live.discard()
        self.live.flush()
        self.live.tool_started("c", "ls")
        self.say("late")
        self.clock.advance(1)
        self.assertEqual((self.store.writes, self.row(), self.shown()), (before, None, ["a"]))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_r_stream_11_a_failed_row_is_written_by_the_next_flush(self) -> None:
        self.say("a")
        self.store.fail_next(StorageFailed("disk full"))
        self.clock.advance(ROW_S)
        self.live.flush()
        self.assertEqual(self.stored(), "a")

    def test_r_stream_11_a_failed_state_is_not_shown_and_written_by_the_next_flush(self) -> None:
        self.store.fail_next(StorageFailed("disk full"))
        self.live.tool_started("c", "ls")
        self.assertEqual((self.listener.frames, self.row()), ([], None))
        self.live.flush()
        self.assertEqual(self.row().tool_calls, (ToolCall("c", "ls"),))

    def test_r_stream_12_who_drops_the_save_does_not_strand_it(self) -> None:
        self.store.hold()
        self.live.tool_started("c", "ls")
        self.live.save().addErrback(lambda _: None).cancel()
        self.flushLoggedErrors()
        self.store.release()
        self.assertEqual((len(self.row().tool_calls), len(self.listener.frames)), (1, 2))

    def test_r_stream_13_a_delta_during_a_write_has_a_timer_of_its_own(self) -> None:
        self.say("a")
        self.store.hold()
        self.clock.advance(ROW_S)
        self.say("b")
        self.store.release()
        self.clock.advance(ROW_S)
        self.assertEqual((self.stored(), self.shown()), ("ab", ["a", "ab"]))


class Parts(LiveCase):
    def test_one_leading_newline_is_lost_from_a_message_without_parts(self) -> None:
        self.say("\n\na", "\nb")
        self.assertEqual(self.live.snapshot().text, "\na\nb")

    def test_a_first_delta_of_one_newline_says_nothing_and_the_next_loses_its_own(self) -> None:
        self.say("\n")
        self.assertEqual((self.shown(), self.live.snapshot().parts), ([], ()))

    def test_the_newline_stays_where_something_came_before(self) -> None:
        self.live.reasoning("hm")
        self.say("\na")
        self.assertEqual(self.live.snapshot().text, "\na")

    def test_all_text_is_one_part_and_all_reasoning_is_one_part(self) -> None:
        self.live.reasoning("t1 ")
        self.live.reasoning_ended()
        self.say("a")
        self.live.reasoning("t2")
        self.live.tool_started("c", "ls")
        self.say("b")
        kinds = [type(part) for part in self.live.snapshot().parts]
        self.assertEqual(kinds, [Reasoning, Text, ToolCall])
        self.assertEqual(self.live.snapshot().text, "ab")
        self.assertEqual(self.live.snapshot().parts[0].thinking, "t1 t2")

    def test_reasoning_keeps_its_start_its_end_and_the_providers_seal(self) -> None:
        self.live.reasoning("a")
        self.clock.advance(3)
        self.live.reasoning("b")
        self.live.reasoning_ended("seal")
        self.clock.advance(3)
        self.live.reasoning_ended()
        self.live.close()
        now = int(NOW_S)
        self.assertEqual(self.live.snapshot().parts, (Reasoning("ab", "seal", now, now + 3),))

    def test_a_seal_that_comes_after_the_end_is_kept(self) -> None:
        self.live.reasoning("a")
        self.live.reasoning_ended()
        self.live.reasoning_ended("seal")
        self.assertEqual(self.row().parts[0].signature, "seal")

    def test_a_call_is_replaced_by_its_id_and_keeps_its_place(self) -> None:
        self.live.tool_started("1", "ls")
        self.live.tool_started("2", "view")
        self.live.tool_call("1", "ls", "{}")
        calls = (ToolCall("1", "ls", "{}", finished=True), ToolCall("2", "view"))
        self.assertEqual(self.live.calls, calls)

    def test_there_is_one_finish_and_it_is_last(self) -> None:
        self.say("a")
        self.live.finish(Finish(FinishReason.TOOL_USE, 1))
        change, _ = self.live.finish(DONE)
        self.assertEqual(change.message.parts, (Text("a"), DONE))

    def test_a_reset_takes_back_everything_that_was_streamed(self) -> None:
        self.live.reasoning("hm")
        self.live.reasoning_ended("seal")
        self.say("a")
        self.live.tool_call("c", "ls", "{}")
        self.live.reset()
        self.assertEqual((self.row().parts, self.live.calls), ((), ()))
        self.assertEqual((self.listener.of("message")[-1]["parts"], self.clock.getDelayedCalls()), ([], []))

    def test_a_reset_of_an_empty_message_does_nothing(self) -> None:
        before = self.store.writes
        self.live.reset()
        self.assertEqual((self.store.writes, self.listener.frames), (before, []))

    def test_after_a_reset_reasoning_begins_anew(self) -> None:
        self.live.reasoning("old")
        self.live.reasoning_ended("old seal")
        self.live.reset()
        self.clock.advance(5)
        self.live.reasoning("new")
        self.assertEqual(self.live.snapshot().parts, (Reasoning("new", "", int(NOW_S) + 5),))

    def test_after_a_reset_the_first_newline_is_lost_again(self) -> None:
        self.say("a")
        self.live.reset()
        self.say("\nb")
        self.assertEqual(self.live.snapshot().text, "b")

    def test_closing_ends_reasoning_and_unfinished_calls_and_names_all_calls(self) -> None:
        self.live.reasoning("hm")
        self.live.tool_call("1", "ls", '{"path":"."}')
        self.live.tool_started("2", "view")
        self.assertEqual(self.live.close(), ["1", "2"])
        reasoning, first, second = self.live.snapshot().parts
        self.assertEqual(reasoning.finished_at, int(NOW_S))
        self.assertEqual(first, ToolCall("1", "ls", '{"path":"."}', finished=True))
        self.assertEqual(second, ToolCall("2", "view", "{}", finished=True))

    def test_r_stream_17_a_state_bears_the_time_of_its_change(self) -> None:
        self.clock.advance(7)
        self.say("a")
        self.assertEqual(self.listener.of("message")[0]["updated_at"], int(NOW_S) + 7)


class Slow:
    """A subscriber whose delivery takes time."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds

    def deliver(self, frame: Frame) -> None:
        self._clock.rightNow += self._seconds

    def end(self) -> None:
        """Nothing to end."""


class Hung(LiveCase):
    """The disk takes no write: it is owed the last state, not every one."""

    def test_one_row_waits_however_long_the_text_grows(self) -> None:
        self.store.hold()
        for number in range(100):
            self.say(f"{number} ")
            self.clock.advance(ROW_S)
        self.assertEqual(self.store.held, 1)
        self.store.release()
        self.clock.advance(ROW_S)
        self.assertEqual(self.stored(), "".join(f"{number} " for number in range(100)))

    def test_a_row_that_is_refused_is_tried_again_in_a_second_not_at_every_word(self) -> None:
        self.say("a")
        self.store.fail_next(StorageFailed("the disk is full"))
        self.clock.advance(ROW_S)
        writes = self.store.writes
        for _ in range(10):
            self.say("b")
            self.clock.advance(ROW_S)
        self.assertEqual(self.store.writes, writes)
        self.clock.advance(REFUSED_ROW_S)
        self.assertEqual(self.stored(), "abbbbbbbbbb")
