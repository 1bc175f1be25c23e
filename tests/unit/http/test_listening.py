"""Where the server listens, decided on plain values."""

import os
import stat
import tempfile
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcrush.http import listening
from txcrush.http.listening import TcpPlace, UnixPlace, plan
from txcrush.http.tlsfiles import TlsPair
from txcrush.http.tokenfile import ensure_token
from txcrush.http.unixsocket import prepare_directory, remove_stale
from txcrush.model.errors import ListenFailed
from txcrush.model.settings import ServerSettings


class Plans(SynchronousTestCase):
    def plan(self, **settings: Any) -> tuple[UnixPlace | TcpPlace, ...]:
        return plan(ServerSettings(**settings), {"XDG_RUNTIME_DIR": "/run/user/7"}, 7)

    def refusal(self, **settings: Any) -> str:
        return str(self.assertRaises(ListenFailed, self.plan, **settings))

    def test_the_users_socket_is_the_default(self) -> None:
        self.assertEqual(self.plan(), (UnixPlace("/run/user/7/crush-7.sock"),))

    def test_with_listen_only_what_was_named_is_opened(self) -> None:
        self.assertEqual(self.plan(listen=("unix:/a/b",)), (UnixPlace("/a/b"),))
        self.assertEqual(self.plan(host="unix:///c", listen=("unix:/a/b",)), (UnixPlace("/c"), UnixPlace("/a/b")))

    def test_host_urls(self) -> None:
        place = TcpPlace("tcp:8080:interface=127.0.0.1:backlog=1024", "127.0.0.1", port=8080)
        self.assertEqual(self.plan(host="tcp://localhost:8080/ignored"), (place,))
        self.assertEqual(self.plan(host="tcp://[::1]:0"), (TcpPlace(r"tcp:0:interface=\:\:1:backlog=1024", "::1"),))
        self.assertIn("invalid host format: nonsense", self.refusal(host="nonsense"))
        self.assertIn("named pipes", self.refusal(host="npipe:////./pipe/crush-7.sock"))

    def test_promise_52_an_address_that_others_reach_needs_tls_or_plaintext(self) -> None:
        for listen in ("tcp:8080", "tcp:8080:0.0.0.0", "tcp:8080:interface=192.0.2.1", "tcp6:8080", "tcp:1:interface="):
            self.assertIn("--plaintext", self.refusal(listen=(listen,)), listen)
            self.assertEqual(len(self.plan(listen=(listen,), plaintext=True)), 1)
        self.assertIn("--plaintext", self.refusal(host="tcp://0.0.0.0:1"))
        self.assertIn("--plaintext", self.refusal(host="tcp://myhost:1"))
        for listen in ("ssl:8443:privateKey=k.pem", "tls:/certs", "tls:/certs:8443"):
            self.assertEqual(len(self.plan(listen=(listen,))), 1)
        for listen in ("tcp:1:127.0.0.1", "tcp:1:interface=127.0.0.9", r"tcp6:1:interface=\:\:1", "tcp:1:localhost"):
            self.assertEqual(len(self.plan(listen=(listen,))), 1, listen)

    def test_promise_52_without_a_token_only_loopback_is_opened(self) -> None:
        for listen in ("tcp:8080", "ssl:8443:privateKey=k.pem", "tls:/certs"):
            self.assertIn("--no-token", self.refusal(listen=(listen,), no_token=True, plaintext=True))
        self.assertEqual(len(self.plan(listen=("tcp:1:interface=127.0.0.1",), no_token=True)), 1)

    def test_the_page_is_on_loopback_whatever_else_is_opened(self) -> None:
        *_, place = self.plan(web=9000)
        self.assertEqual((place.interface, place.port, place.secure, place.is_page), ("127.0.0.1", 9000, False, True))
        self.assertEqual(len(self.plan(web=0)), 2)
        self.assertEqual(len(self.plan(web=0, no_token=True)), 2)
        *_, place = self.plan(web=0, listen=("tcp:1",), tls_cert="c")
        self.assertFalse(place.secure)

    def test_promise_60_the_tls_files_secure_every_tcp_port_that_has_none_of_its_own(self) -> None:
        pair, own = TlsPair("c", "k"), TlsPair("k.pem", "k.pem")
        places = self.plan(
            host="unix:///s", listen=("tcp:1:0.0.0.0", "tcp6:2", "ssl:3:privateKey=k.pem"), tls_cert="c", tls_key="k"
        )
        found = [place.tls for place in places if isinstance(place, TcpPlace)]
        self.assertEqual(found, [pair, pair, own])
        self.assertEqual([place.interface for place in places[1:]], ["0.0.0.0", "::", ""])
        self.assertEqual(self.plan(host="tcp://0.0.0.0:1", tls_cert="c")[0].tls, TlsPair("c", "c"))

    def test_promise_60_what_would_weaken_tls_or_leave_it_unused_is_refused(self) -> None:
        for listen in ("ssl:1:k:c:TLSv1_METHOD", "ssl:1:privateKey=k:sslmethod=SSLv23_METHOD", "ssl:1:dhParameters=d"):
            self.assertIn("TLS 1.2 and later", self.refusal(listen=(listen,)))
        self.assertIn("--tls-cert is for TCP", self.refusal(tls_cert="c"))
        self.assertIn("needs --tls-cert", self.refusal(tls_key="k", listen=("tcp:1",)))
        self.assertIn("a port is a number", self.refusal(listen=("ssl:https:privateKey=k",)))

    def test_endpoints_that_cannot_be_judged_are_refused(self) -> None:
        for listen in ("systemd:domain=INET:index=0", "8080", "", "haproxy:tcp:1", "unix:/a:mode=666", "unix:"):
            self.refusal(listen=(listen,))

    def test_a_backlog_that_was_named_stays(self) -> None:
        (place,) = self.plan(listen=("tcp:1:127.0.0.1:7",))
        self.assertEqual(place, TcpPlace("tcp:1:127.0.0.1:7", "127.0.0.1", port=1, backlog=7))

    def test_names_of_host_allow_are_compared_in_normal_form(self) -> None:
        settings = ServerSettings(host_allow=("Crush.Example.", "[2001:DB8::1]"))
        self.assertEqual(listening.trusted_names(settings), frozenset({"crush.example", "2001:db8::1"}))
        self.assertRaises(ListenFailed, listening.trusted_names, ServerSettings(host_allow=("http://x",)))

    def test_the_token_lies_in_the_state_directory(self) -> None:
        path = listening.token_path
        self.assertEqual(path(ServerSettings(token_file="/t"), {}), "/t")
        self.assertEqual(path(ServerSettings(state_dir="/s"), {}), "/s/token")
        self.assertEqual(path(ServerSettings(), {"XDG_DATA_HOME": "/d"}), "/d/txcrush/token")
        self.assertEqual(path(ServerSettings(), {"HOME": "/h"}), "/h/.local/share/txcrush/token")


