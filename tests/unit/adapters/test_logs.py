import io
import json

from twisted.logger import Logger, LogPublisher
from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.logs import Redactor, format_for, observer


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class LogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.stream = io.StringIO()
        self.redactor = Redactor()

    def log(self, format_name: str, level: str = "info", namespace: str = "txcrush.x") -> Logger:
        publisher = LogPublisher(observer(self.stream, format_name, level, self.redactor))
        return Logger(namespace=namespace, observer=publisher)

    def test_a_terminal_gets_text_and_all_else_json(self) -> None:
        self.assertEqual(format_for(Terminal()), "text")
        self.assertEqual(format_for(io.StringIO()), "json")

    def test_a_json_line_holds_time_level_logger_and_message(self) -> None:
        self.log("json").warn("disk at {percent} %", percent=99)
        record = json.loads(self.stream.getvalue())
        self.assertRegex(record.pop("time"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(record, {"level": "warn", "logger": "txcrush.x", "msg": "disk at 99 %"})

    def test_a_json_line_stays_one_line_whatever_is_in_it(self) -> None:
        self.log("json").info("{text}", text='two\nlines "quoted" \u2028')
        self.assertEqual(self.stream.getvalue().count("\n"), 1)
        self.assertEqual(json.loads(self.stream.getvalue())["msg"], 'two\nlines "quoted" \u2028')

    def test_a_text_line_has_time_level_and_logger_before_the_message(self) -> None:
        self.log("text").info("hello")
        self.assertRegex(self.stream.getvalue(), r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d info  txcrush\.x: hello\n$")

    def test_control_characters_cannot_steer_the_terminal(self) -> None:
        self.log("text").info("{name}", name="a\nb\x1b[2J")
        self.assertTrue(self.stream.getvalue().endswith("a\\nb\\x1b[2J\n"))

    def test_a_failure_is_told_with_its_traceback_in_both_forms(self) -> None:
        for format_name in ("text", "json"):
            try:
                raise ZeroDivisionError("oops")
            except ZeroDivisionError:
                self.log(format_name).failure("it broke")
        text, record = self.stream.getvalue().rsplit("\n", 2)[:2]
        self.assertIn("ZeroDivisionError: oops", text)
        self.assertIn("ZeroDivisionError: oops", json.loads(record)["failure"])

    def test_secrets_show_neither_in_messages_nor_in_tracebacks(self) -> None:
        self.redactor.add("sk-12345")
        self.redactor.add('sk-12345"longer')
        for format_name in ("text", "json"):
            self.log(format_name).info("key {key}", key='sk-12345"longer')
            try:
                raise ValueError("bad key sk-12345")
            except ValueError:
                self.log(format_name).failure("it broke")
        self.assertNotIn("12345", self.stream.getvalue())
        self.assertNotIn("longer", self.stream.getvalue())
        self.assertIn("key [redacted]", self.stream.getvalue())

    def test_very_short_secrets_are_not_searched_for(self) -> None:
        self.redactor.add("")
        self.redactor.add("abc")
        self.assertEqual(self.redactor.redact("abcdef"), "abcdef")

    def test_remarks_of_twisted_itself_show_at_level_debug_only(self) -> None:
        self.log("json", "info", "twisted.python.log").info("GET / HTTP/1.1 200")
        self.assertEqual(self.stream.getvalue(), "")
        self.log("json", "info", "twisted.web").warn("odd")
        self.log("json", "debug", "twisted.web").info("GET /")
        self.assertEqual([json.loads(line)["msg"] for line in self.stream.getvalue().splitlines()], ["odd", "GET /"])

    def test_events_below_the_level_are_left_out(self) -> None:
        self.log("json", "warn").info("no")
        self.log("json", "warn").error("yes")
        self.assertEqual([json.loads(line)["msg"] for line in self.stream.getvalue().splitlines()], ["yes"])
