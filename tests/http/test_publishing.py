"""Publishing, with readers that take nothing."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.events import Change, Event, EventKind
from txcrush.model.ids import SessionId
from txcrush.testing.http_harness import HttpHarness, MemoryStream

CLIENTS = [f"{number:08d}-1111-4111-8111-111111111111" for number in range(101)]


class Publishing(SynchronousTestCase):
    def setUp(self) -> None:
        self.harness = HttpHarness()
        self.workspace = self.harness.join()
        self.session = self.harness.session(self.workspace)
        self.stalled = [self.opened(client) for client in CLIENTS[1:]]
        for stream in self.stalled:
            stream.pause()

    def opened(self, client_id: str) -> MemoryStream:
        return self.harness.client.stream(self.workspace, client_id)

    def publish(self, count: int) -> None:
        """So many events, at once: the clock stands still, and nothing is answered meanwhile."""
        (workspace,) = self.harness.workspaces.list()
        session = workspace.sessions.get(SessionId(self.session))
        for _ in range(count):
            workspace.events.show(Event(EventKind.SESSION, Change.UPDATED, session, key=session.id))

    def test_promise_32_it_waits_for_no_reader(self) -> None:
        quick = self.opened(CLIENTS[0])
        before = [len(stream.raw) for stream in self.stalled]
        self.publish(50)
        self.assertEqual(len(quick.of("session")), 50)
        self.assertEqual([len(stream.raw) for stream in self.stalled], before)

    def test_promise_32_those_that_read_again_have_missed_nothing(self) -> None:
        self.publish(50)
        for stream in self.stalled:
            stream.resume()
        self.assertEqual({len(stream.of("session")) for stream in self.stalled}, {50})
