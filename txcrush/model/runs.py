"""Prompts and the runs that they become."""

from enum import StrEnum

from msgspec import Struct

from txcrush.model.budgets import Budget
from txcrush.model.ids import MessageId, RunId, SessionId


class WhenBusy(StrEnum):
    """What a prompt wants when its session is busy (`contract.md` 1)."""

    REFERENCE = ""  # folded into the active turn without a run id, a turn of its own with one
    QUEUE = "queue"
    STEER = "steer"
    INTERRUPT = "interrupt"
    REJECT = "reject"


class Attachment(Struct, frozen=True):
    """A file that came with a prompt; `file_path` is the client's name for it, never opened here."""

    file_path: str = ""
    file_name: str = ""
    mime_type: str = ""
    content: bytes = b""

    @property
    def is_text(self) -> bool:
        return self.mime_type.startswith("text/")


class Prompt(Struct, frozen=True, kw_only=True):
    """One prompt as a client sent it.

    `run_id` is the client's own correlator and empty where it gave none; `key` makes the prompt safe to send again,
    where it has no run id (the `Idempotency-Key` header). `budget` holds limits of its run beside the server's.
    """

    session_id: SessionId
    text: str
    run_id: RunId = RunId("")
    key: RunId = RunId("")
    attachments: tuple[Attachment, ...] = ()
    when_busy: WhenBusy = WhenBusy.REFERENCE
    budget: Budget = Budget()


class Outcome(StrEnum):
    """How a run ended."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"


class RunUsage(Struct, frozen=True):
    """What a run has used, with the agents that it sent: US dollars, tokens of all kinds, requests to models."""

    cost: float = 0.0
    tokens: int = 0
    steps: int = 0


class RunEnd(Struct, frozen=True, kw_only=True):
    """The end of a run, for everybody who asks later.

    `error` is the text for the user where the outcome is `FAILED`; where it is `CANCELLED`, `reason` says why and
    `source` who did it (`user`, `server`, `session deleted`, ...). `text` is the first text of the last assistant
    message, `message_id` that message's id, both empty where the run produced none. `ended_at` is Unix seconds.
    """

    outcome: Outcome
    message_id: MessageId = MessageId("")
    text: str = ""
    error: str = ""
    reason: str = ""
    source: str = ""
    ended_at: int = 0
    usage: RunUsage = RunUsage()


class RunRecord(Struct, frozen=True, kw_only=True):
    """A run as the store keeps it.

    `id` is the key of the run: the client's `run_id` where it gave one, else its `key` or an id minted by the server;
    these two are not shown in events (`minted`).
    `position` is the accept sequence, strictly increasing per data directory: the order of the queue.
    `user_message_id` is set once the user message is stored, `began_at` (Unix seconds, 0 = not yet) once a provider
    request may have been made: the two facts that tell a restart what it may do again.
    """

    id: RunId
    minted: bool
    prompt: Prompt
    position: int
    accepted_at: int
    user_message_id: MessageId = MessageId("")
    began_at: int = 0
    end: RunEnd | None = None
