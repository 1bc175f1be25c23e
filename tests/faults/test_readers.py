"""Crowds of readers against a server in a process of its own, seen from outside: `bench/readers.py` is the crowd.

Memory, loss and refusals are held to what is promised in the short form too. Delays are held to it in the full form,
which has the machine to itself; a suite that runs beside others is allowed ten times as much.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from txcrush.testing.scale import FULL, scaled
from txcrush.wire.json import parse_object

SCRIPT = Path(__file__).resolve().parents[2] / "bench" / "readers.py"
PARTS = ("idle", "storm", "stalled")
PATIENCE = scaled(10, 1)

Record = Callable[[str, object], None]


def measured(part: str, count: int, *more: str) -> dict[str, float]:
    """What the script saw of one part."""
    others = [word for other in PARTS if other != part for word in (f"--{other}", "0")]
    command = [sys.executable, str(SCRIPT), "--json", f"--{part}", str(count), *others, *more]
    told = subprocess.run(command, capture_output=True, text=True, timeout=scaled(100, 3600))
    assert told.returncode == 0, told.stderr
    return parse_object(told.stdout)[part]  # type: ignore[return-value]


def test_promise_31_stalled_readers_cost_bounded_memory_and_harm_nobody(record_property: Record) -> None:
    stalled, events = scaled(40, 200), scaled(2000, 100_000)
    seen = measured("stalled", stalled, "--events", str(events))
    record_property(
        "promise_31",
        f"{stalled} stalled readers, {events} events: +{seen['resident_grown_mib']} MiB, five others lost 0, "
        f"99 % of what they saw was {seen['fast_p99_ms']:.0f} ms old or less",
    )
    assert (seen["lost"], seen["out_of_order"], seen["still_open"]) == (0, 0, 0)
    assert seen["resident_grown_mib"] <= 256 / 200 * stalled
    assert seen["fast_p99_ms"] < 100 * PATIENCE


def test_promise_33_idle_streams_fit_into_one_process(record_property: Record) -> None:
    count = scaled(500, 10_000)
    seen = measured("idle", count)
    record_property(
        "promise_33",
        f"{count} idle streams: {seen['resident_mib']} MiB resident, {seen['kib_each']} KiB each, "
        f"95 % of health answers within {seen['health_p95_ms']} ms",
    )
    assert seen["refused"] == 0
    assert seen["resident_mib"] <= (700 if FULL else 150)
    assert seen["health_p95_ms"] < 50 * PATIENCE


def test_promise_34_a_crowd_that_drops_at_once_comes_back(record_property: Record) -> None:
    count = scaled(200, 1_000)
    seen = measured("storm", count)
    record_property(
        "promise_34",
        f"{count} dropped together, all back after {seen['back_s']} s, {seen['server_errors']} errors of the server, "
        f"{seen['descriptors_grown']} descriptors more",
    )
    assert (seen["back"], seen["server_errors"]) == (count, 0)
    assert seen["descriptors_grown"] <= 0
    assert seen["back_s"] <= 10
