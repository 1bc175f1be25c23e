"""The ids of events as clients know them: `<generation>-<number>`, for one data directory. Pure.

Theory. A cursor is good if everything up to it is in the log, or was replaced there by something later. The numbers
that a start leaves out are not: either nobody ever had them, or the last server showed growing text under them and was
killed before it had stored it.
"""

import re
from collections.abc import Sequence

from msgspec import Struct

from txcrush.model.events import ResetReason
from txcrush.model.storage import SkipNumbers

_ID = re.compile(r"([A-Za-z0-9._]{1,40})-([0-9]{1,18})")


class EventIds(Struct, frozen=True):
    """The ids of one data directory, whose log goes by this generation and has skipped these numbers."""

    generation: str
    skipped: Sequence[SkipNumbers]

    def of(self, seq: int) -> str:
        """The id of an event: at most 64 bytes, each a letter, a digit, `.`, `_` or `-`."""
        return f"{self.generation}-{seq}"

    def placed(self, cursor: str, published: int) -> int | ResetReason:
        """The number that a client's cursor stands for, or why it stands for none. `published` is the last one."""
        found = _ID.fullmatch(cursor)
        if found is None:
            return ResetReason.UNKNOWN
        generation, seq = found[1], int(found[2])
        if generation != self.generation:
            return ResetReason.FOREIGN
        if seq > published or any(one.after < seq < one.upto for one in self.skipped):
            return ResetReason.UNKNOWN
        return seq
