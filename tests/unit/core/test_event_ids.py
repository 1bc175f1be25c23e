"""Ids of events, and what a client's cursor stands for."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.event_ids import EventIds
from txcrush.model.events import ResetReason
from txcrush.model.storage import SkipNumbers

IDS = EventIds("0123456789abcdef" * 2, (SkipNumbers(0, 100), SkipNumbers(150, 250)))


class Cursors(SynchronousTestCase):
    def placed(self, seq: int, published: int = 300) -> int | ResetReason:
        return IDS.placed(IDS.of(seq), published)

    def test_what_was_given_out_comes_back_as_its_number(self) -> None:
        for seq in (0, 100, 101, 150, 250, 251, 300):
            self.assertEqual(self.placed(seq), seq)
        self.assertLessEqual(len(IDS.of(2**59)), 64)

    def test_promise_27_a_number_that_nobody_has_or_that_a_crash_lost_is_unknown(self) -> None:
        for seq in (1, 99, 151, 249, 301, 10**17):
            self.assertEqual(self.placed(seq), ResetReason.UNKNOWN, seq)

    def test_promise_27_another_logs_cursor_is_foreign_and_nonsense_is_unknown(self) -> None:
        self.assertEqual(IDS.placed("other-120", 300), ResetReason.FOREIGN)
        for text in (
            "",
            "-",
            "120",
            f"{IDS.generation}-",
            f"{IDS.generation}-1\n",
            f"{IDS.generation}-\u0661",
            "a b-1",
        ):
            self.assertEqual(IDS.placed(text, 300), ResetReason.UNKNOWN, text)
