"""What the desk keeps: who was asked what, what became of it, and what is to become of what nobody answers."""

from enum import StrEnum
from math import isfinite

from msgspec import Struct

from txcrush.model.ids import ClientId, SessionId

LONGEST_S = 365 * 24 * 3600
"""A request may wait this long before its policy settles it."""


class DeskKind(StrEnum):
    PERMISSION = "permission"
    QUESTION = "question"
    POLICY = "policy"


class Settlement(StrEnum):
    """Where an entry of the desk's book stands."""

    PENDING = "pending"
    GRANTED = "granted"
    GRANTED_FOR_SESSION = "granted_for_session"
    DENIED = "denied"
    ANSWERED = "answered"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    CHANGED = "changed"


class Settler(StrEnum):
    """What settled an entry."""

    CLIENT = "client"
    POLICY = "policy"
    SKIP = "skip"
    ALLOW_LIST = "allow_list"
    HOOK = "hook"
    SESSION_GRANT = "session_grant"
    CANCEL = "cancel"
    RESTART = "restart"


class Answerer(Struct, frozen=True):
    """Who settles something. Of a client: its id, where it is known, and the way it came (`unix` or `tcp`)."""

    by: Settler
    client_id: ClientId = ClientId("")
    via: str = ""


class DeskEntry(Struct, frozen=True, kw_only=True):
    """One line of the audit trail.

    `subject` says what it is about, as an object of its kind: what a tool wanted to do, what was asked, which policy
    was set. An entry of a whole workspace has no session. Times are Unix seconds, `settled_at` is 0 while it is
    pending. The key order is the wire's.
    """

    id: str
    kind: DeskKind
    session_id: SessionId = SessionId("")
    tool_call_id: str = ""
    subject: dict[str, object]
    asked_at: int
    outcome: Settlement = Settlement.PENDING
    by: str = ""
    client_id: ClientId = ClientId("")
    via: str = ""
    settled_at: int = 0


class Fallback(StrEnum):
    ASK = "ask"
    DENY = "deny"
    ALLOW = "allow"


class Unanswered(Struct, frozen=True):
    """What becomes of a request that nobody answers: it waits, or is denied or allowed after so many seconds."""

    fallback: Fallback = Fallback.ASK
    after_s: float = 0

    def __str__(self) -> str:
        """As `parse_unanswered` reads it."""
        is_plain = self.fallback is Fallback.ASK or (self.fallback is Fallback.ALLOW and not self.after_s)
        return self.fallback.value if is_plain else f"{self.fallback.value}:{self.after_s:.15g}"


def parse_unanswered(text: str) -> Unanswered:
    """`ask`, `deny:SECONDS`, `allow` or `allow:SECONDS`. Raises ValueError with what is wanted."""
    word, colon, seconds = text.strip().partition(":")
    try:
        fallback = Fallback(word)
        after_s = float(seconds) if colon else 0.0
    except ValueError:
        raise _unknown(text) from None
    if not (isfinite(after_s) and 0 <= after_s <= LONGEST_S):
        raise _unknown(text)
    if (fallback is Fallback.ASK and colon) or (fallback is Fallback.DENY and not colon):
        raise _unknown(text)
    return Unanswered(fallback, after_s)


def _unknown(text: str) -> ValueError:
    return ValueError(f"wants ask, deny:SECONDS (such as deny:30) or allow, not {text!r}")


class SessionPolicy(Struct, frozen=True):
    """What was set for one session. `unanswered` of None is the server's, or that of the session's parent."""

    session_id: SessionId
    unanswered: Unanswered | None = None
    skip: bool = False
