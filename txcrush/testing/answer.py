"""What a test reads of a server: an answer, and an event of the stream."""

from typing import Any

from msgspec import Struct

from txcrush.wire.json import parse_object


class Answer(Struct, frozen=True):
    """An HTTP answer. `headers` has lower-case names; several of one name are joined by commas."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        """The body as JSON."""
        return parse_value(self.body.decode())

    @property
    def message(self) -> str:
        """The text of an error. Raises AssertionError where the answer does not have the shape of one."""
        value = self.value
        assert self.status >= 400, self
        assert self.headers["content-type"] == "application/json", self
        assert self.headers["content-length"] == str(len(self.body)), self
        assert list(value) == ["message"] and self.body.endswith(b"}\n"), self
        return str(value["message"])


class StreamEvent(Struct, frozen=True):
    """One event of the stream, its envelope opened."""

    kind: str
    change: str
    payload: dict[str, Any]

    @property
    def finish_reason(self) -> str:
        """How the message that this is a state of has finished; empty where it has not, or where it is no message."""
        parts = self.payload.get("parts", []) if self.kind == "message" else []
        return "".join(part["data"]["reason"] for part in parts if part["type"] == "finish")


def stream_event(data: bytes) -> StreamEvent:
    """The event that the data of a frame holds."""
    envelope: dict[str, Any] = parse_object(data.decode())
    return StreamEvent(envelope["type"], envelope["payload"]["type"], envelope["payload"]["payload"])


def parse_answer(raw: bytes, *, with_body: bool = True) -> Answer | None:
    """The first answer in these bytes, None where it is not whole yet. Without a length it has no body."""
    head, blank, rest = raw.partition(b"\r\n\r\n")
    if not blank:
        return None
    line, *fields = head.decode("latin-1").split("\r\n")
    headers = headers_of(field.partition(":")[::2] for field in fields)
    length = int(headers.get("content-length", "0")) if with_body else 0
    return Answer(int(line.split(" ")[1]), headers, rest[:length]) if len(rest) >= length else None


def headers_of(pairs: Any) -> dict[str, str]:
    """Names and values as an `Answer` keeps them."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    return headers


def parse_value(text: str) -> Any:
    """Any JSON value."""
    return parse_object(f'{{"value":{text}}}')["value"]
