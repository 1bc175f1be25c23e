"""Named points at which a test makes the server fail: killed, stopped, or refused by its disk.

Every point is declared here, once, and passed where its name says: `RUN_ACCEPTED()`. Unarmed that is one call and one
comparison. Only `arm` changes that, and only the launcher calls it (`tap.py`, with what `TXCRUSH_FAILPOINT` says):
nothing here looks at the environment. `docs/design/durability.md` has the points, and what holds at each.
"""

import errno
import os
import signal
from collections.abc import Callable

ALL = "*"
ACTIONS = ("kill", "stall", "error", "trace")
_POINTS: dict[str, "Failpoint"] = {}


class Failpoint:
    """One point. `error` makes what its place could really raise; None where nothing can fail there."""

    __slots__ = ("_trap", "error", "name")

    def __init__(self, name: str, error: Callable[[], Exception] | None = None) -> None:
        if name in _POINTS:
            raise ValueError(f"there are two failpoints {name}")
        self.name = name
        self.error = error
        self._trap: Callable[[Failpoint], None] | None = None
        _POINTS[name] = self

    def __call__(self) -> None:
        """The program comes by. Returns, unless it is armed and this is the time."""
        if self._trap is not None:
            self._trap(self)

    def set(self, trap: "Callable[[Failpoint], None] | None") -> None:
        """Have this called each time; None disarms the point."""
        self._trap = trap


def points() -> tuple[str, ...]:
    """The names of all points, in the order of their declaration."""
    return tuple(_POINTS)


def can_refuse(name: str) -> bool:
    """Whether the point's place can fail, so that `error` means something there."""
    return _POINTS[name].error is not None


def disarm() -> None:
    """No point does anything from now on."""
    for point in _POINTS.values():
        point.set(None)


def check(text: str) -> tuple[list[Failpoint], int, str]:
    """The points, the time and the action that a text for `arm` names. Raises ValueError for what is no such text."""
    place, _, action = text.partition("=")
    name, _, nth = place.partition(":")
    action, nth = action or "kill", nth or "1"
    if not text:
        return [], 1, action
    if action not in ACTIONS or not nth.isdecimal() or int(nth) < 1:
        raise ValueError(f"a failpoint is NAME[:NTH][=kill|stall|error|trace], not {text!r}")
    chosen = list(_POINTS.values()) if name == ALL and action == "trace" else [_POINTS[name]] if name in _POINTS else []
    if not chosen:
        raise ValueError(f"there is no failpoint {name!r}")
    if action == "error" and chosen[0].error is None:
        raise ValueError(f"nothing can fail at {name}")
    return chosen, int(nth), action


def arm(text: str) -> None:
    """Arm what `NAME[:NTH][=ACTION]` says; an empty text arms nothing. `NTH` counts from 1, which is the default.

    `kill` (the default) ends the process by SIGKILL; `stall` stops it by SIGSTOP; `error` raises, that one time, what
    the place could raise; `trace` only tells, each time from the NTH on. `*` is every point, for `trace`. What happens
    is told on standard error first, as `failpoint NAME NTH ACTION`. Raises as `check` does.
    """
    chosen, nth, action = check(text)
    for point in chosen:
        point.set(_Trap(nth, action))


class _Trap:
    """Counts, and springs."""

    def __init__(self, nth: int, action: str) -> None:
        self._nth = nth
        self._action = action
        self._passed = 0

    def __call__(self, point: Failpoint) -> None:
        self._passed += 1
        if self._passed == self._nth or (self._passed > self._nth and self._action == "trace"):
            line = f"failpoint {point.name} {self._passed} {self._action}\n"
            os.write(2, line.encode())  # in one piece, whatever other threads write
            self._spring(point)

    def _spring(self, point: Failpoint) -> None:
        if self._action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self._action == "stall":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif self._action == "error" and point.error is not None:
            raise point.error()


def _broken() -> Exception:
    return OSError(errno.EIO, "a failpoint says: Input/output error")


def _full() -> Exception:
    return OSError(errno.ENOSPC, "a failpoint says: No space left on device")


