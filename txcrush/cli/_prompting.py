"""One prompt, from the command line to its end."""

import uuid
from contextlib import suppress
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall, deferLater
from twisted.python.failure import Failure

from txcrush import __version__
from txcrush.cli._client import Client, Refused, Unreachable
from txcrush.cli._family import Family
from txcrush.cli._missed import end_of
from txcrush.cli._screen import Screen, Watcher
from txcrush.cli._stream import EventStream, StreamedEvent

COMPLETED, FAILED, USAGE, NO_SERVER, CANCELLED = 0, 1, 2, 3, 130
RECONNECT_S = (0.25, 0.5, 1.0, 2.0, 4.0)
SEND_AGAIN_S = (0.25, 1.0)
TELL_AGAIN_S = (0.5, 1.0, 2.0, 4.0)
CANCEL_S = 15.0
"""Seconds that a run which was cancelled has to say so."""

USERS_CANCEL = "context canceled"
"""What the protocol calls the error of a run that somebody cancelled."""

GOODBYE_S = 2.0
TICK_S = 0.1


class ServerLeaves(Refused):
    """The server is shutting down and has not taken the prompt: another one may."""


class Wish(Struct, frozen=True, kw_only=True):
    """What the user wants. `session` is an id, empty for a new one unless `goes_on` asks for the latest."""

    prompt: str
    directory: str
    data_dir: str = ""
    session: str = ""
    goes_on: bool = False
    yolo: bool = False
    timeout_s: float | None = None


