"""WHATWG HTML 9.2, the cases of web-platform-tests/eventsource that concern a parser, and our limits."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.wire.sse import MOST_LINES, SseEvent, SseParser, SseTooLong, frame


def parsed(*chunks: bytes) -> list[SseEvent]:
    parser = SseParser()
    return [event for chunk in chunks for event in parser.feed(chunk)]


def texts(*chunks: bytes) -> list[str]:
    return [event.text for event in parsed(*chunks)]


class FrameTests(SynchronousTestCase):
    def test_a_frame_is_one_data_line_and_a_blank_line(self) -> None:
        self.assertEqual(frame(b'{"a":1}'), b'data: {"a":1}\n\n')

    def test_a_frame_is_parsed_back(self) -> None:
        self.assertEqual(parsed(frame(b'{"a":1}')), [SseEvent(b'{"a":1}')])


class FieldTests(SynchronousTestCase):
    def test_every_newline_kind_ends_a_line(self) -> None:
        self.assertEqual(texts(b"data:a\n\ndata:b\r\rdata:c\r\n\r\ndata:d\r\n\n"), ["a", "b", "c", "d"])

    def test_data_lines_are_joined_by_newlines(self) -> None:
        self.assertEqual(texts(b"data:a\ndata\ndata: b\n\n"), ["a\n\nb"])

    def test_one_space_behind_the_colon_is_dropped(self) -> None:
        self.assertEqual(texts(b"data:  a\n\ndata:\ta\n\ndata: \n\n"), [" a", "\ta", ""])

    def test_an_empty_data_line_is_an_event_and_no_data_is_none(self) -> None:
        self.assertEqual(texts(b"data\n\nevent:x\n\n\n\n:c\n\n"), [""])

    def test_comments_and_unknown_fields_are_ignored(self) -> None:
        self.assertEqual(texts(b":data:a\n data:b\nDATA:c\ndatum:d\ndata:e\n\n"), ["e"])

    def test_the_event_type_holds_for_one_event(self) -> None:
        self.assertEqual([event.type for event in parsed(b"event: x\ndata:a\n\ndata:b\n\n")], ["x", "message"])

    def test_an_empty_event_field_is_the_default_type(self) -> None:
        self.assertEqual([event.type for event in parsed(b"event:x\nevent:\ndata:a\n\n")], ["message"])

    def test_a_type_without_data_does_not_reach_the_next_event(self) -> None:
        self.assertEqual([event.type for event in parsed(b"event: x\n\ndata:b\n\n")], ["message"])

    def test_an_id_persists_until_it_is_changed(self) -> None:
        events = parsed(b"id: 1\ndata:a\n\ndata:b\n\nid\ndata:c\n\n")
        self.assertEqual([event.last_event_id for event in events], ["1", "1", ""])

    def test_an_id_with_a_null_is_ignored(self) -> None:
        self.assertEqual([e.last_event_id for e in parsed(b"id:1\ndata:a\n\nid:2\x003\ndata:b\n\n")], ["1", "1"])

    def test_an_id_without_data_moves_the_cursor(self) -> None:
        parser = SseParser()
        self.assertEqual(parser.feed(b"id: g-7\n"), [])
        self.assertEqual(parser.last_event_id, "")
        self.assertEqual(parser.feed(b"\n"), [])
        self.assertEqual(parser.last_event_id, "g-7")

    def test_retry_takes_digits_only(self) -> None:
        parser = SseParser()
        parser.feed(b"retry: 1500\nretry: 1x\nretry:\nretry: -1\nretry: " + b"9" * 5000 + b"\n\n")
        self.assertEqual(parser.retry_ms, 1500)

    def test_null_and_broken_utf_8_in_data_are_kept_as_the_standard_says(self) -> None:
        self.assertEqual(texts(b"data:a\x00b\xff\n\n"), ["a\x00b\ufffd"])


class ChunkTests(SynchronousTestCase):
    def test_a_first_byte_order_mark_is_dropped_also_in_pieces(self) -> None:
        self.assertEqual(texts(b"\xef", b"\xbb", b"\xbfdata:a\n\n"), ["a"])

    def test_a_second_byte_order_mark_is_part_of_the_field_name(self) -> None:
        self.assertEqual(texts(b"\xef\xbb\xbf\xef\xbb\xbfdata:a\n\n\xef\xbb\xbfdata:b\n\n"), [])

    def test_a_start_that_only_resembles_a_byte_order_mark_is_kept(self) -> None:
        self.assertEqual(texts(b"\xef", b"\xbb", b"x\ndata:a\n\n"), ["a"])

    def test_crlf_across_chunks_is_one_line_end(self) -> None:
        self.assertEqual(texts(b"data:a\r", b"\ndata:b\r", b"\n\r", b"\n"), ["a\nb"])

    def test_an_event_is_dispatched_at_the_cr_already(self) -> None:
        parser = SseParser()
        self.assertEqual([e.text for e in parser.feed(b"data:a\r\r")], ["a"])
        self.assertEqual([e.text for e in parser.feed(b"\ndata:b\n\n")], ["b"])

    def test_an_event_without_its_blank_line_is_never_dispatched(self) -> None:
        self.assertEqual(texts(b"data:a\n\ndata:b\n"), ["a"])


class LimitTests(SynchronousTestCase):
    def test_promise_22_a_line_beyond_the_limit_is_an_error_before_it_ends(self) -> None:
        parser = SseParser(limit=10)
        parser.feed(b"data: 12")
        self.assertRaises(SseTooLong, parser.feed, b"345")

    def test_promise_22_a_whole_line_beyond_the_limit_is_an_error(self) -> None:
        error = self.assertRaises(SseTooLong, SseParser(limit=10).feed, b"data: 12345\n")
        self.assertIn("longer than 10 bytes", str(error))

    def test_promise_22_many_data_lines_of_one_event_are_bounded_together(self) -> None:
        parser = SseParser(limit=10)
        parser.feed(b"data:1234\n")
        self.assertRaises(SseTooLong, parser.feed, b"data:12345\n")

    def test_promise_22_lines_without_a_text_are_bounded_too(self) -> None:
        parser = SseParser()
        parser.feed(b"data\n" * MOST_LINES)
        self.assertRaises(SseTooLong, parser.feed, b"data\n")

    def test_a_line_at_the_limit_is_fine_again_and_again(self) -> None:
        parser = SseParser(limit=10)
        self.assertEqual([len(parser.feed(b"data:12345\n\n")) for _ in range(3)], [1, 1, 1])
