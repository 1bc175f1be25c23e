import io
import subprocess
import sys
from typing import Any

from twisted.logger import LogLevel
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.budgets import Budget
from txcrush.tap import Options

HOME = {"HOME": "/home/me"}


def parsed(*arguments: str, **environ: str) -> Options:
    options = Options(HOME | environ)
    options.parseOptions(arguments)
    return options


class FakeTwist(dict[str, Any]):
    """The options of `twist`, as far as a plugin touches them."""

    def __init__(self, **given: Any) -> None:
        super().__init__(logLevel=LogLevel.info, logFile=sys.stdout, logFormat="json", **given)

    def opt_reactor(self, name: str) -> None:
        self["reactor"] = name


class SettingsTests(SynchronousTestCase):
    def test_without_flags_the_defaults_of_the_contract_apply(self) -> None:
        settings = parsed(XDG_RUNTIME_DIR="/run/me").settings()
        self.assertRegex(settings.host, r"^unix:///run/me/crush-\d+\.sock$")
        self.assertEqual(settings.state_dir, "/home/me/.local/share/txcrush")
        self.assertEqual((settings.listen, settings.host_allow, settings.token_file), ((), (), ""))
        self.assertEqual((settings.idle_exit_s, settings.detach_grace_s), (None, 10.0))
        self.assertFalse(settings.no_token or settings.plaintext or settings.trust_projects)
        self.assertFalse(settings.allow_private_fetch or settings.replaceable)

    def test_what_nobody_answers_waits_unless_a_flag_or_a_variable_says_otherwise(self) -> None:
        self.assertEqual(str(parsed().settings().unanswered), "ask")
        self.assertEqual(str(parsed("--unanswered", "deny:30").settings().unanswered), "deny:30")
        self.assertEqual(str(parsed(TXCRUSH_UNANSWERED="allow").settings().unanswered), "allow")
        with self.assertRaisesRegex(UsageError, "--unanswered wants ask, deny:SECONDS"):
            parsed("--unanswered=deny")

    def test_how_much_of_the_event_log_is_kept_and_for_how_long(self) -> None:
        usual = parsed().settings()
        self.assertEqual((usual.event_log_bytes, usual.event_log_age_s), (64 << 20, 7 * 86_400))
        asked = parsed("--event-log-size", "1G", TXCRUSH_EVENT_LOG_AGE="12h").settings()
        self.assertEqual((asked.event_log_bytes, asked.event_log_age_s), (1 << 30, 43_200))
        for wrong in ("--event-log-size=much", "--event-log-age=1y"):
            with self.assertRaisesRegex(UsageError, "--event-log-.* wants a .* such as"):
                parsed(wrong)

    def test_promise_17_a_budget_limits_every_run(self) -> None:
        self.assertTrue(parsed().settings().budget.is_empty)
        budget = parsed(
            "--max-cost=0.5", "--max-tokens=1000", TXCRUSH_MAX_STEPS="7", TXCRUSH_MAX_SECONDS="60"
        ).settings()
        self.assertEqual(budget.budget, Budget(cost=0.5, tokens=1000, steps=7, seconds=60.0))

    def test_promise_18_the_idle_limit_is_an_option(self) -> None:
        self.assertEqual(parsed().settings().provider_idle_s, 300.0)
        self.assertEqual(parsed("--provider-idle=45").settings().provider_idle_s, 45.0)

    def test_the_state_directory_follows_xdg_data_home(self) -> None:
        self.assertEqual(parsed(XDG_DATA_HOME="/data").settings().state_dir, "/data/txcrush")

    def test_each_flag_reaches_its_setting(self) -> None:
        settings = parsed(
            "--listen", "tcp:8080:interface=127.0.0.1", "--listen=unix:/run/x.sock", "-H", "tcp://127.0.0.1:80",
            "--state-dir=/s", "--token-file=/t", "--no-token", "--plaintext", "--host-allow=a", "--host-allow=b",
            "--trust-projects", "--allow-private-fetch", "--replaceable", "--idle-exit=1.5",
        ).settings()  # fmt: skip
        self.assertEqual(settings.listen, ("tcp:8080:interface=127.0.0.1", "unix:/run/x.sock"))
        self.assertEqual((settings.host, settings.state_dir), ("tcp://127.0.0.1:80", "/s"))
        self.assertEqual((settings.token_file, settings.host_allow, settings.idle_exit_s), ("/t", ("a", "b"), 1.5))
        self.assertTrue(settings.no_token and settings.plaintext and settings.trust_projects)
        self.assertTrue(settings.allow_private_fetch and settings.replaceable)

    def test_each_variable_reaches_its_setting(self) -> None:
        settings = parsed(
            TXCRUSH_LISTEN="tcp:1 tcp:2", TXCRUSH_HOST="tcp://h:1", TXCRUSH_STATE_DIR="/s", TXCRUSH_TOKEN_FILE="/t",
            TXCRUSH_NO_TOKEN="1", TXCRUSH_PLAINTEXT="true", TXCRUSH_HOST_ALLOW="a b", TXCRUSH_TRUST_PROJECTS="yes",
            TXCRUSH_ALLOW_PRIVATE_FETCH="on", TXCRUSH_REPLACEABLE="T", TXCRUSH_IDLE_EXIT="0",
        ).settings()  # fmt: skip
        self.assertEqual((settings.listen, settings.host), (("tcp:1", "tcp:2"), "tcp://h:1"))
        self.assertEqual((settings.state_dir, settings.token_file, settings.host_allow), ("/s", "/t", ("a", "b")))
        self.assertTrue(settings.no_token and settings.plaintext and settings.trust_projects)
        self.assertTrue(settings.allow_private_fetch and settings.replaceable)
        self.assertEqual(settings.idle_exit_s, 0.0)

    def test_a_flag_wins_over_its_variable(self) -> None:
        settings = parsed(
            "--state-dir=/flag", "--listen=tcp:1", "--idle-exit=2", "--no-token",
            TXCRUSH_STATE_DIR="/variable", TXCRUSH_LISTEN="tcp:2", TXCRUSH_IDLE_EXIT="3", TXCRUSH_NO_TOKEN="0",
        ).settings()  # fmt: skip
        self.assertEqual((settings.state_dir, settings.listen, settings.idle_exit_s), ("/flag", ("tcp:1",), 2.0))
        self.assertTrue(settings.no_token)

    def test_web_may_be_given_a_port(self) -> None:
        for arguments, port in (
            ((), None),
            (("--web",), 0),
            (("--web", "9000"), 9000),
            (("--web=9001",), 9001),
            (("--web", "--no-token"), 0),
            (("--no-token", "--web"), 0),
        ):
            self.assertEqual(parsed(*arguments).settings().web, port, arguments)
        self.assertTrue(parsed("--web", "--no-token").settings().no_token)
        for variable, port in (("1", 0), ("yes", 0), ("9002", 9002), ("0", None), ("", None), ("off", None)):
            self.assertEqual(parsed(TXCRUSH_WEB=variable).settings().web, port, variable)
        self.assertEqual(parsed("--web=9003", TXCRUSH_WEB="0").settings().web, 9003)
        for wrong in ("70000", "x", "-1", "9" * 5000):
            with self.assertRaisesRegex(UsageError, "--web wants a port"):
                parsed(f"--web={wrong}")

    def test_the_page_does_not_take_the_users_socket_away(self) -> None:
        self.assertRegex(parsed("--web").settings().host, r"^unix:///")

    def test_the_tls_files_reach_their_settings(self) -> None:
        settings = parsed("--tls-cert=/c", TXCRUSH_TLS_KEY="/k").settings()
        self.assertEqual((settings.tls_cert, settings.tls_key), ("/c", "/k"))

    def test_insecure_is_another_name_of_no_token(self) -> None:
        self.assertTrue(parsed("--insecure").settings().no_token)

    def test_the_default_socket_is_not_served_beside_named_endpoints(self) -> None:
        self.assertEqual(parsed("--listen=tcp:8080").settings().host, "")

    def test_the_reference_s_idle_variable_is_the_last_resort(self) -> None:
        self.assertEqual(parsed(CRUSH_SERVER_IDLE_TIMEOUT="60").settings().idle_exit_s, 60.0)
        both = parsed(CRUSH_SERVER_IDLE_TIMEOUT="60", TXCRUSH_IDLE_EXIT="5")
        self.assertEqual(both.settings().idle_exit_s, 5.0)

    def test_the_reference_s_detach_grace_is_read(self) -> None:
        self.assertEqual(parsed(CRUSH_SERVER_DETACH_GRACE="0.5").settings().detach_grace_s, 0.5)


