"""Log lines as a model reads them (`tools.md` 28.2)."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcrush.wire.json import encode
from txcrush.wire.log_lines import MAX_SHOWN, REDACTED, shown_line

WHOLE = {
    "time": "2027-01-02T03:04:05.678901234+02:00",
    "level": "INFO",
    "source": {"function": "main.run", "file": "/src/app/main.go", "line": 42},
    "msg": "Ready",
}


def shown(**changes: Any) -> str:
    """The line of a whole entry with these fields changed; None takes one away."""
    entry = {key: value for key, value in (WHOLE | changes).items() if value is not None}
    line = shown_line(encode(entry))
    assert line is not None
    return line


def fields(**changes: Any) -> str:
    """What follows the message."""
    return shown(**changes).removeprefix("03:04:05 INFO main.go:42 Ready").strip()


class Heads(SynchronousTestCase):
    def test_t_log_03_a_whole_line(self) -> None:
        self.assertEqual(shown(), "03:04:05 INFO main.go:42 Ready")

    def test_t_log_03_only_the_time_of_day_as_it_is_written(self) -> None:
        for written, read in (
            ("2027-01-02T23:59:59Z", "23:59:59"),
            ("2027-01-02T23:59:59.5-07:00", "23:59:59"),
            ("2027-13-02T23:59:59Z", "--:--:--"),
            ("2027-01-02", "--:--:--"),
            ("yesterday", "--:--:--"),
            (1_700_000_000, "--:--:--"),
            (None, "--:--:--"),
        ):
            self.assertEqual(shown(time=written).split()[0], read)

    def test_t_log_03_levels(self) -> None:
        for written, read in (
            ("debug", "DEBUG"),
            ("Info", "INFO"),
            ("WARN", "WARN"),
            ("warning", "WARN"),
            ("ERROR", "ERROR"),
            ("fatal", "INFO"),
            (None, "INFO"),
            (8, "INFO"),
        ):
            self.assertEqual(shown(level=written).split()[1], read)

    def test_t_log_03_forms_of_a_source(self) -> None:
        for written, read in (
            ({"file": "/a/b/c.go", "line": 7}, "c.go:7"),
            ({"file": "C:\\a\\c.go", "line": 7.0}, "c.go:7"),
            ({"file": "c.go"}, "c.go:0"),
            ({"line": 7}, "unknown:0"),
            ({}, "unknown:0"),
            ("/a/b/c.py:12", "c.py:12"),
            ("c.py", "c.py:0"),
            ("", "unknown:0"),
            (3, "unknown:0"),
            (None, "unknown:0"),
        ):
            self.assertEqual(shown(source=written).split()[2], read)

    def test_a_message_stays_on_one_line_and_steers_no_terminal(self) -> None:
        self.assertTrue(shown(msg="a\nb\x1b[31m").endswith(" a\\nb\\x1b[31m"))

    def test_a_line_without_a_message(self) -> None:
        self.assertEqual(shown(msg=None, a=1), "03:04:05 INFO main.go:42 a=1")


class Fields(SynchronousTestCase):
    def test_t_log_02_other_keys_are_sorted(self) -> None:
        self.assertEqual(fields(zoo=1, ant=2, mid=3), "ant=2 mid=3 zoo=1")

    def test_t_log_02_strings_are_quoted_where_they_must_be(self) -> None:
        for value, read in (
            ("plain", "plain"),
            ("a-b/c:d", "a-b/c:d"),
            ("", '""'),
            ("two words", '"two words"'),
            ("a=b", '"a=b"'),
            ('say "hi"', '"say \\"hi\\""'),
            ("back\\slash", '"back\\\\slash"'),
            ("a\r\n\tb", '"a\\r\\n\\tb"'),
        ):
            self.assertEqual(fields(key=value), f"key={read}")

    def test_t_log_02_types(self) -> None:
        for value, read in (
            (3, "3"),
            (-1.5, "-1.5"),
            (3.0, "3"),
            (True, "true"),
            (False, "false"),
            ([1, "a"], '"[1,\\"a\\"]"'),
            ({"b": 1, "a": [True]}, '"{\\"a\\":[true],\\"b\\":1}"'),
        ):
            self.assertEqual(fields(key=value), f"key={read}")
        self.assertEqual(shown_line(b'{"key":null}'), "--:--:-- INFO unknown:0 key=null")

    def test_t_log_02_reserved_names_in_any_case_are_no_fields(self) -> None:
        self.assertEqual(fields(TIME="x", Level="x", sOurce="x", MSG="x", msgs="y"), "msgs=y")

    def test_t_log_02_what_sounds_like_a_secret_is_left_out(self) -> None:
        for key in (
            "Authorization",
            "x-api-key",
            "API_KEY",
            "apikey",
            "my_token_value",
            "clientSecret",
            "Password",
            "credentials",
        ):
            self.assertEqual(fields(**{key: "canary"}), f"{key}={REDACTED}")
            self.assertEqual(fields(**{key: {"a": "canary"}}), f"{key}={REDACTED}")

    def test_a_secret_inside_of_an_object_is_left_out_too(self) -> None:
        line = fields(request={"headers": [{"Authorization": "canary"}]})
        self.assertEqual(line, 'request="{\\"headers\\":[{\\"Authorization\\":\\"[REDACTED]\\"}]}"')

    def test_promise_70_a_long_line_is_cut(self) -> None:
        line = shown(key="x" * 100_000)
        self.assertLess(len(line), MAX_SHOWN + 50)
        self.assertIn("more characters", line)


class Unreadable(SynchronousTestCase):
    def test_t_log_01_malformed_lines_are_nothing(self) -> None:
        for raw in (b"", b"plain", b"[1]", b'"text"', b'{"a":', b'{"a":"\xff"}', b'{"a":NaN}', b"[" * 100_000):
            self.assertIsNone(shown_line(raw))
