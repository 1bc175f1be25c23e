"""What the core asks of the edges. Protocols only, no logic.

Every port has a contract suite in `tests/contracts` that the fake in `txcrush.testing` and the real adapter both pass.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from txcrush.model.config import Config, ProviderConfig
from txcrush.model.config_sources import ConfigReport, ConfigSource, LoadedConfig
from txcrush.model.desk import DeskEntry, SessionPolicy
from txcrush.model.events import Event, LoggedEvent
from txcrush.model.ids import MessageId, RunId, SessionId
from txcrush.model.messages import Message
from txcrush.model.permissions import Ask
from txcrush.model.processes import Program, ShellLine
from txcrush.model.providers import ModelReply, ModelRequest
from txcrush.model.register import Listed
from txcrush.model.runs import RunRecord
from txcrush.model.sessions import FileVersion, Session
from txcrush.model.skills import FoundSkill, Skill
from txcrush.model.storage import ReadMark, StoreChange, StoreHead, StoreHealth
from txcrush.model.tools import ToolOutput, ToolSpec, ToolUse

Clock: TypeAlias = IReactorTime
"""Time: `twisted.internet.task.Clock` in tests. `seconds()` is Unix time (an asyncio reactor's own is monotonic, so
wiring hands in a wall clock)."""

InThread = Callable[..., "Deferred[Any]"]
"""Calls a function in a thread of the pool: `in_thread(function, *arguments)`."""

NewId = Callable[[], str]
"""Mints a random UUID (version 4) as text."""

EncodeEvent = Callable[[Event], bytes]
"""Turns an event into the JSON of its envelope, once: these bytes go to the log and to every subscriber."""


class Store(Protocol):
    """One data directory's database.

    Writes are kept in the order of their calls. A write's Deferred fires when it is durable, and fails with
    `StorageFailed` when it is not (nothing of that write is kept then). Cancelling a Deferred does not undo a write.
    Reads see every write that was called before them.
    """

    def head(self) -> StoreHead:
        """Where the data directory stood when it was opened."""

    def health(self) -> StoreHealth:
        """How it does now. Asks no disk."""

    def write(self, *changes: StoreChange) -> "Deferred[None]":
        """Make the changes in one transaction."""

    def accept_run(self, record: RunRecord) -> "Deferred[RunRecord | None]":
        """Insert the run and fire with None, or fire with the record that holds its id already and change nothing."""

    def run(self, run_id: RunId) -> "Deferred[RunRecord | None]":
        """The run, ended or not, or None."""

    def unfinished_runs(self) -> "Deferred[list[RunRecord]]":
        """Every run without an end, by position."""

    def runs(
        self, session_id: SessionId | None, before: RunId, limit: int, *, is_ended: bool | None = None
    ) -> "Deferred[list[RunRecord]]":
        """Runs of one session or (None) of all, the newest first, at most `limit`; with `is_ended`, only those that
        have ended, or only those that have not. `before` is the id of a run, which those that are wanted are older
        than; empty or unknown: from the newest on."""

    def sessions(self) -> "Deferred[list[Session]]":
        """Every session, children too, in no order."""

    def messages(self, session_id: SessionId) -> "Deferred[list[Message]]":
        """The session's messages, in the order in which they were made, whatever their clock said."""

    def unfinished_messages(self) -> "Deferred[list[Message]]":
        """Assistant messages without a finish, of any session: what a crash has cut off."""

    def user_messages(self, session_id: SessionId | None) -> "Deferred[list[Message]]":
        """Messages of role user, newest first, of one session or (None) of all."""

    def message(self, message_id: MessageId) -> "Deferred[Message | None]":
        """One message, or None."""

    def file_versions(self, session_id: SessionId) -> "Deferred[list[FileVersion]]":
        """The session's file versions, by version, then creation."""

    def newest_file_version(self, path: str, session_id: SessionId | None) -> "Deferred[FileVersion | None]":
        """The path's version with the highest number (of equal ones the latest), of one session or (None) of all."""

    def read_marks(self, session_id: SessionId) -> "Deferred[list[ReadMark]]":
        """The files that the session has read, latest first."""

    def desk_entry(self, entry_id: str) -> "Deferred[DeskEntry | None]":
        """One entry of the desk's book, or None."""

    def desk_entries(self, session_id: SessionId | None, before: str, limit: int) -> "Deferred[list[DeskEntry]]":
        """The desk's book, of one session or (None) whole: the newest first, at most `limit`. `before` is the id of an
        entry, which those that are wanted are older than; empty or unknown: from the newest on."""

    def pending_desk_entries(self) -> "Deferred[list[DeskEntry]]":
        """Every entry that is not settled, oldest first."""

    def policies(self) -> "Deferred[list[SessionPolicy]]":
        """The policies of all sessions that have one."""

    def events_after(self, seq: int, limit: int) -> "Deferred[list[LoggedEvent]]":
        """Logged events with a larger number, in order, at most `limit`, and fewer where they are big: none only where
        there is none.
        Fails with `CursorTooOld` where retention has removed some of them."""

    def close(self) -> "Deferred[None]":
        """Fires when every write called before is durable and the files are released."""


