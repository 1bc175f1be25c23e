"""JSON that a model has written badly."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.wire.json import parse_object
from txcrush.wire.repair import MAX_CHARS, repaired_object


class Repairing(SynchronousTestCase):
    def test_small_slips_are_mended(self) -> None:
        for text in ("{'a': 'b'}", '{"a": "b"', '{"a": "b",}', '{a: "b"}', '```json\n{"a": "b"}\n```'):
            with self.subTest(text=text):
                self.assertEqual(repaired_object(text), '{"a":"b"}')

    def test_a_blank_text_means_no_arguments(self) -> None:
        self.assertEqual([repaired_object(text) for text in ("", " \n")], ["{}", "{}"])

    def test_what_holds_no_object_is_left_alone(self) -> None:
        for text in ("hello", "[1, 2]", "42", "null", '"{"'):
            with self.subTest(text=text):
                self.assertIsNone(repaired_object(text))

    def test_a_text_that_is_too_long_is_not_tried(self) -> None:
        self.assertIsNone(repaired_object('{"a": "' + "x" * MAX_CHARS))

    def test_depth_is_refused(self) -> None:
        self.assertIsNone(repaired_object('{"a":' * 200))

    def test_what_comes_out_is_what_the_toolbox_reads(self) -> None:
        self.assertEqual(parse_object(repaired_object('{"a": "\\ud800", "n": NaN,}') or ""), {"a": "�", "n": "NaN"})
