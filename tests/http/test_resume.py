"""Rich mode in memory: ids, resuming, resets, deltas and what a reader that comes back is told."""

import re
from itertools import pairwise
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.sessions import session_event
from txcrush.http.readers import HEARTBEAT_S, QUEUE_BYTES, Reader
from txcrush.http.rich_readers import RETRY_MS
from txcrush.model.ids import SessionId, WorkspaceId
from txcrush.model.sessions import Session
from txcrush.testing.answer import StreamEvent
from txcrush.testing.http_harness import HttpHarness, MemoryStream
from txcrush.testing.memory_store import MemoryStore
from txcrush.testing.scripted_provider import Pause, Say, Wait

OTHER = "22222222-2222-4222-8222-222222222222"
GROWTH = [act for number in range(50) for act in (Say(f"w{number} "), Pause(0.05))]
TEXT = "".join(act.text for act in GROWTH if isinstance(act, Say))


class ResumeCase(SynchronousTestCase):
    stores: dict[str, MemoryStore]

    def setUp(self) -> None:
        self.stores = {}
        self.start()
        self.session = self.harness.session(self.workspace)

    def start(self) -> None:
        """A server over the stores as they are."""
        self.harness = HttpHarness(stores=self.stores)
        self.client, self.clock = self.harness.client, self.harness.clock
        self.workspace = self.harness.join()

    @property
    def store(self) -> MemoryStore:
        (store,) = self.stores.values()
        return store

    @property
    def head(self) -> str:
        """The id of the last published event."""
        workspace = self.harness.workspaces.get(WorkspaceId(self.workspace))
        return workspace.event_ids.of(workspace.events.published)

    def rich(self, query: str = "rich=1", **headers: str) -> MemoryStream:
        return self.client.stream(self.workspace, OTHER, query, **headers)

    def after(self, cursor: str, query: str = "") -> MemoryStream:
        return self.rich(query, Last_Event_ID=cursor)

    def prompt(self, text: str = "hi") -> None:
        path = f"/v1/workspaces/{self.workspace}/agent"
        self.client.ask("POST", path, {"session_id": self.session, "prompt": text, "run_id": text})

    def retitle(self, *titles: str) -> None:
        """Publish events that nothing replaces."""
        path = f"/v1/workspaces/{self.workspace}/sessions/{self.session}"
        for title in titles:
            self.assertEqual(self.client.put(path, {"id": self.session, "title": title}).status, 200)

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds * 20)):
            self.clock.advance(0.05)

    def titles(self, stream: MemoryStream) -> list[str]:
        return [session["title"] for session in stream.of("session")]

    def assert_increasing(self, stream: MemoryStream) -> None:
        seqs = [int(one.rpartition("-")[2]) for one in stream.ids]
        self.assertEqual([], [pair for pair in pairwise(seqs) if pair[0] >= pair[1]], seqs)


