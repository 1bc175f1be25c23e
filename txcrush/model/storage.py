"""The changes that the store is asked to make. A list of them is one transaction."""

from typing import TypeAlias

from msgspec import Struct

from txcrush.model.desk import DeskEntry, SessionPolicy
from txcrush.model.events import LoggedEvent
from txcrush.model.ids import MessageId, RunId, SessionId
from txcrush.model.messages import Message
from txcrush.model.runs import RunEnd
from txcrush.model.sessions import FileVersion, Session


class PutSession(Struct, frozen=True):
    """Create the session or replace all its columns."""

    session: Session


class DeleteSession(Struct, frozen=True):
    """Delete the session with its messages, file versions and read marks. Its children and runs stay."""

    session_id: SessionId


class PutMessage(Struct, frozen=True):
    """Create the message or replace it. `finished_at` follows from the finish part (NULL for a time of 0)."""

    message: Message


class DeleteMessage(Struct, frozen=True):
    message_id: MessageId


class StartRun(Struct, frozen=True):
    """The run's user message is stored."""

    run_id: RunId
    user_message_id: MessageId


class BeginRun(Struct, frozen=True):
    """A provider request of the run may go out from now on: a restart must not start it again."""

    run_id: RunId
    at: int


class EndRun(Struct, frozen=True):
    """The run's one terminal state. A second one for the same run fails the whole transaction."""

    run_id: RunId
    end: RunEnd


class AppendEvent(Struct, frozen=True):
    """Append to the durable event log; an older update of the same message leaves the log."""

    event: LoggedEvent


class SkipNumbers(Struct, frozen=True):
    """The event log goes on behind `upto`: numbers between `after` and that were never stored, so that whoever has
    one of them has seen what a crash may have lost. `upto` itself is where the log stands."""

    after: int
    upto: int


class PutFileVersion(Struct, frozen=True):
    version: FileVersion


class MarkRead(Struct, frozen=True):
    """The session has read the file (absolute path) at this time, Unix seconds, which never goes back.

    `size` in bytes and `mtime_ns` tell the state that was read; the size is -1 where it is not known.
    """

    session_id: SessionId
    path: str
    at: int
    size: int = -1
    mtime_ns: int = 0


class PutDeskEntry(Struct, frozen=True):
    """Create the entry of the desk's book or replace it. It outlives its session."""

    entry: DeskEntry


class PutPolicy(Struct, frozen=True):
    """Set the session's policy; it goes with the session."""

    policy: SessionPolicy


StoreChange: TypeAlias = (
    PutSession
    | DeleteSession
    | PutMessage
    | DeleteMessage
    | StartRun
    | BeginRun
    | EndRun
    | AppendEvent
    | SkipNumbers
    | PutFileVersion
    | MarkRead
    | PutDeskEntry
    | PutPolicy
)


class StoreHead(Struct, frozen=True):
    """Where a data directory stands when it is opened.

    `generation` names the data directory's event log (it stands in event ids), `seq` is the last event's number or
    where the log was told to go on, `position` the last accept sequence of a run. `skipped` are the numbers left out,
    as `SkipNumbers` says them, in order; those that retention has passed are forgotten.
    """

    generation: str
    seq: int
    position: int
    skipped: tuple[SkipNumbers, ...] = ()


class StoreHealth(Struct, frozen=True, kw_only=True):
    """How a data directory's storage does.

    `failing_since` is the Unix time of the first of the failures in a row that the last writes met, 0 where the last
    one went well; `reason` says what failed. `stalled_s` is for how long the disk has taken no write although some wait
    (`waiting`, of about `waiting_bytes`). `journal_mode` is `wal`, or what the file system gave instead. `moved_aside`
    is where a damaged database was put when this one was opened, empty where there was none.
    """

    failing_since: float = 0.0
    reason: str = ""
    stalled_s: float = 0.0
    waiting: int = 0
    waiting_bytes: int = 0
    journal_mode: str = ""
    moved_aside: str = ""


class ReadMark(Struct, frozen=True):
    """That a session has read a file, as `MarkRead` says it."""

    path: str
    at: int
    size: int = -1
    mtime_ns: int = 0
