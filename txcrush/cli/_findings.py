"""What `txcrush doctor` finds: each a fact with a verdict and, where it is not well, what to do."""

import time
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum

from msgspec import Struct


class Verdict(StrEnum):
    """`ERROR`: something does not work. `WARNING`: it works, and somebody should look at it."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


class Finding(Struct, frozen=True):
    """`check` names what was looked at. `action` is empty where there is nothing to do."""

    check: str
    verdict: Verdict
    text: str
    action: str = ""


def ok(check: str, text: str) -> Finding:
    return Finding(check, Verdict.OK, text)


def warning(check: str, text: str, action: str) -> Finding:
    return Finding(check, Verdict.WARNING, text, action)


def error(check: str, text: str, action: str) -> Finding:
    return Finding(check, Verdict.ERROR, text, action)


Check = Callable[[], Iterable[Finding]]


def examined(name: str, check: Check) -> Iterator[Finding]:
    """What the check finds. One that breaks is itself a finding: a doctor does not fall ill at the bedside."""
    began = time.monotonic()
    try:
        yield from check()
    except Exception as broken:  # whatever state it meets, the other checks go on
        took_s = time.monotonic() - began
        yield error(
            name,
            f"could not be checked ({type(broken).__name__}: {broken}, after {took_s:.1f} s)",
            "look at the files it names; if they are in order, report this as a defect of txcrush",
        )


def line(finding: Finding) -> str:
    """The finding as people read it."""
    mark = {Verdict.OK: "ok     ", Verdict.WARNING: "warning", Verdict.ERROR: "ERROR  "}[finding.verdict]
    shown = f"{mark}  {finding.check}: {finding.text}"
    return f"{shown}\n         -> {finding.action}" if finding.action else shown
