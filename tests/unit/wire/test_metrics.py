"""The text that a scraper reads."""

import re

from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.metrics import Family, Sample
from txcrush.wire.metrics import encode_metrics


class Text(SynchronousTestCase):
    def test_a_family_is_its_help_its_type_and_its_samples(self) -> None:
        family = Family("a_total", "counter", "What it is.", (Sample(3), Sample(0.5, (("x", "y"), ("z", "w")))))
        self.assertEqual(
            encode_metrics([family]).decode().splitlines(),
            ["# HELP a_total What it is.", "# TYPE a_total counter", "a_total 3", 'a_total{x="y",z="w"} 0.5'],
        )

    def test_what_would_break_a_line_is_escaped(self) -> None:
        family = Family("a", "gauge", "two\nlines \\", (Sample(1, (("x", 'q"\\\n\ud800'),)),))
        help_line, _, sample = encode_metrics([family]).decode().splitlines()
        self.assertEqual(help_line, "# HELP a two\\nlines \\\\")
        self.assertEqual(sample, 'a{x="q\\"\\\\\\n?"} 1')

    def test_a_family_without_samples_is_left_out(self) -> None:
        self.assertEqual(encode_metrics([Family("a", "gauge", "h", ())]), b"")

    def test_numbers_keep_their_value(self) -> None:
        values = (0.0, 1e15, 1e18, -2.0, 0.1, 12345678.25)
        text = encode_metrics([Family("a", "gauge", "h", tuple(map(Sample, values)))]).decode()
        self.assertEqual(tuple(float(found) for found in re.findall(r"^a (.*)$", text, re.M)), values)
