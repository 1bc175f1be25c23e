"""The route of the event stream (`contract.md` 3, `protocol.md` 7)."""

from typing import Any

from twisted.internet.defer import Deferred

from txcrush.core.resuming import Resuming
from txcrush.core.snapshots import WorkspaceSnapshot
from txcrush.core.workspaces import Workspace, Workspaces
from txcrush.http.callers import Callers
from txcrush.http.client_ids import query_client_id
from txcrush.http.readers import PLAIN_HEADERS, Reader, write_head
from txcrush.http.rich_readers import RICH_HEADERS, Naming, RichReader
from txcrush.http.routing import Call, Reply, route
from txcrush.model.errors import BadRequest, WorkspaceNotFound
from txcrush.ports import Clock
from txcrush.wire.parameters import Cursor, Streaming

LAST_EVENT_ID = "Last-Event-ID"
STOP_FOR_GOOD = Reply(204)
"""A browser's `EventSource` comes back after every other end."""


class EventRoutes:
    """The one route of the stream."""

    def __init__(self, workspaces: Workspaces, clock: Clock, callers: Callers) -> None:
        self._workspaces = workspaces
        self._callers = callers
        self._clock = clock
        self._naming = Naming()

    @route(
        "GET",
        "/v1/workspaces/<workspace_id>/events",
        stream=True,
        answers={200: str, 204: None},
        query=Streaming,
        headers=Cursor,
        errors=(BadRequest,),
    )
    async def events(self, call: Call) -> Reply | None:
        """Tell what happens in a workspace, as server-sent events, until it or the connection ends.

        The data of each event is one line of JSON, an `Event`. What waits for an answer comes first: permission
        requests and questions. A plain stream has data alone; a rich one, asked for by `Last-Event-ID`,
        `last_event_id`, `rich` or `deltas`, has ids to come back with. Of a workspace that is gone a plain stream is
        answered 404, a rich one 204. An open stream keeps the workspace open.
        """
        # Subscribe, then claim, then answer: once the client has the headers nothing can pass it by.
        client_id = query_client_id(call)
        is_rich = _is_rich(call)
        try:
            workspace = self._workspaces.get(call.workspace_id)
        except WorkspaceNotFound:
            if is_rich:
                return STOP_FOR_GOOD
            raise
        if call.request.method == b"HEAD":
            write_head(call.request, RICH_HEADERS if is_rich else PLAIN_HEADERS)
            return None
        workspace.claims.attach(client_id)
        try:
            with self._callers.streaming(call, client_id):
                await (self._rich(call, workspace) if is_rich else self._plain(call, workspace))
        finally:
            workspace.claims.detach(client_id)
        return None

    async def _plain(self, call: Call, workspace: Workspace) -> None:
        reader = Reader(call.request, self._clock, workspace.events.figures)
        workspace.events.subscribe(reader)
        try:
            ended = reader.run()
            for frame in workspace.open_frames():
                reader.deliver(frame)
            await ended
        finally:
            workspace.events.unsubscribe(reader)

    async def _rich(self, call: Call, workspace: Workspace) -> None:
        reader = RichReader(
            call.request,
            self._clock,
            workspace.events.figures,
            workspace.event_ids,
            self._naming,
            wants_deltas=_asks(call, "deltas"),
        )
        snapshot = WorkspaceSnapshot(workspace)
        resuming = Resuming(workspace.events, workspace.event_ids, workspace.store, snapshot, reader)
        working: Deferred[Any] | None = None
        try:
            ended = reader.run()
            working = resuming.start(_cursor(call))
            await ended
        finally:
            if working is not None:
                working.cancel()
            workspace.events.unsubscribe(reader)


def _is_rich(call: Call) -> bool:
    """Whether the client can come back with an id, or asks for what only such clients understand."""
    asked = _has_header(call) or b"last_event_id" in call.request.args
    return asked or _asks(call, "rich") or _asks(call, "deltas")


def _has_header(call: Call) -> bool:
    return bool(call.request.requestHeaders.hasHeader(LAST_EVENT_ID.encode()))


def _cursor(call: Call) -> str:
    """Where the client left off, or empty. A browser that comes back says so in the header, and its URL is still that
    of its first request: the header wins."""
    return call.header(LAST_EVENT_ID).strip() or call.query("last_event_id")


def _asks(call: Call, name: str) -> bool:
    return call.query(name).lower() not in ("", "0", "false", "no", "off")