class Opening(ResumeCase):
    def test_every_way_to_ask_opens_with_a_block_that_sets_the_cursor_and_dispatches_nothing(self) -> None:
        for query, headers in [
            ("rich=1", {}),
            ("deltas=1", {}),
            ("last_event_id=", {}),
            (f"last_event_id={self.head}", {}),
            ("", {"Last_Event_ID": self.head}),
        ]:
            stream = self.rich(query, **headers)
            self.assertEqual(stream.body, f"retry: {RETRY_MS}\nid: {self.head}\n\n".encode(), query)
            self.assertEqual((stream.events, stream.cursor), ([], self.head))

    def test_plain_mode_is_what_is_not_asked_for_otherwise(self) -> None:
        for query in ("", "rich=0", "deltas=false", "rich="):
            self.assertEqual(self.client.stream(self.workspace, OTHER, query).body, b"")

    def test_promise_30_a_comment_beats_every_fifteen_seconds(self) -> None:
        stream = self.rich()
        before = stream.body
        self.clock.advance(HEARTBEAT_S)
        self.assertEqual(stream.body, before + b": hb\n\n")
        self.assertEqual(stream.events, [])

    def test_no_cache_and_no_proxy_may_hold_it(self) -> None:
        lines = self.rich().head.decode().split("\r\n")
        self.assertEqual(
            lines[2:],
            [
                "Content-Type: text/event-stream",
                "Cache-Control: no-store, no-transform",
                "X-Accel-Buffering: no",
                "Connection: close",
                "",
                "",
            ],
        )

    def test_an_id_goes_before_the_very_bytes_that_plain_readers_get(self) -> None:
        plain, rich = self.client.stream(self.workspace), self.rich()
        start = rich.body
        self.retitle("t")
        self.assertEqual(rich.body, start + f"id: {self.head}\n".encode() + plain.body)

    def test_promise_25_ids_are_short_safe_and_strictly_increasing_also_over_a_restart(self) -> None:
        stream = self.rich()
        self.harness.provider.add(*GROWTH)
        self.prompt()
        self.pass_time(3)
        self.start()
        again = self.after(stream.cursor)
        self.retitle("later")
        self.assert_increasing(stream)
        self.assert_increasing(again)
        for one in (*stream.ids, *again.ids):
            self.assertTrue(re.fullmatch(r"[A-Za-z0-9._-]{1,64}", one), one)
        seqs = [int(one.rpartition("-")[2]) for one in (stream.ids[-1], again.ids[-1])]
        self.assertLess(*seqs)

    def test_what_is_pending_comes_first_and_without_an_id(self) -> None:
        workspace = self.harness.workspaces.get(WorkspaceId(self.workspace))
        events = [_event(self, "waiting")]
        workspace.pending_events = lambda: events  # type: ignore[method-assign]
        stream = self.rich()
        self.assertEqual(self.titles(stream), ["waiting"])
        self.assertEqual(stream.ids, [self.head])
        self.assertEqual(self.titles(self.after(self.head)), [])

    def test_promise_36_a_gone_workspace_tells_rich_readers_to_stop_for_good(self) -> None:
        path = f"/v1/workspaces/nobody/events?client_id={OTHER}"
        self.assertEqual(self.client.get(path).status, 404)
        asked = self.client.ask("GET", path, Last_Event_ID="g-1")
        self.assertTrue(asked.raw.startswith(b"HTTP/1.1 204 "), asked.raw)
        self.assertNotIn(b"Content-Length", asked.raw)
        self.assertEqual(asked.raw.partition(b"\r\n\r\n")[2], b"")
        self.assertTrue(self.client.ask("GET", f"{path}&rich=1").raw.startswith(b"HTTP/1.1 204 "))