class OpenStore(Protocol):
    """Opens a data directory's database; fails with `StorageFailed` when it cannot be used."""

    def __call__(self, data_dir: str) -> "Deferred[Store]": ...


class Register(Protocol):
    """The server's list of data directories with unfinished work, for its next start.

    Calls happen in their order; a Deferred fires when its change is durable and fails with `StorageFailed`. Servers of
    one user may share a register: an entry belongs to whoever holds its data directory.
    """

    def entries(self) -> "Deferred[list[Listed]]":
        """Every entry, those that were listed first at the front."""

    def add(self, entry: Listed) -> "Deferred[None]":
        """List a data directory, or say anew which workspace it is; what is known of failures stays."""

    def attempt(self, data_dir: str) -> "Deferred[None]":
        """A start is about to open it: until `opened` or `failed` is called, its end counts as caused by that."""

    def opened(self, data_dir: str) -> "Deferred[None]":
        """It opened: what is known of failures is forgotten."""

    def failed(self, data_dir: str, error: str, at: int) -> "Deferred[None]":
        """It did not open, at this time; the server lives."""

    def skipped(self, data_dir: str, error: str, at: int) -> "Deferred[None]":
        """It was not even tried; the attempts stay as they are."""

    def remove(self, data_dir: str) -> "Deferred[None]":
        """Nothing is left to do there, or nobody will ever do it. An unknown one is fine."""

    def close(self) -> "Deferred[None]":
        """Fires when every call before is done and the file is released."""


class StreamSink(Protocol):
    """Where a provider puts what the model says, as it comes. Called on the reactor thread, never re-entered."""

    def text(self, delta: str) -> None:
        """More answer text."""

    def reasoning(self, delta: str) -> None:
        """More reasoning."""

    def reasoning_ended(self, signature: str = "") -> None:
        """The reasoning block is complete; `signature` is the provider's seal on it, where it has one."""

    def stalled(self, wait_s: float) -> None:
        """Nothing new has come for so many seconds, and is still waited for. May be called from a timer."""

    def tool_started(self, call_id: str, name: str) -> None:
        """The model begins to write a tool call."""

    def tool_call(self, call_id: str, name: str, arguments: str) -> None:
        """A tool call is complete; `arguments` is the text that the model wrote, JSON or not."""


class Provider(Protocol):
    """A model provider's wire."""

    def stream(self, request: ModelRequest, sink: StreamSink) -> "Deferred[ModelReply]":
        """Ask the model; what it says goes to the sink.

        Fails with `ProviderError`. Cancelling the Deferred closes the connection at once; nothing reaches the sink
        after that.
        """


class BuildProvider(Protocol):
    """Makes the provider of a configuration entry, expanding its templates."""

    def __call__(self, config: ProviderConfig) -> Provider:
        """Raises `ConfigInvalid` where the entry cannot be used."""