class UsageErrorTests(SynchronousTestCase):
    def test_a_failpoint_that_does_not_exist(self) -> None:
        self.assertRaisesRegex(UsageError, "there is no failpoint 'nowhere'", parsed, TXCRUSH_FAILPOINT="nowhere")

    def refused(self, *arguments: str, **environ: str) -> str:
        return str(self.assertRaises(UsageError, parsed, *arguments, **environ))

    def test_a_bad_value_is_refused_with_what_to_write(self) -> None:
        cases = {
            "--idle-exit=soon": "--idle-exit wants a number of seconds such as 60, not 'soon'",
            "--idle-exit=-1": "--idle-exit wants a number of seconds such as 60, not '-1'",
            "--idle-exit=inf": "--idle-exit wants a number of seconds such as 60, not 'inf'",
            "--max-cost=free": "--max-cost wants a number above 0, not 'free'",
            "--max-seconds=0": "--max-seconds wants a number above 0, not '0'",
            "--max-steps=1.5": "--max-steps wants a whole number, not '1.5'",
            "--max-tokens=inf": "--max-tokens wants a number above 0, not 'inf'",
            "--provider-idle=-1": "--provider-idle wants a number above 0, not '-1'",
            "--log-level=loud": "--log-level wants one of debug, info, warn, error, critical, not 'loud'",
            "--log-format=xml": "--log-format wants one of text, json, not 'xml'",
            "--listen=8080": "--listen wants a Twisted endpoint such as tcp:8080 or unix:/PATH, not '8080'",
            "--host=nowhere": "--host: invalid host format: nowhere (write unix:///PATH or tcp://HOST:PORT)",
        }
        for argument, message in cases.items():
            self.assertEqual(self.refused(argument), message)

    def test_a_bad_variable_is_refused_by_its_own_name(self) -> None:
        self.assertEqual(self.refused(TXCRUSH_PLAINTEXT="maybe"), "TXCRUSH_PLAINTEXT wants 1 or 0, not 'maybe'")
        self.assertIn("CRUSH_SERVER_DETACH_GRACE wants", self.refused(CRUSH_SERVER_DETACH_GRACE="10s"))

    def test_an_unknown_flag_and_a_stray_word_are_refused(self) -> None:
        self.assertIn("option --lisen not recognized", self.refused("--lisen=tcp:1"))
        self.assertIn("Wrong number of arguments", self.refused("now"))


