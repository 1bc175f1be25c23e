"""Answers to `GET /models`."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.wire.json import encode
from txcrush.wire.model_lists import MAX_MODELS, model_ids


class ModelIds(SynchronousTestCase):
    def test_the_ids_in_their_order_each_once(self) -> None:
        raw = b'{"object":"list","data":[{"id":"b","owned_by":"x"},{"id":"a"},{"id":"b"}]}'
        self.assertEqual(model_ids(raw), ("b", "a"))

    def test_entries_without_an_id_are_passed_over(self) -> None:
        self.assertEqual(model_ids(b'{"data":[{"id":""},{"id":3},{},7,{"id":"a"}]}'), ("a",))

    def test_what_is_no_list_of_models(self) -> None:
        for raw in (b"", b"<html>", b"[]", b"{}", b'{"data":{}}', b'{"data":null}', b"[" * 100_000, b'{"data":"\xff"}'):
            with self.assertRaises(ValueError):
                model_ids(raw)

    def test_there_is_an_end_to_it(self) -> None:
        raw = encode({"data": [{"id": str(number)} for number in range(MAX_MODELS + 1)]})
        self.assertEqual(len(model_ids(raw)), MAX_MODELS)
