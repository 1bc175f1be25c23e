"""The log of the process: a readable line per event on a terminal, a JSON object per line elsewhere.

A JSON line has `time` (RFC 3339, UTC), `level`, `logger`, `msg` and, where the event carries one, `failure` (the
traceback as text) or `run` (an object: the ids and figures of a run that has ended). Known secrets never reach either
form: whoever reads a token or a key calls `secrets.add`.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TextIO

from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
)
from zope.interface import provider

from txcrush.wire.json import encode_text

SHORTEST_SECRET = 4
"""Characters below which a value is not searched for: it would blank out ordinary words."""

_QUIET = ("twisted", "log_legacy")
"""Namespaces whose remarks below `warn` (factories that start, requests that were served) only show at level debug."""


class Redactor:
    """Replaces known secrets in a text by `[redacted]`."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def add(self, secret: str) -> None:
        """Never show this value again. Empty and very short values are ignored."""
        if len(secret) < SHORTEST_SECRET or secret in self._secrets:
            return
        self._secrets.add(secret)
        longest_first = sorted(self._secrets, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def redact(self, text: str) -> str:
        """The text without the secrets."""
        return self._pattern.sub("[redacted]", text) if self._pattern else text


secrets: Final = Redactor()
"""The process has one log, so it has one list of what must not stand in it."""


def text_line(event: LogEvent, redactor: Redactor) -> str:
    """One line for people, in local time; a failure's traceback follows on lines of its own."""
    moment = datetime.fromtimestamp(event["log_time"]).strftime("%Y-%m-%d %H:%M:%S")
    message = _printable(redactor.redact(formatEvent(event)))
    line = f"{moment} {event['log_level'].name:<5} {event['log_namespace']}: {message}\n"
    return line + redactor.redact(_traceback(event))


def json_line(event: LogEvent, redactor: Redactor) -> str:
    """One JSON object and a newline."""
    moment = datetime.fromtimestamp(event["log_time"], UTC).isoformat(timespec="milliseconds")
    record = {
        "time": moment.replace("+00:00", "Z"),
        "level": event["log_level"].name,
        "logger": event["log_namespace"],
        "msg": redactor.redact(formatEvent(event)),
    }
    if run := event.get("run"):
        record["run"] = {name: redactor.redact(v) if isinstance(v, str) else v for name, v in run.items()}
    if failure := _traceback(event):
        record["failure"] = redactor.redact(failure)
    return encode_text(record) + "\n"


LineFormat = Callable[[LogEvent, Redactor], str]

FORMATS: Final[dict[str, LineFormat]] = {"text": text_line, "json": json_line}


def format_for(stream: TextIO) -> str:
    """The name of the format that suits where the log goes: people look at a terminal, programs at all else."""
    return "text" if stream.isatty() else "json"


def observer(stream: TextIO, format_name: str, level_name: str, redactor: Redactor = secrets) -> ILogObserver:
    """An observer that writes events of at least that level to the stream, each with one write and a flush."""
    to_line = FORMATS[format_name]

    @provider(ILogObserver)
    def write(event: LogEvent) -> None:
        stream.write(to_line(event, redactor))
        stream.flush()

    return FilteringLogObserver(write, [_predicate(level_name)])


def _predicate(level_name: str) -> LogLevelFilterPredicate:
    level = LogLevel.levelWithName(level_name)
    predicate = LogLevelFilterPredicate(defaultLogLevel=level)
    for namespace in _QUIET if level == LogLevel.info else ():
        predicate.setLogLevelForNamespace(namespace, LogLevel.warn)
    return predicate


def _traceback(event: LogEvent) -> str:
    failure = event.get("log_failure")
    return str(failure.getTraceback()) if failure is not None else ""


def _printable(text: str) -> str:
    """The text with control characters spelled out: what a client sent must not steer the terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
