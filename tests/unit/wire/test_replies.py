"""What the wires share in reading a reply."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.messages import FinishReason
from txcrush.wire.replies import finish_of, token_count

KNOWN = {"stop": FinishReason.END_TURN, "length": FinishReason.MAX_TOKENS}


class RepliesTests(SynchronousTestCase):
    def test_known_reasons_are_translated_and_others_are_unknown(self) -> None:
        self.assertEqual(finish_of("length", KNOWN, has_calls=False), FinishReason.MAX_TOKENS)
        self.assertEqual(finish_of("", KNOWN, has_calls=False), FinishReason.UNKNOWN)

    def test_calls_tell_more_than_a_plain_stop_and_less_than_a_cut(self) -> None:
        self.assertEqual(finish_of("stop", KNOWN, has_calls=True), FinishReason.TOOL_USE)
        self.assertEqual(finish_of("odd", KNOWN, has_calls=True), FinishReason.TOOL_USE)
        self.assertEqual(finish_of("length", KNOWN, has_calls=True), FinishReason.MAX_TOKENS)

    def test_counts_are_whole_and_not_below_zero(self) -> None:
        self.assertEqual([token_count(value) for value in (None, 2.6, -4, 7)], [0, 3, 0, 7])
