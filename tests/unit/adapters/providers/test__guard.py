"""What stands before every connection: the head of an answer is bounded."""

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.providers._guard import Guard, _GuardFactory
from txcrush.adapters.providers._idle_watch import Limits

HEAD = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"


class Inner(Protocol):
    got = b""

    def dataReceived(self, data: bytes) -> None:
        self.got += data


class GuardTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.open: set[Guard] = set()
        inner = Factory.forProtocol(Inner)
        factory = _GuardFactory(inner, self.clock, Limits(head_bytes=100), self.open)
        guard = factory.buildProtocol(None)
        assert isinstance(guard, Guard)
        self.guard = guard
        self.transport = StringTransportWithDisconnection()
        self.transport.protocol = guard  # type: ignore[assignment]
        self.guard.makeConnection(self.transport)
        self.guard.write(b"POST / HTTP/1.1\r\n\r\n")

    def is_open_after(self, *pieces: bytes) -> bool:
        for piece in pieces:
            if self.transport.connected:
                self.guard.dataReceived(piece)
        return bool(self.transport.connected)

    def test_promise_22_a_head_up_to_the_limit_is_fine_and_its_body_has_none(self) -> None:
        self.assertTrue(self.is_open_after(HEAD, b"x" * 1000))

    def test_promise_22_a_head_beyond_the_limit_ends_the_connection(self) -> None:
        self.assertFalse(self.is_open_after(b"HTTP/1.1 200 OK\r\n", *[b"A: b\r\n"] * 20))

    def test_promise_22_the_empty_line_is_found_wherever_it_is_cut(self) -> None:
        for cut in range(len(HEAD)):
            self.setUp()
            self.assertTrue(self.is_open_after(HEAD[:cut], HEAD[cut:], b"x" * 1000), cut)

    def test_promise_22_interim_answers_count_and_do_not_end_the_head(self) -> None:
        self.assertTrue(self.is_open_after(INTERIM, INTERIM, HEAD, b"x" * 1000))
        self.setUp()
        self.assertFalse(self.is_open_after(*[INTERIM] * 10))
        self.setUp()
        self.assertFalse(self.is_open_after(INTERIM, b"HTTP/1.1 200 OK\r\n", b"A: b\r\n" * 20))

    def test_promise_22_each_request_begins_anew(self) -> None:
        for _ in range(10):
            self.assertTrue(self.is_open_after(HEAD, b"x" * 1000))
            self.guard.write(b"POST / HTTP/1.1\r\n\r\n")

    def test_promise_23_a_good_bye_that_nobody_answers_is_cut_short(self) -> None:
        self.transport.loseConnection = lambda: None  # type: ignore[method-assign]
        aborted: list[float] = []
        self.transport.abortConnection = lambda: aborted.append(self.clock.seconds())  # type: ignore[method-assign]
        self.guard.loseConnection()
        self.clock.pump([0.9, 0.1, 5])
        self.assertEqual(aborted, [1.0])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_connection_that_closes_in_time_leaves_no_timer(self) -> None:
        self.transport.loseConnection = lambda: None  # type: ignore[method-assign]
        self.guard.loseConnection()
        self.guard.connectionLost(Failure(ConnectionError()))
        self.assertEqual((self.open, self.clock.getDelayedCalls()), (set(), []))
