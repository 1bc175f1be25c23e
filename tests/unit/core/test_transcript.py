"""The messages of a data directory: made, read back whole, deleted."""

from itertools import count

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.events import EventLog
from txcrush.core.live_message import LiveMessage
from txcrush.core.sessions import Sessions
from txcrush.core.transcript import STOP, Transcript
from txcrush.model.ids import MessageId, RunId, SessionId
from txcrush.model.messages import Binary, Finish, FinishReason, Role, Text, ToolResult
from txcrush.model.runs import Attachment, Prompt, RunRecord
from txcrush.model.sessions import Session
from txcrush.model.storage import PutSession, StartRun
from txcrush.testing.harness import NOW_S, Listener
from txcrush.testing.memory_store import MemoryStore
from txcrush.wire.sse import frame
from txcrush.wire.v1 import encode_event

SESSION = SessionId("s")
NOW = int(NOW_S)


def prompt(text: str, *attachments: Attachment) -> Prompt:
    return Prompt(session_id=SESSION, text=text, attachments=attachments)


class TranscriptCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW_S)
        self.store = MemoryStore()
        self.store.write(PutSession(Session(id=SESSION)))
        self.events = EventLog(self.store, encode_event, frame, self.clock, 0)
        self.listener = Listener()
        self.events.subscribe(self.listener)
        ids = (f"m{number}" for number in count(1))
        self.sessions = Sessions(self.events, self.clock, ids.__next__, [Session(id=SESSION)])
        self.transcript = Transcript(self.store, self.events, self.sessions, self.clock, ids.__next__)

    def messages(self):
        return self.successResultOf(self.transcript.messages(SESSION))

    def changes(self) -> list[str]:
        """What happened to which message, in order."""
        return [f"{change} {payload['id']}" for kind, change, payload in self.listener.events if kind == "message"]

    def say(self, text: str, *attachments: Attachment) -> MessageId:
        message_id = self.transcript.new_id()
        self.successResultOf(self.transcript.add(self.transcript.user(prompt(text, *attachments), message_id)))
        return message_id

    def begin(self, *, is_summary: bool = False) -> LiveMessage:
        live, addition = self.transcript.assistant(SESSION, "large", "scripted", is_summary=is_summary)
        self.successResultOf(self.transcript.add(addition))
        return live


class Making(TranscriptCase):
    def test_a_user_message_is_one_text_then_every_attachment_then_stop(self) -> None:
        files = [
            Attachment("/x/n.txt", "n.txt", "text/plain", b"one"),
            Attachment("/x/p.png", "p.png", "image/png", b"\x89"),
        ]
        self.say("hi", *files)
        (message,) = self.messages()
        binaries = (Binary("/x/n.txt", "text/plain", b"one"), Binary("/x/p.png", "image/png", b"\x89"))
        self.assertEqual(message.parts, (Text("hi"), *binaries, STOP))
        self.assertEqual((message.role, message.model, message.created_at), (Role.USER, "", NOW))

    def test_a_user_message_has_its_text_part_also_when_it_is_empty(self) -> None:
        self.say("", Attachment("/x", "x", "text/plain", b"one"))
        self.assertEqual(self.messages()[0].parts[0], Text(""))

    def test_who_is_not_the_assistant_is_finished_from_the_start_without_a_time(self) -> None:
        self.say("hi")
        self.successResultOf(self.transcript.add(self.transcript.result(SESSION, ToolResult("c", "ls", "ok"))))
        for message in self.messages():
            self.assertEqual(message.finish, Finish(FinishReason.STOP, 0))

    def test_each_result_is_a_message_of_its_own(self) -> None:
        for call_id in "12":
            self.transcript.add(self.transcript.result(SESSION, ToolResult(call_id, "ls", "ok")))
        self.assertEqual([one.role for one in self.messages()], [Role.TOOL, Role.TOOL])
        self.assertEqual(len({one.id for one in self.messages()}), 2)

    def test_a_prepared_result_is_the_same(self) -> None:
        preparing = self.transcript.prepared_result(SESSION, ToolResult("c", "ls", "ok" * 100_000))
        addition = self.successResultOf(Deferred.fromCoroutine(preparing))
        self.successResultOf(self.transcript.add(addition))
        self.assertEqual([one.role for one in self.messages()], [Role.TOOL])

    def test_an_assistant_message_begins_empty_with_its_model_and_provider(self) -> None:
        self.begin()
        (message,) = self.messages()
        self.assertEqual((message.parts, message.model, message.provider), ((), "large", "scripted"))
        self.assertFalse(message.is_summary_message)

    def test_a_summary_is_marked(self) -> None:
        self.begin(is_summary=True)
        self.assertTrue(self.messages()[0].is_summary_message)
        self.assertTrue(self.listener.of("message")[0]["is_summary_message"])

    def test_messages_are_counted_in_the_same_write_and_the_count_is_not_published(self) -> None:
        before = self.store.writes
        self.say("hi")
        self.assertEqual(self.store.writes, before + 1)
        (stored,) = self.successResultOf(self.store.sessions())
        self.assertEqual((stored.message_count, self.sessions.get(SESSION).message_count), (1, 1))
        self.assertEqual(self.listener.of("session"), [])

    def test_what_belongs_to_a_message_is_written_with_it(self) -> None:
        run = RunRecord(id=RunId("r"), minted=False, prompt=prompt("hi"), position=1, accepted_at=NOW)
        self.successResultOf(self.store.accept_run(run))
        addition = self.transcript.user(prompt("hi"), MessageId("u"), [StartRun(RunId("r"), MessageId("u"))])
        self.transcript.add(addition)
        record = self.successResultOf(self.store.run(RunId("r")))
        self.assertEqual(record.user_message_id, "u")

    def test_a_message_is_seen_when_it_is_durable(self) -> None:
        self.store.hold()
        added = self.transcript.add(self.transcript.user(prompt("hi"), MessageId("u")))
        self.assertNoResult(added)
        self.assertEqual(self.changes(), [])
        self.store.release()
        self.successResultOf(added)
        self.assertEqual(self.changes(), ["created u"])


