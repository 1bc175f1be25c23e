"""The errors of the domain: a small tree, one stable code each.

`wire/errors.py` holds the one table from code to HTTP status. The texts are part of the protocol: clients show them.
"""

from typing import ClassVar

from twisted.internet.defer import CancelledError


class CrushError(Exception):
    """An error with a stable code and a text for the user."""

    code: ClassVar[str] = "internal"
    default: ClassVar[str] = "internal server error"

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.default)

    @property
    def message(self) -> str:
        return str(self.args[0])


class DecodeFailed(CrushError):
    code = "decode_failed"
    default = "failed to decode request"


class BadRequest(CrushError):
    code = "bad_request"
    default = "bad request"


class BodyTooLarge(CrushError):
    code = "body_too_large"
    default = "request body is too large: at most 10 MiB are accepted"


class WorkspaceNotFound(CrushError):
    code = "workspace_not_found"
    default = "workspace not found"


class NotFound(CrushError):
    """Something other than a workspace that a path names does not exist."""

    code = "not_found"
    default = "not found"


class AgentNotInitialized(CrushError):
    """No provider is configured, so no agent was built."""

    code = "agent_not_initialized"
    default = "agent coordinator not initialized"


class SessionNotFound(CrushError):
    """The reference answers 500 with its database's words; clients treat every failure here alike."""

    code = "session_not_found"
    default = "sql: no rows in result set"


class PromptEmpty(CrushError):
    code = "prompt_empty"
    default = "prompt is empty"


class SessionIdMissing(CrushError):
    code = "session_id_missing"
    default = "session id is missing"


class SessionBusy(CrushError):
    """`when_busy: "reject"` met a busy session."""

    code = "session_busy"
    default = "session is busy"


class SessionProcessing(CrushError):
    """A summary was asked for while the session works."""

    code = "session_processing"
    default = "session is currently processing another request"


class RunIdReused(CrushError):
    code = "run_id_reused"
    default = "run id is already used by another prompt"


class RunFolded(CrushError):
    """A prompt that has joined another run's turn cannot be taken out of it."""

    code = "run_folded"
    default = "the prompt has joined the turn of another run: cancel that one, or the session"


class RunNotFound(CrushError):
    code = "run_not_found"
    default = "run not found"


class WorkspaceClosing(CrushError):
    code = "workspace_closing"
    default = "workspace closing"


class ClientNotAttached(CrushError):
    code = "client_not_attached"
    default = "client not attached"


class ClientRetired(CrushError):
    code = "client_retired"
    default = "client has been retired"


class HostingLiveWorkspaces(CrushError):
    code = "hosting_live_workspaces"
    default = "server is hosting live workspaces"


class ShuttingDown(CrushError):
    code = "shutting_down"
    default = "server is shutting down"


class Unsupported(CrushError):
    """A route of the protocol whose feature this version does not have."""

    code = "unsupported"
    default = "not supported by this version of txcrush"


class Failed(CrushError):
    """A failure with a text of its own; the reference answers these with 500."""

    code = "failed"
    default = "internal server error"


class StorageFailed(CrushError):
    """The database refused a write or a read: disk full, locked, corrupt, newer than this program."""

    code = "storage_failed"
    default = "the database is not available"


class ChangeRefused(StorageFailed):
    """The database is fine, but the change does not fit what it holds: no use to try it again."""

    code = "change_refused"


class StorageBusy(StorageFailed):
    """Another process holds the database, or the disk does not keep up: worth another try in a while."""

    code = "storage_busy"
    default = "storage is too slow: try again in a while"


class StorageDamaged(StorageFailed):
    """The database file is not sound. It is moved aside when it is next opened."""

    code = "storage_damaged"


class NoDataDirectory(StorageFailed):
    """The data directory is not there and cannot be made."""

    code = "no_data_directory"


class CursorTooOld(CrushError):
    """Retention has removed events after the number that a reader asked from: it must start anew (`reset`)."""

    code = "cursor_too_old"
    default = "the event log no longer reaches back that far"


class ConfigInvalid(CrushError):
    """A configuration file cannot be used; the text names the file and what to change."""

    code = "config_invalid"
    default = "failed to initialize config"


class TokenNeeded(CrushError):
    """Asked with a page's cookie for what only the token itself may do."""

    code = "token_needed"
    default = "a bearer token is needed"


class ListenFailed(CrushError):
    """An address cannot be listened on; the text says what to change."""

    code = "listen_failed"
    default = "cannot listen"


class Refused(CrushError):
    """A tool cannot do what the model asked for, in words for the model: it becomes an error result, and the turn goes
    on. Any other `CrushError` of a tool fails the turn."""

    code = "refused"


class CannotStart(CrushError):
    """A program could not be started: it, or its directory, is not there or not to be used."""

    code = "cannot_start"
    default = "could not run command"


class ProviderError(CrushError):
    """What a model provider answered instead of an answer.

    `title` is a short name of the failure (`Too Many Requests`), `message` the provider's own words, `status` the HTTP
    status or 0 when there was none. `retry_after_s` is what the provider asked for, in seconds, or None.
    """

    code = "provider_failed"
    default = "provider error"

    def __init__(
        self,
        message: str,
        *,
        title: str = "",
        status: int = 0,
        retryable: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.title = title
        self.status = status
        self.retryable = retryable
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"{self.title.lower()}: {self.message}" if self.title else self.message


class BudgetExhausted(CrushError):
    """The run has used up what it may use. `limit` names which limit that was: `max_cost`, `max_seconds` and so on."""

    code = "budget_exhausted"
    title: ClassVar[str] = "Stopped by the budget"

    def __init__(self, message: str, limit: str) -> None:
        super().__init__(f"{message}: prompt again to go on, or raise {limit}")

    def __str__(self) -> str:
        return f"{self.title}: {self.message}"


class RunCancelled(CancelledError):
    """The run that a watcher waits for was cancelled: by whom and why, not that the watcher itself was dropped."""

    def __init__(self, reason: str, source: str) -> None:
        super().__init__(f"{reason} (by {source})")
        self.reason = reason
        self.source = source


class RunFailed(CrushError):
    """The run that a watcher waits for ended with an error."""

    code = "run_failed"
    default = "the run failed"
