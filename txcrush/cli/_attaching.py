"""Watching a session from a terminal, and taking part in it."""

import uuid
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred

from txcrush.cli._answers import Answers, Rule
from txcrush.cli._client import Client
from txcrush.cli._keyboard import Keyboard
from txcrush.cli._membership import Membership
from txcrush.cli._screen import Screen, Watcher
from txcrush.cli._stream import EventStream, StreamedEvent

COMPLETED, FAILED, CANCELLED = 0, 1, 130
SHOWN_BEFORE = 6
"""So many of the session's last messages are shown at first."""

HELP = "type a prompt, or /cancel, /queue, /clear (the queue), /leave; Ctrl-C cancels the run, a second one leaves"


class View(Struct, frozen=True, kw_only=True):
    """What to attach to. `session` is an id or the beginning of one, empty for the session that changed last."""

    directory: str
    data_dir: str = ""
    session: str = ""
    until_idle: bool = False
    rule: Rule = Rule.ASK


class Attaching:
    """One attached terminal. `interrupt` and `leave` may be called at any time."""

    def __init__(
        self, reactor: Any, client: Client, view: View, screen: Screen, keyboard: Keyboard | None = None
    ) -> None:
        self._reactor = reactor
        self._client = client
        self._member = Membership(client, view.directory, view.data_dir)
        self._view = view
        self._screen = screen
        self._keyboard = keyboard
        self._session_id = ""
        self._too_old: frozenset[str] = frozenset()
        self._is_busy = False
        self._is_cancelling = False
        self._is_leaving = False
        self._status = COMPLETED
        self._work: Deferred[int] | None = None

    def start(self) -> "Deferred[int]":
        """Fires with the exit status once we have left; fails with `Refused` or `Unreachable`."""
        self._work = Deferred.fromCoroutine(self._run())
        return self._work

    def interrupt(self) -> None:
        """The first time, while something runs: cancel it. Else: leave."""
        if self._is_busy and not self._is_cancelling:
            self._is_cancelling = True
            self._screen.note("cancelling; press Ctrl-C again to leave")
            self._do(self._act("cancel"))
        else:
            self.leave()

    def leave(self) -> None:
        """Watch no more; what runs goes on."""
        self._is_leaving = True
        if self._work is not None:
            self._work.cancel()

    async def _run(self) -> int:
        try:
            await self._member.join()
            return await self._attached()
        except Exception:
            # However a request fails that was cancelled: our own flag says whether we are leaving.
            if not self._is_leaving:
                raise
            return self._status
        finally:
            if self._keyboard is not None:
                self._keyboard.close()
            await self._member.leave()

    async def _attached(self) -> int:
        self._session_id = await self._member.session(self._view.session)
        stream = await self._member.stream()
        watcher = await self._catch_up()
        answers = Answers(self._member, self._session_id, self._screen, self._view.rule, self._keyboard)
        self._listen()
        try:
            return await self._watch(stream, watcher, answers)
        finally:
            answers.close()

    async def _catch_up(self) -> Watcher:
        """Show the end of what was said so far; what is still being said goes on from there."""
        messages = await self._member.messages(self._session_id)
        self._is_busy = await self._member.is_busy(self._session_id)
        self._screen.session(self._session_id, "")
        watcher = Watcher(self._screen, self._session_id, None)
        self._too_old = frozenset(message["id"] for message in messages[:-SHOWN_BEFORE])
        for message in messages[-SHOWN_BEFORE:]:
            watcher.take(StreamedEvent("message", "created", message))
        return watcher

    def _listen(self) -> None:
        if self._keyboard is not None:
            self._keyboard.listener = self._typed
            self._screen.note(HELP)

    # Watching

    async def _watch(self, stream: EventStream, watcher: Watcher, answers: Answers) -> int:
        while not (self._view.until_idle and not self._is_busy):
            event = await stream.next()
            if event is None:
                stream = await self._member.come_back(self._reactor, stream)
                continue
            if event.kind == "reset":
                await self._read_missed(watcher)
                continue
            watcher.take(event)
            answers.take(event)
            if event.payload.get("session_id") == self._session_id:
                self._note_state(event, watcher)
        stream.close()
        return self._status

    def _note_state(self, event: StreamedEvent, watcher: Watcher) -> None:
        if event.kind == "message":
            self._is_busy = self._is_busy or event.payload["role"] == "assistant"
        elif event.kind == "run_complete":
            self._is_busy = self._is_cancelling = False
            self._tell_end(event.payload, watcher)

    def _tell_end(self, end: dict[str, Any], watcher: Watcher) -> None:
        watcher.show_rest(end)
        self._status = COMPLETED
        if end.get("cancelled"):
            self._status = CANCELLED
            self._screen.note("cancelled")
        elif end.get("error"):
            self._status = FAILED
            self._screen.note(f"the run failed: {end['error']}")
        self._screen.end(end)

    async def _read_missed(self, watcher: Watcher) -> None:
        """The stream could not go on where it broke: show what was said meanwhile."""
        self._is_busy = await self._member.is_busy(self._session_id)
        for message in await self._member.messages(self._session_id):
            if message["id"] not in self._too_old:
                watcher.take(StreamedEvent("message", "created", message))

    # Taking part

    def _typed(self, line: str | None) -> None:
        """A line that nobody asked for."""
        said = (line or "").strip()
        if line is None or said == "/leave":
            self.leave()
        elif said in ("/cancel", "/clear"):
            self._do(self._act("cancel" if said == "/cancel" else "prompts/clear"))
        elif said == "/queue":
            self._do(self._show_queue())
        elif said.startswith("/"):
            self._screen.note(HELP)
        elif said:
            self._do(self._prompt(said))

    async def _act(self, what: str) -> None:
        await self._client.post(f"{self._member.url}/agent/sessions/{self._session_id}/{what}")

    async def _show_queue(self) -> None:
        url = f"{self._member.url}/agent/sessions/{self._session_id}/prompts/list"
        queued = await self._client.get(url) or []
        for number, prompt in enumerate(queued, 1):
            self._screen.note(f"{number}. {prompt}")
        if not queued:
            self._screen.note("nothing is queued")

    async def _prompt(self, text: str) -> None:
        """Send a prompt; a busy session takes it in where it is next possible."""
        if self._is_busy:
            self._screen.note("the session is busy: queued")
        body = {"session_id": self._session_id, "prompt": text, "run_id": str(uuid.uuid4())}
        await self._client.post(f"{self._member.url}/agent", body, Prefer="respond-async")
        self._is_busy = True

    def _do(self, work: Any) -> None:
        Deferred.fromCoroutine(work).addErrback(lambda failure: self._screen.note(failure.getErrorMessage()))