class Reading(TranscriptCase):
    def test_r_stream_14_a_read_sees_what_has_grown(self) -> None:
        live = self.begin()
        live.text("a")
        live.text("b")
        self.assertEqual(self.messages()[0].text, "ab")

    def test_r_stream_14_a_read_is_never_older_than_what_was_shown_before_it(self) -> None:
        live = self.begin()
        self.store.hold()
        live.text("a")
        read = self.transcript.messages(SESSION)
        live.text("b")
        self.store.release()
        self.assertEqual(self.successResultOf(read)[0].text, "a")

    def test_messages_of_one_second_come_in_the_order_of_their_making(self) -> None:
        made = [self.say("1"), MessageId(self.begin().id), self.say("2")]
        self.assertEqual([one.id for one in self.messages()], made)

    def test_what_the_user_said_comes_newest_first(self) -> None:
        first, _, second = self.say("1"), self.begin(), self.say("2")
        found = self.successResultOf(self.transcript.user_messages(SESSION))
        self.assertEqual([one.id for one in found], [second, first])
        self.assertEqual(self.successResultOf(self.transcript.user_messages(None)), found)

    def test_a_message_that_has_ended_is_flushed_no_more(self) -> None:
        live = self.begin()
        live.text("a")
        change, event = live.finish(Finish(FinishReason.END_TURN, NOW))
        self.events.commit([change], [event])
        self.transcript.ended(live)
        self.transcript.ended(live)
        before = self.store.writes
        self.transcript.flush()
        self.assertEqual(self.store.writes, before)


class Deleting(TranscriptCase):
    def test_r_stream_09_nothing_brings_a_deleted_message_back(self) -> None:
        live = self.begin()
        live.text("a")
        live.text("b")
        self.successResultOf(self.transcript.add(self.transcript.deletion(live)))
        self.transcript.flush()
        live.text("late")
        live.tool_started("c", "ls")
        self.clock.advance(1)
        self.assertEqual(self.messages(), [])
        self.assertEqual(self.changes()[-1], f"deleted {live.id}")

    def test_r_stream_09_also_where_a_write_was_on_its_way(self) -> None:
        live = self.begin()
        live.text("a")
        self.store.hold()
        self.clock.advance(1)
        deleted = self.transcript.add(self.transcript.deletion(live))
        self.store.release()
        self.successResultOf(deleted)
        self.assertEqual(self.messages(), [])

    def test_r_stream_16_deleting_publishes_the_message_as_it_was(self) -> None:
        live = self.begin()
        live.text("a")
        live.text("b")
        self.transcript.add(self.transcript.deletion(live))
        kind, change, payload = self.listener.events[-1]
        self.assertEqual((kind, change, payload["parts"][0]["data"]), ("message", "deleted", {"text": "ab"}))

    def test_a_deleted_message_is_counted_no_more(self) -> None:
        live = self.begin()
        self.transcript.add(self.transcript.deletion(live))
        self.assertEqual(self.sessions.get(SESSION).message_count, 0)