class ListModels(Protocol):
    """Asks a provider which models it has."""

    def __call__(self, config: ProviderConfig, /) -> "Deferred[tuple[str, ...]]":
        """Their ids, after a few seconds at most. Fails with `ProviderError` or `ConfigInvalid`."""


class Permissions(Protocol):
    """The desk where a tool asks whether it may go on."""

    def ask(self, ask: Ask) -> "Deferred[bool]":
        """Whether it may be done; waits for an answer where nobody has given one already.

        Cancelling takes the question back. Fails with `StorageFailed` where it cannot be kept.
        """


class Tool(Protocol):
    """Something the model can call."""

    @property
    def spec(self) -> ToolSpec:
        """How the tool is offered to the model."""

    def run(self, use: ToolUse) -> "Deferred[ToolOutput]":
        """Do it. What the model should know of a failure is an output with `is_error`; a failed Deferred fails the
        turn. Cancelling the Deferred stops the work and everything that it started."""


TakeBytes = Callable[[bytes], None]
"""Where the output of a program goes as it comes. Called on the reactor thread; may neither raise nor wait."""


class Child(Protocol):
    """A program that was started."""

    def when_exited(self) -> "Deferred[int]":
        """Fires with the status, 128 + N where signal N ended it, once the program itself has exited and what it had
        written by then is handed over. What it left behind may go on, and its output goes on being taken."""

    def kill(self, grace_s: float = 2.0) -> "Deferred[None]":
        """End the program and everything that it has started; what an interrupt does not end in time is killed. Fires
        when nothing of it is left, or when what is left has withstood every attempt."""


class Processes(Protocol):
    """Runs programs, each the leader of a session of its own, without a terminal and with an empty standard input."""

    def start(self, program: Program, out: TakeBytes, err: TakeBytes) -> "Deferred[Child]":
        """Fires once it runs; fails with `CannotStart`. Who cancels gets no child: what was started is killed."""

    def end(self, mark: str, grace_s: float = 2.0) -> "Deferred[None]":
        """As `Child.kill`, for everything that was started under this mark, also what its program left behind."""


MakeProgram = Callable[[ShellLine], Program]
"""Turns a line of bash into the program that runs it. Raises `Refused` where there is no bash."""


class ConfigFiles(Protocol):
    """The files that a configuration is read from and written to."""

    def load(self, path: str, data_dir: str, debug: bool, *, reload: bool = False) -> "Deferred[LoadedConfig]":
        """The merged configuration of the directory; `data_dir` is the client's override, or empty. `reload` says that
        the workspace is open already. Fails with `ConfigInvalid`."""

    def report(self, sources: Sequence[ConfigSource]) -> "Deferred[ConfigReport]":
        """What has become of the files since."""

    def change(self, scope: int, data_dir: str, sets: Mapping[str, object], removes: Sequence[str]) -> "Deferred[None]":
        """Set and remove dotted keys in the scope's file (1 = the workspace's, any other = the user's)."""


class ProjectFiles(Protocol):
    """What a turn reads of the project: facts for the system prompt."""

    def context(self, path: str, config: Config) -> "Deferred[str]":
        """The context files of the project and of the user, each with its path, as text for the system prompt."""

    def needs_init(self, path: str, data_dir: str) -> "Deferred[bool]":
        """Whether the project holds something but no context file, and nobody has declined to make one."""

    def mark_initialized(self, data_dir: str) -> "Deferred[None]":
        """Make `needs_init` false from now on."""


class FindFileNames(Protocol):
    """Finds files of a project by a part of their path."""

    def __call__(self, directory: str, wanted: str, limit: int) -> "Deferred[Sequence[str]]":
        """Their paths below the directory, the best first. Fails with `Refused` where they cannot be listed."""


class SkillFiles(Protocol):
    """Where skills lie: in the server itself, in the user's directories, in the project."""

    def find(self, path: str, config: Config) -> "Deferred[Sequence[FoundSkill]]":
        """Every skill of the workspace, working or broken, the ones that replace others of their name last."""

    def read(self, path: str, skill: Skill) -> "Deferred[bytes]":
        """The skill's file as it is now. Fails with `Failed`."""
