"""A provider's list of models."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.errors import ProviderError
from txcrush.wire.model_list import model_ids


class ModelListTests(SynchronousTestCase):
    def test_the_ids_in_order_each_once(self) -> None:
        raw = b'{"object":"list","data":[{"id":"b","owned_by":"x"},{"id":"a"},{"id":"b"},{"id":""}],"has_more":false}'
        self.assertEqual(model_ids(raw), ("b", "a"))

    def test_what_is_no_list_is_a_provider_error_that_is_not_retried(self) -> None:
        for raw in (b"", b"<html>", b"[]", b"{}", b'{"data":[1]}', b'{"data":[{"name":"x"}]}', b"\xff"):
            self.assertFalse(self.assertRaises(ProviderError, model_ids, raw).retryable)
