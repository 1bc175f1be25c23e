"""How long the event log is kept: so many bytes, so many seconds, whichever comes first.

Trimming takes a few rows at a time from the old end, on the writer's thread, after the askers have their answers. The
last number and the number up to which the log is gone stay in `meta`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf
from sqlite3 import Connection

from txcrush.adapters.sqlite.queries import LAST_SEQ, SKIPPED, TRIMMED_SEQ
from txcrush.model.storage import AppendEvent, StoreChange

_ROW_BYTES = 64  # what a row costs beside its body and key, roughly
_SIZE = f"length(body) + length(key) + {_ROW_BYTES}"
_OLDEST = f"SELECT seq, at, {_SIZE} FROM events ORDER BY seq LIMIT ?"
_PUT_META = "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
_FORGET_SKIPPED = "DELETE FROM meta WHERE key GLOB ? AND CAST(value AS INTEGER) <= ?"
_STEP_ROWS = 2000
_CHECK_EVERY_S = 3600.0


@dataclass
class Retention:
    """Keeps the log within `max_bytes` (overshooting by a sixteenth) and `max_age_s`. All on the writer's thread."""

    max_bytes: int
    max_age_s: int
    now: Callable[[], float]
    _appended: int = 0
    _checked_at: float = -inf

    def note(self, changes: Iterable[StoreChange]) -> None:
        """Count what goes into the log."""
        for change in changes:
            if isinstance(change, AppendEvent):
                self._appended += len(change.event.body) + len(change.event.key) + _ROW_BYTES

    @property
    def is_due(self) -> bool:
        grown = self._appended > self.max_bytes // 16
        return grown or abs(self.now() - self._checked_at) >= _CHECK_EVERY_S

    def trim(self, connection: Connection) -> None:
        """Remove a step's worth of what is too old or too much; stays due while more may be left."""
        cut, rows = self._cut(connection)
        if cut is not None:
            connection.execute(
                "INSERT INTO meta SELECT ?, max(seq) FROM events WHERE true "
                "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (LAST_SEQ,),
            )
            connection.execute(_PUT_META, (TRIMMED_SEQ, str(cut)))
            connection.execute("DELETE FROM events WHERE seq <= ?", (cut,))
            connection.execute(_FORGET_SKIPPED, (f"{SKIPPED}*", cut))
        if rows < _STEP_ROWS:
            self._appended, self._checked_at = 0, self.now()

    def _cut(self, connection: Connection) -> tuple[int | None, int]:
        """The last number to remove, and how many rows go with it."""
        (total,) = connection.execute(f"SELECT coalesce(sum({_SIZE}), 0) FROM events").fetchone()
        excess, oldest = total - self.max_bytes, self.now() - self.max_age_s
        cut, rows = None, 0
        for seq, at, size in connection.execute(_OLDEST, (_STEP_ROWS,)):
            if excess <= 0 and at >= oldest:
                break
            cut, rows, excess = seq, rows + 1, excess - size
        return cut, rows