class Files(SynchronousTestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.addCleanup(os.umask, os.umask(0))

    def path(self, *names: str) -> str:
        return os.path.join(self.directory, *names)

    def test_promise_52_a_token_has_256_bits_and_a_private_file(self) -> None:
        asked: list[int] = []

        def random(count: int) -> bytes:
            asked.append(count)
            return bytes(range(count))

        token = ensure_token(self.path("state", "token"), random)
        self.assertEqual((asked, len(token)), ([32], 43))
        self.assertEqual(stat.S_IMODE(os.stat(self.path("state", "token")).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(self.path("state")).st_mode), 0o700)
        self.assertEqual(os.listdir(self.path("state")), ["token"])
        self.assertEqual(ensure_token(self.path("state", "token"), random), token)
        self.assertEqual(asked, [32])

    def test_promise_52_a_token_that_another_server_wrote_meanwhile_wins(self) -> None:
        def random(count: int) -> bytes:
            ensure_token(self.path("token"), lambda count: b"a" * count)
            return b"b" * count

        self.assertEqual(ensure_token(self.path("token"), random), ensure_token(self.path("token"), random))
        self.assertEqual(os.listdir(self.directory), ["token"])

    def test_promise_52_a_token_file_that_others_can_read_is_refused(self) -> None:
        ensure_token(self.path("token"), os.urandom)
        for mode in (0o644, 0o640, 0o604, 0o620):
            os.chmod(self.path("token"), mode)
            error = self.assertRaises(ListenFailed, ensure_token, self.path("token"), os.urandom)
            self.assertIn("chmod 600", str(error))

    def test_promise_52_a_file_without_a_token_is_refused(self) -> None:
        for content in ("", "short", "with blanks " * 10, "x" * 2000):
            with open(os.open(self.path("token"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(content)
            self.assertRaises(ListenFailed, ensure_token, self.path("token"), os.urandom)

    def test_promise_52_a_pipe_is_no_token_file(self) -> None:
        os.mkfifo(self.path("token"), 0o600)
        self.assertIn("not a file", str(self.assertRaises(ListenFailed, ensure_token, self.path("token"), os.urandom)))

    def test_promise_50_a_directory_that_the_server_creates_is_private(self) -> None:
        prepare_directory(self.path("a", "b"))
        self.assertEqual(stat.S_IMODE(os.stat(self.path("a", "b")).st_mode), 0o700)

    def test_promise_50_an_existing_directory_is_never_changed(self) -> None:
        for mode in (0o755, 0o500, 0o1777, 0o700):
            os.chmod(self.directory, mode)
            prepare_directory(self.directory)
            self.assertEqual(stat.S_IMODE(os.stat(self.directory).st_mode), mode)
        os.chmod(self.directory, 0o700)

    def test_promise_50_a_directory_that_others_can_write_is_refused_unless_sticky(self) -> None:
        for mode in (0o777, 0o702, 0o770):
            os.chmod(self.directory, mode)
            error = self.assertRaises(ListenFailed, prepare_directory, self.directory)
            self.assertIn("others can write", str(error))
        os.chmod(self.directory, 0o700)

    def test_promise_51_what_is_not_a_socket_is_left_alone(self) -> None:
        with open(self.path("file"), "w") as file:
            file.write("precious")
        os.symlink("file", self.path("link"))
        os.mkdir(self.path("directory"))
        for name in ("file", "link", "directory"):
            error = self.assertRaises(ListenFailed, remove_stale, self.path(name))
            self.assertIn("is not a socket", str(error))
        self.assertEqual(sorted(os.listdir(self.directory)), ["directory", "file", "link"])
