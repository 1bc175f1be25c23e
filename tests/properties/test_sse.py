"""The incremental parser against the standard's own algorithm on the whole text, for any bytes in any chunks."""

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from txcrush.wire.json import encode, parse_object
from txcrush.wire.sse import HEARTBEAT, SseEvent, SseParser, frame, identified, opening

FRAGMENTS = [
    b"data", b"data:", b"data: ", b"event:", b"event: x", b"id:", b"id: 1-2", b"retry:", b"retry: 15", b":", b" ",
    b"\n", b"\r", b"\r\n", b"\n\n", b"\x00", b"\xef\xbb\xbf", b"\xef", b"\xff", "é€😀".encode(), b"7", b"{\"a\":1}",
]  # fmt: skip
streams = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.binary(max_size=4)), max_size=40).map(b"".join)


def by_the_standard(stream: bytes) -> tuple[list[tuple[str, str, str]], str, int | None]:
    """WHATWG HTML 9.2.6, word by word, on text that is here as a whole. Events are (type, data, last event id)."""
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
    lines = re.split("\r\n|\r|\n", text)[:-1]  # what has no end is no line yet
    data = event_type = id_buffer = last_id = ""
    retry: int | None = None
    events: list[tuple[str, str, str]] = []
    for line in lines:
        name, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if line == "":
            last_id = id_buffer
            if data != "":
                events.append((event_type or "message", data[:-1], last_id))
            data = event_type = ""
        elif name == "data":
            data += value + "\n"
        elif name == "event":
            event_type = value
        elif name == "id" and "\0" not in value:
            id_buffer = value
        elif name == "retry" and re.fullmatch("[0-9]+", value):
            retry = int(value)
    return events, last_id, retry


def in_chunks(stream: bytes, cuts: list[int]) -> tuple[list[SseEvent], SseParser]:
    parser = SseParser()
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    chunks = [stream[start:end] for start, end in pairwise(places)]
    return [event for chunk in chunks for event in parser.feed(chunk)], parser


@given(streams, st.lists(st.integers(0, 120)))
def test_p29_any_stream_in_any_chunks_is_parsed_as_the_standard_says(stream: bytes, cuts: list[int]) -> None:
    events, parser = in_chunks(stream, cuts)
    wanted, last_id, retry = by_the_standard(stream)
    assert [(event.type, event.text, event.last_event_id) for event in events] == wanted
    assert parser.last_event_id == last_id
    # A carriage return at the very end may still belong to a line end, but that changes no field.
    assert parser.retry_ms == retry


@given(st.lists(st.text()), st.lists(st.integers(0, 200)))
def test_promise_29_whatever_a_title_holds_it_comes_back_under_its_id(titles: list[str], cuts: list[int]) -> None:
    titles = [title.encode("utf-8", "replace").decode() for title in titles]
    told = [encode({"type": "session", "title": title}) for title in titles]
    stream = opening("g-0", 1000) + b"".join(
        identified(f"g-{number}", frame(body)) + HEARTBEAT for number, body in enumerate(told, 1)
    )
    events, parser = in_chunks(stream, cuts)
    assert [parse_object(event.text)["title"] for event in events] == titles
    assert [event.last_event_id for event in events] == [f"g-{number}" for number in range(1, len(told) + 1)]
    assert (parser.retry_ms, parser.last_event_id) == (1000, f"g-{len(told)}")


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8"))), st.lists(st.integers(0, 200)))
def test_p29_our_own_frames_come_back_unchanged(texts: list[str], cuts: list[int]) -> None:
    stream = b"".join(frame(text.encode()) for text in texts)
    events, _ = in_chunks(stream, cuts)
    assert [event.text for event in events] == texts
