"""Where a server is looked for, and who may be trusted with a prompt and a token."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from txcrush.cli._client import Refused, Unreachable
from txcrush.cli._finding import NoServer, Place, Starter, is_healthy
from txcrush.cli._peer import Peer
from txcrush.model.addresses import TcpAddress, UnixAddress

HOME = {"HOME": "/home/me", "XDG_RUNTIME_DIR": "/run/me"}
TCP = "tcp://127.0.0.1:8080"


def token_of(place: Place) -> str:
    return place._token()


class Silent:
    """A client whose server says what it is told to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    async def ask(self, *_: object, **__: object) -> None:
        if self.error is not None:
            raise self.error


class Places(SynchronousTestCase):
    def test_a_flag_wins_over_the_variable_and_that_over_the_default(self) -> None:
        set_to = HOME | {"TXCRUSH_HOST": "unix:///v"}
        self.assertEqual(Place(set_to, "unix:///f").address, UnixAddress("/f"))
        self.assertEqual(Place(set_to).address, UnixAddress("/v"))
        self.assertEqual(Place(HOME).address, UnixAddress(f"/run/me/crush-{os.getuid()}.sock"))
        self.assertEqual(Place(HOME, TCP).address, TcpAddress("127.0.0.1", 8080))

    def test_a_server_of_another_user_is_never_talked_to(self) -> None:
        own = Peer(1, os.getuid())
        foreign = Peer(1, os.getuid() + 1)
        self.assertEqual(Place(HOME, peer_of=lambda _: own).peer(), own)
        self.assertIsNone(Place(HOME, peer_of=lambda _: None).peer())
        error = self.assertRaises(NoServer, Place(HOME, peer_of=lambda _: foreign).peer)
        self.assertIn("another user", str(error))

    def test_a_socket_that_we_may_not_open_is_told(self) -> None:
        def refuse(_: str) -> Peer | None:
            raise PermissionError(13, "Permission denied")

        self.assertIn("Permission denied", str(self.assertRaises(NoServer, Place(HOME, peer_of=refuse).peer)))

    def test_nothing_is_started_for_a_tcp_address(self) -> None:
        said: list[str] = []
        starter = Starter(None, Place(HOME, TCP), HOME, said.append)
        starter._place.client = lambda _: Silent(Unreachable("refused"))  # type: ignore[assignment,method-assign,return-value]
        error = self.failureResultOf(Deferred.fromCoroutine(starter.find()), NoServer)
        self.assertIn("txcrush serve --host", error.getErrorMessage())

    def test_a_refusal_is_told_with_where_the_token_goes(self) -> None:
        asked: Any = Deferred.fromCoroutine(is_healthy(Silent(Refused(401, "unauthorized"))))  # type: ignore[arg-type]
        self.assertIn("--token-file", self.failureResultOf(asked, NoServer).getErrorMessage())


class Tokens(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "token").write_text("own\n")
        (self.folder / "named").write_text("named\n")
        self.environ = HOME | {"TXCRUSH_STATE_DIR": folder.name}

    def test_the_flag_then_the_variables_then_the_servers_own_file(self) -> None:
        named = str(self.folder / "named")
        both = {"TXCRUSH_TOKEN": "given", "TXCRUSH_TOKEN_FILE": named}
        self.assertEqual(token_of(Place(self.environ | both, TCP, named)), "named")
        self.assertEqual(token_of(Place(self.environ | both, TCP)), "given")
        self.assertEqual(token_of(Place(self.environ | {"TXCRUSH_TOKEN_FILE": named}, TCP)), "named")
        self.assertEqual(token_of(Place(self.environ, TCP)), "own")

    def test_our_own_servers_token_is_shown_to_no_other_machine_and_to_no_socket(self) -> None:
        self.assertEqual(token_of(Place(self.environ, "tcp://example.com:8080")), "")
        self.assertEqual(token_of(Place(self.environ)), "")

    def test_a_named_file_that_cannot_be_read_is_told(self) -> None:
        error = self.assertRaises(NoServer, token_of, Place(self.environ, TCP, "/nowhere"))
        self.assertIn("/nowhere", str(error))
