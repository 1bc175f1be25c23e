"""Runs, and those who are attached, as the server's own routes show them (`contract.md` 7)."""

from msgspec import Struct

from txcrush.model.runs import RunRecord, RunUsage

EXCERPT = 200
"""Characters of a prompt that are shown where runs are listed."""


class RunBody(Struct, omit_defaults=True, kw_only=True):
    """A run of ours; `state` is accepted, queued, active, cancelling, folded or ended. `prompt` is the prompt's
    beginning. Times are Unix seconds; what is empty or 0 is left out."""

    run_id: str
    session_id: str
    state: str
    prompt: str
    accepted_at: int
    began_at: int = 0
    outcome: str = ""
    message_id: str = ""
    text: str = ""
    error: str = ""
    reason: str = ""
    source: str = ""
    ended_at: int = 0
    usage: RunUsage | None = None


class ClientBody(Struct, omit_defaults=True, kw_only=True):
    """Who is attached to a workspace, of ours. `since` is Unix seconds; `streams` counts open event streams;
    `session_id` is the session that the client shows; `via` is unix or tcp; the last four are there where known."""

    client_id: str
    since: int
    streams: int
    session_id: str = ""
    user_agent: str = ""
    via: str = ""
    pid: int = 0


def run_body(record: RunRecord, state: str, usage: RunUsage = RunUsage()) -> RunBody:  # noqa: B008  (frozen)
    """A run as it stands; `usage` is that of one that has not ended."""
    end = record.end
    used = usage if record.end is None else record.end.usage
    body = RunBody(
        run_id=record.id,
        session_id=record.prompt.session_id,
        state=state,
        prompt=_beginning(record.prompt.text),
        accepted_at=record.accepted_at,
        began_at=record.began_at,
        usage=used if used != RunUsage() else None,
    )
    if end is not None:
        body.outcome, body.message_id, body.text = end.outcome, end.message_id, end.text
        body.error, body.reason, body.source, body.ended_at = end.error, end.reason, end.source, end.ended_at
    return body


def _beginning(text: str) -> str:
    """What is shown of a prompt in a list."""
    return text if len(text) <= EXCERPT else f"{text[: EXCERPT - 1]}…"