class Replays(ResumeCase):
    def test_promise_25_everything_after_the_cursor_and_then_what_comes(self) -> None:
        self.retitle("a")
        cursor = self.head
        self.retitle("b", "c")
        stream = self.after(cursor)
        self.assertEqual(self.titles(stream), ["b", "c"])
        self.assertEqual(stream.ids[0], cursor)
        self.assertEqual(stream.cursor, self.head)
        self.retitle("d")
        self.assertEqual(self.titles(stream), ["b", "c", "d"])
        self.assert_increasing(stream)

    def test_the_header_counts_before_the_query(self) -> None:
        first = self.head
        self.retitle("a")
        second = self.head
        self.retitle("b")
        self.assertEqual(self.titles(self.rich(f"last_event_id={first}")), ["a", "b"])
        self.assertEqual(self.titles(self.rich(f"last_event_id={first}", Last_Event_ID=second)), ["b"])

    def test_a_message_comes_in_its_last_state_and_the_end_after_it(self) -> None:
        cursor = self.head
        self.harness.provider.add(*GROWTH)
        self.prompt("R1")
        self.pass_time(3)
        stream = self.after(cursor)
        states = [event for event in stream.events if event.kind == "message"]
        self.assertLess(len(states), 6)
        self.assertEqual(_last_texts(stream), ["R1", TEXT])
        self.assertEqual(
            [(event.kind, event.finish_reason) for event in stream.events][-3:],
            [("message", "end_turn"), ("agent_event", ""), ("run_complete", "")],
        )

    def test_growing_text_that_no_row_of_the_log_tells_of_is_there_and_goes_on(self) -> None:
        cursor = self.head
        self.harness.provider.add(Say("one "), Pause(1), Say("two "), Pause(1), Say("three"), Wait())
        self.prompt()
        self.pass_time(1.5)
        stream = self.after(cursor)
        self.assertEqual(_last_texts(stream)[-1], "one two ")
        self.assertEqual(stream.cursor, self.head)
        again = self.after(stream.cursor)
        self.assertEqual(again.events, [])
        self.pass_time(1)
        for one in (stream, again):
            self.assertEqual(_last_texts(one)[-1], "one two three")
            self.assert_increasing(one)

    def test_growth_stands_in_its_place_among_the_numbers(self) -> None:
        cursor = self.head
        self.harness.provider.add(Say("one "), Wait())
        self.prompt()
        self.pass_time(0.5)
        before = self.head
        self.retitle("after")
        stream = self.after(cursor)
        kinds = [event.kind for event in stream.events]
        self.assertEqual(kinds[-2:], ["message", "session"])
        self.assert_increasing(stream)
        self.assertIn(before, stream.ids)
        self.assertEqual([event.kind for event in self.after(before).events], ["session"])

    def test_a_deleted_session_leaves_its_messages_out_and_says_so_itself(self) -> None:
        cursor = self.head
        self.harness.provider.add("hello")
        self.prompt()
        self.client.delete(f"/v1/workspaces/{self.workspace}/sessions/{self.session}")
        stream = self.after(cursor)
        self.assertEqual(stream.of("message"), [])
        self.assertEqual([event.change for event in stream.events if event.kind == "session"][-1], "deleted")

    def test_a_replay_longer_than_a_page_is_whole(self) -> None:
        cursor = self.head
        titles = [f"t{number}" for number in range(400)]
        self.retitle(*titles)
        stream = self.after(cursor)
        self.assertEqual(self.titles(stream), titles)
        self.retitle("live")
        self.assertEqual(self.titles(stream), [*titles, "live"])
        self.assert_increasing(stream)

    def test_promise_25_cut_anywhere_and_resumed_a_reader_has_each_event_once(self) -> None:
        got: list[str] = []
        cursor = self.head
        titles = [f"t{number}" for number in range(120)]
        for number, title in enumerate(titles):
            stream = self.after(cursor)
            self.retitle(title)
            if number % 3 == 0:
                stream.drop()  # what it had sent counts as lost with it
                continue
            got += self.titles(stream)
            cursor = stream.cursor
            stream.drop()
        got += self.titles(self.after(cursor))
        self.assertEqual(got, titles)

    def test_promise_32_a_slow_reader_is_read_for_at_its_own_pace(self) -> None:
        cursor = self.head
        self.retitle(*(f"{number}" + "x" * (QUEUE_BYTES // 10) for number in range(30)))
        self.store.hold()
        stream = self.after(cursor)
        stream.pause()
        self.store.release()
        self.assertEqual(len(self.titles(stream)), 1)  # one may be on its way
        (reader,) = self.readers()
        self.assertEqual(reader._queued_bytes, 0)
        stream.resume()
        self.assertEqual(len(self.titles(stream)), 30)

    def test_events_that_come_while_a_reader_catches_up_follow_in_order(self) -> None:
        cursor = self.head
        self.retitle("a", "b")
        self.store.hold()
        stream = self.after(cursor)
        self.store.release(1)
        path = f"/v1/workspaces/{self.workspace}/sessions/{self.session}"
        asked = self.client.ask("PUT", path, {"id": self.session, "title": "c"})
        self.store.release()
        self.assertEqual(asked.answer.status, 200)
        self.assertEqual(self.titles(stream), ["a", "b", "c"])
        self.assert_increasing(stream)

    def test_a_server_that_stops_while_a_reader_catches_up_leaves_its_cursor_before_the_gap(self) -> None:
        cursor = self.head
        self.retitle("a", "b")
        self.store.hold()
        stream = self.after(cursor)
        workspace = self.harness.workspaces.get(WorkspaceId(self.workspace))
        workspace.events.end()
        self.assertTrue(stream.closed)
        self.assertIn(stream.cursor, ("", cursor))

    def readers(self) -> list[Reader]:
        owners = {getattr(call.func, "__self__", None) for call in self.clock.getDelayedCalls()}
        return [owner for owner in owners if isinstance(owner, Reader)]


class Restarts(ResumeCase):
    def test_promise_25_a_cursor_of_the_last_server_is_good_for_the_next(self) -> None:
        stream = self.rich()
        self.retitle("a")
        cursor = stream.cursor
        self.retitle("b")
        self.start()
        again = self.after(cursor)
        self.assertEqual(self.titles(again), ["b"])
        self.retitle("c")
        self.assertEqual(self.titles(again), ["b", "c"])
        self.assertEqual(again.of("reset"), [])

    def test_a_cursor_of_two_servers_ago_is_good_too_and_an_idle_restart_resets_nobody(self) -> None:
        self.retitle("a")
        cursor = self.head
        self.start()
        between = self.head
        self.start()
        self.retitle("b")
        self.assertEqual(self.titles(self.after(cursor)), ["b"])
        self.assertEqual(self.titles(self.after(between)), ["b"])

    def test_promise_27_a_cursor_beyond_the_durable_log_is_reset_and_never_taken_for_another(self) -> None:
        self.harness.provider.add(Say("shown and lost"), Wait())
        stream = self.rich()
        self.prompt()
        self.clock.advance(0.01)
        shown = stream.cursor
        self.assertEqual(_last_texts(stream)[-1], "shown and lost")
        self.store.crash()
        self.start()
        self.retitle(*(f"t{number}" for number in range(20)))
        again = self.after(shown)
        self.assertEqual(again.of("reset"), [{"reason": "unknown"}])
        self.start()
        self.assertEqual(self.after(shown).of("reset"), [{"reason": "unknown"}])

    def test_an_interrupted_run_is_told_to_a_reader_that_comes_back(self) -> None:
        stream = self.rich()
        cursor = stream.cursor
        self.harness.provider.add(Say("partial"), Wait())
        self.prompt("R1")
        self.pass_time(1)
        self.store.crash()
        self.start()
        again = self.after(cursor)
        self.assertEqual([end["run_id"] for end in again.of("run_complete")], ["R1"])
        self.assertEqual(_last_texts(again)[-1], "partial")


class Resets(ResumeCase):
    def reset(self, cursor: str, reason: str) -> MemoryStream:
        stream = self.after(cursor)
        first = stream.events[0]
        self.assertEqual((first.kind, first.change, first.payload), ("reset", "created", {"reason": reason}))
        self.assertEqual(len(stream.of("reset")), 1)
        self.assertEqual(set(stream.ids), {self.head})
        return stream

    def test_promise_26_a_cursor_older_than_the_log_gets_one_reset_and_a_snapshot_equal_to_get(self) -> None:
        old = self.head
        self.retitle("a", "b")
        self.store.trim(int(self.head.rpartition("-")[2]) - 1)
        stream = self.reset(old, "too_old")
        sessions = self.client.get(f"/v1/workspaces/{self.workspace}/sessions").value
        self.assertEqual([event.change for event in stream.events[1:]], ["updated"])
        volatile = ("is_busy", "attached_clients")
        told, got = stream.of("session")[0], sessions[0]
        self.assertEqual(_without(told, volatile), _without(got, volatile))
        self.retitle("live")
        self.assertEqual(self.titles(stream)[-1], "live")

    def test_promise_27_foreign_future_and_senseless_cursors_get_the_same_reset(self) -> None:
        generation, _, seq = self.head.rpartition("-")
        self.reset(f"another-{seq}", "foreign")
        self.reset(f"{generation}-{int(seq) + 1}", "unknown")
        for senseless in (
            "x",
            "-",
            "1",
            f"{generation}-",
            f"{generation}-1e3",
            f"{generation}--1",
            "\xff" * 9,
            "9" * 9999,
        ):
            self.reset(senseless, "unknown")

    def test_promise_27_nothing_of_another_workspace_is_told(self) -> None:
        other = self.harness.join("/another")
        secret = self.harness.session(other, "secret")
        foreign = self.client.stream(other, OTHER, "rich=1").cursor
        stream = self.after(foreign)
        self.assertEqual(self.titles(stream), ["A Session"])
        self.assertNotIn(secret.encode(), stream.body)

    def test_a_reset_tells_the_messages_of_active_runs_and_then_goes_on(self) -> None:
        self.harness.provider.add("done before")
        self.prompt("R0")
        self.clock.advance(5)
        self.harness.provider.add(Say("going "), Pause(1), Say("on"), Wait())
        self.prompt("R1")
        self.pass_time(0.5)
        stream = self.after("x")
        self.assertEqual(_last_texts(stream), ["R1", "going "])
        self.assertEqual({event.change for event in stream.events[1:]}, {"updated"})
        self.pass_time(1)
        self.assertEqual(_last_texts(stream), ["R1", "going on"])

    def test_at_most_the_newest_two_hundred_sessions(self) -> None:
        self.client.stream(self.workspace)
        for number in range(205):
            self.clock.advance(1)
            self.harness.session(self.workspace, f"s{number}")
        titles = self.titles(self.after("x"))
        self.assertEqual(titles, [f"s{number}" for number in range(204, 4, -1)])

    def test_a_server_that_stops_within_a_snapshot_sends_nothing_from_after_it(self) -> None:
        self.harness.provider.add(Say("one "), Pause(1), Say("two"), Wait())
        self.prompt("R1")
        self.pass_time(0.5)
        self.store.hold()
        stream = self.after("x")
        here = self.head
        self.pass_time(1)
        self.assertNotEqual(self.head, here)
        self.harness.workspaces.get(WorkspaceId(self.workspace)).events.end()
        self.assertEqual((stream.closed, stream.cursor), (True, here))


class Deltas(ResumeCase):
    def test_growth_is_told_once_for_all_and_makes_up_the_text(self) -> None:
        first, second = self.rich("deltas=1"), self.client.stream(self.workspace, OTHER, "deltas=1")
        plain = self.client.stream(self.workspace)
        self.harness.provider.add(*GROWTH)
        self.prompt()
        self.pass_time(3)
        self.assertEqual(first.body, second.body)
        self.assertGreater(len(first.of("message_delta")), 40)
        self.assertEqual(set(first.of("message_delta")[0]), {"message_id", "session_id", "part", "text"})
        self.assertEqual(assembled(first), assembled(plain))
        self.assertEqual([event.change for event in first.events if event.kind == "message_delta"][:1], ["updated"])
        self.assert_increasing(first)

    def test_a_long_answer_costs_bytes_linear_in_its_length(self) -> None:
        sizes = []
        for words in (100, 400):
            stream = self.rich("deltas=1")
            self.harness.provider.add(*(act for _ in range(words) for act in (Say("word " * 8), Pause(0.05))))
            self.prompt(f"R{words}")
            self.pass_time(words * 0.05 + 1)
            sizes.append(len(stream.body))
            stream.drop()
        self.assertLess(sizes[1], 5 * sizes[0])

    def test_a_reader_that_comes_in_the_middle_gets_the_whole_state_first(self) -> None:
        cursor = self.head
        self.harness.provider.add(*GROWTH)
        self.prompt()
        self.pass_time(1)
        late = [self.rich("deltas=1"), self.after(cursor, "deltas=1"), self.after("x", "deltas=1")]
        plain = self.client.stream(self.workspace)
        self.pass_time(2)
        for stream in late:
            kinds = [event.kind for event in stream.events]
            self.assertLess(kinds.index("message"), kinds.index("message_delta"))
            self.assertEqual(assembled(stream)[-1], assembled(plain)[-1])

    def test_a_paused_reader_loses_no_text(self) -> None:
        for stop in (0.2, 1.0, 2.0):
            stream = self.rich("deltas=1")
            plain = self.client.stream(self.workspace)
            self.harness.provider.add(*GROWTH)
            self.prompt(f"R{stop}")
            self.pass_time(stop)
            stream.pause()
            self.pass_time(0.4)
            stream.resume()
            self.pass_time(3)
            self.assertEqual(assembled(stream), assembled(plain))
            self.assert_increasing(stream)
            stream.drop()

    def test_growth_that_waits_is_never_more_than_the_whole_state(self) -> None:
        stream, plain = self.rich("deltas=1"), self.client.stream(self.workspace)
        self.harness.provider.add(Say("x" * 500), *(act for _ in range(200) for act in (Say("y"), Pause(0.05))), Wait())
        self.prompt()
        self.pass_time(0.1)
        stream.pause()
        before, known = len(stream.body), len(stream.events)
        self.pass_time(9)
        stream.resume()
        self.assertLess(len(stream.body) - before, 3000)
        self.assertEqual(stream.events[known].kind, "message")
        self.assertEqual(assembled(stream), assembled(plain))

    def test_a_plain_reader_hears_of_no_delta(self) -> None:
        plain, rich = self.client.stream(self.workspace), self.rich()
        self.rich("deltas=1")
        self.harness.provider.add(*GROWTH)
        self.prompt()
        self.pass_time(3)
        self.assertEqual(plain.of("message_delta") + rich.of("message_delta"), [])


class Gone(ResumeCase):
    def test_promise_30_a_reader_that_takes_nothing_is_freed_within_a_minute(self) -> None:
        for query in ("rich=1", ""):
            stream = self.rich(query)
            stream.pause()
            self.retitle("stuck")
            for _ in range(44):
                self.clock.advance(1)
            self.assertFalse(stream.aborted)
            for _ in range(16):
                self.clock.advance(1)
            self.assertTrue(stream.aborted)

    def test_promise_30_a_reader_that_takes_a_little_now_and_then_stays(self) -> None:
        stream = self.rich()
        for _ in range(10):
            stream.pause()
            self.pass_time(40)
            stream.resume()
            self.pass_time(20)
        self.assertFalse(stream.closed or stream.aborted)

    def test_a_reader_that_goes_while_it_catches_up_leaves_nothing_behind(self) -> None:
        cursor = self.head
        self.retitle("a")
        self.store.hold()
        stream = self.after(cursor)
        stream.drop()
        self.store.release()
        workspace = self.harness.workspaces.get(WorkspaceId(self.workspace))
        self.assertEqual(workspace.events.subscribers, 0)


def assembled(stream: MemoryStream) -> list[list[tuple[str, str]]]:
    """The parts of each message as a client makes them up from states and deltas, in the order of appearance."""
    parts: dict[str, list[list[str]]] = {}
    for event in stream.events:
        if event.kind == "message":
            parts[event.payload["id"]] = [[part["type"], _words(part)] for part in event.payload["parts"]]
        elif event.kind == "message_delta":
            parts[event.payload["message_id"]][event.payload["part"]][1] += event.payload["text"]
    return [[(kind, text) for kind, text in message] for message in parts.values()]


def _words(part: dict[str, Any]) -> str:
    data = part["data"]
    return str(data.get("text") or data.get("thinking") or data.get("reason") or "")


def _last_texts(stream: MemoryStream) -> list[str]:
    """The text of the last state of each message, in the order in which they appeared."""
    last: dict[str, StreamEvent] = {event.payload["id"]: event for event in stream.events if event.kind == "message"}
    return [
        "".join(_words(part) for part in event.payload["parts"] if part["type"] == "text") for event in last.values()
    ]


def _without(row: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def _event(case: ResumeCase, title: str) -> Any:
    return session_event(Session(id=SessionId(case.session), title=title))
