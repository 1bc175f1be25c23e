"""Any interleaving of what a model says, timers, flushes, and a disk that is slow or refuses: every state that is shown
is one that the message had, in order, and the last row is the last state."""

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from txcrush.core.events import EventLog
from txcrush.core.live_message import LiveMessage
from txcrush.model.errors import StorageFailed
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import Finish, FinishReason, Message, Role
from txcrush.model.sessions import Session
from txcrush.model.storage import PutSession
from txcrush.testing.harness import NOW_S, Listener
from txcrush.testing.memory_store import MemoryStore
from txcrush.wire.json import encode, parse_object
from txcrush.wire.sse import frame
from txcrush.wire.v1 import encode_event, message_body

SESSION = SessionId("s")
EMPTY = Message(MessageId("m"), SESSION, Role.ASSISTANT, ())
DONE = Finish(FinishReason.END_TURN, 1)
CALL_IDS = st.sampled_from("123")

Act = tuple[str, Any]
said = st.one_of(
    st.tuples(st.just("text"), st.sampled_from(["a", "\n", "bc ", "é"])),
    st.tuples(st.just("reasoning"), st.sampled_from(["hm ", "so "])),
    st.tuples(st.just("reasoning_ended"), st.sampled_from(["", "seal"])),
    st.tuples(st.just("tool_started"), CALL_IDS),
    st.tuples(st.just("tool_call"), CALL_IDS),
    st.tuples(st.just("reset"), st.none()),
)
done = st.one_of(
    st.tuples(st.just("advance"), st.sampled_from([0.001, 0.008, 0.02, 0.05, 1.5])),
    st.tuples(st.just("flush"), st.none()),
    st.tuples(st.just("hold"), st.none()),
    st.tuples(st.just("release"), st.sampled_from([1, 2, None])),
)
stories = st.lists(st.one_of(said, said, done), max_size=30)


class Stage:
    """A live message on a stage where a story is played."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW_S)
        self.store = MemoryStore()
        self.store.write(PutSession(Session(id=SESSION)))
        self.events = EventLog(self.store, encode_event, frame, self.clock, 0)
        self.listener = Listener()
        self.events.subscribe(self.listener)
        self.live = LiveMessage(EMPTY, self.events, self.clock)
        self.states: list[str] = []
        self.failures = 0
        self._acts: dict[str, Callable[[Any], object]] = {
            "text": self.live.text,
            "reasoning": self.live.reasoning,
            "reasoning_ended": self.live.reasoning_ended,
            "tool_started": lambda call_id: self.live.tool_started(call_id, "ls"),
            "tool_call": lambda call_id: self.live.tool_call(call_id, "ls", "{}"),
            "reset": lambda _: self.live.reset(),
            "advance": self.clock.advance,
            "flush": lambda _: self.live.flush(),
            "hold": lambda _: self.store.hold(),
            "release": self.store.release,
            "save": lambda _: self.live.save(),
            "fail": self._fail,
        }

    def play(self, act: Act) -> None:
        name, argument = act
        self._acts[name](argument)
        self.states.append(self.live.snapshot().text)

    def finish(self) -> Message:
        """Write and show the last state; returns the row."""
        change, event = self.live.finish(DONE)
        self.events.commit([change], [event])
        self.states.append(self.live.snapshot().text)
        self.store.release()
        rows: list[Message] = []
        self.store.message(EMPTY.id).addCallback(rows.append)
        return rows[0]

    def use_up_failures(self) -> None:
        """Let the disk work again."""
        for _ in range(self.failures):
            self.store.write().addErrback(lambda _: None)

    def shown(self) -> list[dict[str, Any]]:
        return self.listener.of("message")

    def _fail(self, _: object) -> None:
        self.failures += 1
        self.store.fail_next(StorageFailed("disk full"))


def text_of(shown: dict[str, Any]) -> str:
    return "".join(part["data"]["text"] for part in shown["parts"] if part["type"] == "text")


@given(stories)
def test_the_last_row_is_the_last_state_that_was_shown(story: list[Act]) -> None:
    stage = Stage()
    for act in story:
        stage.play(act)
    row = stage.finish()
    assert parse_object(encode(message_body(row)).decode()) == stage.shown()[-1]
    assert row.parts[-1] == DONE


@given(stories)
def test_text_never_goes_backwards_but_by_a_reset(story: list[Act]) -> None:
    stage = Stage()
    for act in story:
        stage.play(act)
    stage.finish()
    last = ""
    for shown in stage.shown():
        if not shown["parts"]:
            last = ""
        assert text_of(shown).startswith(last)
        last = text_of(shown)


@given(stories)
def test_r_stream_03_every_state_that_is_shown_was_one_of_the_messages(story: list[Act]) -> None:
    stage = Stage()
    for act in story:
        stage.play(act)
    stage.finish()
    states = iter(stage.states)
    for shown in stage.shown():
        assert text_of(shown) in states  # consumes them: they come in their order


@given(st.lists(st.one_of(said, st.tuples(st.just("advance"), st.sampled_from([0.004, 0.02, 2.0]))), max_size=30))
def test_r_stream_08_coalesced_and_uncoalesced_end_in_the_same_row(story: list[Act]) -> None:
    coalesced, each = Stage(), Stage()
    for act in story:
        coalesced.play(act)
        each.play(act)
        each.play(("save", None))
    assert coalesced.finish() == each.finish()


@given(stories)
def test_nothing_is_left_to_do_after_the_finish(story: list[Act]) -> None:
    stage = Stage()
    for act in story:
        stage.play(act)
    stage.finish()
    writes, shown = stage.store.writes, len(stage.shown())
    for act in (*story, ("advance", 9), ("release", None)):
        if act[0] != "hold":
            stage.play(act)
    assert (stage.store.writes, len(stage.shown())) == (writes, shown)
    assert stage.clock.getDelayedCalls() == []


@given(stories)
def test_left_alone_the_row_catches_up_with_the_message(story: list[Act]) -> None:
    stage = Stage()
    for act in story:
        stage.play(act)
    stage.store.release()
    stage.clock.advance(1)
    rows: list[Message | None] = []
    stage.store.message(EMPTY.id).addCallback(rows.append)
    parts = stage.live.snapshot().parts
    assert (rows[0].parts if rows[0] else ()) == parts
    assert [text_of(shown) for shown in stage.shown()[-1:]] == ([stage.live.snapshot().text] if stage.shown() else [])


@given(st.lists(st.one_of(said, said, done, st.tuples(st.just("fail"), st.none())), max_size=30))
def test_r_stream_11_a_flush_makes_good_what_a_disk_has_refused(story: list[Act]) -> None:
    stage = Stage()
    for act in story:
        stage.play(act)
    stage.store.release()
    stage.use_up_failures()
    stage.live.flush()
    rows: list[Message | None] = []
    stage.store.message(EMPTY.id).addCallback(rows.append)
    assert (rows[0].parts if rows[0] else ()) == stage.live.snapshot().parts
