"""How long a prompt's request waits for its run (`contract.md` 1). Pure."""

from msgspec import Struct

LONGEST_WAIT_S = 3600.0


class Waiting(Struct, frozen=True):
    """`seconds`: None holds the request until the run has ended, 0 answers at once. `applied` is what was honoured of
    the `Prefer` header, empty where it had no say."""

    seconds: float | None
    applied: str = ""


def waiting(prefer: str, *, has_run_id: bool) -> Waiting:
    """`wait=N` over `respond-async` over a run id over nothing. What cannot be understood is ignored (RFC 7240)."""
    preferences = [item.strip().lower() for item in prefer.replace(";", ",").split(",")]
    for preference in preferences:
        name, _, value = preference.partition("=")
        seconds = value.strip().strip('"')
        if name.strip() == "wait" and seconds.isascii() and seconds.isdigit():
            wait_s = min(float(seconds[:9]), LONGEST_WAIT_S)
            return Waiting(wait_s, f"wait={wait_s:.0f}")
    if "respond-async" in preferences:
        return Waiting(0, "respond-async")
    return Waiting(0) if has_run_id else Waiting(None)
