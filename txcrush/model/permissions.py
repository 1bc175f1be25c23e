"""Questions of tools to the people who watch: may this be done?"""

from enum import StrEnum

from msgspec import Struct

from txcrush.model.ids import PermissionId, SessionId


class Ask(Struct, frozen=True, kw_only=True):
    """What a tool wants to do.

    `path` is what it is about; clients are shown its directory. `params` is the tool's own shape (`tools.md` 3.4): an
    object, or null. `keys` are what "allow for session" remembers and looks up, all of them; where there are none it is
    the shown directory. A `guarded` ask is put to somebody whatever is allowed or skipped: it is about the server's or
    the agent's own configuration, or about what runs by itself.
    """

    session_id: SessionId
    tool_call_id: str
    tool_name: str
    action: str
    description: str
    path: str
    params: dict[str, object] | None
    keys: tuple[str, ...] = ()
    guarded: bool = False


class PermissionRequest(Struct, frozen=True, kw_only=True):
    """An ask that waits for an answer; the key order is the wire's."""

    id: PermissionId
    session_id: SessionId
    tool_call_id: str
    tool_name: str
    description: str
    action: str
    params: dict[str, object] | None
    path: str


class PermissionNotification(Struct, frozen=True, kw_only=True):
    """Where an ask stands: neither flag while it is being put, one of them once it is settled."""

    tool_call_id: str
    granted: bool = False
    denied: bool = False


class Verdict(StrEnum):
    """What a client answers."""

    ALLOW = "allow"
    ALLOW_SESSION = "allow_session"
    DENY = "deny"
