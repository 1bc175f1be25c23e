"""The lines of a log of JSON objects, as a model reads them (`tools.md` 28.2)."""

import re
from datetime import datetime

import msgspec

MAX_SHOWN = 10_000
"""Characters of one line that are shown."""

REDACTED = "[REDACTED]"
UNREADABLE_TIME = "--:--:--"

_RESERVED = frozenset(("time", "level", "source", "msg"))
_LEVELS = {"DEBUG": "DEBUG", "INFO": "INFO", "WARN": "WARN", "WARNING": "WARN", "ERROR": "ERROR"}
_SENSITIVE = ("authorization", "api-key", "api_key", "apikey", "token", "secret", "password", "credential")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:[.,]\d+)?(?:[Zz]|[+-]\d\d:?\d\d)?")
_PLACE = re.compile(r"(.*?):(\d+)")
_QUOTED = re.compile(r'[ ="\\\r\n\t]')
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), 127)} | {9: "\\t", 10: "\\n", 13: "\\r"}
_ESCAPES = _CONTROLS | {ord('"'): '\\"', ord("\\"): "\\\\"}


def shown_line(raw: bytes) -> str | None:
    """One line of the log as `HH:MM:SS LEVEL FILE:LINE MESSAGE key=value…`; None where it is no JSON object.

    The value of a key that sounds like a secret is left out, also inside of objects. A long line is cut.
    """
    try:
        entry = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(entry, dict):
        return None
    others = (f"{_key(key)}={_value(key, entry[key])}" for key in sorted(entry) if key.lower() not in _RESERVED)
    head = (_time(entry.get("time")), _level(entry.get("level")), _source(entry.get("source")))
    line = " ".join((*head, *filter(None, (_message(entry.get("msg")), *others))))
    return line if len(line) <= MAX_SHOWN else f"{line[:MAX_SHOWN]}… ({len(line) - MAX_SHOWN} more characters)"


def _time(value: object) -> str:
    """The time of day as it is written, in whatever zone that was."""
    found = _MOMENT.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        return UNREADABLE_TIME
    try:
        return datetime.fromisoformat(f"{found[1]}T{found[2]}").strftime("%H:%M:%S")
    except ValueError:
        return UNREADABLE_TIME


def _level(value: object) -> str:
    return _LEVELS.get(value.strip().upper(), "INFO") if isinstance(value, str) else "INFO"


def _source(value: object) -> str:
    """Where in the program the line was written: an object with `file` and `line`, or a text `FILE:LINE`."""
    file: object = value
    line: object = 0
    if isinstance(value, dict):
        file, line = value.get("file"), value.get("line")
    elif isinstance(value, str) and (found := _PLACE.fullmatch(value)):
        file, line = found[1], int(found[2][:9])
    name = re.split(r"[/\\]", file)[-1] if isinstance(file, str) else ""
    if not name:
        return "unknown:0"
    number = int(line) if isinstance(line, int | float) else 0
    return f"{name.translate(_CONTROLS)}:{number}"


def _message(value: object) -> str:
    return "" if value is None else _bare(value).translate(_CONTROLS)


def _key(key: str) -> str:
    return _text(key) if _QUOTED.search(key) else key.translate(_CONTROLS)


def _value(key: str, value: object) -> str:
    if _is_sensitive(key):
        return REDACTED
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict | list):
        return _quoted(msgspec.json.encode(_without_secrets(value), order="sorted").decode())
    return _bare(value)


def _text(value: str) -> str:
    return _quoted(value) if not value or _QUOTED.search(value) else value.translate(_CONTROLS)


def _quoted(text: str) -> str:
    return f'"{text.translate(_ESCAPES)}"'


def _bare(value: object) -> str:
    if isinstance(value, str):
        return value
    whole = int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else value
    return msgspec.json.encode(whole).decode()


def _is_sensitive(key: str) -> bool:
    folded = key.lower()
    return any(word in folded for word in _SENSITIVE)


def _without_secrets(value: object) -> object:
    if isinstance(value, dict):
        return {key: REDACTED if _is_sensitive(key) else _without_secrets(inner) for key, inner in value.items()}
    return [_without_secrets(inner) for inner in value] if isinstance(value, list) else value
