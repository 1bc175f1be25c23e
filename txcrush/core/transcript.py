"""The messages of one data directory: what was said, and what is being said."""

from collections.abc import Sequence

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from txcrush.core.events import EventLog
from txcrush.core.live_message import LiveMessage, message_event
from txcrush.core.sessions import Sessions
from txcrush.model.errors import StorageFailed
from txcrush.model.events import Change, Event
from txcrush.model.ids import MessageId, SessionId
from txcrush.model.messages import Binary, Finish, FinishReason, Message, Part, Role, ShellCommand, Text, ToolResult
from txcrush.model.runs import Prompt
from txcrush.model.storage import DeleteMessage, PutMessage, StoreChange
from txcrush.ports import Clock, NewId, Store

STOP = Finish(FinishReason.STOP, 0)
"""Stands at the end of every message that is not an assistant's."""


class Addition(Struct, frozen=True):
    """A message to be made or taken back: what to write, and what to publish after that. It is counted already:
    `count` more messages of the session, which are not there where the write is refused."""

    changes: tuple[StoreChange, ...]
    events: tuple[Event, ...]
    session_id: SessionId = SessionId("")
    count: int = 0


class Transcript:
    """Adds messages, keeps the live ones, and reads them all."""

    def __init__(self, store: Store, events: EventLog, sessions: Sessions, clock: Clock, new_id: NewId) -> None:
        self._store = store
        self._events = events
        self._sessions = sessions
        self._clock = clock
        self._new_id = new_id
        self._live: dict[MessageId, LiveMessage] = {}

    def new_id(self) -> MessageId:
        return MessageId(self._new_id())

    def add(self, addition: Addition) -> Deferred[None]:
        """Write it and show it; fires when that is done."""
        return self._events.commit(addition.changes, addition.events).addErrback(self._uncount, addition)

    def _uncount(self, failure: Failure, addition: Addition) -> Failure:
        """The store refused: the session has not got the message."""
        if failure.check(StorageFailed) is not None:
            self._sessions.counted(addition.session_id, -addition.count)
        return failure

    def user(self, prompt: Prompt, message_id: MessageId, changes: Sequence[StoreChange] = ()) -> Addition:
        """The prompt as a user message: one text part, one part per attachment."""
        files = [Binary(file.file_path, file.mime_type, file.content) for file in prompt.attachments]
        parts: list[Part] = [Text(prompt.text), *files, STOP]
        return self._create(self._message(message_id, prompt.session_id, Role.USER, parts), changes)

    def result(self, session_id: SessionId, result: ToolResult) -> Addition:
        """One tool result as a message of its own."""
        return self._create(self._message(self.new_id(), session_id, Role.TOOL, [result, STOP]))

    def shell(self, session_id: SessionId, command: ShellCommand) -> Addition:
        """A command that somebody ran beside the agent, as a user message."""
        return self._create(self._message(self.new_id(), session_id, Role.USER, [command, STOP]))

    async def prepared_result(self, session_id: SessionId, result: ToolResult) -> Addition:
        """The same; a big one is encoded beforehand."""
        message = self._message(self.new_id(), session_id, Role.TOOL, [result, STOP])
        size = len(result.content) + len(result.metadata) + len(result.data)
        event = await self._events.prepared(message_event(message, Change.CREATED), size)
        return Addition((PutMessage(message), *self._sessions.counted(session_id, 1)), (event,), session_id, 1)

    def assistant(
        self,
        session_id: SessionId,
        model: str,
        provider: str,
        changes: Sequence[StoreChange] = (),
        *,
        is_summary: bool = False,
    ) -> tuple[LiveMessage, Addition]:
        """An empty assistant message for the model to write in."""
        now = int(self._clock.seconds())
        message = Message(
            id=self.new_id(),
            session_id=session_id,
            role=Role.ASSISTANT,
            parts=(),
            model=model,
            provider=provider,
            created_at=now,
            updated_at=now,
            is_summary_message=is_summary,
        )
        live = LiveMessage(message, self._events, self._clock)
        self._live[message.id] = live
        return live, self._create(message, changes)

    def ended(self, live: LiveMessage) -> None:
        """Nobody writes in the message any more."""
        self._live.pop(MessageId(live.id), None)

    def deletion(self, live: LiveMessage) -> Addition:
        """Take a live message back; it is no longer counted."""
        live.discard()
        self.ended(live)
        message = live.snapshot()
        counted = self._sessions.counted(message.session_id, -1)
        told = (message_event(message, Change.DELETED),)
        return Addition((DeleteMessage(message.id), *counted), told, message.session_id, -1)

    def flush(self) -> None:
        """Hand everything that grew to the store, whose reads see every write before them."""
        for live in self._live.values():
            live.flush()

    def messages(self, session_id: SessionId) -> Deferred[list[Message]]:
        """The session's messages, oldest first, never older than what events showed."""
        self.flush()
        return self._store.messages(session_id)

    def user_messages(self, session_id: SessionId | None) -> Deferred[list[Message]]:
        """User messages, newest first, of one session or (None) of all."""
        return self._store.user_messages(session_id)

    def _message(self, message_id: MessageId, session_id: SessionId, role: Role, parts: Sequence[Part]) -> Message:
        now = int(self._clock.seconds())
        return Message(message_id, session_id, role, tuple(parts), created_at=now, updated_at=now)

    def _create(self, message: Message, changes: Sequence[StoreChange] = ()) -> Addition:
        counted = self._sessions.counted(message.session_id, 1)
        told = (message_event(message, Change.CREATED),)
        return Addition((PutMessage(message), *counted, *changes), told, message.session_id, 1)
