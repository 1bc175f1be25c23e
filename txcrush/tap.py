"""How the server is launched: the options of `twist crush` and `txcrush serve`, and the service they run.

Twisted finds `Options` and `makeService` here by these names. Nothing here may import a reactor or Klein at module
level: `Options` picks the reactor, and importing Klein installs one.
"""

import math
import os
import sys
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, TextIO, cast

from twisted.application.service import IService
from twisted.logger import ILogObserver, LogLevel, globalLogBeginner
from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError

from txcrush import __version__, failpoints
from txcrush.adapters import logs
from txcrush.lifetime import Lifetime, Process, Reactor, Server
from txcrush.model.addresses import default_host, default_state_dir, parse_host
from txcrush.model.budgets import Budget
from txcrush.model.desk import Unanswered, parse_unanswered
from txcrush.model.quantities import parse_duration, parse_size
from txcrush.model.settings import ServerSettings

_TRUE = frozenset({"1", "t", "true", "yes", "on"})
_FALSE = frozenset({"", "0", "f", "false", "no", "off"})
_PARAMETERS: dict[str, tuple[str | None, str]] = {
    "host": (
        "H",
        "URL to serve: unix:///PATH or tcp://HOST:PORT [default: the user's socket, unless --listen is given]",
    ),
    "state-dir": (None, "Directory of the server's own files [default: $XDG_DATA_HOME/txcrush]"),
    "tls-cert": (None, "PEM file with the certificate of the TCP ports, and its chain; read anew when it changes"),
    "tls-key": (None, "PEM file with its private key [default: the file of --tls-cert]"),
    "token-file": (None, "File with the bearer token of TCP clients [default: token in the state directory]"),
    "idle-exit": (
        None,
        "End after this many seconds without work [default: never, or $CRUSH_SERVER_IDLE_TIMEOUT]",
    ),
    "unanswered": (
        None,
        "What becomes of a permission that nobody answers: ask, deny:SECONDS or allow [default: ask]",
    ),
    "event-log-size": (None, "How much of a project's event log is kept for clients that come back [default: 64M]"),
    "event-log-age": (None, "How long an event is kept for them [default: 7d]"),
    "max-cost": (None, "End a run that has cost so many dollars, before its next request [default: never]"),
    "max-tokens": (None, "End a run that has used so many tokens, before its next request [default: never]"),
    "max-steps": (None, "End a run that has asked a model so many times [default: never]"),
    "max-seconds": (None, "End a run that has taken so many seconds [default: never]"),
    "provider-idle": (None, "Give a model request up that brings nothing new for so many seconds [default: 300]"),
    "log-level": (None, "debug, info, warn, error or critical [default: info]"),
    "log-format": (None, "text or json [default: text on a terminal, json elsewhere]"),
}
_SWITCHES = {
    "no-token": "Ask TCP clients for no token; loopback addresses only",
    "plaintext": "Allow TCP without TLS on an address that is not loopback; the token is still asked",
    "trust-projects": "Trust what every project's files can run, redirect or permit",
    "allow-private-fetch": "Let tools fetch from loopback and private addresses",
    "replaceable": "Let a Crush client of another version stop this server when it is idle",
}
_LEVELS = ("debug", "info", "warn", "error", "critical")


