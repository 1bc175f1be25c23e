"""One prompt, from the command line to its end."""

import uuid
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall, deferLater
from twisted.python.failure import Failure

from txcrush.cli._answers import Answers, Rule
from txcrush.cli._client import Client, Refused, Unreachable
from txcrush.cli._keyboard import Keyboard
from txcrush.cli._membership import Membership
from txcrush.cli._missed import end_of
from txcrush.cli._screen import Screen, Watcher
from txcrush.cli._stream import EventStream, StreamedEvent

COMPLETED, FAILED, USAGE, NO_SERVER, CANCELLED = 0, 1, 2, 3, 130
SEND_AGAIN_S = (0.25, 1.0)
TELL_AGAIN_S = (0.5, 1.0, 2.0, 4.0)
CANCEL_S = 15.0
"""Seconds that a run which was cancelled has to say so."""

USERS_CANCEL = "context canceled"
"""What the protocol calls the error of a run that somebody cancelled."""

TICK_S = 0.1


class Wish(Struct, frozen=True, kw_only=True):
    """What the user wants. `session` is an id, empty for a new one unless `goes_on` asks for the latest; `rule` says
    what the tools of the run are answered."""

    prompt: str
    directory: str
    data_dir: str = ""
    session: str = ""
    goes_on: bool = False
    rule: Rule = Rule.ASK
    timeout_s: float | None = None


class Prompting:
    """Sends a prompt and watches its run. `interrupt` and `leave` may be called at any time."""

    def __init__(
        self, reactor: Any, client: Client, wish: Wish, screen: Screen, keyboard: Keyboard | None = None
    ) -> None:
        self._reactor = reactor
        self._client = client
        self._member = Membership(client, wish.directory, wish.data_dir)
        self._wish = wish
        self._screen = screen
        self._keyboard = keyboard
        self._run_id = str(uuid.uuid4())
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
            await self._member.leave()
            raise
        finally:
            if self._keyboard is not None:
                self._keyboard.close()
            if ticking.running:
                ticking.stop()
            for timer in self._timers:
                if timer.active():
                    timer.cancel()

    async def _prompted(self) -> int:
        await self._member.join()
        await self._prepare()
        self._session_id = await self._session()
        stream = await self._member.stream()
        await self._send()
        self._screen.session(self._session_id, self._run_id)
        status = await self._watch(stream)
        await self._member.leave()
        return FAILED if self._is_late else status

    # Getting there

    async def _prepare(self) -> None:
        """Have the agent built. Raises `Refused`, with what to do, where there is no model."""
        missing = "no model provider is configured: add one to ~/.config/crush/crush.json"
        try:
            await self._client.post(f"{self._member.url}/agent/init", {"interactive": False})
        except Refused as refused:
            raise Refused(refused.status, f"{missing} ({refused})") from refused
        if not (await self._client.get(f"{self._member.url}/agent"))["is_ready"]:
            raise Refused(400, missing)

    async def _session(self) -> str:
        if not self._wish.session and not self._wish.goes_on:
            made = await self._client.post(f"{self._member.url}/sessions", {"title": "non-interactive"})
            return str(made["id"])
        session_id = await self._member.session(self._wish.session)
        self._known = frozenset(str(message["id"]) for message in await self._member.messages(session_id))
        return session_id

    async def _send(self) -> None:
        """Send the prompt. It is sent again where the answer was lost: a run id never starts a second run."""
        body = {"session_id": self._session_id, "prompt": self._wish.prompt, "run_id": self._run_id}
        self._is_sent = True
        for delay in (*SEND_AGAIN_S, None):
            try:
                await self._client.post(f"{self._member.url}/agent", body, Prefer="respond-async")
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
        answers = Answers(self._member, self._session_id, self._screen, self._wish.rule, self._keyboard)
        try:
            return await self._watched(stream, watcher, answers)
        finally:
            answers.close()

    async def _watched(self, stream: EventStream, watcher: Watcher, answers: Answers) -> int:
        while True:
            event = await stream.next()
            if event is None:
                stream = await self._member.come_back(self._reactor, stream)
            elif event.kind == "reset":
                missed = await self._missed_end()
                if missed is not None:
                    stream.close()
                    return self._ended(watcher, missed)
            elif self._is_end(event):
                stream.close()
                return self._ended(watcher, event.payload)
            else:
                watcher.take(event)
                answers.take(event)

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

    async def _missed_end(self) -> dict[str, Any] | None:
        """The end of the run as its session tells it, None while it goes on.

        A run that was accepted but has not begun makes no session busy, so an idle one is asked several times.
        """
        for delay in (*TELL_AGAIN_S, None):
            if await self._member.is_busy(self._session_id):
                return None
            end = end_of(await self._member.messages(self._session_id), self._wish.prompt, self._known)
            if end is not None:
                return {**end, "run_id": self._run_id}
            if delay is not None:
                await deferLater(self._reactor, delay)
        return {"message_id": "", "run_id": self._run_id, "error": "the server lost the run before it answered"}

    # Ending early

    def _begin_cancel(self) -> None:
        self._is_cancelling = True
        self._later(CANCEL_S, self.leave)
        Deferred.fromCoroutine(self._cancel()).addErrback(self._not_cancelled)

    def _not_cancelled(self, failure: Failure) -> None:
        if not self._is_leaving:  # then the connection goes with us
            self._screen.note(failure.getErrorMessage())

    async def _cancel(self) -> None:
        await self._client.post(f"{self._member.url}/agent/sessions/{self._session_id}/cancel")

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
            self._screen.note(f"the run {state}; come back with: txcrush attach {self._session_id}")
        else:
            self._screen.note("interrupted before the prompt was sent")
        self._screen.end({"left": True, "run_id": self._run_id})
        return FAILED if self._is_late else CANCELLED

    def _later(self, delay_s: float, call: Any) -> None:
        self._timers.append(self._reactor.callLater(delay_s, call))

    def _tick(self, began: float) -> None:
        self._screen.tick(self._reactor.seconds() - began)
