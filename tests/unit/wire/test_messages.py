"""The events of Anthropic Messages, and the seal on what was thought."""

import json

from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.errors import ProviderError
from txcrush.model.messages import FinishReason
from txcrush.model.providers import Usage
from txcrush.wire.messages import Sealed, UsageRow, decode_event, finish_reason, seal, thinking_blocks


class EventTests(SynchronousTestCase):
    def test_what_we_do_not_know_is_passed_over(self) -> None:
        event = decode_event(
            b'{"type":"content_block_delta","index":1,"delta":{"type":"citations_delta","citation":{}}}'
        )
        self.assertEqual((event.type, event.index), ("content_block_delta", 1))

    def test_garbage_is_a_provider_error_that_is_not_retried(self) -> None:
        for data in (b"{nope", b"[]", b'{"type":1}', b"\xff"):
            self.assertFalse(self.assertRaises(ProviderError, decode_event, data).retryable)

    def test_a_refusal_is_a_content_filter(self) -> None:
        self.assertEqual(finish_reason("refusal", has_calls=False), FinishReason.CONTENT_FILTER)


class UsageTests(SynchronousTestCase):
    def test_later_counts_replace_what_they_name(self) -> None:
        first = UsageRow(input_tokens=20, cache_creation_input_tokens=7, cache_read_input_tokens=30, output_tokens=1)
        row = first.then(UsageRow(output_tokens=9))
        wanted = Usage(input=20, output=9, total=66, cache_creation=7, cache_read=30)
        self.assertEqual(row.usage(), wanted)

    def test_nothing_said_is_nothing_used(self) -> None:
        self.assertTrue(UsageRow().usage().is_zero)


class SealTests(SynchronousTestCase):
    def test_one_block_has_its_own_signature(self) -> None:
        self.assertEqual(seal([Sealed(2, "c2ln")]), "c2ln")
        self.assertEqual(thinking_blocks("hm", "c2ln"), [{"type": "thinking", "thinking": "hm", "signature": "c2ln"}])

    def test_a_block_whose_text_was_kept_back_is_given_back_without_it(self) -> None:
        self.assertEqual(
            thinking_blocks("", seal([Sealed(0, "c2ln")])), [{"type": "thinking", "thinking": "", "signature": "c2ln"}]
        )

    def test_many_blocks_come_back_as_they_were(self) -> None:
        sealed = seal([Sealed(1, "s1"), Sealed(data="cmVk"), Sealed(2, "s2")])
        self.assertEqual(
            thinking_blocks("a\U0001f600b", sealed),
            [
                {"type": "thinking", "thinking": "a", "signature": "s1"},
                {"type": "redacted_thinking", "data": "cmVk"},
                {"type": "thinking", "thinking": "\U0001f600b", "signature": "s2"},
            ],
        )

    def test_blocks_without_a_signature_are_left_out(self) -> None:
        self.assertEqual(thinking_blocks("hm", ""), [])
        self.assertEqual(seal([Sealed(1), Sealed(2)]), "")
        self.assertEqual(len(thinking_blocks("hmm", seal([Sealed(1), Sealed(2, "s")]))), 1)

    def test_a_seal_that_does_not_fit_gives_nothing_back(self) -> None:
        for sealed in ("[nope", json.dumps([{"size": 9, "signature": "s"}]), json.dumps([{"size": "x"}]), "[1]"):
            self.assertEqual(thinking_blocks("hm", sealed), [])