# A prompt, from its request to its place
RUN_ACCEPTED = Failpoint("run.accepted")
RUN_KEPT = Failpoint("run.kept")
RUN_QUEUED = Failpoint("run.queued")
RUN_ACTIVE = Failpoint("run.active")
RUN_HANDED = Failpoint("run.handed")

# A turn
TURN_SAID = Failpoint("turn.said")
TURN_BEGUN = Failpoint("turn.begun")
TURN_FOLDING = Failpoint("turn.folding")
TURN_FOLDED = Failpoint("turn.folded")
TURN_ANSWERED = Failpoint("turn.answered")
TURN_STEPPED = Failpoint("turn.stepped")
TURN_RESUMED = Failpoint("turn.resumed")
STREAM_TEXT = Failpoint("stream.text")
STREAM_CALL = Failpoint("stream.call")
STREAM_CALLED = Failpoint("stream.called")

# A tool
TOOL_STARTING = Failpoint("tool.starting")
TOOL_DONE = Failpoint("tool.done")
TOOL_KEPT = Failpoint("tool.kept")
FILE_REPLACING = Failpoint("file.replacing", _full)
FILE_REPLACED = Failpoint("file.replaced")
FILE_KEPT = Failpoint("file.kept")

# What waits for people
PERMISSION_PUT = Failpoint("permission.put")
PERMISSION_ANSWERED = Failpoint("permission.answered")
QUESTION_PUT = Failpoint("question.put")
QUESTION_ANSWERED = Failpoint("question.answered")

# Beside and below the turn
SUMMARY_BEGUN = Failpoint("summary.begun")
SUMMARY_WRITTEN = Failpoint("summary.written")
SUMMARY_KEPT = Failpoint("summary.kept")
TITLE_ASKING = Failpoint("title.asking")
TITLE_WRITTEN = Failpoint("title.written")
ERRAND_OPENED = Failpoint("errand.opened")
ERRAND_ENDED = Failpoint("errand.ended")
ERRAND_CHARGED = Failpoint("errand.charged")
SHELL_RUNNING = Failpoint("shell.running")
SHELL_EXITED = Failpoint("shell.exited")
SESSION_EMPTIED = Failpoint("session.emptied")
SESSION_DELETED = Failpoint("session.deleted")

# The end of a run
END_JUDGED = Failpoint("end.judged")
END_WRITTEN = Failpoint("end.written")
END_TOLD = Failpoint("end.told")
DROP_JUDGED = Failpoint("drop.judged")

# The end of the server, and the start after it
STOP_BEGUN = Failpoint("stop.begun")
STOP_LEFT = Failpoint("stop.left")
STOP_PARKED = Failpoint("stop.parked")
STOP_FLUSHED = Failpoint("stop.flushed")
RECOVERY_DESK = Failpoint("recovery.desk")
RECOVERY_RUN = Failpoint("recovery.run")
RECOVERY_MESSAGES = Failpoint("recovery.messages")
RECOVERY_DONE = Failpoint("recovery.done")
RECOVERY_RESUMED = Failpoint("recovery.resumed")

# The database
WRITER_GROUP = Failpoint("writer.group", _broken)
WRITER_COMMIT = Failpoint("writer.commit", _broken)
WRITER_COMMITTED = Failpoint("writer.committed")
WRITER_TRIMMING = Failpoint("writer.trimming")
CRUSH_COPIED = Failpoint("crush.copied", _full)
OPEN_CREATED = Failpoint("open.created", _full)
OPEN_JOURNAL = Failpoint("open.journal")
MIGRATION_COPIED = Failpoint("migration.copied", _full)
MIGRATION_BACKED_UP = Failpoint("migration.backed-up")
MIGRATION_STATEMENT = Failpoint("migration.statement", _broken)
MIGRATION_DONE = Failpoint("migration.done")
OPEN_READY = Failpoint("open.ready")
CLOSE_JOINED = Failpoint("close.joined")
CLOSE_CHECKPOINT = Failpoint("close.checkpoint")
