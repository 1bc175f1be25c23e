"""The encoder's escaping, and what is taken for a request body (`contract.md` 6, the recorded `json_quirks`)."""

import json

from msgspec import UNSET, Struct, field
from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.errors import DecodeFailed
from txcrush.model.messages import Binary, Text
from txcrush.wire.json import MAX_DEPTH, decode_body, encode, encode_body, encode_text, parse_object
from txcrush.wire.requests import CreateSession, Grant, PutSession, SetConfig, SubmitPrompt


class Encoding(SynchronousTestCase):
    def test_there_are_no_blanks_and_keys_keep_their_order(self) -> None:
        self.assertEqual(encode({"b": [1, 2.5, None, True], "a": "x"}), b'{"b":[1,2.5,null,true],"a":"x"}')

    def test_html_and_line_separators_are_escaped_as_go_does(self) -> None:
        self.assertEqual(encode("<b>&\u2028\u2029"), b'"\\u003cb\\u003e\\u0026\\u2028\\u2029"')

    def test_p29_no_newline_of_any_kind_is_left_raw(self) -> None:
        text = encode("a\nb\rc\r\nd\x00\x1f")
        self.assertEqual(json.loads(text), "a\nb\rc\r\nd\x00\x1f")
        self.assertEqual([byte for byte in text if byte < 0x20], [])

    def test_other_unicode_goes_as_it_is(self) -> None:
        self.assertEqual(encode("é😀"), '"é😀"'.encode())

    def test_promise_14_lone_surrogates_become_replacement_characters(self) -> None:
        self.assertEqual(json.loads(encode({"a\udcff": ["\ud800x", "\ud83d\ude00"]})), {"a�": ["�x", "😀"]})

    def test_promise_14_also_inside_structs_whose_names_and_bytes_stay(self) -> None:
        self.assertEqual(json.loads(encode([Text("\udc80"), Binary("\udc80", "m", b"\xff")])), [
            {"text": "�"},
            {"path": "�", "mime_type": "m", "data": "/w=="},
        ])  # fmt: skip

    def test_bytes_are_base64(self) -> None:
        self.assertEqual(encode(b"attached text"), b'"YXR0YWNoZWQgdGV4dA=="')

    def test_a_body_ends_with_one_newline(self) -> None:
        self.assertEqual(encode_body({"a": "\n"}), b'{"a":"\\n"}\n')

    def test_text_is_the_same_as_a_string(self) -> None:
        self.assertEqual(encode_text({"a": "<é>"}), '{"a":"\\u003cé\\u003e"}')


class Leaf(Struct):
    Name: str = ""
    numbers: list[int] = []


class Tree(Struct):
    leaf: Leaf = field(default_factory=Leaf)
    leaves: list[Leaf] = []
    by_name: dict[str, Leaf] = {}
    free: object = None
    maybe: Leaf | None = None


