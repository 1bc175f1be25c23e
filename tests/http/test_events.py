"""The event stream in memory: its bytes, its order, and readers that are slow, stalled or gone."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.http.readers import FLUSH_S, HARD_BYTES, HEARTBEAT_S, OVERFLOW_S, QUEUE_BYTES, Reader
from txcrush.model.ids import WorkspaceId
from txcrush.testing.answer import StreamEvent
from txcrush.testing.conversation import now
from txcrush.testing.http_harness import HttpHarness, MemoryStream
from txcrush.testing.scripted_provider import Pause, Say, Wait

OTHER = "22222222-2222-4222-8222-222222222222"
GROWTH = [act for number in range(50) for act in (Say(f"w{number} "), Pause(0.05))]
TEXT = "".join(act.text for act in GROWTH if isinstance(act, Say))


class EventsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.harness = HttpHarness()
        self.client, self.clock = self.harness.client, self.harness.clock
        self.workspace = self.harness.join()
        self.session = self.harness.session(self.workspace)
        self.events = self.harness.workspaces.get(WorkspaceId(self.workspace)).events

    def stream(self) -> MemoryStream:
        return self.client.stream(self.workspace)

    def prompt(self, text: str = "hi") -> None:
        path = f"/v1/workspaces/{self.workspace}/agent"
        self.client.ask("POST", path, {"session_id": self.session, "prompt": text, "run_id": text})

    def retitle(self, title: str) -> None:
        """Publish an event that nothing replaces."""
        path = f"/v1/workspaces/{self.workspace}/sessions/{self.session}"
        self.assertEqual(self.client.put(path, {"id": self.session, "title": title}).status, 200)

    def pass_time(self, seconds: float) -> None:
        """Second by second, as a reactor would."""
        for _ in range(round(seconds * 20)):
            self.clock.advance(0.05)

    def titles(self, stream: MemoryStream) -> list[str]:
        return [session["title"] for session in stream.of("session")]


class Wire(EventsCase):
    def test_the_head_goes_out_at_once_and_ends_by_closing(self) -> None:
        stream = self.stream()
        lines = stream.head.decode().split("\r\n")
        self.assertEqual(lines[0], "HTTP/1.1 200 OK")
        self.assertTrue(lines[1].startswith("Date: "))
        self.assertEqual(lines[2:4], ["Content-Type: text/event-stream", "Cache-Control: no-cache"])
        self.assertEqual(lines[4:], ["X-Accel-Buffering: no", "Connection: close", "", ""])
        self.assertEqual(stream.body, b"")
        self.assertFalse(stream.closed)

    def test_an_event_is_one_data_line_and_a_blank_one(self) -> None:
        stream = self.stream()
        self.retitle("a <b> \n & é")
        frame = stream.body
        self.assertTrue(frame.startswith(b'data: {"type":"session","payload":{"type":"updated","payload":{"id":'))
        self.assertTrue(frame.endswith(b"}}}\n\n"))
        self.assertEqual(frame.count(b"\n"), 2)
        self.assertIn('"title":"a \\u003cb\\u003e \\n \\u0026 é"'.encode(), frame)

    def test_p30_a_bare_newline_beats_every_fifteen_seconds(self) -> None:
        stream = self.stream()
        self.clock.advance(HEARTBEAT_S - 0.1)
        self.assertEqual(stream.body, b"")
        self.clock.advance(0.1)
        self.assertEqual(stream.body, b"\n")
        self.clock.advance(HEARTBEAT_S)
        self.assertEqual(stream.body, b"\n\n")
        self.retitle("t")
        self.assertEqual(self.titles(stream), ["t"])

    def test_nothing_of_the_past_comes_to_a_late_reader(self) -> None:
        self.retitle("before")
        stream = self.stream()
        self.retitle("after")
        self.assertEqual(self.titles(stream), ["after"])

    def test_every_reader_gets_the_same_bytes(self) -> None:
        streams = [self.stream(), self.client.stream(self.workspace, OTHER)]
        self.harness.provider.add("hello")
        self.prompt()
        self.assertEqual(streams[0].body, streams[1].body)
        self.assertNotEqual(streams[0].body, b"")

    def test_the_finish_comes_before_agent_finished_and_that_before_run_complete(self) -> None:
        stream = self.stream()
        self.harness.provider.add("hello")
        self.prompt("R1")
        self.assertEqual(
            [(event.kind, event.finish_reason) for event in stream.events][-3:],
            [("message", "end_turn"), ("agent_event", ""), ("run_complete", "")],
        )
        self.assertEqual(stream.of("agent_event")[0]["type"], "agent_finished")
        self.assertEqual(stream.of("run_complete")[0]["run_id"], "R1")

    def test_what_is_refused_is_refused_in_the_one_shape(self) -> None:
        path = f"/v1/workspaces/{self.workspace}/events"
        unknown = path.replace(self.workspace, "nobody")
        for target, expected in [
            (f"{unknown}?client_id={OTHER}", (404, "workspace not found")),
            (unknown, (400, "client_id is required")),
            (f"{unknown}?client_id=7", (400, "client_id is not a valid UUID")),
            (path, (400, "client_id is required")),
        ]:
            answer = self.client.get(target)
            self.assertEqual((answer.status, answer.message), expected)
        self.assertEqual(self.events.subscribers, 0)

    def test_a_head_request_subscribes_nobody(self) -> None:
        asked = self.client.ask("HEAD", f"/v1/workspaces/{self.workspace}/events?client_id={OTHER}")
        self.assertEqual(asked.answer.headers["content-type"], "text/event-stream")
        self.assertTrue(asked.closed)
        self.assertEqual(self.events.subscribers, 0)


class Ends(EventsCase):
    def test_a_client_that_goes_leaves_no_reader_and_no_timer(self) -> None:
        stream = self.client.stream(self.workspace, OTHER)
        stream.pause()
        self.retitle("x" * (QUEUE_BYTES + 1))
        self.retitle("y")
        stream.drop()
        self.assertEqual(self.events.subscribers, 0)
        owners = [getattr(call.func, "__self__", None) for call in self.clock.getDelayedCalls()]
        self.assertEqual([owner for owner in owners if isinstance(owner, Reader)], [])

    def test_p36_a_workspace_that_closes_ends_its_streams_cleanly(self) -> None:
        stream = self.stream()
        self.client.delete(f"/v1/clients/{'11111111-1111-4111-8111-111111111111'}")
        self.assertTrue(stream.closed)
        self.assertFalse(stream.aborted)
        self.assertEqual(self.client.get(f"/v1/workspaces/{self.workspace}").status, 404)

    def test_p84_a_server_that_stops_ends_the_run_and_then_the_stream(self) -> None:
        stream = self.stream()
        self.harness.provider.add("partial", Wait())
        self.prompt("R1")
        now(self.harness.workspaces.stop())
        self.assertTrue(stream.closed)
        self.assertFalse(stream.aborted)
        reasons = [event.finish_reason for event in stream.events]
        self.assertEqual(reasons[-2:], ["canceled", ""])
        self.assertEqual(stream.of("run_complete")[0]["cancelled"], True)

    def test_p84_what_a_slow_reader_had_queued_still_goes_out_at_the_end(self) -> None:
        stream = self.stream()
        stream.pause()
        self.retitle("queued")
        self.assertEqual(stream.body, b"")
        now(self.harness.workspaces.stop())
        self.assertEqual(self.titles(stream), ["queued"])
        self.assertTrue(stream.closed)
        self.assertFalse(stream.aborted)

    def test_a_reader_that_takes_nothing_at_the_end_is_cut_off_after_a_while(self) -> None:
        stream = self.stream()
        stream.pause()
        now(self.harness.workspaces.stop())
        self.clock.advance(FLUSH_S)
        self.assertTrue(stream.aborted)

    def test_a_stream_that_is_open_keeps_its_workspace(self) -> None:
        stream = self.stream()
        self.client.delete(f"/v1/workspaces/{self.workspace}?client_id=11111111-1111-4111-8111-111111111111")
        self.clock.advance(3600)
        self.assertEqual(self.client.get(f"/v1/workspaces/{self.workspace}").status, 200)
        stream.drop()
        self.assertEqual(self.client.get(f"/v1/workspaces/{self.workspace}").status, 404)


class Slow(EventsCase):
    def test_p31_a_stalled_reader_delays_nobody(self) -> None:
        stalled, quick = self.stream(), self.client.stream(self.workspace, OTHER)
        stalled.pause()
        for number in range(20):
            self.retitle(f"t{number}")
            self.assertEqual(self.titles(quick)[-1], f"t{number}")
        self.assertEqual(stalled.body, b"")

    def test_a_reader_that_goes_on_gets_everything_that_nothing_replaced(self) -> None:
        stream = self.stream()
        stream.pause()
        for number in range(20):
            self.retitle(f"t{number}")
        stream.resume()
        self.assertEqual(self.titles(stream), [f"t{number}" for number in range(20)])
        self.retitle("live")
        self.assertEqual(self.titles(stream)[-1], "live")

    def test_growing_text_is_skipped_for_a_slow_reader_and_its_last_state_is_not(self) -> None:
        slow, quick = self.stream(), self.client.stream(self.workspace, OTHER)
        self.harness.provider.add(*GROWTH)
        slow.pause()
        self.prompt("R1")
        self.pass_time(3)
        slow.resume()
        self.assertGreater(len(quick.of("message")), 40)
        self.assertLess(len(slow.of("message")), 6)
        self.assertEqual(_last_states(slow), _last_states(quick))
        self.assertEqual(_last_states(slow)[-1][1:], (TEXT, "end_turn"))
        self.assertEqual([event.kind for event in slow.events][-2:], ["agent_event", "run_complete"])

    def test_a_finish_is_kept_also_behind_a_later_state_of_another_message(self) -> None:
        stream = self.stream()
        stream.pause()
        for text in ("one", "two", "three"):
            self.harness.provider.add(text)
            self.prompt(text)
        stream.resume()
        finishes = [event.finish_reason for event in stream.events if event.finish_reason == "end_turn"]
        self.assertEqual(len(finishes), 3)
        self.assertEqual([end["run_id"] for end in stream.of("run_complete")], ["one", "two", "three"])

    def test_p31_a_reader_over_its_bound_for_five_seconds_is_ended_cleanly(self) -> None:
        stalled, quick = self.stream(), self.client.stream(self.workspace, OTHER)
        stalled.pause()
        self.overfill()
        self.clock.advance(OVERFLOW_S - 0.1)
        self.assertFalse(stalled.closed)
        self.clock.advance(0.1)
        self.assertTrue(stalled.closed)
        self.assertFalse(stalled.aborted)
        self.assertEqual(stalled.body, b"")
        self.assertEqual(self.events.subscribers, 1)
        self.assertFalse(quick.closed)

    def test_p31_a_reader_far_over_its_bound_is_ended_at_once(self) -> None:
        stalled = self.stream()
        stalled.pause()
        self.overfill()
        self.assertFalse(stalled.closed)
        for _ in range(HARD_BYTES // QUEUE_BYTES):
            self.overfill()
        self.assertTrue(stalled.closed)

    def test_p31_nothing_more_is_kept_for_a_reader_that_was_given_up(self) -> None:
        stalled = self.stream()
        stalled.pause()
        self.overfill()
        self.clock.advance(OVERFLOW_S)
        self.overfill()
        self.assertEqual(stalled.body, b"")

    def test_a_reader_that_goes_on_in_time_is_not_ended(self) -> None:
        stream = self.stream()
        stream.pause()
        self.overfill()
        self.clock.advance(OVERFLOW_S - 0.1)
        stream.resume()
        self.clock.advance(OVERFLOW_S)
        self.assertFalse(stream.closed)
        self.assertEqual(len(self.titles(stream)), 12)

    def test_an_empty_queue_takes_one_event_of_any_size(self) -> None:
        stream = self.stream()
        stream.pause()
        self.retitle("x" * (QUEUE_BYTES + 1))
        self.clock.advance(10 * OVERFLOW_S)
        self.assertFalse(stream.closed)
        stream.resume()
        self.assertEqual(len(self.titles(stream)), 1)

    def test_states_of_one_message_that_together_exceed_the_bound_are_no_overflow(self) -> None:
        stream = self.stream()
        stream.pause()
        self.harness.provider.add(*(act for _ in range(20) for act in (Say("x" * 25_000), Pause(1))), Wait())
        self.prompt()
        self.pass_time(30)
        self.assertFalse(stream.closed)

    def test_no_heartbeat_is_piled_up_for_a_stalled_reader(self) -> None:
        stream = self.stream()
        stream.pause()
        self.clock.advance(HEARTBEAT_S)
        self.clock.advance(HEARTBEAT_S)
        stream.resume()
        self.assertEqual(stream.body, b"")

    def overfill(self) -> None:
        for number in range(12):
            self.retitle(f"{number}" + "x" * (QUEUE_BYTES // 10))


def _last_states(stream: MemoryStream) -> list[tuple[str, str, str]]:
    """Role, text and finish of the last state of each message, in the order in which they appeared."""
    last: dict[str, StreamEvent] = {}
    for event in stream.events:
        if event.kind == "message":
            last[event.payload["id"]] = event
    return [(event.payload["role"], _text(event), event.finish_reason) for event in last.values()]


def _text(event: StreamEvent) -> str:
    return "".join(part["data"]["text"] for part in event.payload["parts"] if part["type"] == "text")