class Prompting:
    """Sends a prompt and watches its run. `interrupt` and `leave` may be called at any time."""

    def __init__(self, reactor: Any, client: Client, wish: Wish, screen: Screen) -> None:
        self._reactor = reactor
        self._client = client
        self._wish = wish
        self._screen = screen
        self._client_id = str(uuid.uuid4())
        self._run_id = str(uuid.uuid4())
        self._workspace = ""
        self._session_id = ""
        self._known: frozenset[str] = frozenset()
        self._work: Deferred[int] | None = None
        self._timers: list[IDelayedCall] = []
        self._is_sent = False
        self._is_cancelling = False
        self._is_leaving = False
        self._is_late = False

    def start(self) -> "Deferred[int]":
        """Fires with the exit status; fails with `Refused` or `Unreachable` where the prompt could not be sent."""
        self._work = Deferred.fromCoroutine(self._run())
        return self._work

    def interrupt(self) -> None:
        """The first time: cancel the run. The second time: leave it to the server."""
        if self._is_sent and not self._is_cancelling:
            self._screen.note("cancelling; press Ctrl-C again to leave the run to the server")
            self._begin_cancel()
        else:
            self.leave()

    def leave(self) -> None:
        """Give up watching; the run goes on."""
        self._is_leaving = True
        if self._work is not None:
            self._work.cancel()

    async def _run(self) -> int:
        ticking = LoopingCall(self._tick, self._reactor.seconds())
        ticking.clock = self._reactor
        ticking.start(TICK_S, now=False).addErrback(lambda failure: failure.trap(OSError))  # nobody looks any more
        if self._wish.timeout_s is not None:
            self._later(self._wish.timeout_s, self._too_late)
        try:
            return await self._prompted()
        except Exception:
            # However a request fails that was cancelled: our own flag says whether we are leaving.
            if self._is_leaving:
                return self._left()
            await self._say_goodbye()
            raise
        finally:
            if ticking.running:
                ticking.stop()
            for timer in self._timers:
                if timer.active():
                    timer.cancel()

    async def _prompted(self) -> int:
        await self._join()
        await self._prepare()
        self._session_id = await self._session()
        stream = await self._stream()
        await self._send()
        self._screen.session(self._session_id, self._run_id)
        status = await self._watch(stream)
        await self._say_goodbye()
        return FAILED if self._is_late else status

    # Getting there

    async def _join(self) -> None:
        body = {
            "path": self._wish.directory,
            "client_id": self._client_id,
            "data_dir": self._wish.data_dir,
            "yolo": self._wish.yolo,
            "version": __version__,
        }
        try:
            workspace = await self._client.post("/v1/workspaces", body)
        except Refused as refused:
            if refused.status == 503:
                raise ServerLeaves(503, str(refused)) from refused
            raise
        self._workspace = f"/v1/workspaces/{workspace['id']}"

    async def _prepare(self) -> None:
        """Have the agent built. Raises `Refused`, with what to do, where there is no model."""
        missing = "no model provider is configured: add one to ~/.config/crush/crush.json"
        try:
            await self._client.post(f"{self._workspace}/agent/init", {"interactive": False})
        except Refused as refused:
            raise Refused(refused.status, f"{missing} ({refused})") from refused
        if not (await self._client.get(f"{self._workspace}/agent"))["is_ready"]:
            raise Refused(400, missing)

    async def _session(self) -> str:
        sessions = f"{self._workspace}/sessions"
        if not self._wish.session and not self._wish.goes_on:
            return str((await self._client.post(sessions, {"title": "non-interactive"}))["id"])
        session_id = self._wish.session or await self._latest(sessions)
        try:
            found = await self._client.get(f"{sessions}/{session_id}")
        except Refused as refused:
            raise Refused(refused.status, f"no session {session_id} here; txcrush status lists them") from refused
        self._known = frozenset(str(message["id"]) for message in await self._messages(found["id"]))
        return str(found["id"])

    async def _latest(self, sessions: str) -> str:
        found = await self._client.get(sessions)
        if not found:
            raise Refused(404, "there is no session to continue here")
        return str(found[0]["id"])

    async def _stream(self) -> EventStream:
        return await self._client.stream(f"{self._workspace}/events?client_id={self._client_id}")

    async def _send(self) -> None:
        """Send the prompt. It is sent again where the answer was lost: a run id never starts a second run."""
        body = {"session_id": self._session_id, "prompt": self._wish.prompt, "run_id": self._run_id}
        self._is_sent = True
        for delay in (*SEND_AGAIN_S, None):
            try:
                await self._client.post(f"{self._workspace}/agent", body, Prefer="respond-async")
                break
            except Unreachable:
                if delay is None:
                    raise
                await deferLater(self._reactor, delay)
        if self._is_cancelling:  # the first cancel may have come before the prompt
            await self._cancel()

    # Watching

    async def _watch(self, stream: EventStream) -> int:
        """Show the run until it has ended; a stream that breaks is opened again."""
        watcher = Watcher(self._screen, self._session_id, self._wish.prompt, self._known)
        family = Family(self._session_id)
        while True:
            event = await stream.next()
            if event is None:
                stream, missed = await self._come_back()
                if missed is not None:
                    stream.close()
                    return self._ended(watcher, missed)
            elif self._is_end(event):
                stream.close()
                return self._ended(watcher, event.payload)
            else:
                watcher.take(event)
                await self._answer(family.asked(event))

    def _is_end(self, event: StreamedEvent) -> bool:
        return event.kind == "run_complete" and event.payload.get("run_id") == self._run_id

    def _ended(self, watcher: Watcher, end: dict[str, Any]) -> int:
        status = COMPLETED
        watcher.show_rest(end)
        if end.get("cancelled"):
            why = end.get("error", "")
            self._screen.note("cancelled" if why in ("", USERS_CANCEL) else f"cancelled: {why}")
            status = CANCELLED
        elif end.get("error"):
            self._screen.note(f"the run failed: {end['error']}")
            status = FAILED
        self._screen.end(end)
        return status

    async def _answer(self, request: dict[str, Any] | None) -> None:
        """Grant what a tool of ours asks for, if the user said so; else say that it waits."""
        if request is None:
            return
        what = f"{request['tool_name']}: {request['description']}"
        if not self._wish.yolo:
            self._screen.note(f"waiting for a permission ({what}): answer it in another client, or run with --yolo")
            return
        try:
            body = {"permission": request, "action": "allow"}
            await self._client.post(f"{self._workspace}/permissions/grant", body)
        except (Refused, Unreachable) as error:
            self._screen.note(f"the permission could not be granted ({what}): {error}")

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
            except Refused as refused:
                if refused.status not in (404, 503):  # closed just now, and ending
                    raise
        raise Unreachable("the server is gone; a run that was under way ends as interrupted when it starts again")

    async def _missed_end(self) -> dict[str, Any] | None:
        """The end of the run as its session tells it, None while it goes on.

        A run that was accepted but has not begun makes no session busy, so an idle one is asked several times.
        """
        for delay in (*TELL_AGAIN_S, None):
            state = await self._client.get(f"{self._workspace}/agent/sessions/{self._session_id}")
            if state["is_busy"]:
                return None
            end = end_of(await self._messages(self._session_id), self._wish.prompt, self._known)
            if end is not None:
                return {**end, "run_id": self._run_id}
            if delay is not None:
                await deferLater(self._reactor, delay)
        return {"message_id": "", "run_id": self._run_id, "error": "the server lost the run before it answered"}

    async def _messages(self, session_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self._client.get(f"{self._workspace}/sessions/{session_id}/messages")
        return found

    # Ending early

    def _begin_cancel(self) -> None:
        self._is_cancelling = True
        self._later(CANCEL_S, self.leave)
        Deferred.fromCoroutine(self._cancel()).addErrback(self._not_cancelled)

    def _not_cancelled(self, failure: Failure) -> None:
        if not self._is_leaving:  # then the connection goes with us
            self._screen.note(failure.getErrorMessage())

    async def _cancel(self) -> None:
        await self._client.post(f"{self._workspace}/agent/sessions/{self._session_id}/cancel")

    def _too_late(self) -> None:
        self._is_late = True
        self._screen.note(f"no end after {self._wish.timeout_s:g} s: cancelling")
        if not self._is_sent:
            self.leave()
        elif not self._is_cancelling:
            self._begin_cancel()

    def _left(self) -> int:
        if self._is_sent:
            state = "is being cancelled" if self._is_cancelling else "goes on"
            self._screen.note(f'the run {state}; come back with: txcrush run --session {self._session_id} "..."')
        else:
            self._screen.note("interrupted before the prompt was sent")
        self._screen.end({"left": True, "run_id": self._run_id})
        return FAILED if self._is_late else CANCELLED

    async def _say_goodbye(self) -> None:
        """Give up our claims. A run that goes on keeps its workspace open without them."""
        with suppress(Refused, Unreachable):  # a server that is gone has forgotten us
            await self._client.ask("DELETE", f"/v1/clients/{self._client_id}", within_s=GOODBYE_S)

    def _later(self, delay_s: float, call: Any) -> None:
        self._timers.append(self._reactor.callLater(delay_s, call))

    def _tick(self, began: float) -> None:
        self._screen.tick(self._reactor.seconds() - began)
