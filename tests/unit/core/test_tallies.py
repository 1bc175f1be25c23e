"""Counters and histograms, and their bounds."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.tallies import Spread, Tally
from txcrush.model.metrics import Sample


class Counting(SynchronousTestCase):
    def test_each_set_of_labels_has_its_own_count(self) -> None:
        tally = Tally("a_total", "h", ("x",))
        for value in ("one", "two", "one"):
            tally.add(value)
        tally.add("two", by=2.5)
        self.assertEqual((tally.value("one"), tally.value("two"), tally.value("three")), (2, 3.5, 0))

    def test_a_counter_without_labels_is_there_before_it_counts(self) -> None:
        self.assertEqual(Tally("a_total", "h").family().samples, (Sample(0.0),))

    def test_what_is_invented_without_end_is_counted_together(self) -> None:
        tally = Tally("a_total", "h", ("x",), limit=3)
        for number in range(1000):
            tally.add(str(number))
        tally.add("0")
        self.assertEqual([tally.value(name) for name in ("0", "1", "2", "3", "other")], [2, 1, 1, 0, 997])
        self.assertEqual(len(tally.family().samples), 4)

    def test_a_long_label_is_cut(self) -> None:
        tally = Tally("a_total", "h", ("x",))
        tally.add("y" * 1000)
        self.assertEqual(len(tally.family().samples[0].labels[0][1]), 100)

    def test_the_wrong_number_of_labels_is_a_defect(self) -> None:
        self.assertRaises(ValueError, Tally("a_total", "h", ("x",)).add, "one", "two")


class Spreading(SynchronousTestCase):
    def test_buckets_hold_what_is_not_above_their_bound(self) -> None:
        spread = Spread("a", "h", bounds=(1.0, 2.0))
        for value in (0.5, 1.0, 1.5, 9.0):
            spread.observe(value)
        samples = {(one.suffix, dict(one.labels).get("le")): one.value for one in spread.family().samples}
        self.assertEqual(
            samples,
            {
                ("_bucket", "1.0"): 2,
                ("_bucket", "2.0"): 3,
                ("_bucket", "+Inf"): 4,
                ("_sum", None): 12.0,
                ("_count", None): 4,
            },
        )

    def test_its_label_sets_are_bounded_too(self) -> None:
        spread = Spread("a", "h", ("x",), bounds=(1.0,), limit=2)
        for number in range(100):
            spread.observe(0.1, str(number))
        self.assertEqual((spread.count("0"), spread.count("other")), (1, 98))
        self.assertEqual(len(spread.family().samples), 3 * 4)
