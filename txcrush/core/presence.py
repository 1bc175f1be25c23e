"""Who holds a workspace open: claims, their grace, and what each client looks at (`protocol.md` 4.2, 4.7)."""

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.interfaces import IDelayedCall

from txcrush.model.errors import ClientNotAttached
from txcrush.model.ids import ClientId, SessionId
from txcrush.ports import Clock


@dataclass
class Claim:
    """One client's hold on a workspace.

    `since` is when the client came, in Unix seconds. A claim without a stream lives as long as its timer; one that was
    `released` with streams open goes with the last.
    """

    since: float = 0.0
    streams: int = 0
    timer: IDelayedCall | None = None
    current_session: SessionId = SessionId("")
    released: bool = False

    def stop_timer(self) -> None:
        if self.timer is not None and self.timer.active():
            self.timer.cancel()
        self.timer = None


class Claims:
    """The claims on one workspace; `when_empty` is called when the last one goes."""

    def __init__(
        self, clock: Clock, create_grace_s: float, detach_grace_s: float, when_empty: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._create_grace_s = create_grace_s
        self._detach_grace_s = detach_grace_s
        self._when_empty = when_empty
        self._claims: dict[ClientId, Claim] = {}
        self._kept: IDelayedCall | None = None

    @property
    def is_empty(self) -> bool:
        return not self._claims and self._kept is None

    def clients(self) -> dict[ClientId, Claim]:
        """Every client with a claim, and the claim."""
        return dict(self._claims)

    def hold(self, client_id: ClientId) -> None:
        """The client created or joined the workspace: it is kept for the create grace, until a stream opens."""
        claim = self._claim(client_id)
        claim.released = False
        if not claim.streams:
            self._keep_for(client_id, claim, self._create_grace_s)

    def keep(self) -> None:
        """Nobody holds it yet: it is kept for the create grace, for those who come back."""
        self._kept = self._clock.callLater(self._create_grace_s, self._give_up)

    def attach(self, client_id: ClientId) -> None:
        """The client opened an event stream; it needs no claim before."""
        claim = self._claim(client_id)
        claim.stop_timer()
        claim.streams += 1

    def detach(self, client_id: ClientId) -> None:
        """One of the client's streams ended: after the last the claim is kept for the detach grace."""
        claim = self._claims.get(client_id)
        if claim is None or not claim.streams:
            return
        claim.streams -= 1
        if claim.streams:
            return
        if claim.released or self._detach_grace_s <= 0:
            self.remove(client_id)
        else:
            self._keep_for(client_id, claim, self._detach_grace_s)

    def release(self, client_id: ClientId) -> None:
        """The client gives its claim up; streams that are open keep it until they end."""
        claim = self._claims.get(client_id)
        if claim is None:
            return
        claim.stop_timer()
        if claim.streams:
            claim.released = True
        else:
            self.remove(client_id)

    def remove(self, client_id: ClientId) -> None:
        """The claim goes, streams or not."""
        claim = self._claims.pop(client_id, None)
        if claim is not None:
            claim.stop_timer()
            if not self._claims:
                self._when_empty()

    def look_at(self, client_id: ClientId, session_id: SessionId) -> None:
        """The client shows this session now (empty: none). Raises `ClientNotAttached` without an open stream."""
        claim = self._claims.get(client_id)
        if claim is None or not claim.streams:
            raise ClientNotAttached
        claim.current_session = session_id

    def attached(self, session_id: SessionId) -> int:
        """How many clients with a live stream look at the session (R-SESS-02)."""
        return sum(
            bool(session_id) and claim.streams > 0 and claim.current_session == session_id
            for claim in self._claims.values()
        )

    def stop(self) -> None:
        """Forget every claim without telling anybody."""
        for claim in self._claims.values():
            claim.stop_timer()
        self._claims.clear()
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.cancel()

    def _claim(self, client_id: ClientId) -> Claim:
        return self._claims.setdefault(client_id, Claim(self._clock.seconds()))

    def _give_up(self) -> None:
        self._kept = None
        if not self._claims:
            self._when_empty()

    def _keep_for(self, client_id: ClientId, claim: Claim, grace_s: float) -> None:
        claim.stop_timer()
        claim.timer = self._clock.callLater(grace_s, self.remove, client_id)
