"""An event stream as it comes to a client."""

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcrush.cli._stream import SILENCE_S, EventStream

EVENT = b'data: {"type":"message","payload":{"type":"updated","payload":{"id":"m"}}}\n\n'


class Transport:
    """A transport that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return lambda: self.told.append(name)


class Streams(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.stream = EventStream(self.clock)
        self.stream.transport = Transport()

    def test_events_come_in_order_and_then_the_end(self) -> None:
        early = self.stream.next()
        self.stream.dataReceived(EVENT[:20])
        self.assertNoResult(early)
        self.stream.dataReceived(EVENT[20:] + EVENT)
        self.stream.connectionLost()
        kinds = [self.successResultOf(asked) for asked in (early, self.stream.next(), self.stream.next())]
        self.assertEqual([event.kind if event else None for event in kinds], ["message", "message", None])

    def test_promise_89_an_envelope_may_hold_more_than_we_know(self) -> None:
        self.stream.dataReceived(
            b'data: {"v":2,"type":"message","payload":{"by":"x","type":"renamed","payload":{}}}\n\n'
        )
        event = self.successResultOf(self.stream.next())
        assert event is not None
        self.assertEqual((event.kind, event.change), ("message", "renamed"))

    def test_promise_25_the_cursor_is_that_of_what_has_come_whole(self) -> None:
        self.stream.dataReceived(b"retry: 5\nid: g-1\n\n")
        self.assertEqual(self.stream.cursor, "g-1")
        self.stream.dataReceived(b"id: g-2\n" + EVENT + b": hb\n\nid: g-3\n" + EVENT[:-1])
        self.assertEqual(self.stream.cursor, "g-2")
        self.stream.connectionLost()
        self.assertEqual(self.stream.cursor, "g-2")

    def test_promise_25_the_cursor_stays_before_what_is_no_event(self) -> None:
        self.stream.dataReceived(b"id: g-1\n" + EVENT + b"id: g-2\ndata: hello\n\nid: g-3\n" + EVENT)
        self.assertEqual(self.stream.cursor, "g-1")

    def test_one_that_is_silent_for_long_has_ended(self) -> None:
        asked = self.stream.next()
        self.clock.advance(SILENCE_S - 1)
        self.stream.dataReceived(b"\n")
        self.clock.advance(SILENCE_S - 1)
        self.assertNoResult(asked)
        self.clock.advance(1)
        self.assertIsNone(self.successResultOf(asked))
        self.assertEqual(self.stream.transport.told, ["stopProducing"])

    def test_one_that_is_no_stream_of_events_has_ended(self) -> None:
        for bad in (b"data: hello\n\n", b'data: {"type":1}\n\n', b'data: {"type":"x","payload":[]}\n\n'):
            self.setUp()
            asked = self.stream.next()
            self.stream.dataReceived(bad)
            self.assertIsNone(self.successResultOf(asked))

    def test_one_that_nobody_reads_is_paused_until_somebody_does(self) -> None:
        for _ in range(EventStream.MUCH + 1):
            self.stream.dataReceived(EVENT)
        for _ in range(EventStream.MUCH + 1):
            self.successResultOf(self.stream.next())
        self.assertEqual(self.stream.transport.told, ["pauseProducing", "resumeProducing"])

    def test_a_closed_one_leaves_no_timer(self) -> None:
        self.stream.close()
        self.stream.connectionLost()
        self.assertEqual(self.clock.getDelayedCalls(), [])
