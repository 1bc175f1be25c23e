"""Small answers that have no other home, in the reference's names (`protocol.md` 6)."""

from collections.abc import Iterable

from msgspec import Struct, field

from txcrush.model.sessions import FileVersion


class Nothing(Struct):
    """An object without fields."""


class SkipBody(Struct):
    """Whether permissions are granted unasked."""

    skip: bool


class Resolution(Struct):
    """Whether it was this answer that settled the request; false where somebody was faster, or there is none."""

    resolved: bool


class NeedsInit(Struct):
    needs_init: bool


class InitPrompt(Struct):
    prompt: str


class ImportedToken(Struct):
    """`token` is always null in this version."""

    token: None
    success: bool


class PageAddress(Struct):
    url: str


class PageSession(Struct):
    """When the page's session ends, in Unix seconds; null where no token is asked."""

    expires_at: int | None


class HistoryRow(Struct):
    """One stored version of a file; the reference's client matches these keys without regard to case."""

    id: str = field(name="ID")
    session_id: str = field(name="SessionID")
    path: str = field(name="Path")
    content: str = field(name="Content")
    version: int = field(name="Version")
    created_at: int = field(name="CreatedAt")
    updated_at: int = field(name="UpdatedAt")


def history_rows(versions: Iterable[FileVersion]) -> list[HistoryRow]:
    """File versions as a session's history shows them."""
    return [
        HistoryRow(
            id=version.id,
            session_id=version.session_id,
            path=version.path,
            content=version.content,
            version=version.version,
            created_at=version.created_at,
            updated_at=version.updated_at,
        )
        for version in versions
    ]


class LspInfo(Struct, omit_defaults=True, kw_only=True):
    """A language server; `state` is 0 unstarted, 1 starting, 2 ready, 3 error, 4 stopped, 5 disabled."""

    error: str = ""
    name: str
    state: int
    diagnostic_count: int = 0
    connected_at: str


class McpInfo(Struct, omit_defaults=True, kw_only=True):
    """An MCP server; `state` is disabled, starting, connected, error or `needs auth`."""

    error: str = ""
    name: str
    state: str
    tool_count: int = 0
    prompt_count: int = 0
    resource_count: int = 0
    connected_at: str


class McpArgument(Struct, omit_defaults=True):
    id: str
    title: str
    description: str = ""
    required: bool = False


class McpPromptInfo(Struct, omit_defaults=True, kw_only=True):
    """A prompt that an MCP server offers; `client_id` is that server's name."""

    id: str
    title: str = ""
    description: str = ""
    prompt_id: str
    client_id: str
    arguments: tuple[McpArgument, ...] = ()


class McpLogin(Struct):
    name: str
    url: str


class McpAuthUrl(Struct, omit_defaults=True):
    auth_url: str = ""
