"""What requests and answers say beside their bodies: in paths, in queries, in header fields.

These types are read for the description of the interface (`wire/openapi.py`); the routes read the text themselves. A
field without a default is required.
"""

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct, field

ClientId: TypeAlias = Annotated[str, Meta(description="The client: a UUID that it has made up, the same for its life.")]
AnsweringClient: TypeAlias = Annotated[
    str, Meta(description="The client that answers, for the audit trail; known without it over the Unix socket.")
]
OneSession: TypeAlias = Annotated[str, Meta(description="Only what belongs to this session.")]


class PathParameters(Struct):
    """What stands in paths, whatever the route."""

    workspace_id: Annotated[str, Meta(description="A workspace, by the `id` that `POST /v1/workspaces` answered.")]
    session_id: Annotated[str, Meta(description="A session of the workspace, by its `id`.")]
    client_id: Annotated[str, Meta(description="A client: the UUID that it has made up.")]
    run_id: Annotated[str, Meta(description="A run: the `run_id` of its prompt, or what `X-Run-Id` said.")]
    job_id: Annotated[str, Meta(description="A shell command that a tool has started, by its `id`.")]
    name: Annotated[str, Meta(description="A language server, by its name in the configuration.")]


class Leaving(Struct):
    client_id: ClientId


class Looking(Struct):
    client_id: ClientId


class Streaming(Struct):
    client_id: ClientId
    rich: Annotated[bool, Meta(description="Ids and comments as heartbeats, so that the client can come back.")] = False
    deltas: Annotated[bool, Meta(description="Growing text as `message_delta`; a rich stream.")] = False
    last_event_id: Annotated[
        str, Meta(description="The cursor, where the header cannot be set; empty for a new rich stream.")
    ] = ""


class Cursor(Struct):
    last_event_id: Annotated[
        str, Meta(description="The id of the last event taken: what came after it is sent. A rich stream.")
    ] = field(name="Last-Event-ID", default="")


class Answering(Struct):
    client_id: AnsweringClient = ""


class CancellingQuestions(Struct):
    batch_request_id: Annotated[str, Meta(description="The batch; empty for the oldest that waits.")] = ""
    client_id: AnsweringClient = ""


class AuditPage(Struct):
    session_id: OneSession = ""
    before: Annotated[str, Meta(description="The `id` of the last entry of the page before this one.")] = ""
    limit: Annotated[int, Meta(ge=1, le=1000, description="Entries at most.")] = 100


class FileNames(Struct):
    query: Annotated[str, Meta(max_length=4096, description="A part of a path.")] = ""
    limit: Annotated[int, Meta(ge=1, le=100, description="Paths at most.")] = 20


class OneRead(Struct):
    session_id: Annotated[str, Meta(description="The session that has read it.")] = ""
    path: Annotated[str, Meta(description="The file.")] = ""


class OneProvider(Struct):
    provider_id: Annotated[str, Meta(description="The provider, by its id in the configuration.")] = ""


class OneServer(Struct):
    name: Annotated[str, Meta(description="The MCP server, by its name in the configuration.")]


class RunsPage(Struct):
    session_id: OneSession = ""
    state: Annotated[str, Meta(description="Only runs that stand so; those of `state` in the answers.")] = ""
    before: Annotated[str, Meta(description="The `run_id` of the last run of the page before this one.")] = ""
    limit: Annotated[int, Meta(ge=1, le=1000, description="Runs at most.")] = 100


class OneRun(Struct):
    wait: Annotated[
        int, Meta(ge=0, le=3600, description="Seconds that the answer is held at most, until the run has ended.")
    ] = 0


class Waiting(Struct):
    """How a prompt's request waits, and how it is made safe to send again."""

    prefer: Annotated[
        str,
        Meta(
            description="`respond-async` answers at once, `wait=N` after N seconds (0 to 3600) at the latest. "
            "Without it, and without a `run_id`, the answer is held until the run has ended."
        ),
    ] = field(name="Prefer", default="")
    idempotency_key: Annotated[
        str,
        Meta(
            max_length=255,
            description="Sent again with the same key, a prompt without a `run_id` joins the run that it began.",
        ),
    ] = field(name="Idempotency-Key", default="")


class RunLabels(Struct):
    """What an answer says of the run."""

    run_id: Annotated[str, Meta(description="The run that the prompt has become or has joined.")] = field(
        name="X-Run-Id", default=""
    )
    run_state: Annotated[
        str, Meta(description="How it stands: accepted, queued, active, cancelling, folded or ended.")
    ] = field(name="X-Run-State", default="")
    applied: Annotated[str, Meta(description="What was honoured of `Prefer`.")] = field(
        name="Preference-Applied", default=""
    )


class NewCookie(Struct):
    cookie: Annotated[str, Meta(description="The page's cookie, which no script can read.")] = field(
        name="Set-Cookie", default=""
    )


class OutcomeLabel(Struct):
    outcome: Annotated[str, Meta(description="How the request ended, for whoever came too late.")] = field(
        name="X-Outcome", default=""
    )
