"""Who is calling."""

import os
import socket
from types import SimpleNamespace
from typing import Any

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from txcrush.http.callers import Callers, Peer
from txcrush.http.routing import Call
from txcrush.model.desk import Answerer, Settler
from txcrush.model.errors import BadRequest
from txcrush.model.ids import ClientId, WorkspaceId

ALICE = ClientId("aaaaaaaa-1111-4111-8111-111111111111")
SOCKET = UNIXAddress("/run/crush.sock")
BOB = ClientId("bbbbbbbb-1111-4111-8111-111111111111")


class CallerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.callers = Callers()
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        self.handle = ours

    def call(self, *, client: str = "", workspace: str = "w", address: Any = SOCKET) -> Call:
        """A call from this very process."""
        transport = SimpleNamespace(getHandle=lambda: self.handle)
        request = SimpleNamespace(
            args={b"client_id": [client.encode()]} if client else {},
            getHost=lambda: address,
            channel=SimpleNamespace(transport=transport),
            requestHeaders=Headers({"User-Agent": ["a client"]}),
        )
        return Call(request, {"workspace_id": workspace}, None)  # type: ignore[arg-type]

    def who(self, **call: Any) -> Answerer:
        return self.callers.answerer(self.call(**call))

    def test_a_client_may_say_who_it_is(self) -> None:
        self.assertEqual(self.who(client=ALICE), Answerer(Settler.CLIENT, ALICE, "unix"))
        tcp = self.who(client=ALICE, address=IPv4Address("TCP", "127.0.0.1", 80))
        self.assertEqual((tcp.client_id, tcp.via), (ALICE, "tcp"))
        with self.assertRaises(BadRequest):
            self.who(client="me")

    def test_over_the_unix_socket_a_process_is_known_by_its_stream(self) -> None:
        with self.callers.streaming(self.call(), ALICE):
            self.assertEqual(self.who().client_id, ALICE)
            self.assertEqual(self.who(client=BOB).client_id, BOB)
            self.assertEqual(self.who(workspace="another").client_id, "")
            self.assertEqual(self.who(address=IPv4Address("TCP", "127.0.0.1", 80)).client_id, "")
            with self.callers.streaming(self.call(), ALICE):
                self.assertEqual(self.who().client_id, ALICE)
        self.assertEqual(self.who().client_id, "")

    def test_a_process_with_streams_of_two_clients_is_nobody(self) -> None:
        with self.callers.streaming(self.call(), ALICE), self.callers.streaming(self.call(), BOB):
            self.assertEqual(self.who().client_id, "")

    def test_the_other_end_of_a_stream_is_known_while_it_lasts(self) -> None:
        workspace = WorkspaceId("w")
        with self.callers.streaming(self.call(), ALICE):
            self.assertEqual(self.callers.peer(workspace, ALICE), Peer("a client", "unix", os.getpid()))
            with self.callers.streaming(self.call(address=IPv4Address("TCP", "127.0.0.1", 80)), ALICE):
                self.assertEqual(self.callers.peer(workspace, ALICE), Peer("a client", "tcp", 0))
            self.assertIsNone(self.callers.peer(workspace, BOB))
            self.assertIsNone(self.callers.peer(WorkspaceId("another"), ALICE))
        self.assertIsNone(self.callers.peer(workspace, ALICE))