class Options(UsageOptions):
    """The server's command line. What no flag says is read from `TXCRUSH_*`, then a default applies."""

    longdesc = (
        "Each option can also be set as a variable: --idle-exit is TXCRUSH_IDLE_EXIT. Switches take 1 or 0, options "
        "that may be repeated take values separated by blanks. A flag wins over its variable."
    )
    optParameters = [[name, short, None, text] for name, (short, text) in _PARAMETERS.items()]
    optFlags = [[name, None, text] for name, text in _SWITCHES.items()]

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.environ = os.environ.copy() if environ is None else dict(environ)
        self["listen"] = []
        self["host-allow"] = []
        self["web"] = None

    def getSynopsis(self) -> str:
        return "Usage: txcrush serve [options]" if self.parent is None else super().getSynopsis()

    def opt_listen(self, endpoint: str) -> None:
        """Twisted endpoint to serve, such as tcp:8080:interface=127.0.0.1; may be repeated"""
        self["listen"].append(endpoint)

    def opt_host_allow(self, name: str) -> None:
        """Name that TCP clients may use for this server, beside localhost; may be repeated"""
        self["host-allow"].append(name)

    def opt_web(self, port: str) -> None:
        """Serve the page on a loopback port and print its URL; --web alone takes the usual port"""
        self["web"] = port

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """As `usage.Options`, whose parser knows no option with an optional value: `--web` has one."""
        given = list(sys.argv[1:] if options is None else options)
        super().parseOptions([_with_port(each, *given[at + 1 : at + 2]) for at, each in enumerate(given)])  # type: ignore[no-untyped-call]

    def opt_insecure(self) -> None:
        """Same as --no-token"""
        self["no-token"] = 1

    def opt_version(self) -> None:
        """Print the version and exit"""
        print(f"txcrush {__version__}")
        raise SystemExit(0)

    def postOptions(self) -> None:
        self._read_variables()
        self._check()
        if self.parent is not None:
            self._adopt(self.parent)

    def settings(self) -> ServerSettings:
        """What was asked for, defaults filled in. Raises `UsageError`, with what to do, for a value without sense."""
        idle_exit = self["idle-exit"]
        if idle_exit is None:
            idle_exit, source = self.environ.get("CRUSH_SERVER_IDLE_TIMEOUT") or None, "CRUSH_SERVER_IDLE_TIMEOUT"
        else:
            source = "--idle-exit"
        detach_grace = self.environ.get("CRUSH_SERVER_DETACH_GRACE") or "10"
        return ServerSettings(
            host=self._host(),
            listen=tuple(self["listen"]),
            state_dir=self["state-dir"] or default_state_dir(self.environ),
            token_file=self["token-file"] or "",
            tls_cert=self["tls-cert"] or "",
            tls_key=self["tls-key"] or "",
            web=_web_port(self["web"]),
            no_token=bool(self["no-token"]),
            plaintext=bool(self["plaintext"]),
            host_allow=tuple(self["host-allow"]),
            trust_projects=bool(self["trust-projects"]),
            allow_private_fetch=bool(self["allow-private-fetch"]),
            replaceable=bool(self["replaceable"]),
            unanswered=self._unanswered(),
            event_log_bytes=self._quantity("event-log-size", "64M", parse_size),
            event_log_age_s=self._quantity("event-log-age", "7d", parse_duration),
            idle_exit_s=None if idle_exit is None else _seconds(source, idle_exit),
            detach_grace_s=_seconds("CRUSH_SERVER_DETACH_GRACE", detach_grace),
            budget=self._budget(),
            provider_idle_s=_positive("--provider-idle", self["provider-idle"]) or 300.0,
        )

    def log_observer(self, stream: TextIO) -> ILogObserver:
        """The observer that `--log-level` and `--log-format` ask for."""
        return logs.observer(stream, self["log-format"] or logs.format_for(stream), self["log-level"] or "info")

    @property
    def failpoint(self) -> str:
        """Where a test wants this server to fail: see `failpoints.arm`. No flag says it: it is nothing for users."""
        return self.environ.get("TXCRUSH_FAILPOINT", "")

    def _read_variables(self) -> None:
        for name in _PARAMETERS:
            if self[name] is None:
                self[name] = self._variable(name) or None
        for name in ("listen", "host-allow"):
            self[name] = self[name] or self._variable(name).split()
        if self["web"] is None:
            self["web"] = _web_variable(self._variable("web"))
        for name in _SWITCHES:
            self[name] = self[name] or _switch(_variable_name(name), self._variable(name))

    def _variable(self, name: str) -> str:
        return self.environ.get(_variable_name(name), "")

    def _check(self) -> None:
        _one_of("--log-level", self["log-level"], _LEVELS)
        _one_of("--log-format", self["log-format"], tuple(logs.FORMATS))
        for endpoint in self["listen"]:
            if ":" not in endpoint:
                raise UsageError(f"--listen wants a Twisted endpoint such as tcp:8080 or unix:/PATH, not {endpoint!r}")
        try:
            failpoints.check(self.failpoint)
        except ValueError as error:
            raise UsageError(f"TXCRUSH_FAILPOINT: {error}") from error
        self.settings()

    def _host(self) -> str:
        if not self["host"]:
            return "" if self["listen"] else default_host(self.environ, os.getuid())
        try:
            parse_host(self["host"])
        except ValueError as error:
            raise UsageError(f"--host: {error}") from error
        return str(self["host"])

    def _unanswered(self) -> Unanswered:
        try:
            return parse_unanswered(self["unanswered"] or "ask")
        except ValueError as error:
            raise UsageError(f"--unanswered {error}") from error

    def _quantity(self, name: str, default: str, parse: Callable[[str], int]) -> int:
        try:
            return parse(self[name] or default)
        except ValueError as error:
            raise UsageError(f"--{name} {error}") from error

    def _budget(self) -> Budget:
        return Budget(
            cost=_positive("--max-cost", self["max-cost"]),
            tokens=_whole("--max-tokens", self["max-tokens"]),
            steps=_whole("--max-steps", self["max-steps"]),
            seconds=_positive("--max-seconds", self["max-seconds"]),
        )

    def _adopt(self, twist: MutableMapping[str, Any]) -> None:
        """Set up `twist` itself: the asyncio reactor unless one was named, and our log in place of its own."""
        if "reactor" not in twist:
            cast(Any, twist).opt_reactor("asyncio")
        if self["log-level"] is None:
            self["log-level"] = twist["logLevel"].name
        twist["logLevel"] = LogLevel.levelWithName(self["log-level"])
        if self["log-format"] is None and twist["logFormat"] != logs.format_for(sys.stdout):
            self["log-format"] = twist["logFormat"]
        twist["fileLogObserverFactory"] = self.log_observer
        if twist["logFile"] is sys.stdout:
            twist["logFile"] = sys.stderr


