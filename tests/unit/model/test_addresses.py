from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.addresses import TcpAddress, UnixAddress, default_host, parse_host


class DefaultHostTests(SynchronousTestCase):
    def test_the_runtime_directory_comes_first(self) -> None:
        environ = {"XDG_RUNTIME_DIR": "/run/user/7", "TMPDIR": "/var/tmp"}
        self.assertEqual(default_host(environ, 7), "unix:///run/user/7/crush-7.sock")

    def test_an_empty_runtime_directory_counts_as_absent(self) -> None:
        self.assertEqual(default_host({"XDG_RUNTIME_DIR": "", "TMPDIR": "/t"}, 7), "unix:///t/crush-7.sock")

    def test_without_any_variable_it_is_the_system_s_temporary_directory(self) -> None:
        self.assertEqual(default_host({}, 0), "unix:///tmp/crush-0.sock")

    def test_a_path_of_more_than_104_bytes_falls_back(self) -> None:
        fits = "/" + "d" * (104 - len("/" + "/crush-7.sock"))
        self.assertEqual(default_host({"TMPDIR": fits}, 7), f"unix://{fits}/crush-7.sock")
        self.assertEqual(default_host({"TMPDIR": fits + "d"}, 7), "unix:///tmp/crush-7.sock")


class ParseHostTests(SynchronousTestCase):
    def test_each_form_is_read(self) -> None:
        cases = {
            "unix:///run/a b.sock": UnixAddress("/run/a b.sock"),
            "tcp://127.0.0.1:8080": TcpAddress("127.0.0.1", 8080),
            "tcp://127.0.0.1:0": TcpAddress("127.0.0.1", 0),
            "tcp://[::1]:8080": TcpAddress("::1", 8080),
            "tcp://localhost:80/ignored/path": TcpAddress("localhost", 80),
        }
        for text, address in cases.items():
            self.assertEqual(parse_host(text), address)

    def test_all_else_is_refused_with_what_to_write(self) -> None:
        for text in (
            "",
            "/run/x.sock",
            "unix://x.sock",
            "npipe:////./pipe/x",
            "tcp://host",
            "tcp://:80",
            "tcp://h:99999",
        ):
            error = self.assertRaises(ValueError, parse_host, text)
            self.assertIn(f"invalid host format: {text} (", str(error))
