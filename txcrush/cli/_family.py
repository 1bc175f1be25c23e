"""The permission requests that a run of ours waits for: those of its session and of the sessions below it."""

from typing import Any

from txcrush.cli._stream import StreamedEvent


class Family:
    """A session and its children, as far as events told of them."""

    def __init__(self, session_id: str) -> None:
        self._sessions = {session_id}
        self._asked: set[str] = set()

    def asked(self, event: StreamedEvent) -> dict[str, Any] | None:
        """The request that the event makes of us for the first time, or None."""
        payload = event.payload
        if event.kind == "session" and payload.get("parent_session_id") in self._sessions:
            self._sessions.add(payload["id"])
        if event.kind != "permission_request" or payload.get("session_id") not in self._sessions:
            return None
        if payload["id"] in self._asked:  # an open request is sent again to each new stream
            return None
        self._asked.add(payload["id"])
        return payload
