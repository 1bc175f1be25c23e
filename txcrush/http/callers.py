"""Who is calling: for the desk's book, as far as that can be known.

The Crush client does not say who it is when it answers. Over the Unix socket the kernel tells which process asks, and
that process holds an event stream, which it opened under its client id.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from twisted.internet.address import UNIXAddress
from twisted.web.iweb import IRequest

from txcrush.http.client_ids import query_client_id
from txcrush.http.routing import Call
from txcrush.http.unixsocket import peer_pid
from txcrush.model.desk import Answerer, Settler
from txcrush.model.errors import BadRequest
from txcrush.model.ids import ClientId, WorkspaceId

Holder = tuple[WorkspaceId, int]
"""A workspace, and a process that holds streams of it."""


class Callers:
    """The processes that hold streams, and their client ids."""

    def __init__(self) -> None:
        self._streams: dict[Holder, list[ClientId]] = {}

    @contextmanager
    def streaming(self, call: Call, client_id: ClientId) -> Iterator[None]:
        """The call is a stream of this client, while the block lasts."""
        pid = _pid(call.request)
        if pid is None:
            yield
            return
        holder = (call.workspace_id, pid)
        self._streams.setdefault(holder, []).append(client_id)
        try:
            yield
        finally:
            self._streams[holder].remove(client_id)
            if not self._streams[holder]:
                del self._streams[holder]

    def answerer(self, call: Call) -> Answerer:
        """The client that calls: the query's `client_id`, or the only one whose streams its process holds.

        Raises `BadRequest` for a `client_id` that is none.
        """
        via = "unix" if isinstance(call.request.getHost(), UNIXAddress) else "tcp"
        if call.query("client_id"):
            return Answerer(Settler.CLIENT, query_client_id(call), via)
        known = set(self._streams.get((call.workspace_id, _pid(call.request) or 0), ()))
        return Answerer(Settler.CLIENT, known.pop() if len(known) == 1 else ClientId(""), via)

    def client_id(self, call: Call) -> ClientId:
        """The client that calls, empty where that cannot be known."""
        try:
            return self.answerer(call).client_id
        except BadRequest:
            return ClientId("")


def _pid(request: IRequest) -> int | None:
    """The process at the other end, where the request came over a Unix socket."""
    channel = getattr(request, "channel", None)
    if channel is None or not isinstance(request.getHost(), UNIXAddress):
        return None
    return peer_pid(channel.transport)