class Decoding(SynchronousTestCase):
    def title(self, raw: bytes | str) -> str:
        return decode_body(raw if isinstance(raw, bytes) else raw.encode(), CreateSession).title

    def refused(self, raw: bytes, kind: type[Struct] = CreateSession) -> None:
        failed = self.assertRaises(DecodeFailed, decode_body, raw, kind)
        self.assertEqual(failed.message, "failed to decode request")

    def test_quirk_keys_match_without_regard_to_case(self) -> None:
        self.assertEqual([self.title('{"TITLE":"upper"}'), self.title('{"tItLe":"mixed"}')], ["upper", "mixed"])

    def test_quirk_only_the_first_value_counts(self) -> None:
        self.assertEqual(self.title('{"title":"first"} {"title":"second"} garbage'), "first")

    def test_quirk_the_last_duplicate_wins(self) -> None:
        self.assertEqual(self.title('{"title":"one","title":"two"}'), "two")
        self.assertEqual(self.title('{"title":"one","TITLE":"two"}'), "two")

    def test_quirk_null_is_absent(self) -> None:
        self.assertEqual(self.title('{"title":null}'), "")
        self.assertEqual(self.title('{"title":"x","TITLE":null}'), "x")
        self.assertIs(decode_body(b'{"title":null}', PutSession).title, UNSET)

    def test_quirk_a_body_of_null_is_the_empty_object(self) -> None:
        self.assertEqual(self.title("null"), "")

    def test_quirk_unknown_fields_are_left_out(self) -> None:
        self.assertEqual(self.title('{"title":"t","nope":{"deep":[1,2]}}'), "t")

    def test_quirk_blanks_around_are_fine(self) -> None:
        self.assertEqual(self.title(' \n\t{"title": "ws"}\n'), "ws")

    def test_quirk_escapes(self) -> None:
        self.assertEqual(self.title('{"title": "\\u00e9\\ud83d\\ude00 <b>&\\u2028"}'), "é😀 <b>&\u2028")

    def test_quirk_what_is_refused(self) -> None:
        for raw in (b'{"title":5}', b'\xef\xbb\xbf{"title":"bom"}', b"{'title':'x'}", b'{"title":NaN}'):
            self.refused(raw)

    def test_what_is_no_json_object_is_refused(self) -> None:
        for raw in (b"", b" ", b"[]", b"5", b'"x"', b"true", b"{", b'{"title":"x"', b'{"title" "x"}', b"{,}", b"nul"):
            self.refused(raw)

    def test_p59_invalid_utf_8_is_refused(self) -> None:
        for bad in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80"):
            self.refused(b'{"title":"' + bad + b'"}')

    def test_p59_lone_surrogates_are_refused_in_keys_and_values(self) -> None:
        for raw in (
            b'{"title":"\\ud800"}',
            b'{"title":"\\udc00\\ud800"}',
            b'{"x":{"\\ud800":1}}',
            b'{"x":["\\ud83d"]}',
        ):
            self.refused(raw)

    def test_p59_numbers_that_are_none_or_too_large_are_refused_wherever_they_stand(self) -> None:
        for number in (b"NaN", b"Infinity", b"-Infinity", b"1e999", b"9223372036854775808", b"-9223372036854775809"):
            self.refused(b'{"x":[' + number + b"]}")
        self.refused(b'{"x":' + b"1" * 10_000 + b"}")
        at_the_edge = decode_body(b'{"prompt_tokens":9223372036854775807}', PutSession)
        self.assertEqual(at_the_edge.prompt_tokens, 2**63 - 1)

    def test_p59_depth_is_bounded(self) -> None:
        deep = b"[" * (MAX_DEPTH - 1) + b"1" + b"]" * (MAX_DEPTH - 1)
        self.assertEqual(self.title(b'{"title":"x","y":' + deep + b"}"), "x")
        self.refused(b'{"y":[' + deep + b"]}")
        for opening in (b"[", b'{"a":'):
            self.refused(b'{"x":' + opening * 100_000)
        self.refused(b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}")

    def test_p59_keys_of_a_mebibyte_are_no_matter(self) -> None:
        self.assertEqual(self.title(b'{"' + b"k" * 2**20 + b'":1,"title":"x"}'), "x")

    def test_raw_control_characters_are_refused(self) -> None:
        for raw in (b'{"title":"a\nb"}', b'{"title":"a\x00b"}'):
            self.refused(raw)

    def test_wrong_types_are_refused_at_any_level(self) -> None:
        for raw in (b'{"leaf":5}', b'{"leaf":[{}]}', b'{"leaves":{}}', b'{"leaves":[5]}', b'{"by_name":[]}',
                    b'{"leaf":{"numbers":["x"]}}', b'{"maybe":"x"}', b'{"leaf":{"numbers":[1.5]}}'):  # fmt: skip
            self.refused(raw, Tree)
        self.refused(b'{"attachments":[{"content":"not base64!"}]}', SubmitPrompt)
        self.refused(b'{"prompt_tokens":true}', PutSession)

    def test_keys_are_folded_inside_structs_lists_and_maps_and_kept_where_the_shape_is_free(self) -> None:
        raw = b'{"LEAF":{"name":"a"},"Leaves":[{"NAME":"b"}],"by_name":{"Key":{"nAmE":"c"}},"free":{"X":{"Y":null}}}'
        tree = decode_body(raw, Tree)
        self.assertEqual((tree.leaf.Name, tree.leaves[0].Name, tree.by_name["Key"].Name), ("a", "b", "c"))
        self.assertEqual((tree.free, tree.maybe), ({"X": {"Y": None}}, None))

    def test_a_value_of_any_shape_may_be_null(self) -> None:
        self.assertIsNone(decode_body(b'{"key":"a","value":null}', SetConfig).value)
        self.assertIs(decode_body(b'{"permission":null}', Grant).permission, UNSET)


class Objects(SynchronousTestCase):
    def test_an_object_is_parsed(self) -> None:
        self.assertEqual(parse_object(' {"a": [1, "é"]} '), {"a": [1, "é"]})

    def test_promise_14_lone_surrogates_become_replacement_characters(self) -> None:
        self.assertEqual(parse_object('{"a":"\\ud800","\\udfff":"\\ud83d\\ude00"}'), {"a": "�", "�": "😀"})

    def test_what_is_no_object_says_why(self) -> None:
        for text in ("", "[]", "5", "null", '{"a":1} x', '{"a":NaN}', '{"a":1e999}', "{" * 100_000, '{"a":' * 50_000):
            self.assertTrue(str(self.assertRaises(ValueError, parse_object, text)))