class TwistTests(SynchronousTestCase):
    def adopt(self, twist: FakeTwist, *arguments: str) -> Options:
        options = Options(HOME)
        options.parent = twist
        options.parseOptions(arguments)
        return options

    def test_the_asyncio_reactor_is_picked_unless_one_was_named(self) -> None:
        unnamed, named = FakeTwist(), FakeTwist(reactor="poll")
        self.adopt(unnamed)
        self.adopt(named)
        self.assertEqual((unnamed["reactor"], named["reactor"]), ("asyncio", "poll"))

    def test_the_log_goes_to_standard_error_unless_a_file_was_named(self) -> None:
        file = io.StringIO()
        unnamed, named = FakeTwist(), FakeTwist()
        named["logFile"] = file
        self.adopt(unnamed)
        self.adopt(named)
        self.assertIs(unnamed["logFile"], sys.stderr)
        self.assertIs(named["logFile"], file)

    def test_our_log_level_reaches_twist_and_the_other_way_round(self) -> None:
        ours, theirs = FakeTwist(), FakeTwist()
        theirs["logLevel"] = LogLevel.debug
        self.adopt(ours, "--log-level=warn")
        options = self.adopt(theirs)
        self.assertEqual((ours["logLevel"], options["log-level"]), (LogLevel.warn, "debug"))


class ImportTests(SynchronousTestCase):
    def test_neither_tap_nor_the_command_line_imports_klein_or_a_reactor(self) -> None:
        code = (
            "import sys, txcrush.tap, txcrush.__main__\n"
            "print([name for name in ('klein', 'treq', 'twisted.internet.reactor', 'sqlite3') if name in sys.modules])"
        )
        answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
        self.assertEqual(answer.stdout, "[]\n")
