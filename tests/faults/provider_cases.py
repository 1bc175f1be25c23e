# ruff: noqa: E501  # what is sent stands on one line
"""Answers that no provider should give, made by combination: good answers, each spoiled in one way. Seeded, so that a
case has the same name and the same bytes each time.

A case is what arrives on the connection, and how it ends: `close` (a clean FIN), `drop` (a reset) or `stay` (silence).
"""

import copy
import gzip
import json
import random
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

CHAT, MESSAGES = "openai-compat", "anthropic"
SEED = 22
Events = list[dict[str, Any]]
DEEP = b"[" * 100_000


class Case(NamedTuple):
    name: str
    kind: str
    data: bytes
    end: str = "close"


# Good answers


def _chat(*deltas: dict[str, Any], finish: str = "stop") -> Events:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 2},
    }
    chunks = [{"id": "x", "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
    return [*chunks, last, {"choices": [], "usage": usage}]


def _piece(index: int, call_id: str = "", name: str = "", arguments: str = "") -> dict[str, Any]:
    return {"tool_calls": [{"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}]}


def _messages(*blocks: tuple[dict[str, Any], list[dict[str, Any]]], finish: str = "end_turn") -> Events:
    head = {"id": "m", "role": "assistant", "content": [], "usage": {"input_tokens": 10, "output_tokens": 1}}
    events: Events = [{"type": "message_start", "message": head}, {"type": "ping"}]
    for index, (block, deltas) in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    last = {"type": "message_delta", "delta": {"stop_reason": finish}, "usage": {"output_tokens": 5}}
    return [*events, last, {"type": "message_stop"}]


_TEXT = ({"type": "text", "text": ""}, [{"type": "text_delta", "text": "hel"}, {"type": "text_delta", "text": "lo"}])
_THOUGHT = (
    {"type": "thinking", "thinking": ""},
    [{"type": "thinking_delta", "thinking": "hm"}, {"type": "signature_delta", "signature": "seal"}],
)


def _use(call_id: str, *pieces: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    block = {"type": "tool_use", "id": call_id, "name": "look", "input": {}}
    return block, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]


GOOD: dict[str, dict[str, Events]] = {
    CHAT: {
        "text": _chat({"role": "assistant", "content": ""}, {"content": "hel"}, {"content": "lo"}),
        "thought": _chat({"reasoning_content": "hm"}, {"content": "so"}),
        "call": _chat(
            {"content": "see"},
            _piece(0, "c1", "look"),
            _piece(0, arguments='{"at"'),
            _piece(0, arguments=":1}"),
            finish="tool_calls",
        ),
        "calls": _chat(_piece(0, "c1", "look", "{}"), _piece(1, "c2", "look", "{}"), finish="tool_calls"),
    },
    MESSAGES: {
        "text": _messages(_TEXT),
        "thought": _messages(_THOUGHT, _TEXT),
        "call": _messages(_TEXT, _use("c1", '{"at"', ":1}"), finish="tool_use"),
        "calls": _messages(_use("c1", "{}"), _use("c2"), finish="tool_use"),
    },
}


# On the wire


def stream(kind: str, events: Events, end: bytes = b"\n") -> bytes:
    """The body of an event stream, with this as the end of its lines."""
    frames = [frame(json.dumps(event).encode(), end) for event in events]
    return b"".join(frames) + (frame(b"[DONE]", end) if kind == CHAT else b"")


def frame(data: bytes, end: bytes = b"\n") -> bytes:
    return b"data: " + data + end + end


def answer(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """An answer whose body ends with the connection."""
    lines = [b"HTTP/1.1 " + status, b"Content-Type: text/event-stream", *headers, b"", body]
    return b"\r\n".join(lines)


def chunked(body: bytes, piece: int = 37) -> bytes:
    """The body in chunks."""
    pieces = [body[at : at + piece] for at in range(0, len(body), piece)]
    return b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in pieces) + b"0\r\n\r\n"


# Ways to spoil the events


VALUES: tuple[Any, ...] = (None, True, -1, 1e308, 2**70, "", "7", [], {}, [[]], {"a": 1})


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of everything in a value, itself among it."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _leaves(inner, (*path, key))


def _with(events: Events, path: tuple[Any, ...], value: Any) -> Events:
    spoiled: Any = copy.deepcopy(events)
    place = spoiled
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return spoiled


def _of_types(kind: str, name: str, events: Events) -> Iterator[Case]:
    """Each field once without it, and with something else in its place."""
    chance = random.Random(f"{SEED}{kind}{name}")
    for path in _leaves(events):
        where = ".".join(map(str, path))
        for value in (..., *chance.sample(VALUES, 2)):
            label = "missing" if value is ... else json.dumps(value)
            body = stream(kind, _with(events, path, value))
            yield Case(f"{kind} {name} {where} {label}", kind, answer(body))


def _of_order(kind: str, name: str, events: Events) -> Iterator[Case]:
    """Events twice, not at all, in another order, behind the end."""
    chance = random.Random(f"{SEED}{kind}{name}")
    for number, event in enumerate(events):
        twice = [*events[:number], event, *events[number:]]
        yield Case(f"{kind} {name} event {number} twice", kind, answer(stream(kind, twice)))
        late = stream(kind, events) + frame(json.dumps(event).encode())
        yield Case(f"{kind} {name} event {number} behind the end", kind, answer(late))
    for number in range(4):
        mixed = chance.sample(events, len(events))
        yield Case(f"{kind} {name} in order {number}", kind, answer(stream(kind, mixed)))
    yield Case(f"{kind} {name} all twice", kind, answer(stream(kind, events) * 2))


JUNK = {
    "no json": b"{nope", "a number": b"7", "a list": b"[]", "null": b"null", "true": b"true", "a text": b'"x"',
    "an empty object": b"{}", "html": b"<html>busy</html>", "deep": DEEP, "nul": b"\0\0", "not utf-8": b'{"a":"\xff\xfe"}',
    "lone surrogate": b'{"choices":[{"delta":{"content":"\\ud800"}}],"type":"content_block_delta","delta":{"text":"\\ud800"}}',
    "nan": b'{"usage":NaN}', "infinite": b'{"usage":{"prompt_tokens":1e999,"input_tokens":1e999}}',
    "long number": b'{"index":' + b"9" * 5000 + b"}",
    "an error": b'{"error":{"message":"broken","type":"server_error"}}', "a bare error": b'{"error":"broken"}',
    "an odd error": b'{"error":[{"error":{"message":{"a":[]}}}]}', "a coded error": b'{"error":{"code":529,"message":null}}',
    "overloaded": b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
    "an empty error": b'{"type":"error"}', "an unknown event": b'{"type":"from_the_future","index":-9}',
    "an unknown block": b'{"type":"content_block_start","content_block":{"type":"holo"}}',
    "a nameless call": b'{"choices":[{"delta":{"tool_calls":[{"index":9}]}}],"type":"content_block_start","content_block":{"type":"tool_use"}}',
    "an index hole": b'{"choices":[{"delta":{"tool_calls":[{"index":1000,"id":"c1","function":{"name":"look"}}]}}]}',
    "arguments as object": b'{"choices":[{"delta":{"tool_calls":[{"index":5,"function":{"name":"look","arguments":{"a":1}}}]}}],"type":"content_block_start","content_block":{"type":"tool_use","name":"look","input":{"a":1}}}',
    "no arguments": b'{"choices":[{"delta":{"tool_calls":[{"function":null},null]}}]}',
    "negative usage": b'{"choices":[],"type":"message_delta","usage":{"prompt_tokens":-5,"completion_tokens":-1,"total_tokens":-6,"input_tokens":-5,"output_tokens":-1,"cost":-3}}',
    "usage as text": b'{"choices":[],"type":"message_delta","usage":{"prompt_tokens":"10","input_tokens":"10"}}',
    "two choices": b'{"choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"}}]}',
    "another finish": b'{"choices":[{"finish_reason":"length"}],"type":"message_delta","delta":{"stop_reason":"refusal"}}',
    "an odd finish": b'{"choices":[{"finish_reason":"because"}],"type":"message_delta","delta":{"stop_reason":"because"}}',
}  # fmt: skip


def _of_junk(kind: str, name: str, events: Events) -> Iterator[Case]:
    """Something else at the beginning, in the middle and at the end."""
    frames = [frame(json.dumps(event).encode()) for event in events]
    for label, junk in JUNK.items():
        for at in (0, len(frames) // 2, len(frames)):
            body = b"".join([*frames[:at], frame(junk), *frames[at:]]) + (frame(b"[DONE]") if kind == CHAT else b"")
            yield Case(f"{kind} {name} {label} at {at}", kind, answer(body))


def _of_bytes(kind: str, name: str, events: Events) -> Iterator[Case]:
    """Line ends, marks, comments, cuts."""
    good = stream(kind, events)
    cr, crlf = stream(kind, events, b"\r"), stream(kind, events, b"\r\n")
    lines = good.splitlines(keepends=True)
    ways = {
        "a mark before": b"\xef\xbb\xbf" + good,
        "two marks before": b"\xef\xbb\xbf" * 2 + good,
        "cr": cr,
        "crlf": crlf,
        "mixed ends": cr[: len(cr) // 3] + b"\n\n" + crlf,
        "blanks before": b"\n\r\n \n" + good,
        "comments between": b": ping\n\n".join(lines),
        "a long comment": b":" + b"x" * 200_000 + b"\n\n" + good,
        "fields between": b"id: \0\nretry: soon\nfoo\nevent: x\n".join(lines),
        "no blanks": good.replace(b"data: ", b"data:"),
        "in lines": good.replace(b", ", b",\ndata: "),
        "nul": good.replace(b"{", b"{\0", 2),
        "not utf-8": good.replace(b'"type"', b'"ty\xffpe"').replace(b"hel", b"h\xff\xc3l"),
        "latin-1": good.replace(b"hel", "hél".encode("latin-1")),
        "utf-16": good.decode().encode("utf-16"),
        "no stream": json.dumps(events).encode(),
        "only its first event": frame(json.dumps(events[0]).encode()),
        "upside down": good[::-1],
        "empty": b"",
        "only pings": b": ping\n\n" * 50 + b'event: ping\ndata: {"type":"ping"}\n\n' * 50,
    }
    for label, body in ways.items():
        yield Case(f"{kind} {name} {label}", kind, answer(body))
    for share in range(1, 12):
        cut = len(good) * share // 12
        for end in ("close", "drop", "stay"):
            yield Case(f"{kind} {name} cut at {share}/12 {end}", kind, answer(good[:cut]), end)
        yield Case(f"{kind} {name} chunks cut at {share}/12", kind, _cut_chunks(good, cut))


def _cut_chunks(body: bytes, cut: int) -> bytes:
    whole = answer(chunked(body), b"Transfer-Encoding: chunked")
    return whole[: len(whole) - len(body) + cut]


# Ways to spoil HTTP


def _of_heads(kind: str) -> Iterator[Case]:
    good = stream(kind, GOOD[kind]["text"])
    heads: dict[str, bytes] = {
        "nothing": b"",
        "a line": b"hello\r\n\r\n",
        "ssh": b"SSH-2.0-OpenSSH\r\n\r\n",
        "tls alert": b"\x15\x03\x01\x00\x02\x02\x46",
        "http 0.9": good,
        "half a head": b"HTTP/1.1 200 OK\r\nContent-",
        "a status of letters": b"HTTP/1.1 abc OK\r\n\r\n",
        "a status of four": b"HTTP/1.1 2000 OK\r\n\r\n",
        "no reason": b"HTTP/1.1 200\r\n\r\n" + good,
        "http 3": b"HTTP/3.0 200 OK\r\n\r\n" + good,
        "http 1.0": b"HTTP/1.0 200 OK\r\n\r\n" + good,
        "no colon": b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "a folded header": b"HTTP/1.1 200 OK\r\nA: b\r\n  c\r\n\r\n" + good,
        "nul in a header": b"HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n" + good,
        "interim answers": b"HTTP/1.1 100 Continue\r\n\r\n" * 50 + answer(good),
        "interim answers without end": b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000,
        "an interim answer and endless headers": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"
        + b"A: b\r\n" * 60_000,
        "endless headers": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 60_000,
        "an endless header": b"HTTP/1.1 200 OK\r\nA: " + b"x" * 400_000,
        "an endless status": b"HTTP/1.1 200 " + b"x" * 400_000,
        "upgrade": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n" + good,
    }
    headers: dict[str, bytes] = {
        "no length": b"Content-Length: many",
        "a negative length": b"Content-Length: -5",
        "a long length": b"Content-Length: 99999999999999999999",
        "a short length": b"Content-Length: 7",
        "two lengths": b"Content-Length: 7\r\nContent-Length: 9",
        "length and chunks": b"Content-Length: 7\r\nTransfer-Encoding: chunked",
        "an odd transfer": b"Transfer-Encoding: brotli",
        "chunks that are none": b"Transfer-Encoding: chunked",
        "an odd type": b"Content-Type: application/x-banana",
        "html": b"Content-Type: text/html",
    }
    encoded = {"gzip": gzip.compress(good), "deflate": zlib.compress(good), "br": b"\x8b\x03", "identity": good}
    for label, data in heads.items():
        for end in ("close", "stay"):
            yield Case(f"{kind} head {label} {end}", kind, data, end)
    for label, header in headers.items():
        yield Case(f"{kind} head {label}", kind, answer(good, header), "close")
        yield Case(f"{kind} head {label} stay", kind, answer(good, header), "stay")
    for label, body in encoded.items():
        for share, part in (("whole", body), ("cut", body[: len(body) // 2]), ("empty", b"")):
            yield Case(f"{kind} {label} {share}", kind, answer(part, b"Content-Encoding: " + label.encode()))
    for label, size in {
        "odd": b"zz",
        "negative": b"-1",
        "huge": b"f" * 30,
        "long": b"1" * 5000,
        "with more": b"5;a=b",
    }.items():
        body = size + b"\r\n" + good
        yield Case(f"{kind} chunk size {label}", kind, answer(body, b"Transfer-Encoding: chunked"))


BODIES: dict[str, bytes] = {
    "empty": b"", "html": b"<!doctype html><h1>Bad Gateway</h1>", "text": b"go away", "binary": bytes(range(256)),
    "json": b'{"error":{"message":"why","type":"x"}}', "a list": b'[{"error":"why"}]', "deep": DEEP, "a key": b"bad key sk-canary-0123456789",
    "half": b'{"error":{"mess',
}  # fmt: skip
STATUSES = (
    204,
    205,
    301,
    304,
    400,
    401,
    402,
    403,
    404,
    408,
    409,
    413,
    418,
    422,
    429,
    500,
    502,
    503,
    504,
    529,
    599,
    600,
    999,
)


def _of_statuses(kind: str) -> Iterator[Case]:
    for number, status in enumerate(STATUSES):
        for offset in range(3):
            label, body = list(BODIES.items())[(number + 3 * offset) % len(BODIES)]
            data = answer(body, b"Location: http://elsewhere", status=b"%d Status" % status)
            yield Case(f"{kind} status {status} {label}", kind, data)
    for label, body in BODIES.items():
        yield Case(f"{kind} status 200 {label}", kind, answer(body))


WISHES = (
    b"Retry-After: 7", b"Retry-After: 0", b"Retry-After: -1", b"Retry-After: 1e9", b"Retry-After: inf", b"Retry-After: nan",
    b"Retry-After: soon", b"Retry-After: " + b"9" * 4000, b"Retry-After: Wed, 21 Oct 2015 07:28:00 GMT",
    b"Retry-After: Fri, 31 Dec 9999 23:59:59 GMT", b"Retry-After: Fri, 99 Foo 9999 99:99:99 GMT", b"Retry-After: \xff\xfe",
    b"retry-after-ms: 250", b"retry-after-ms: -250", b"X-Should-Retry: maybe", b"X-Should-Retry: false",
)  # fmt: skip


def _of_wishes(kind: str) -> Iterator[Case]:
    for status in (429, 503, 529):
        for wish in WISHES:
            data = answer(b'{"error":{"message":"slow down"}}', wish, status=b"%d Busy" % status)
            yield Case(f"{kind} {status} {wish[:40].decode('latin-1')}", kind, data)


def cases() -> list[Case]:
    """Every case, in an order that stays."""
    of_events: tuple[Callable[[str, str, Events], Iterator[Case]], ...] = (_of_types, _of_order, _of_junk, _of_bytes)
    made: list[Case] = []
    for kind, answers in GOOD.items():
        for name, events in answers.items():
            made += [case for spoil in of_events for case in spoil(kind, name, events)]
        made += [*_of_heads(kind), *_of_statuses(kind), *_of_wishes(kind)]
    return made
