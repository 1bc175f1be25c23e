"""Shapes of the routes of shell commands."""

from msgspec import Struct


class JobBody(Struct, kw_only=True):
    """A command that a tool has started. `started_at` is in Unix seconds; `exit_code` is null while it runs."""

    id: str
    session_id: str
    tool_call_id: str
    command: str
    description: str
    working_dir: str
    started_at: int
    exit_code: int | None


class JobOutputBody(Struct, kw_only=True):
    """A command and what it has written; a note says how many lines of the middle are left out."""

    job: JobBody
    out: str
    err: str
