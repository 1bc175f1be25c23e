"""Who is calling: for the desk's book, as far as that can be known.

The Crush client does not say who it is when it answers. Over the Unix socket the kernel tells which process asks, and
that process holds an event stream, which it opened under its client id.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct
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


class Peer(Struct, frozen=True):
    """What is known of the other end of a stream; `via` is unix or tcp, `pid` is 0 where it cannot be known."""

    user_agent: str
    via: str
    pid: int


class Callers:
    """The processes that hold streams, and their client ids."""

    def __init__(self) -> None:
        self._streams: dict[Holder, list[ClientId]] = {}
        self._peers: dict[tuple[WorkspaceId, ClientId], list[Peer]] = {}

    @contextmanager
    def streaming(self, call: Call, client_id: ClientId) -> Iterator[None]:
        """The call is a stream of this client, while the block lasts."""
        pid = _pid(call.request)
        key, peer = (call.workspace_id, client_id), Peer(call.header("User-Agent"), _via(call.request), pid or 0)
        self._peers.setdefault(key, []).append(peer)
        try:
            with self._holding(call.workspace_id, pid, client_id):
                yield
        finally:
            self._peers[key].remove(peer)
            if not self._peers[key]:
                del self._peers[key]

    def peer(self, workspace_id: WorkspaceId, client_id: ClientId) -> Peer | None:
        """The other end of the client's newest stream; None where it has none."""
        peers = self._peers.get((workspace_id, client_id))
        return peers[-1] if peers else None

    @contextmanager
    def _holding(self, workspace_id: WorkspaceId, pid: int | None, client_id: ClientId) -> Iterator[None]:
        if pid is None:
            yield
            return
        holder = (workspace_id, pid)
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
        via = _via(call.request)
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


def _via(request: IRequest) -> str:
    return "unix" if isinstance(request.getHost(), UNIXAddress) else "tcp"


def _pid(request: IRequest) -> int | None:
    """The process at the other end, where the request came over a Unix socket."""
    channel = getattr(request, "channel", None)
    if channel is None or not isinstance(request.getHost(), UNIXAddress):
        return None
    return peer_pid(channel.transport)