def makeService(options: Options) -> IService:
    """The service of the plugin: the server, and the life of the process around it."""
    from twisted.internet import reactor

    settings = options.settings()
    failpoints.arm(options.failpoint)
    process = Process()
    process.hurry()

    def build(stop: Callable[[], None]) -> Server:
        from txcrush.wiring import build_server

        server = build_server(cast(Any, reactor), settings, options.environ, stop)
        if settings.web is not None:
            # A start that fails is told by the lifetime.
            server.when_started().addCallbacks(lambda _: process.announce(server.page_url or ""), lambda _: None)
        return server

    return Lifetime(cast(Reactor, reactor), process, build)


def serve(arguments: Sequence[str]) -> None:
    """Run the server like `twist crush`, without `twist`'s search for other plugins. Returns when it has ended.

    Raises `UsageError`.
    """
    options = Options()
    options.parseOptions(list(arguments))
    from twisted.internet import asyncioreactor

    asyncioreactor.install()  # by name, Twisted would look through all its plugins for it
    from twisted.internet import reactor as installed

    reactor = cast(Any, installed)
    globalLogBeginner.beginLoggingTo([options.log_observer(sys.stderr)])
    service = makeService(options)
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.run()


def _variable_name(name: str) -> str:
    return "TXCRUSH_" + name.upper().replace("-", "_")


def _switch(name: str, text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise UsageError(f"{name} wants 1 or 0, not {text!r}")


def _with_port(argument: str, following: str = "") -> str:
    """`--web` as `--web=0` where no port follows it."""
    return "--web=0" if argument == "--web" and not following.isdigit() else argument


def _web_variable(text: str) -> str | None:
    """The port that `TXCRUSH_WEB` asks for: 1 and its like are the usual one, 0 and its like are none."""
    if text.lower() in _FALSE:
        return None
    return "0" if text.lower() in _TRUE else text


def _web_port(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and int(text[:6]) <= 65535):
        raise UsageError(f"--web wants a port such as 8374, not {text!r}")
    return int(text)


def _seconds(name: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise UsageError(f"{name} wants a number of seconds such as 60, not {text!r}")
    return seconds


def _positive(name: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise UsageError(f"{name} wants a number above 0, not {text!r}")
    return number


def _whole(name: str, text: str | None) -> int | None:
    number = _positive(name, text)
    if number is not None and number != int(number):
        raise UsageError(f"{name} wants a whole number, not {text!r}")
    return None if number is None else int(number)


def _one_of(name: str, value: str | None, choices: Sequence[str]) -> None:
    if value is not None and value not in choices:
        raise UsageError(f"{name} wants one of {', '.join(choices)}, not {value!r}")
