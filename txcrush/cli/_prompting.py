"""One prompt, from the command line to its end."""

import uuid
from typing import Any

from msgspec import Struct
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from txcrush import __version__
from txcrush.cli._client import Client, Refused, Unreachable
from txcrush.cli._screen import Screen, Watcher
from txcrush.cli._stream import EventStream, StreamedEvent

COMPLETED, FAILED, USAGE, NO_SERVER, CANCELLED = 0, 1, 2, 3, 130
RECONNECT_S = (0.25, 0.5, 1.0, 2.0, 4.0)


class Wish(Struct, frozen=True, kw_only=True):
    """What the user wants. `session` is an id, empty for a new one unless `goes_on` asks for the latest."""

    prompt: str
    directory: str
    data_dir: str = ""
    session: str = ""
    goes_on: bool = False
    yolo: bool = False


class Prompting:
    """Sends a prompt and watches its run. `interrupt` may be called at any time."""

    def __init__(self, reactor: Any, client: Client, wish: Wish, screen: Screen) -> None:
        self._reactor = reactor
        self._client = client
        self._wish = wish
        self._screen = screen
        self._client_id = str(uuid.uuid4())
        self._run_id = str(uuid.uuid4())
        self._workspace = ""
        self._session_id = ""
        self._work: Deferred[int] | None = None
        self._interrupts = 0

    def start(self) -> "Deferred[int]":
        """Fires with the exit status; fails with `Refused` or `Unreachable` before the prompt was taken."""
        self._work = Deferred.fromCoroutine(self._run())
        return self._work

    def interrupt(self) -> None:
        """The first time: cancel the run. The second time: leave it to the server."""
        self._interrupts += 1
        if self._interrupts == 1 and self._session_id:
            self._screen.note("cancelling; press Ctrl-C again to leave the run to the server")
            Deferred.fromCoroutine(self._cancel()).addErrback(
                lambda failure: self._screen.note(failure.getErrorMessage())
            )
        elif self._work is not None:
            self._work.cancel()

    async def _run(self) -> int:
        try:
            return await self._prompted()
        except CancelledError:
            if not self._interrupts:
                raise
            if self._session_id:
                self._screen.note(f'the run goes on; come back with: txcrush run --session {self._session_id} "..."')
            return CANCELLED

    async def _prompted(self) -> int:
        await self._join()
        await self._client.post(f"{self._workspace}/agent/init", {"interactive": False})
        if not (await self._client.get(f"{self._workspace}/agent"))["is_ready"]:
            raise Refused(400, "no model provider is configured: add one to ~/.config/crush/crush.json")
        session_id = await self._session()
        stream = await self._stream()
        body = {"session_id": session_id, "prompt": self._wish.prompt, "run_id": self._run_id}
        await self._client.post(f"{self._workspace}/agent", body, Prefer="respond-async")
        self._session_id = session_id
        self._screen.session(session_id, self._run_id)
        status = await self._watch(stream)
        # The run has ended; where it had not, it would keep the workspace open without us.
        await self._client.ask("DELETE", f"/v1/clients/{self._client_id}")
        return status

    async def _join(self) -> None:
        body = {
            "path": self._wish.directory,
            "client_id": self._client_id,
            "data_dir": self._wish.data_dir,
            "yolo": self._wish.yolo,
            "version": __version__,
        }
        workspace = await self._client.post("/v1/workspaces", body)
        self._workspace = f"/v1/workspaces/{workspace['id']}"

    async def _session(self) -> str:
        sessions = f"{self._workspace}/sessions"
        if self._wish.session:
            return str((await self._client.get(f"{sessions}/{self._wish.session}"))["id"])
        if self._wish.goes_on:
            found = await self._client.get(sessions)
            if not found:
                raise Refused(404, "there is no session to continue here")
            return str(found[0]["id"])
        return str((await self._client.post(sessions, {"title": "non-interactive"}))["id"])

    async def _stream(self) -> EventStream:
        return await self._client.stream(f"{self._workspace}/events?client_id={self._client_id}")

    async def _cancel(self) -> None:
        await self._client.post(f"{self._workspace}/agent/sessions/{self._session_id}/cancel")

    # Watching

    async def _watch(self, stream: EventStream) -> int:
        """Show the run until it has ended; a stream that breaks is opened again."""
        watcher = Watcher(self._screen, self._session_id, self._wish.prompt)
        while True:
            event = await stream.next()
            if event is None:
                stream, missed = await self._come_back()
                if missed is not None:
                    return self._ended(watcher, missed)
            elif self._is_end(event):
                stream.close()
                return self._ended(watcher, event.payload)
            else:
                watcher.take(event)

    def _is_end(self, event: StreamedEvent) -> bool:
        return event.kind == "run_complete" and event.payload.get("run_id") == self._run_id

    def _ended(self, watcher: Watcher, end: dict[str, Any]) -> int:
        watcher.finish(end)
        if end.get("cancelled"):
            self._screen.note("cancelled")
            return CANCELLED
        if end.get("error"):
            self._screen.note(f"the run failed: {end['error']}")
            return FAILED
        return COMPLETED

    async def _come_back(self) -> tuple[EventStream, dict[str, Any] | None]:
        """A new stream, and the end of the run where it came while we were away."""
        for delay in RECONNECT_S:
            await deferLater(self._reactor, delay)
            try:
                await self._join()
                stream = await self._stream()
                return stream, await self._missed_end()
            except Unreachable:
                continue
        raise Unreachable("the server is gone; a run that was under way ends as interrupted when it starts again")

    async def _missed_end(self) -> dict[str, Any] | None:
        """The prompt again, under its run id: it joins the run, and never starts a second one."""
        body = {"session_id": self._session_id, "prompt": self._wish.prompt, "run_id": self._run_id}
        try:
            answer = await self._client.ask("POST", f"{self._workspace}/agent", body, Prefer="wait=0")
        except Refused as refused:
            return {"error": str(refused), "message_id": ""}
        if answer.status == 202:
            return None
        messages = await self._client.get(f"{self._workspace}/sessions/{self._session_id}/messages")
        return _end_of(messages)


def _end_of(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """The end that the last assistant message tells of."""
    last = next((message for message in reversed(messages) if message["role"] == "assistant"), None)
    if last is None:
        return {"error": "the run has ended without an answer", "message_id": ""}
    parts = {part["type"]: part["data"] for part in reversed(last["parts"])}
    finish = parts.get("finish", {})
    reason = finish.get("reason", "")
    end = {"message_id": last["id"], "text": parts.get("text", {}).get("text", "")}
    if reason == "canceled":
        end["cancelled"] = True
    elif reason == "error":
        end["error"] = f"{finish.get('message', '')}: {finish.get('details', '')}"
    return end
